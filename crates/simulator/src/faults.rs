//! Scripted faults: what the next requests on a route meet instead of, or before, their handler.
//!
//! Input: [`Fault`]s in the order in which they shall happen. Output: at most one [`FaultKind`] per request, taken by
//! the middleware in `server/observe.rs`, the only place that acts on them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;

use crate::record::Route;

/// When a cut connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutMoment {
    /// The request had no effect.
    BeforeHandling,
    /// The request took effect, only its answer is lost.
    AfterHandling,
}

/// The `Retry-After` header of a scripted answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Whole seconds.
    Seconds(u64),
    /// An HTTP date this far in the future when the answer is given.
    #[serde(with = "humantime_serde")]
    DateIn(Duration),
    /// These characters.
    Literal(String),
}

/// What one request meets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// This answer in place of the handler's; 2xx too, for answers that are no JSON or have no id.
    Answer {
        /// HTTP status.
        status: u16,
        /// Header of that name.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// Body as it stands; without one, a JSON error.
        #[serde(default)]
        body: Option<String>,
    },
    /// The handler runs this much later.
    Delay {
        /// How long.
        #[serde(with = "humantime_serde")]
        by: Duration,
    },
    /// The connection breaks without an answer.
    Cut {
        /// Before or after the request takes effect.
        moment: CutMoment,
    },
}

impl FaultKind {
    /// An answer with this status, no header, a JSON error as body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, retry_after: None, body: None }
    }
}

/// `times` requests on `route` meet `fault`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub route: Route,
    /// For how many requests.
    #[serde(default = "once")]
    pub times: u32,
    /// What they meet.
    pub fault: FaultKind,
}

fn once() -> u32 {
    1
}

/// The faults still to come, in order per route.
#[derive(Default)]
pub(crate) struct FaultScript {
    queues: HashMap<Route, VecDeque<(u32, FaultKind)>>,
}

impl FaultScript {
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.times > 0 {
            let queue = self.queues.entry(fault.route).or_default();
            queue.push_back((fault.times, fault.fault));
        }
    }

    /// What the next request on `route` meets, used up by this call.
    pub(crate) fn take(&mut self, route: Route) -> Option<FaultKind> {
        let queue = self.queues.get_mut(&route)?;
        let (times, kind) = queue.front_mut()?;
        *times -= 1;
        let (left, kind) = (*times, kind.clone());
        if left == 0 {
            queue.pop_front();
        }
        Some(kind)
    }

    pub(crate) fn clear(&mut self) {
        self.queues.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn faults_come_in_order_and_run_out() {
        let mut script = FaultScript::default();
        let mut add = |route, times, status| {
            let fault = FaultKind::status(status);
            script.add(Fault { route, times, fault });
        };
        add(Route::Insights, 2, 500);
        add(Route::Insights, 0, 501);
        add(Route::Insights, 1, 429);
        add(Route::Token, 1, 401);
        let mut status = |route| match script.take(route) {
            Some(FaultKind::Answer { status, .. }) => Some(status),
            _ => None,
        };
        let insights: Vec<_> = (0..4).map(|_| status(Route::Insights)).collect();
        assert_eq!(insights, [Some(500), Some(500), Some(429), None]);
        assert_eq!(status(Route::Token), Some(401));
        assert_eq!(status(Route::Feedback), None);
    }

    #[test]
    fn faults_are_read_from_json() {
        let read = |text: &str| serde_json::from_str::<Fault>(text);
        let fault = read(
            r#"{"route":"insights","times":3,"fault":{"kind":"answer","status":429,"retry_after":{"date_in":"2s"}}}"#,
        )
        .unwrap();
        let expected = FaultKind::Answer {
            status: 429,
            retry_after: Some(RetryAfter::DateIn(Duration::from_secs(2))),
            body: None,
        };
        assert_eq!((fault.times, fault.fault), (3, expected));
        let cut = read(r#"{"route":"token","fault":{"kind":"cut","moment":"after_handling"}}"#).unwrap();
        assert_eq!((cut.times, cut.fault), (1, FaultKind::Cut { moment: CutMoment::AfterHandling }));
        assert!(read(r#"{"route":"token","fault":{"kind":"delay","by":"1s","often":true}}"#).is_err());
        assert!(read(r#"{"route":"tokens","fault":{"kind":"delay","by":"1s"}}"#).is_err());
    }
}
