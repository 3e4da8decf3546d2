//! The feed of an open console: how the service is, once a second, and the decisions that are new since.
//!
//! Input: which decisions are wanted, and how many were seen before. Output: server-sent events `state` and `decisions`.
//! Bounded: so many feeds at once, of which each ends after a while and is asked for again, so that a browser that stays open
//! for a day holds no more than one that has just come. One that reads slowly is asked for no more than its connection has
//! room for, and is cut off with it.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use cuecard_actors::decisions::DecisionFilter;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use utoipa::IntoParams;

use super::super::AdminState;
use super::super::outcome_name::OutcomeName;
use super::{decisions, overview};
use crate::detail::Detail;

/// How often a feed says something.
const EVERY: Duration = Duration::from_secs(1);
/// Decisions in one event; of more the newest are told.
const MAX_NEW: usize = 50;

/// How long a feed lasts. The port closes a connection on which a request does not end, some time after that.
#[derive(Clone, Copy)]
pub struct FeedLimits {
    pub lasts: Duration,
}

/// What is asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// Only decisions that ended so.
    #[param(inline, example = "delivered")]
    outcome: Option<OutcomeName>,
    /// Only decisions of this profile.
    #[param(example = "insights")]
    profile: Option<String>,
    /// The `counted` of the last event that was read.
    #[serde(default)]
    #[param(example = 0)]
    after: u64,
}

struct Feed {
    state: web::Data<AdminState>,
    filter: DecisionFilter,
    after: u64,
    ends: Instant,
    ticks: Interval,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// Begins a feed.
#[utoipa::path(
    get, path = "/console/feed", tag = "console", summary = "How the service is, and each new decision, as they come",
    description = "Server-sent events: `state` once a second, and `decisions` where there are new ones. In `state` each profile's \
                   `health` has its parts, the endpoints of CXone that are held (`holds`), and the circuit of each that was called \
                   (`circuits`). A feed ends after `access.answer_timeout`; the next one goes on with `after`.",
    params(FeedQuery),
    responses(
        (status = 200, description = "the events", body = String, content_type = "text/event-stream"),
        (status = 422, description = "a parameter is unknown or wrong", body = Detail),
        (status = 503, description = "too many consoles are open", body = Detail, headers(("Retry-After" = u64))),
    ),
)]
pub async fn feed(
    state: web::Data<AdminState>,
    limits: web::Data<FeedLimits>,
    web::Query(asked): web::Query<FeedQuery>,
) -> HttpResponse {
    let FeedQuery { outcome, profile, after } = asked;
    let Some(place) = state.console.place() else { return super::too_many() };
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let filter = DecisionFilter { outcome: outcome.map(String::from), profile };
    let ends = Instant::now() + limits.lasts;
    let feed = Feed { state, filter, after, ends, ticks, has_ended: false, _place: place };
    let events = stream::unfold(feed, |mut feed| async move {
        let events = feed.next().await?;
        Some((Ok::<_, Infallible>(web::Bytes::from(events)), feed))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

impl Feed {
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.has_ended {
            return None;
        }
        self.ticks.tick().await;
        // A service that stops waits for no browser.
        self.has_ended = Instant::now() >= self.ends || self.state.is_stopping();
        let mut events = overview::event(&self.state, EVERY).to_vec();
        events.extend(self.new_decisions());
        Some(events)
    }

    fn new_decisions(&mut self) -> Vec<u8> {
        let Some(recent) = self.state.recent.get() else { return Vec::new() };
        let (new, counted) = recent.newer(&self.filter, self.after, MAX_NEW);
        if counted == self.after {
            return Vec::new();
        }
        self.after = counted;
        let decisions: Vec<_> = new.iter().filter_map(|json| decisions::summary(json)).collect();
        event("decisions", &json!({ "counted": counted, "decisions": decisions }))
    }
}

/// One event; JSON has no line breaks.
pub(super) fn event(name: &str, data: &serde_json::Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}
