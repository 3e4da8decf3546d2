//! Where candidates come from: the embedded index, CXone's own search, a Chroma collection, a knowledge graph.
//!
//! In: a query and a plan. Out: candidates of one shape. A backend that can't answer gives a [`BackendError`]; the
//! question goes on with what the others found. CXone's search is implemented where the calls to CXone are.

mod chroma;
mod graph;
mod index;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};
use tokio::time::{Instant, timeout_at};

pub use chroma::ChromaBackend;
pub use graph::{GraphBackend, GraphStore};
pub use index::IndexBackend;

use crate::candidates::Found;
use crate::extract::Query;
use crate::plan::Plan;

/// Finds candidates for a query.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Which it is.
    fn name(&self) -> BackendName;

    /// What it finds. Whoever asks stops waiting at the deadline; an answer that can't come by then is not worth
    /// asking for.
    async fn find(&self, query: &Arc<Query>, plan: &Arc<Plan>, deadline: Instant) -> Result<Found, BackendError>;
}

/// The backends by name.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BackendName {
    /// The embedded index.
    Index,
    /// CXone's own knowledge search.
    Search,
    /// A Chroma collection, asked live.
    Chroma,
    /// A knowledge graph, embedded or Neo4j.
    Graph,
}

impl BackendName {
    /// The name in settings, metrics and explanations.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A name that no backend has.
#[derive(Debug, thiserror::Error)]
#[error("no backend is called `{name}`; there are {}", <BackendName as VariantNames>::VARIANTS.join(", "))]
pub struct UnknownBackend {
    name: String,
}

impl FromStr for BackendName {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = <Self as VariantArray>::VARIANTS.iter().find(|backend| backend.name() == name);
        known.copied().ok_or_else(|| UnknownBackend { name: name.to_owned() })
    }
}

/// Why a backend did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", backend.name())]
pub struct BackendError {
    /// Which.
    pub backend: BackendName,
    /// What went wrong and what to do.
    pub reason: String,
    /// Whether it may well answer the same question in a moment, since only this service has too much to do.
    pub is_overload: bool,
}

impl BackendError {
    /// A backend that failed.
    #[allow(clippy::needless_pass_by_value, reason = "errors and literals alike")]
    pub fn failed(backend: BackendName, reason: impl ToString) -> Self {
        Self { backend, reason: reason.to_string(), is_overload: false }
    }
}

/// A backend that ends by itself when its time is over may still say why.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a backend gives in time; one that hangs must not hold the question, nor the others' answers.
pub(crate) async fn find_within(
    backend: &dyn Backend,
    query: &Arc<Query>,
    plan: &Arc<Plan>,
    until: Instant,
) -> Result<Found, BackendError> {
    let late = |_| BackendError::failed(backend.name(), "no answer while the question could wait for it");
    timeout_at(until + LAST_WORDS, backend.find(query, plan, until)).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{plan, query};

    struct Hanging;

    #[async_trait]
    impl Backend for Hanging {
        fn name(&self) -> BackendName {
            BackendName::Graph
        }

        async fn find(&self, _: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_hangs_is_given_up() {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(4);
        let error = find_within(&Hanging, &Arc::new(query("refund")), &plan(&[BackendName::Graph]), deadline).await;
        assert_eq!(error.unwrap_err().to_string(), "graph: no answer while the question could wait for it");
        assert_eq!(started.elapsed(), Duration::from_secs(4) + LAST_WORDS);
    }

    #[test]
    fn names_go_both_ways_and_an_unknown_one_lists_them() {
        for name in <BackendName as VariantArray>::VARIANTS {
            assert_eq!(name.name().parse::<BackendName>().unwrap(), *name);
            assert_eq!(serde_json::to_value(name).unwrap(), name.name());
        }
        let error = "grpah".parse::<BackendName>().unwrap_err().to_string();
        assert_eq!(error, "no backend is called `grpah`; there are index, search, chroma, graph");
    }
}
