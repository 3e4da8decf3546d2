//! What holds a profile's calls back: a 429, the profile's own rate limit, and one circuit for each endpoint.
//!
//! Each wait ends at the caller's deadline: a call that could go out only after it is not made.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZero;
use std::time::Duration;

use cuecard_cxone::answers::CallOutcome;
use cuecard_cxone::circuit::{Admission, Circuit, CircuitSettings, CircuitState, Permit};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep, sleep_until};

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

/// Why a call may not go out before its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// The time is over, or would be when a 429 or the rate limit lets go.
    Late,
    /// The endpoint's circuit is open for longer than that.
    CircuitOpen,
}

pub(super) struct Gate {
    /// A 429 holds all sending of the profile until then.
    held_until: Cell<Option<Instant>>,
    bucket: Option<Bucket>,
    circuits: RefCell<HashMap<Endpoint, Circuit>>,
}

impl Gate {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        let quota = limit.map(|limit| Quota::per_second(limit.per_second).allow_burst(limit.burst));
        let bucket = quota.map(|quota| RateLimiter::direct_with_clock(quota, MonotonicClock));
        Self { held_until: Cell::new(None), bucket, circuits: RefCell::default() }
    }

    /// Waits until a call of this endpoint may go out, unless that is at or after the deadline.
    pub(super) async fn pass(&self, endpoint: Endpoint, deadline: Instant) -> Result<Permit, Held> {
        loop {
            self.pass_hold(deadline).await?;
            let admission = self.with(endpoint, |circuit| circuit.admit(Instant::now()));
            match admission {
                Admission::Pass(permit) => {
                    self.pass_bucket(deadline).await?;
                    return Ok(permit);
                }
                // Another call finds out whether the endpoint is back, which may be any moment.
                Admission::Refused { .. } if self.state(endpoint) == CircuitState::Probing => sleep(PROBE_PAUSE).await,
                Admission::Refused { retry_after } if Instant::now() + retry_after >= deadline => {
                    return Err(Held::CircuitOpen);
                }
                Admission::Refused { retry_after } => sleep(retry_after).await,
            }
        }
    }

    /// Waits until no 429 holds the profile.
    async fn pass_hold(&self, deadline: Instant) -> Result<(), Held> {
        let now = Instant::now();
        match self.held(now) {
            _ if now >= deadline => Err(Held::Late),
            Some(until) if until >= deadline => Err(Held::Late),
            Some(until) => {
                sleep_until(until).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Waits for a token of the bucket.
    async fn pass_bucket(&self, deadline: Instant) -> Result<(), Held> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        while let Err(not_yet) = bucket.check() {
            let wait = not_yet.wait_time_from(MonotonicClock.now());
            if Instant::now() + wait >= deadline {
                return Err(Held::Late);
            }
            sleep(wait).await;
        }
        Ok(())
    }

    /// Until when a 429 holds the profile's sending back.
    pub(super) fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.get().filter(|until| *until > now)
    }

    pub(super) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        self.held_until.set(Some(self.held_until.get().map_or(until, |held| held.max(until))));
    }

    /// Takes note of how a call ended; the circuit's state after it.
    pub(super) fn record(&self, endpoint: Endpoint, permit: Permit, outcome: CallOutcome) -> CircuitState {
        self.with(endpoint, |circuit| {
            circuit.record(permit, outcome.into(), Instant::now());
            circuit.state()
        })
    }

    fn state(&self, endpoint: Endpoint) -> CircuitState {
        self.with(endpoint, |circuit| circuit.state())
    }

    fn with<T>(&self, endpoint: Endpoint, use_it: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuits = self.circuits.borrow_mut();
        use_it(circuits.entry(endpoint).or_insert_with(|| Circuit::new(CircuitSettings::default())))
    }
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
        gate.hold(2 * SECOND);
        gate.hold(SECOND);
        assert_eq!(gate.pass(Endpoint::Push, start + 2 * SECOND).await, Err(Held::Late));
        assert_eq!(start.elapsed(), Duration::ZERO, "it is not waited for");
        assert!(gate.pass(Endpoint::Push, start + 3 * SECOND).await.is_ok());
        assert_eq!(start.elapsed(), 2 * SECOND, "the longer hold counts");
    }

    #[tokio::test(start_paused = true)]
    async fn one_endpoints_circuit_holds_no_other() {
        let gate = Gate::new(None);
        let deadline = Instant::now() + SECOND / 2;
        for _ in 0..5 {
            let permit = gate.pass(Endpoint::Search, deadline).await.unwrap();
            gate.record(Endpoint::Search, permit, CallOutcome::Answered(503));
        }
        assert_eq!(gate.pass(Endpoint::Search, deadline).await, Err(Held::CircuitOpen));
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
        assert_eq!(gate.pass(Endpoint::Push, soon).await, Err(Held::Late));
    }
}
