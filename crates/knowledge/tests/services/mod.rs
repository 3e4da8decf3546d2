//! The databases of `scripts/services`. Without them a test fails with what to run, or, with `CUECARD_SKIP_SERVICES=1`,
//! says openly that it skips.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cuecard_knowledge::graph::{Neo4jGraph, Neo4jSettings};

/// Long enough for a busy machine, short enough to wait for in a test.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What the environment says of a service; `None` when the test is to be skipped.
pub fn address(name: &str) -> Option<String> {
    if let Ok(address) = std::env::var(name) {
        return Some(address);
    }
    assert!(
        std::env::var("CUECARD_SKIP_SERVICES").as_deref() == Ok("1"),
        "{name} is not set; run eval \"$(scripts/services start)\", or skip with CUECARD_SKIP_SERVICES=1"
    );
    println!("skipped: {name} is not set and CUECARD_SKIP_SERVICES=1");
    None
}

pub fn neo4j_settings() -> Option<Neo4jSettings> {
    let uri = address("NEO4J_URI")?;
    let of = |name| std::env::var(name).unwrap_or_default();
    Some(Neo4jSettings { uri, user: of("NEO4J_USER"), password: of("NEO4J_PASSWORD").into(), timeout: TIMEOUT })
}

pub fn neo4j() -> Option<Neo4jGraph> {
    Some(Neo4jGraph::connect(&neo4j_settings()?).unwrap())
}

/// Other tests use the same database at the same time, hence names of one's own.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
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
