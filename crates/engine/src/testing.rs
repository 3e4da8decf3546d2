//! What the tests of several modules share.

use std::sync::Arc;
use std::time::Duration;

use cuecard_ranking::Formula;

use crate::conversation::TurnWindow;
use crate::{BackendName, Excerpt, Plan, Query};

/// A query that goes on without vectors.
pub(crate) fn query(text: &str) -> Query {
    Query { text: text.into(), newest: text.into(), ..Query::default() }
}

/// A plan that asks these backends and is never silent.
pub(crate) fn plan(backends: &[BackendName]) -> Arc<Plan> {
    Arc::new(Plan {
        backends: backends.to_vec(),
        window: TurnWindow::Last(1),
        excerpt: Excerpt::Start,
        screen_time: Duration::from_mins(1),
        rejection_cooldown: Duration::from_mins(10),
        ..Plan::of_index(Formula::Search)
    })
}
