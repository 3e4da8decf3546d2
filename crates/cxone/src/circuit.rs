//! A circuit breaker for one endpoint.
//!
//! Input: a call that wants to go out, and how calls end. Output: whether it may. Pure, on the caller's clock. After
//! five failures in a row the circuit opens; one call goes through after 1 s, doubling to 10 s while that one fails
//! too. A refusal by the peer (4xx, 429) proves that it works: it is no failure, and that of a probe closes the circuit.

use std::time::Duration;

use tokio::time::Instant;

use crate::answers::CallOutcome;
use crate::backoff::Backoff;
use crate::transport::TransportFailure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row that open the circuit. Default 5.
    pub failures_to_open: u32,
    /// Until one call is let through. Default 1 s doubling to 10 s.
    pub pause: Backoff,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self { failures_to_open: 5, pause: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)) }
    }
}

/// For health and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    Closed,
    Open,
    /// Open, with one call under way to see whether the endpoint is back.
    Probing,
}

/// Whether a call may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPermission {
    Pass(Permit),
    /// Ask again after this time.
    Refused {
        retry_after: Duration,
    },
}

/// Leave for one call, to be handed back with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    is_probe: bool,
}

/// What a call's end says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Alive,
    /// It answers, and refuses: no failure, and no success that would end a row of failures.
    Refusing,
    Failing,
    /// The call never got as far as the endpoint.
    None,
}

#[derive(Debug)]
pub struct Circuit {
    settings: CircuitSettings,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed {
        num_failures: u32,
    },
    Open {
        until: Instant,
        num_openings: u32,
    },
    /// A probe whose end is never told must not keep the circuit open for ever.
    Probing {
        lapses_at: Instant,
        num_openings: u32,
    },
}

impl Circuit {
    pub fn new(settings: CircuitSettings) -> Self {
        Self { settings, state: State::Closed { num_failures: 0 } }
    }

    pub fn state(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::Probing { .. } => CircuitState::Probing,
        }
    }

    pub fn admit(&mut self, now: Instant) -> CallPermission {
        match self.state {
            State::Closed { .. } => CallPermission::Pass(Permit { is_probe: false }),
            State::Open { until: at, num_openings } | State::Probing { lapses_at: at, num_openings } if now >= at => {
                self.state = State::Probing { lapses_at: now + self.settings.pause.longest, num_openings };
                CallPermission::Pass(Permit { is_probe: true })
            }
            State::Open { until: at, .. } | State::Probing { lapses_at: at, .. } => {
                CallPermission::Refused { retry_after: at.duration_since(now) }
            }
        }
    }

    /// Whether a call would be refused now.
    pub fn refuses(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until: at, .. } | State::Probing { lapses_at: at, .. } => now < at,
        }
    }

    pub fn record(&mut self, permit: Permit, sign: Sign, now: Instant) {
        self.state = match (&self.state, sign) {
            (State::Closed { num_failures }, Sign::Failing) => self.after_failure(num_failures + 1, now),
            (State::Probing { num_openings, .. }, Sign::Failing) if permit.is_probe => self.open(num_openings + 1, now),
            // The probe was spent on nothing: the next call may be it.
            (State::Probing { num_openings, .. }, Sign::None) if permit.is_probe => {
                State::Open { until: now, num_openings: *num_openings }
            }
            (State::Probing { .. }, Sign::Refusing) if permit.is_probe => State::Closed { num_failures: 0 },
            (_, Sign::Alive) => State::Closed { num_failures: 0 },
            // Calls that left before the circuit opened tell nothing new.
            _ => return,
        };
    }

    fn after_failure(&self, num_failures: u32, now: Instant) -> State {
        if num_failures >= self.settings.failures_to_open { self.open(1, now) } else { State::Closed { num_failures } }
    }

    fn open(&self, num_openings: u32, now: Instant) -> State {
        State::Open { until: now + self.settings.pause.step(num_openings), num_openings }
    }
}

impl From<CallOutcome> for Sign {
    fn from(outcome: CallOutcome) -> Self {
        match outcome {
            CallOutcome::Answered(status) | CallOutcome::Failed(TransportFailure::BodyTooLarge { status }) => {
                match status {
                    400..=499 => Self::Refusing,
                    500..=599 => Self::Failing,
                    _ => Self::Alive,
                }
            }
            CallOutcome::Failed(TransportFailure::NotSendable) => Self::None,
            CallOutcome::Unusable | CallOutcome::Failed(_) => Self::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        circuit: Circuit,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { circuit: Circuit::new(CircuitSettings::default()), now: Instant::now() }
        }

        fn permit(&mut self) -> Permit {
            match self.circuit.admit(self.now) {
                CallPermission::Pass(permit) => permit,
                CallPermission::Refused { retry_after } => panic!("refused for {retry_after:?}"),
            }
        }

        fn call(&mut self, outcome: CallOutcome) -> CircuitState {
            let permit = self.permit();
            self.circuit.record(permit, outcome.into(), self.now);
            self.circuit.state()
        }

        fn opened() -> Self {
            let mut bench = Self::new();
            for _ in 0..5 {
                bench.call(CallOutcome::Answered(503));
            }
            bench
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_refusals_do_not_count() {
        let failures = [
            CallOutcome::Answered(500),
            CallOutcome::Failed(TransportFailure::Refused),
            CallOutcome::Answered(404),
            CallOutcome::Failed(TransportFailure::TimedOut),
            CallOutcome::Answered(429),
            CallOutcome::Unusable,
            CallOutcome::Failed(TransportFailure::NotSendable),
        ];
        let mut bench = Bench::new();
        for outcome in failures {
            assert_eq!(bench.call(outcome), CircuitState::Closed, "{outcome:?}");
        }
        assert_eq!(bench.call(CallOutcome::Failed(TransportFailure::Cut)), CircuitState::Open);
        assert_eq!(bench.circuit.admit(bench.now), CallPermission::Refused { retry_after: SECOND });
    }

    #[test]
    fn a_success_ends_the_row() {
        let mut bench = Bench::new();
        for status in [500, 500, 500, 500, 200, 500, 500, 500, 500] {
            assert_eq!(bench.call(CallOutcome::Answered(status)), CircuitState::Closed);
        }
        assert_eq!(bench.call(CallOutcome::Answered(500)), CircuitState::Open);
    }

    #[test]
    fn one_call_goes_through_after_a_pause_that_doubles_to_ten_seconds() {
        let mut bench = Bench::opened();
        for seconds in [1, 2, 4, 8, 10, 10] {
            let pause = Duration::from_secs(seconds);
            let early = CallPermission::Refused { retry_after: pause };
            assert_eq!(bench.circuit.admit(bench.now), early, "{seconds}");
            bench.now += pause;
            let probe = bench.permit();
            assert_eq!(bench.circuit.state(), CircuitState::Probing);
            assert!(matches!(bench.circuit.admit(bench.now), CallPermission::Refused { .. }), "one call only");
            bench.circuit.record(probe, Sign::Failing, bench.now);
            assert_eq!(bench.circuit.state(), CircuitState::Open);
        }
    }

    #[test]
    fn a_probe_that_is_answered_closes_it() {
        for status in [200, 302, 404, 429] {
            let mut bench = Bench::opened();
            bench.now += SECOND;
            assert_eq!(bench.call(CallOutcome::Answered(status)), CircuitState::Closed, "{status}");
            for _ in 0..4 {
                assert_eq!(bench.call(CallOutcome::Answered(500)), CircuitState::Closed);
            }
            assert_eq!(bench.call(CallOutcome::Answered(500)), CircuitState::Open);
            assert_eq!(
                bench.circuit.admit(bench.now),
                CallPermission::Refused { retry_after: SECOND },
                "from the start"
            );
        }
    }

    #[test]
    fn calls_that_left_before_it_opened_count_once_and_a_late_success_closes_it() {
        let mut bench = Bench::new();
        let permits: Vec<Permit> = (0..8).map(|_| bench.permit()).collect();
        for permit in &permits[..7] {
            bench.circuit.record(*permit, Sign::Failing, bench.now);
        }
        assert_eq!(bench.circuit.admit(bench.now), CallPermission::Refused { retry_after: SECOND });
        bench.circuit.record(permits[7], Sign::Refusing, bench.now);
        assert_eq!(bench.circuit.state(), CircuitState::Open);
        bench.circuit.record(permits[7], Sign::Alive, bench.now);
        assert_eq!(bench.circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn a_probe_that_never_ends_or_never_left_makes_room_for_another() {
        let mut bench = Bench::opened();
        bench.now += SECOND;
        bench.permit();
        bench.now += 10 * SECOND;
        let second = bench.permit();
        bench.circuit.record(second, Sign::None, bench.now);
        assert_eq!(bench.circuit.state(), CircuitState::Open);
        assert_eq!(bench.call(CallOutcome::Answered(200)), CircuitState::Closed);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Admit,
        End { chosen: prop::sample::Index, sign: Sign },
        Wait(Duration),
    }

    fn event() -> impl Strategy<Value = Event> {
        let sign = prop::sample::select(vec![Sign::Alive, Sign::Refusing, Sign::Failing, Sign::Failing, Sign::None]);
        prop_oneof![
            3 => Just(Event::Admit),
            3 => (any::<prop::sample::Index>(), sign).prop_map(|(chosen, sign)| Event::End { chosen, sign }),
            1 => (0..12_000_u64).prop_map(|milliseconds| Event::Wait(Duration::from_millis(milliseconds))),
        ]
    }

    proptest! {
        #[test]
        fn whatever_calls_do_nobody_waits_beyond_the_longest_pause_and_one_probe_goes_at_a_time(
            events in prop::collection::vec(event(), 0..80),
        ) {
            let longest = CircuitSettings::default().pause.longest;
            let mut bench = Bench::new();
            let mut under_way: Vec<Permit> = Vec::new();
            for event in events {
                match event {
                    Event::Admit => {
                        let refuses = bench.circuit.refuses(bench.now);
                        match bench.circuit.admit(bench.now) {
                            CallPermission::Pass(permit) => {
                                prop_assert!(!refuses);
                                prop_assert!(!permit.is_probe || bench.circuit.refuses(bench.now), "a second probe");
                                under_way.push(permit);
                            }
                            CallPermission::Refused { retry_after } => {
                                prop_assert!(refuses && !retry_after.is_zero() && retry_after <= longest);
                            }
                        }
                    }
                    Event::End { chosen, sign } if !under_way.is_empty() => {
                        let permit = under_way.swap_remove(chosen.index(under_way.len()));
                        bench.circuit.record(permit, sign, bench.now);
                        prop_assert!(sign != Sign::Alive || bench.circuit.state() == CircuitState::Closed);
                    }
                    Event::End { .. } => {}
                    Event::Wait(time) => bench.now += time,
                }
            }
            bench.now += longest;
            prop_assert!(!bench.circuit.refuses(bench.now), "it stays open for ever");
        }
    }
}
