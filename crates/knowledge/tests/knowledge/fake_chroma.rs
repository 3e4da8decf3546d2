//! A Chroma server as far as a collection is asked and read: it answers whatever records it was given, nearest first, and
//! counts the queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cuecard_knowledge::chroma::ChromaSettings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::services::TIMEOUT;

pub struct FakeChroma {
    pub settings: ChromaSettings,
    num_queries: Arc<AtomicUsize>,
}

impl FakeChroma {
    /// `records` are objects with id, document, metadata and distance, of which each may be missing but the id.
    pub async fn with(records: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let num_queries = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&num_queries);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (path, body) = request(&mut socket).await;
                counter.fetch_add(usize::from(path.ends_with("/query")), Ordering::SeqCst);
                let body = answer(&path, &body, &records);
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        let [tenant, database, collection] = ["tenant", "database", "kb_chunks"].map(str::to_owned);
        let settings = ChromaSettings { url, tenant, database, collection, token: None, timeout: TIMEOUT };
        Self { settings, num_queries }
    }

    pub fn num_queries(&self) -> usize {
        self.num_queries.load(Ordering::SeqCst)
    }
}

/// The path of a request, and its body.
async fn request(socket: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        socket.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            return (path, serde_json::from_str(body).unwrap_or_default());
        }
    }
}

fn answer(path: &str, body: &Value, records: &[Value]) -> String {
    let given = |first: usize, most: &Value| {
        let most = most.as_u64().unwrap() as usize;
        records.iter().skip(first).take(most).collect::<Vec<_>>()
    };
    let field = |records: &[&Value], name: &str| records.iter().map(|record| record[name].clone()).collect::<Value>();
    let answer = match path.rsplit('/').next().unwrap() {
        "count" => json!(records.len()),
        "get" => {
            let records = given(body["offset"].as_u64().unwrap() as usize, &body["limit"]);
            json!({"ids": field(&records, "id"), "documents": field(&records, "document"),
                "metadatas": field(&records, "metadata"), "embeddings": field(&records, "embedding")})
        }
        "query" => {
            let records = given(0, &body["n_results"]);
            let for_each = |name| vec![field(&records, name); body["query_embeddings"].as_array().unwrap().len()];
            json!({"ids": for_each("id"), "documents": for_each("document"), "metadatas": for_each("metadata"),
                "distances": for_each("distance")})
        }
        _ => json!({"id": "1", "dimension": null, "configuration_json": {"hnsw": {"space": "cosine"}}}),
    };
    answer.to_string()
}
