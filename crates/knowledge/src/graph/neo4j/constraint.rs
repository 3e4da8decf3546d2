//! The uniqueness of keywords, which gives lookups their index.
//!
//! It is made in the background after the first answer of the server, so that no lookup waits for it and a server that
//! is gone is not asked twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::graph::error::GraphError;
use crate::graph::neo4j::connection::{Connection, LONG};

const CREATE: &str = "CREATE CONSTRAINT query_keyword_unique IF NOT EXISTS FOR (q:Query) REQUIRE q.keyword IS UNIQUE";

const UNTRIED: u8 = 0;
const UNDER_WAY: u8 = 1;
const DONE: u8 = 2;

#[derive(Default)]
pub struct Constraint {
    state: AtomicU8,
    failures: AtomicU64,
}

impl Constraint {
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Begins to make the constraint unless somebody did.
    pub fn make_once(self: &Arc<Self>, connection: &Arc<Connection>) {
        if self.begin() {
            let (constraint, connection) = (Arc::clone(self), Arc::clone(connection));
            tokio::spawn(async move { constraint.make(&connection).await });
        }
    }

    fn begin(&self) -> bool {
        self.state.compare_exchange(UNTRIED, UNDER_WAY, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Makes the constraint, or counts that it can't be made.
    pub async fn make(&self, connection: &Connection) {
        let outcome = connection.run(neo4rs::query(CREATE), LONG).await;
        // A connection that broke says nothing of the constraint: the next answer begins anew.
        let is_settled = !matches!(outcome, Err(GraphError::Unreachable { .. }));
        if let Err(error) = &outcome {
            self.failures.fetch_add(u64::from(is_settled), Ordering::Relaxed);
            tracing::warn!(%error, "the constraint query_keyword_unique can't be made, lookups go on without its index");
        }
        self.state.store(if is_settled { DONE } else { UNTRIED }, Ordering::Relaxed);
    }
}
