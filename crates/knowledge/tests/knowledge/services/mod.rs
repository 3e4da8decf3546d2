//! The databases of `scripts/services`, and waiting for them.
#![allow(dead_code, reason = "each test file uses a part")]

mod places;

use std::time::Duration;

use cuecard_knowledge::graph::{Neo4jGraph, Neo4jSettings};

pub use places::{address, unique};

/// Long enough for a busy machine, short enough to wait for in a test.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub fn neo4j_settings() -> Option<Neo4jSettings> {
    let uri = address("NEO4J_URI")?;
    let of = |name| std::env::var(name).unwrap_or_default();
    Some(Neo4jSettings { uri, user: of("NEO4J_USER"), password: of("NEO4J_PASSWORD").into(), timeout: TIMEOUT })
}

pub fn neo4j() -> Option<Neo4jGraph> {
    Some(Neo4jGraph::connect(&neo4j_settings()?).unwrap())
}

/// Waits until `is_so` says so; fails after the time that anything in a test may take.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(3 * TIMEOUT, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "still not: {what}");
}
