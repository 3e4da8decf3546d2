//! What the tests of several modules share.

use std::sync::Arc;
use std::time::Duration;

use cuecard_knowledge::ArticleFilter;
use cuecard_ranking::Formula;

use crate::conversation::TurnWindow;
use crate::{BackendName, Boosts, Excerpt, Plan, Query};

/// A query that goes on without vectors.
pub(crate) fn query(text: &str) -> Query {
    Query { text: text.into(), newest: text.into(), ..Query::default() }
}

/// A plan that asks these backends and is never silent.
pub(crate) fn plan(backends: &[BackendName]) -> Arc<Plan> {
    Arc::new(Plan {
        backends: backends.to_vec(),
        filter: ArticleFilter::default(),
        ranker: Formula::Search,
        window: TurnWindow::Last(1),
        candidates: 20,
        min_keyword_cosine: 1.0,
        cards: 5,
        excerpt: Excerpt::Start,
        silence: None,
        screen_time: Duration::from_mins(1),
        rejection_cooldown: Duration::from_mins(10),
        boosts: Boosts::default(),
        deadline: Duration::from_secs(4),
    })
}
