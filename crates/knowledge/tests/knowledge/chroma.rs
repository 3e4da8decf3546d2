//! A Chroma collection on a real server: asked live, imported, and every way in which it can be wrong.

use std::time::{Duration, Instant};

use crate::ALL;
use crate::fake_encoder::{DIMENSIONS, FakeEncoder};
use crate::nobody;
use crate::services::{self, TIMEOUT};
use cuecard_knowledge::chroma::{ChromaCollection, ChromaError, ChromaSettings, update};
use cuecard_knowledge::{Article, Index, TextEncoder, build};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server and a way to fill it that is none of ours.
struct Chroma {
    url: String,
    client: reqwest::Client,
}

impl Chroma {
    fn running() -> Option<Self> {
        let url = services::address("CHROMA_URL")?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        Some(Self { url, client: reqwest::Client::new() })
    }

    fn settings(&self, collection: &str) -> ChromaSettings {
        settings_at(&self.url, collection)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let base = format!("{}/api/v2/tenants/default_tenant/databases/default_database/collections", self.url);
        let answer = self.client.post(format!("{base}{path}")).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a collection; gives its id.
    async fn create(&self, name: &str, space: Option<&str>) -> String {
        let hnsw = space.map(|space| json!({"hnsw": {"space": space}})).unwrap_or(json!(null));
        let made = self.post("", json!({"name": name, "configuration": hnsw})).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Adds records: id, document, metadata, vector.
    async fn add(&self, id: &str, records: &[(String, Value, Value, Vec<f32>)]) {
        for records in records.chunks(200) {
            let ids: Vec<_> = records.iter().map(|record| &record.0).collect();
            let documents: Vec<_> = records.iter().map(|record| &record.1).collect();
            let metadatas: Vec<_> = records.iter().map(|record| &record.2).collect();
            let embeddings: Vec<_> = records.iter().map(|record| &record.3).collect();
            let body = json!({"ids": ids, "documents": documents, "metadatas": metadatas, "embeddings": embeddings});
            self.post(&format!("/{id}/add"), body).await;
        }
    }

    async fn filled(&self, space: Option<&str>, records: &[(String, Value, Value, Vec<f32>)]) -> String {
        let name = services::unique("kb_chunks");
        let id = self.create(&name, space).await;
        self.add(&id, records).await;
        name
    }
}

fn settings_at(url: &str, collection: &str) -> ChromaSettings {
    ChromaSettings {
        url: url.parse().unwrap(),
        tenant: "default_tenant".into(),
        database: "default_database".into(),
        collection: collection.into(),
        token: None,
        timeout: TIMEOUT,
    }
}

type Record = (String, Value, Value, Vec<f32>);

fn record(encoder: &FakeEncoder, id: &str, document: &str, metadata: Value) -> Record {
    (id.to_owned(), json!(document), metadata, encoder.vector(document))
}

fn parking(encoder: &FakeEncoder) -> Vec<Record> {
    vec![
        record(
            encoder,
            "p1",
            "Guests park in the garage",
            json!({"source": "hotel.pdf", "title": "Parking", "url": "https://kb/p1"}),
        ),
        record(encoder, "p2", "Guests swim in the pool", json!({"source": "pool.pdf"})),
        record(encoder, "p3", "Breakfast is at eight", json!(null)),
    ]
}

fn rounded(relevance: f64) -> f64 {
    (relevance * 1e4).round() / 1e4
}

#[tokio::test]
async fn every_space_gives_the_same_relevance() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let query = encoder.vector("guests park");
    let mut answers = Vec::new();
    for space in [None, Some("l2"), Some("cosine"), Some("ip")] {
        let name = chroma.filled(space, &parking(&encoder)).await;
        let collection = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.unwrap();
        let hits = collection.query(&[&query], 2, &ALL).await.unwrap().remove(0);
        answers.push(hits.into_iter().map(|hit| (hit.article.id, rounded(hit.relevance))).collect::<Vec<_>>());
    }
    assert_eq!(answers[0].len(), 2);
    assert_eq!(answers[0][0].0, "p1");
    let expected = dot(&query, &encoder.vector("Guests park in the garage"));
    assert_eq!(answers[0][0].1, rounded(f64::from(expected)));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

fn dot(one: &[f32], two: &[f32]) -> f32 {
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

#[tokio::test]
async fn a_hit_brings_its_document_and_what_the_metadata_say() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let mut records = parking(&encoder);
    records.push(("p4".into(), json!(null), json!({"source": 7, "title": ""}), encoder.vector("lonely")));
    let name = chroma.filled(Some("cosine"), &records).await;
    let collection = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.unwrap();
    let first =
        async |text: &str| collection.query(&[&encoder.vector(text)], 1, &ALL).await.unwrap().remove(0).remove(0);
    let hit = first("Guests park in the garage").await;
    let Article { id, body, source_name, title, url, .. } = &hit.article;
    assert_eq!((id.as_str(), body.as_str(), hit.passage()), ("p1", "Guests park in the garage", body.as_str()));
    assert_eq!(
        (source_name.as_deref(), title.as_str(), url.as_deref()),
        (Some("hotel.pdf"), "Parking", Some("https://kb/p1"))
    );
    let Article { id, source_name, title, url, .. } = first("Breakfast is at eight").await.article;
    assert_eq!((id.as_str(), source_name.as_deref(), title.as_str(), url), ("p3", Some("unknown"), "", None));
    assert_eq!(
        collection.query(&[&encoder.vector("x")], 100, &ALL).await.unwrap()[0].len(),
        3,
        "a record without text is left out"
    );
    assert!(collection.query(&[&encoder.vector("x")], 0, &ALL).await.unwrap()[0].is_empty());
    let (garage, breakfast) = (encoder.vector("Guests park in the garage"), encoder.vector("Breakfast is at eight"));
    let lists = collection.query(&[&garage, &breakfast], 1, &ALL).await.unwrap();
    let nearest: Vec<_> = lists.iter().map(|hits| hits[0].article.id.as_str()).collect();
    assert_eq!(nearest, ["p1", "p3"], "a list for each vector, in their order");
}

#[tokio::test]
async fn an_empty_collection_answers_nothing() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let name = chroma.filled(None, &[]).await;
    let collection = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.unwrap();
    assert_eq!(collection.query(&[&encoder.vector("x")], 3, &ALL).await.unwrap(), [[]]);
    assert!(collection.read_all().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_collection_and_a_wrong_dimension_say_what_to_do() {
    let Some(chroma) = Chroma::running() else { return };
    let name = services::unique("never made");
    let error = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.err().unwrap();
    assert!(matches!(&error, ChromaError::NoCollection { collection, .. } if *collection == name), "{error}");
    assert!(error.to_string().contains("create_collection"), "{error}");

    let small = FakeEncoder::other("small", 3);
    let name = chroma.filled(None, &parking(&small)).await;
    let error = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.err().unwrap();
    assert!(matches!(error, ChromaError::OtherDimensions { found: 3, expected: DIMENSIONS, .. }), "{error}");
    let collection = ChromaCollection::open(&chroma.settings(&name), 3).await.unwrap();
    let error = collection.query(&[&[1.0, 0.0]], 3, &ALL).await.unwrap_err();
    assert!(matches!(error, ChromaError::OtherDimensions { .. }), "{error}");
}

#[tokio::test]
async fn a_collection_that_was_made_anew_under_its_name_is_found_again() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let name = chroma.filled(Some("cosine"), &parking(&encoder)).await;
    let collection = ChromaCollection::open(&chroma.settings(&name), DIMENSIONS).await.unwrap();
    let delete = format!("{}/api/v2/tenants/default_tenant/databases/default_database/collections/{name}", chroma.url);
    assert!(chroma.client.delete(&delete).send().await.unwrap().status().is_success());
    let error = collection.query(&[&encoder.vector("x")], 3, &ALL).await.unwrap_err();
    assert!(matches!(error, ChromaError::NoCollection { .. }), "{error}");
    let id = chroma.create(&name, Some("l2")).await;
    chroma.add(&id, &parking(&encoder)[..2]).await;
    let query = encoder.vector("guests park");
    let hits = collection.query(&[&query], 3, &ALL).await.unwrap().remove(0);
    let expected = dot(&query, &encoder.vector("Guests park in the garage"));
    assert_eq!((hits.len(), rounded(hits[0].relevance)), (2, rounded(f64::from(expected))), "by its new space");
}

#[tokio::test]
async fn a_dead_silent_or_foreign_server_is_an_error_in_time() {
    let told: [(u16, &str); 7] = [
        (nobody(), "can't be reached"),
        (server_that_says("").await, "did not answer within 300 ms"),
        (
            server_that_says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"").await,
            "did not answer within 300 ms",
        ),
        (server_that_says("SSH-2.0-OpenSSH\r\n").await, "can't be reached"),
        (server_that_says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await, "answered what can't be read"),
        (server_that_says("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await, "refused the request with 403"),
        (
            server_that_says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 4\r\n\r\nmove")
                .await,
            "answered 302: move",
        ),
    ];
    for (port, said) in told {
        let settings = ChromaSettings {
            timeout: Duration::from_millis(300),
            ..settings_at(&format!("http://127.0.0.1:{port}"), "c")
        };
        let started = Instant::now();
        let error = ChromaCollection::open(&settings, DIMENSIONS).await.err().unwrap().to_string();
        assert!(error.contains(said) && error.contains(&port.to_string()), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    let error = ChromaCollection::open(&settings_at("ftp://host", "c"), DIMENSIONS).await.err().unwrap();
    assert!(matches!(error, ChromaError::Address { .. }), "{error}");
}

/// Answers every request so, whatever it asks, and never closes.
async fn server_that_says(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 1_024]).await;
            let _ = socket.write_all(answer.as_bytes()).await;
            held.push(socket);
        }
    });
    port
}

#[tokio::test]
async fn the_token_goes_with_every_request_and_its_text_into_no_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/behind/a/proxy/", listener.local_addr().unwrap());
    let settings = ChromaSettings { token: Some("secret-word".into()), ..settings_at(&url, "kb chunks/1") };
    assert!(!format!("{settings:?}").contains("secret-word"));
    let opening = tokio::spawn(async move { ChromaCollection::open(&settings, DIMENSIONS).await.err().unwrap() });
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 2_048];
    let read = socket.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
    assert!(request.contains("x-chroma-token: secret-word"), "{request}");
    let path =
        "get /behind/a/proxy/api/v2/tenants/default_tenant/databases/default_database/collections/kb%20chunks%2f1 ";
    assert!(request.starts_with(path), "{request}");
    socket.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let error = opening.await.unwrap();
    assert!(matches!(error, ChromaError::Refused { status: 401, .. }), "{error}");
    assert!(!error.to_string().contains("secret-word"), "{error}");
}

fn documents(encoder: &FakeEncoder, num: usize) -> Vec<Record> {
    (0..num)
        .map(|n| {
            let metadata = if n % 3 == 0 { json!({"source": format!("{n}.pdf"), "page": n}) } else { json!(null) };
            record(encoder, &format!("d{n:04}"), &format!("Document number {n} speaks of thing{n}"), metadata)
        })
        .collect()
}

#[tokio::test]
async fn an_import_takes_the_vectors_over_and_embeds_nothing() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let mut records = documents(&encoder, 600);
    // Unnormalised vectors are the same direction; a title belongs to what is embedded.
    records.iter_mut().step_by(2).for_each(|record| record.3.iter_mut().for_each(|value| *value *= 3.0));
    let titled = "Thing of its own";
    records.push(record(&encoder, "titled", titled, json!({"title": "Title"})));
    records.push(("empty".into(), json!(null), json!(null), encoder.vector("empty")));
    let name = chroma.filled(None, &records).await;
    let collection = ChromaCollection::open_for_import(&chroma.settings(&name)).await.unwrap();
    let read = collection.read_all().await.unwrap();
    assert_eq!(read.len(), 602);

    let (update, taken_over, import) = update(read, &encoder).unwrap();
    assert_eq!((import.records, import.without_text, import.taken_over), (602, 1, 601));
    assert_eq!((import.not_taken_over, taken_over.len()), (None, 601));
    assert_eq!((update.source.as_str(), update.articles.len()), (format!("chroma:{name}").as_str(), 601));
    assert_eq!(encoder.asked().len(), 8, "a sample and no more");

    let directory = tempfile::tempdir().unwrap();
    let report = build(directory.path(), update, &taken_over, &()).unwrap();
    assert_eq!((report.articles, report.embedded, taken_over.answered()), (601, 601, 601));
    let mut asked = encoder.asked();
    asked.sort();
    assert_eq!(asked, [titled, "Title"], "only what no record of the collection says by itself");
    let index = Index::open(directory.path(), None).unwrap();
    for (text, id, source) in [("Document number 3 speaks of thing3", "d0003", "3.pdf"), (titled, "titled", "unknown")]
    {
        let hit = index.nearest(&encoder.vector(text), 1, &ALL)[0];
        assert!(hit.cosine > 0.9999, "{}", hit.cosine);
        let article = index.article(hit.article);
        assert_eq!((article.id.as_str(), article.source_name.as_deref()), (id, Some(source)));
    }
}

#[tokio::test]
async fn what_another_model_made_is_embedded_anew() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let mut mostly_mine = documents(&encoder, 8);
    mostly_mine[5].3 = encoder.vector("something else");
    // Its words have other vectors because they are of another length.
    let stranger = FakeEncoder::other("stranger", 32);
    for (records, said) in [
        (documents(&stranger, 20), "have 32 dimensions, the model makes 64"),
        (mostly_mine, "of 8 documents embedded anew one has a cosine of"),
    ] {
        let name = chroma.filled(Some("cosine"), &records).await;
        let collection = ChromaCollection::open_for_import(&chroma.settings(&name)).await.unwrap();
        let (update, taken_over, import) = update(collection.read_all().await.unwrap(), &encoder).unwrap();
        assert!(import.not_taken_over.as_ref().is_some_and(|why| why.contains(said)), "{import:?}");
        assert!(import.taken_over == 0 && taken_over.is_empty());
        encoder.asked();
        let directory = tempfile::tempdir().unwrap();
        let report = build(directory.path(), update, &taken_over, &()).unwrap();
        assert_eq!((encoder.asked().len(), report.embedded), (records.len(), records.len()));
    }
}

#[tokio::test]
async fn a_document_too_long_for_one_piece_is_embedded_anew() {
    let Some(chroma) = Chroma::running() else { return };
    let encoder = FakeEncoder::new();
    let mut records = documents(&encoder, 9);
    records.push(record(&encoder, "long", &"many words ".repeat(60), json!(null)));
    let name = chroma.filled(None, &records).await;
    let collection = ChromaCollection::open_for_import(&chroma.settings(&name)).await.unwrap();
    let (_, taken_over, import) = update(collection.read_all().await.unwrap(), &encoder).unwrap();
    assert_eq!((import.taken_over, import.not_taken_over), (9, None));
    encoder.asked();
    let texts = [
        "Document number 3 speaks of thing3".to_owned(),
        "unknown".to_owned(),
        "Document number 4 speaks of thing4".to_owned(),
    ];
    let vectors = taken_over.embed(&texts).unwrap();
    assert_eq!((encoder.asked(), taken_over.answered()), (vec!["unknown".to_owned()], 2));
    for (text, vector) in texts.iter().zip(&vectors) {
        assert!(dot(vector, &encoder.vector(text)) > 0.9999, "{text}");
    }
}
