//! The databases of `scripts/services`, filled as the documents' own programs fill them.

#[path = "../../../crates/knowledge/tests/knowledge/services/places.rs"]
mod places;

use cuecard_actors::engine::encoder::{Encoder, EncoderSettings};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

pub use places::{address, unique};

/// The URL of a schema of its own in the PostgreSQL server that the tests share; none where there is no server.
pub async fn schema() -> Option<String> {
    let server = address("CUECARD_TEST_POSTGRES")?;
    let schema = unique("service").replace('-', "_");
    let mut raw = PgConnection::connect(&server).await.unwrap();
    raw.execute(&*format!("CREATE SCHEMA {schema}")).await.unwrap();
    Some(format!("{server}?options[search_path]={schema}"))
}

/// A Chroma server, filled as the document's own program fills it: texts with metadata and the model's vectors.
pub struct Chroma {
    pub url: String,
    client: reqwest::Client,
}

impl Chroma {
    pub fn running() -> Option<Self> {
        let url = address("CHROMA_URL")?;
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Some(Self { url, client: reqwest::Client::builder().no_proxy().build().unwrap() })
    }

    /// A new collection of these texts, each with its metadata; gives its name.
    pub async fn filled(&self, space: &str, records: &[(&str, Value)]) -> String {
        let documents: Vec<_> = records.iter().map(|(document, _)| (*document).to_owned()).collect();
        let encoder = Encoder::load(&EncoderSettings { threads: 1, ..EncoderSettings::default() }).unwrap();
        let embeddings = encoder.embed_bulk(&documents).unwrap();
        self.filled_with(space, records, &embeddings).await
    }

    /// The same with vectors from elsewhere.
    pub async fn filled_with(&self, space: &str, records: &[(&str, Value)], embeddings: &[Vec<f32>]) -> String {
        let name = unique("kb_chunks");
        let configuration = json!({"hnsw": {"space": space}});
        let made = self.post("", json!({"name": name, "configuration": configuration})).await;
        let (documents, metadatas): (Vec<_>, Vec<_>) = records.iter().cloned().unzip();
        let ids: Vec<_> = (0..documents.len()).map(|number| format!("chunk-{number}")).collect();
        let body = json!({"ids": ids, "documents": documents, "metadatas": metadatas, "embeddings": embeddings});
        self.post(&format!("/{}/add", made["id"].as_str().unwrap()), body).await;
        name
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let collections = "/api/v2/tenants/default_tenant/databases/default_database/collections";
        let answer = self.client.post(format!("{}{collections}{path}", self.url)).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}
