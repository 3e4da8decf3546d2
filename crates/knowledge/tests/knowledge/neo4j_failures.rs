//! A Neo4j server that refuses, is gone, is silent, talks nonsense, comes back: typed errors in time, and never an answer
//! that belongs to another question.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::graph_rows::Rows;
use crate::services;
use cuecard_knowledge::graph::{GraphError, GraphSettings, Neo4jGraph, Neo4jSettings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What a lookup may take where the server does not answer.
const SHORT: Duration = Duration::from_millis(300);

/// What a machine that is busy may add to it.
const SLACK: Duration = Duration::from_secs(5);

fn settings_for(port: u16) -> Neo4jSettings {
    let uri = format!("bolt://127.0.0.1:{port}");
    Neo4jSettings { uri, user: "neo4j".into(), password: "secret-word".into(), timeout: SHORT }
}

async fn ask(settings: &Neo4jSettings) -> GraphError {
    let graph = Neo4jGraph::connect(settings).unwrap();
    let started = Instant::now();
    let error = graph.related("anything", &GraphSettings::default()).await.unwrap_err();
    assert!(started.elapsed() < settings.timeout + SLACK, "took {:?}", started.elapsed());
    let text = error.to_string();
    assert!(text.contains(&settings.uri) && !text.contains("secret-word"), "{text}");
    error
}

/// Answers every connection with `greeting`, and then closes it or holds it open.
async fn server_that_says(greeting: &'static [u8], closes: bool) -> (u16, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut handshake = [0; 20];
            let _ = socket.read_exact(&mut handshake).await;
            let _ = socket.write_all(greeting).await;
            if !closes {
                held.push(socket);
            }
        }
    });
    (port, serving.abort_handle())
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_the_name_of_its_user() {
    let Some(settings) = services::neo4j_settings() else { return };
    let error = ask(&Neo4jSettings { password: "secret-word".into(), ..settings }).await;
    assert!(matches!(&error, GraphError::CredentialsRefused { user, .. } if user == "neo4j"), "{error}");
    assert!(error.to_string().contains("NEO4J_PASSWORD"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_at_once() {
    let error = ask(&settings_for(crate::nobody())).await;
    assert!(matches!(error, GraphError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn whatever_a_stranger_answers_is_an_error_in_time() {
    const HOLDS: bool = false;
    const CLOSES: bool = true;
    const FAILURE_WITHOUT_MESSAGE: &[u8] = &[0, 0, 4, 4, 0, 3, 0xb1, 0x7f, 0xa0, 0, 0];
    for (greeting, closes, expected) in [
        (b"".as_slice(), HOLDS, "did not answer"),
        (b"", CLOSES, "can't be reached"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSES, "can't be reached"),
        (&[0, 0, 0, 0], HOLDS, "can't be reached"),
        (&[0, 0, 4, 4], HOLDS, "did not answer"),
        (&[0, 0, 4, 4, 0, 50, 0xb1], HOLDS, "did not answer"),
        (&[0, 0, 4, 4, 0, 50, 0xb1], CLOSES, "can't be reached"),
        (&[0, 0, 4, 4, 0, 2, 0xff, 0xff, 0, 0], HOLDS, "failed the query"),
        // The driver panics on this one.
        (FAILURE_WITHOUT_MESSAGE, HOLDS, "failed the query: its answer can't be understood"),
    ] {
        let (port, serving) = server_that_says(greeting, closes).await;
        let error = ask(&settings_for(port)).await.to_string();
        assert!(error.contains(expected), "{greeting:?} {closes}: {error}");
        serving.abort();
    }
}

#[tokio::test]
async fn settings_that_no_graph_can_answer_never_reach_the_server() {
    let graph = Neo4jGraph::connect(&settings_for(1)).unwrap();
    let settings = GraphSettings { relations: vec!["A]->() DETACH DELETE".into()], ..GraphSettings::default() };
    let error = graph.related("anything", &settings).await.unwrap_err();
    assert!(matches!(error, GraphError::Settings { .. }), "{error}");
}

/// Stands between client and server and can be cut.
struct Wire {
    port: u16,
    is_up: Arc<AtomicBool>,
    cut: tokio::sync::watch::Sender<()>,
}

impl Wire {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_up = Arc::new(AtomicBool::new(true));
        let (cut, cuts) = tokio::sync::watch::channel(());
        let up = Arc::clone(&is_up);
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                if !up.load(Ordering::SeqCst) {
                    continue;
                }
                let (server, mut cuts) = (server.clone(), cuts.clone());
                cuts.mark_unchanged();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, is_up, cut }
    }

    fn go_down(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        self.cut.send_replace(());
    }

    fn come_back(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_used_again() {
    let Some(settings) = services::neo4j_settings() else { return };
    let wire = Wire::to(settings.uri.trim_start_matches("bolt://").to_owned()).await;
    let graph =
        Neo4jGraph::connect(&Neo4jSettings { uri: format!("bolt://127.0.0.1:{}", wire.port), ..settings }).unwrap();
    let mut rows = Rows::new(&services::unique("w"));
    rows.query("q");
    rows.article("a", &json!({}));
    rows.relation("?q", "RESOLVES", "a");
    graph.load(&rows.read().0, &|_, _| {}).await.unwrap();
    let keyword = format!("{}q", rows.prefix);
    let related = async || graph.related(&keyword, &GraphSettings::default()).await;
    for _ in 0..3 {
        assert_eq!(related().await.unwrap().len(), 1);
        wire.go_down();
        let error = related().await.unwrap_err();
        assert!(matches!(error, GraphError::Unreachable { .. }), "{error}");
        wire.come_back();
        assert_eq!(related().await.unwrap().len(), 1, "the first question after the server came back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_given_up_leaves_nothing_behind_for_the_next() {
    let Some(graph) = services::neo4j() else { return };
    let mut rows = Rows::new(&services::unique("g"));
    for n in 0..16 {
        rows.query(&format!("q{n}"));
        rows.article(&format!("a{n}"), &json!({}));
        rows.relation(&format!("?q{n}"), "RESOLVES", &format!("a{n}"));
    }
    graph.load(&rows.read().0, &|_, _| {}).await.unwrap();
    let settings = GraphSettings::default();
    for round in 0..160 {
        let (this, next) = (round % 16, (round + 1) % 16);
        let keyword = format!("{}q{this}", rows.prefix);
        give_up_after(round % 5, graph.related(&keyword, &settings)).await;
        let found = graph.related(&format!("{}q{next}", rows.prefix), &settings).await.unwrap();
        let ids: Vec<_> = found.iter().map(|article| article.id.strip_prefix(&rows.prefix).unwrap()).collect();
        assert_eq!(ids, [format!("a{next}")], "round {round}");
    }
}

/// Drops the future where it waits for the so-manieth time, each time at another place of the exchange.
async fn give_up_after(waits: u32, future: impl Future) {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Pending if waited < waits => {
            waited += 1;
            Poll::Pending
        }
        _ => Poll::Ready(()),
    })
    .await;
}
