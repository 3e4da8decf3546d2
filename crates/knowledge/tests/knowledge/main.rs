//! The room from outside: indexes that are built, refused, replaced; polls; graphs and collections on real servers.
#![allow(clippy::unwrap_used)]

mod building;
mod chroma;
mod fake_chroma;
mod fake_encoder;
mod filtering;
mod graph_file;
mod graph_rows;
mod graph_stores;
mod keywords;
mod markup;
mod neo4j_failures;
mod refusing;
mod services;
mod syncing;

use cuecard_knowledge::ArticleFilter;
use tokio::net::TcpSocket;

/// Shows every published article.
const ALL: ArticleFilter = ArticleFilter { audience: None, language: None };

/// A port where nobody listens: it stays taken for as long as the tests run, so that no other test's server gets it.
fn nobody() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::mem::forget(socket);
    port
}
