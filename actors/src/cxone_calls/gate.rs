//! What holds a profile's calls back: the profile's own rate limit, and for each endpoint what it asked for by a 429, and
//! one circuit.
//!
//! Each wait ends at the caller's deadline: a call that could go out only after it is not made.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cuecard_cxone::answers::CallOutcome;
use cuecard_cxone::circuit::{CallPermission, Circuit, CircuitSettings, CircuitState, Permit, Sign};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep};

use crate::telemetry::Endpoint;

/// How often a call that waits for another one's probe of an open circuit looks how it went.
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// Calls per second that a tenant allows; so many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained.
    pub per_second: NonZero<u32>,
    /// At once, after a pause.
    pub burst: NonZero<u32>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// Why a call may not go out before its deadline, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Held {
    /// The time is over.
    #[error("there is no time left for the call")]
    Late,
    /// A 429 holds the endpoint.
    #[error("CXone asked to wait for longer than there is time")]
    Asked { wait: Duration },
    /// The profile's own limit.
    #[error("the profile's rate_limit holds the call back for longer than there is time")]
    RateLimited { wait: Duration },
    /// The endpoint failed.
    #[error("the circuit is open: the last calls, or the last probe, failed; it is probed again by itself")]
    CircuitOpen { wait: Duration },
}

impl Held {
    pub(super) fn wait(self) -> Duration {
        match self {
            Self::Late => Duration::ZERO,
            Self::Asked { wait } | Self::RateLimited { wait } | Self::CircuitOpen { wait } => wait,
        }
    }
}

pub(super) struct Gate {
    bucket: ArcSwapOption<Bucket>,
    endpoints: Mutex<HashMap<Endpoint, State>>,
}

struct State {
    held_until: Option<Instant>,
    circuit: Circuit,
}

impl Default for State {
    fn default() -> Self {
        Self { held_until: None, circuit: Circuit::new(CircuitSettings::default()) }
    }
}

impl State {
    fn hold(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }
}

impl Gate {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self { bucket: ArcSwapOption::new(bucket(limit)), endpoints: Mutex::default() }
    }

    /// Holds calls back by another limit from now on.
    pub(super) fn limit_to(&self, limit: Option<RateLimit>) {
        self.bucket.store(bucket(limit));
    }

    /// Waits until a call of this endpoint may go out, unless that is at or after the deadline. Whatever it waited for,
    /// it looks at everything again: a 429 may have come meanwhile.
    pub(super) async fn pass(&self, endpoint: Endpoint, deadline: Instant) -> Result<Permit, Held> {
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(Held::Late);
            }
            match self.look(endpoint, now) {
                Ok(permit) => return Ok(permit),
                Err(held) if now + held.wait() >= deadline => return Err(held),
                Err(held) => sleep(held.wait()).await,
            }
        }
    }

    /// Leave to call now, or what is in the way.
    fn look(&self, endpoint: Endpoint, now: Instant) -> Result<Permit, Held> {
        let mut endpoints = self.lock();
        let state = endpoints.entry(endpoint).or_default();
        if let Some(until) = state.hold(now) {
            return Err(Held::Asked { wait: until - now });
        }
        let circuit = &mut state.circuit;
        let permit = match circuit.admit(now) {
            CallPermission::Pass(permit) => permit,
            // Another call finds out whether the endpoint is back, which may be any moment.
            CallPermission::Refused { .. } if circuit.state() == CircuitState::Probing => {
                return Err(Held::CircuitOpen { wait: PROBE_PAUSE });
            }
            CallPermission::Refused { retry_after } => return Err(Held::CircuitOpen { wait: retry_after }),
        };
        // Last, so that nothing is drawn from the bucket that does not go out.
        self.draw().map_err(|wait| {
            // If it was to probe the circuit, the next call may.
            circuit.record(permit, Sign::None, now);
            Held::RateLimited { wait }
        })?;
        Ok(permit)
    }

    /// Takes a token from the bucket, or says when there will be one.
    fn draw(&self) -> Result<(), Duration> {
        let Some(bucket) = &*self.bucket.load() else { return Ok(()) };
        bucket.check().map_err(|not_yet| not_yet.wait_time_from(MonotonicClock.now()))
    }

    /// Lets nothing out to this endpoint for so long; until when nothing goes out, which an earlier hold may have set.
    pub(super) fn hold(&self, endpoint: Endpoint, wait: Duration) -> Instant {
        let mut endpoints = self.lock();
        let state = endpoints.entry(endpoint).or_default();
        let until = state.held_until.map_or_else(|| Instant::now() + wait, |held| held.max(Instant::now() + wait));
        state.held_until = Some(until);
        until
    }

    /// Whether a call of this endpoint would have to wait now, be it for a hold or for the circuit.
    pub(super) fn is_shut(&self, endpoint: Endpoint) -> bool {
        let now = Instant::now();
        self.lock().get(&endpoint).is_some_and(|state| state.hold(now).is_some() || state.circuit.refuses(now))
    }

    /// Takes note of how a call ended. The circuit's state after it goes to `tell` before any other call changes it, so
    /// that what is told last is so.
    pub(super) fn record(
        &self,
        endpoint: Endpoint,
        permit: Permit,
        outcome: CallOutcome,
        tell: impl FnOnce(CircuitState),
    ) {
        let mut endpoints = self.lock();
        let circuit = &mut endpoints.entry(endpoint).or_default().circuit;
        circuit.record(permit, outcome.into(), Instant::now());
        tell(circuit.state());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, State>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bucket(limit: Option<RateLimit>) -> Option<Arc<Bucket>> {
    let quota = limit.map(|limit| Quota::per_second(limit.per_second).allow_burst(limit.burst));
    quota.map(|quota| Arc::new(RateLimiter::direct_with_clock(quota, MonotonicClock)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_waited_out_unless_it_lasts_until_the_deadline() {
        let gate = Gate::new(None);
        let start = Instant::now();
        gate.hold(Endpoint::Push, 2 * SECOND);
        gate.hold(Endpoint::Push, SECOND);
        assert_eq!(gate.pass(Endpoint::Push, start + 2 * SECOND).await, Err(Held::Asked { wait: 2 * SECOND }));
        assert_eq!(start.elapsed(), Duration::ZERO, "it is not waited for");
        assert!(gate.pass(Endpoint::Push, start + 3 * SECOND).await.is_ok());
        assert_eq!(start.elapsed(), 2 * SECOND, "the longer hold counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_that_of_its_endpoint_and_ends_by_itself() {
        let gate = Gate::new(None);
        let start = Instant::now();
        assert_eq!(gate.hold(Endpoint::Search, 2 * SECOND), start + 2 * SECOND);
        assert_eq!(gate.hold(Endpoint::Feedback, SECOND), start + SECOND);
        assert!(gate.pass(Endpoint::Push, start + SECOND).await.is_ok());
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody asked pushes to wait");
        let shut = || [Endpoint::Search, Endpoint::Feedback, Endpoint::Push].map(|endpoint| gate.is_shut(endpoint));
        assert_eq!(shut(), [true, true, false]);
        tokio::time::advance(SECOND).await;
        assert_eq!(shut(), [true, false, false]);
        tokio::time::advance(SECOND).await;
        assert_eq!(shut(), [false; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_endpoints_circuit_holds_no_other() {
        let gate = Gate::new(None);
        let deadline = Instant::now() + SECOND / 2;
        for _ in 0..5 {
            let permit = gate.pass(Endpoint::Search, deadline).await.unwrap();
            gate.record(Endpoint::Search, permit, CallOutcome::Answered(503), drop);
        }
        assert_eq!(gate.pass(Endpoint::Search, deadline).await, Err(Held::CircuitOpen { wait: SECOND }));
        assert!(gate.pass(Endpoint::Push, deadline).await.is_ok());
    }

    /// The bucket runs on the machine's clock, so this test does too.
    #[tokio::test]
    async fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        let gate = Gate::new(Some(limit(20, 3)));
        let start = std::time::Instant::now();
        let deadline = Instant::now() + Duration::from_mins(1);
        for _ in 0..5 {
            gate.pass(Endpoint::Push, deadline).await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(99), "{:?}", start.elapsed());
        let soon = Instant::now() + Duration::from_millis(1);
        let gate = Gate::new(Some(limit(1, 1)));
        assert!(gate.pass(Endpoint::Push, soon).await.is_ok());
        let held = gate.pass(Endpoint::Push, soon).await;
        assert!(matches!(held, Err(Held::RateLimited { .. } | Held::Late)), "{held:?}");
    }

    /// On the machine's clock, as the bucket is.
    #[tokio::test]
    async fn another_limit_counts_from_the_next_call_on() {
        let gate = Gate::new(Some(limit(1, 1)));
        // How many of so many go out; on a slow machine one more in each second.
        let num_out = async |calls: usize| {
            let mut out = 0;
            for _ in 0..calls {
                let soon = Instant::now() + Duration::from_millis(1);
                out += usize::from(gate.pass(Endpoint::Push, soon).await.is_ok());
            }
            out
        };
        assert!((1..100).contains(&num_out(100).await));
        gate.limit_to(None);
        assert_eq!(num_out(100).await, 100);
        gate.limit_to(Some(limit(1, 2)));
        assert!((2..100).contains(&num_out(100).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_that_grows_while_somebody_waits_is_waited_out() {
        let gate = Gate::new(None);
        let start = Instant::now();
        gate.hold(Endpoint::Push, 2 * SECOND);
        let growing = async {
            sleep(SECOND).await;
            gate.hold(Endpoint::Push, 4 * SECOND);
        };
        let (passed, ()) = tokio::join!(gate.pass(Endpoint::Push, start + 10 * SECOND), growing);
        assert!(passed.is_ok());
        assert_eq!(start.elapsed(), 5 * SECOND);
    }

    /// On the machine's clock, as the bucket is.
    #[tokio::test]
    async fn a_hold_that_comes_while_somebody_waits_for_the_bucket_is_waited_out() {
        let gate = Gate::new(Some(limit(20, 1)));
        let deadline = Instant::now() + Duration::from_mins(1);
        gate.pass(Endpoint::Push, deadline).await.unwrap();
        let (start, hold) = (Instant::now(), Duration::from_millis(300));
        // The second is polled once the first waits for the bucket.
        let (passed, _) = tokio::join!(gate.pass(Endpoint::Push, deadline), async { gate.hold(Endpoint::Push, hold) });
        assert!(passed.is_ok());
        assert!(start.elapsed() >= hold, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_the_rate_limit_holds_back_is_left_to_the_next_call() {
        // On the machine's clock the bucket stays empty for all of this test.
        let gate = Gate::new(Some(limit(1, 5)));
        let deadline = Instant::now() + SECOND / 2;
        for _ in 0..5 {
            let permit = gate.pass(Endpoint::Push, deadline).await.unwrap();
            gate.record(Endpoint::Push, permit, CallOutcome::Answered(503), drop);
        }
        tokio::time::advance(SECOND).await;
        let held = gate.pass(Endpoint::Push, Instant::now() + Duration::from_millis(1)).await;
        assert!(matches!(held, Err(Held::RateLimited { .. })), "{held:?}");
        assert_eq!(gate.lock()[&Endpoint::Push].circuit.state(), CircuitState::Open, "nobody probes");
    }
}
