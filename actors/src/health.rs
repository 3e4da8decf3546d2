//! What each profile can do, written by the actors that find out and read by `/readyz` and the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::messages::ProfileName;
use crate::telemetry::{Endpoint, Metrics, ProfileChanged, ProfileState};

/// A part that a profile needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A token that CXone gave.
    Token,
    /// The stream's connection.
    Stream,
    /// Articles in the index.
    Index,
    /// The graph and the embeddings of its keywords.
    Graph,
    /// The collection.
    Collection,
    /// The polls of the tenant's articles.
    Polls,
    /// The circuit of the pushes.
    Pushes,
    /// The circuit of CXone's search.
    Search,
    /// How much work a question is given.
    Effort,
    /// How many questions are let go unanswered.
    Shedding,
}

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Good,
    /// It has never worked yet, or cannot work as things are; the profile can do nothing without it.
    Missing(String),
    /// It worked and will again; the profile does what it can meanwhile.
    Failing(String),
}

/// How each part of a profile is, for whoever looks closer than at the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthReport {
    /// What the profile can do.
    pub state: &'static str,
    /// Why not more.
    pub reason: String,
    /// Those of which anything is known.
    pub parts: Vec<PartReport>,
    /// What CXone asked to leave alone.
    pub holds: Vec<HoldReport>,
    /// The circuit of each endpoint that was called and has one.
    pub circuits: Vec<CircuitReport>,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Which.
    pub part: Part,
    /// Whether it works.
    pub is_good: bool,
    /// Why not.
    pub reason: String,
}

/// An endpoint that is left alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldReport {
    /// Which.
    pub endpoint: &'static str,
    /// For how much longer.
    pub seconds_left: f64,
}

/// The circuit of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CircuitReport {
    /// Which.
    pub endpoint: &'static str,
    /// Whether the endpoint is left alone because its last calls failed.
    pub is_open: bool,
}

/// A profile's health. Shared by its actors.
pub struct ProfileHealth {
    profile: ProfileName,
    metrics: Metrics,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    conditions: BTreeMap<Part, Condition>,
    /// The endpoints that CXone asked to leave alone, until when, and that in words.
    holds: BTreeMap<Endpoint, (Instant, String)>,
    /// Whether the circuit of an endpoint is open.
    circuits: BTreeMap<Endpoint, bool>,
    announced: Option<(ProfileState, String)>,
}

impl ProfileHealth {
    /// A profile that has done nothing yet and cannot work without these parts.
    pub fn new(profile: ProfileName, needed: &[Part], metrics: Metrics) -> Arc<Self> {
        let not_yet = |part: &Part| {
            let reason = match part {
                Part::Token => "no token yet",
                Part::Stream => "the stream is not connected yet",
                Part::Index => "the index is not open yet",
                Part::Graph => "the graph was not asked yet",
                Part::Collection => "the collection is not open yet",
                Part::Polls | Part::Pushes | Part::Search | Part::Effort | Part::Shedding => "not tried yet",
            };
            (*part, Condition::Missing(reason.to_owned()))
        };
        let parts = Parts { conditions: needed.iter().map(not_yet).collect(), ..Parts::default() };
        let health = Arc::new(Self { profile, metrics, parts: Mutex::new(parts) });
        if needed.contains(&Part::Stream) {
            health.metrics.set_stream_up(&health.profile, false);
        }
        health.announce(&mut health.lock());
        health
    }

    /// The profile's name.
    pub fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// Says how a part is; a change of the whole is logged and measured.
    pub fn set(&self, part: Part, condition: Condition) {
        self.set_in(&mut self.lock(), part, condition);
    }

    /// Says that a part stopped working: missing if it never worked, failing if it did.
    pub fn lost(&self, part: Part, reason: &str) {
        // Under one lock, or a part that comes to work in between would be called missing.
        let mut parts = self.lock();
        let never_worked = matches!(parts.conditions.get(&part), Some(Condition::Missing(_)));
        let reason = reason.to_owned();
        let condition = if never_worked { Condition::Missing(reason) } else { Condition::Failing(reason) };
        self.set_in(&mut parts, part, condition);
    }

    fn set_in(&self, parts: &mut Parts, part: Part, condition: Condition) {
        if parts.conditions.get(&part) != Some(&condition) {
            if part == Part::Stream {
                self.metrics.set_stream_up(&self.profile, condition == Condition::Good);
            }
            parts.conditions.insert(part, condition);
            self.announce(parts);
        }
    }

    /// Says that CXone asked to leave an endpoint alone until then, which nobody has to take back.
    pub fn held(self: &Arc<Self>, endpoint: Endpoint, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let end = Timestamp::now().saturating_add(SignedDuration::try_from(left).unwrap_or_default());
        let end = end.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%S UTC");
        let reason = format!("held until {end}, asked by {}", endpoint.name());
        let mut parts = self.lock();
        // Two calls may be told at once; the longer wait counts.
        if parts.holds.get(&endpoint).is_some_and(|(known, _)| *known >= until) {
            return;
        }
        parts.holds.insert(endpoint, (until, reason));
        self.announce(&mut parts);
        let health = Arc::clone(self);
        tokio::spawn(async move {
            sleep_until(until).await;
            health.announce(&mut health.lock());
        });
    }

    /// Says whether an endpoint's circuit is open. What that means for the whole is said of a part: without feedback or
    /// polls cards go on.
    pub fn set_circuit(&self, endpoint: Endpoint, is_open: bool) {
        let mut parts = self.lock();
        self.metrics.set_circuit(&self.profile, endpoint, is_open);
        parts.circuits.insert(endpoint, is_open);
    }

    /// Whether a part that the profile needs has never worked yet, or can't work as things are.
    pub fn is_missing(&self, part: Part) -> bool {
        matches!(self.lock().conditions.get(&part), Some(Condition::Missing(_)))
    }

    /// What the profile can do, and why not more.
    pub fn state(&self) -> (ProfileState, String) {
        self.lock().state()
    }

    /// How each part is.
    pub fn report(&self) -> HealthReport {
        let parts = self.lock();
        let (state, reason) = parts.state();
        let part = |(part, condition): (&Part, &Condition)| match condition {
            Condition::Good => PartReport { part: *part, is_good: true, reason: String::new() },
            Condition::Missing(reason) | Condition::Failing(reason) => {
                PartReport { part: *part, is_good: false, reason: reason.clone() }
            }
        };
        let now = Instant::now();
        let hold = |(endpoint, (until, _)): (&Endpoint, &(Instant, String))| {
            let left = until.saturating_duration_since(now);
            (!left.is_zero()).then(|| HoldReport { endpoint: endpoint.name(), seconds_left: left.as_secs_f64() })
        };
        let circuit =
            |(endpoint, is_open): (&Endpoint, &bool)| CircuitReport { endpoint: endpoint.name(), is_open: *is_open };
        HealthReport {
            state: state.name(),
            reason,
            parts: parts.conditions.iter().map(part).collect(),
            holds: parts.holds.iter().filter_map(hold).collect(),
            circuits: parts.circuits.iter().map(circuit).collect(),
        }
    }

    fn announce(&self, parts: &mut Parts) {
        let state = parts.state();
        if parts.announced.as_ref() != Some(&state) {
            ProfileChanged { profile: &self.profile, state: state.0, reason: &state.1 }.emit(&self.metrics);
            parts.announced = Some(state);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// Every reason, what is missing before what fails.
    fn state(&self) -> (ProfileState, String) {
        let (mut missing, mut failing) = (Vec::new(), Vec::new());
        for condition in self.conditions.values() {
            match condition {
                Condition::Good => {}
                Condition::Missing(reason) => missing.push(reason.as_str()),
                Condition::Failing(reason) => failing.push(reason.as_str()),
            }
        }
        let now = Instant::now();
        failing.extend(self.holds.values().filter(|(until, _)| *until > now).map(|(_, reason)| reason.as_str()));
        let state = match (missing.is_empty(), failing.is_empty()) {
            (false, _) => ProfileState::Waiting,
            (true, false) => ProfileState::Degraded,
            (true, true) => ProfileState::Ready,
        };
        missing.extend(failing);
        (state, missing.join("; "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hold_shows_until_it_is_over() {
        let profile = ProfileName::new("acme");
        let metrics = Metrics::new(std::slice::from_ref(&profile), Vec::new()).unwrap();
        let health = ProfileHealth::new(profile, &[], metrics.clone());
        let start = Instant::now();
        health.held(Endpoint::Push, start + Duration::from_mins(1));
        health.held(Endpoint::Search, start + Duration::from_secs(30));
        let (state, reason) = health.state();
        assert_eq!(state, ProfileState::Degraded);
        let in_a_minute = Timestamp::now().saturating_add(SignedDuration::from_secs(60)).unwrap();
        let minute = in_a_minute.strftime("held until %Y-%m-%d %H:%M").to_string();
        assert!(reason.starts_with(&minute) && reason.contains(" UTC, asked by push; held until "), "{reason}");
        assert!(reason.ends_with(" UTC, asked by search"), "{reason}");
        let held = |report: HealthReport| {
            report.holds.iter().map(|hold| (hold.endpoint, hold.seconds_left)).collect::<Vec<_>>()
        };
        assert_eq!(held(health.report()), [("push", 60.0), ("search", 30.0)]);
        let degraded = || metrics.render(0.0).unwrap().contains(r#"state="degraded"} 1"#);
        tokio::time::sleep_until(start + Duration::from_secs(31)).await;
        assert!(health.state().1.ends_with("asked by push") && degraded());
        assert_eq!(held(health.report()), [("push", 29.0)]);
        tokio::time::sleep_until(start + Duration::from_secs(61)).await;
        // Nobody asked meanwhile.
        assert!(!degraded());
        assert_eq!(health.state(), (ProfileState::Ready, String::new()));
    }

    #[test]
    fn every_circuit_is_told_of_and_measured_and_those_without_a_part_change_no_state() {
        let profile = ProfileName::new("acme");
        let metrics = Metrics::new(std::slice::from_ref(&profile), Vec::new()).unwrap();
        let health = ProfileHealth::new(profile, &[], metrics.clone());
        assert_eq!(health.report().circuits, [], "nothing was called yet");
        health.set_circuit(Endpoint::Session, false);
        health.set_circuit(Endpoint::Feedback, true);
        let circuit = |endpoint, is_open| CircuitReport { endpoint, is_open };
        assert_eq!(health.report().circuits, [circuit("feedback", true), circuit("session", false)]);
        let open = r#"cuecard_circuit_open{endpoint="feedback",profile="acme"}"#;
        assert!(metrics.render(0.0).unwrap().contains(&format!("{open} 1")));
        assert_eq!(health.state(), (ProfileState::Ready, String::new()));
        health.set_circuit(Endpoint::Feedback, false);
        assert!(health.report().circuits.iter().all(|circuit| !circuit.is_open));
        assert!(metrics.render(0.0).unwrap().contains(&format!("{open} 0")));
    }

    #[test]
    fn a_profile_waits_for_what_it_never_had_and_is_degraded_by_what_it_lost() {
        let profile = ProfileName::new("acme");
        let metrics = Metrics::new(std::slice::from_ref(&profile), Vec::new()).unwrap();
        let health = ProfileHealth::new(profile, &[Part::Token, Part::Stream], metrics.clone());
        assert_eq!(health.state(), (ProfileState::Waiting, "no token yet; the stream is not connected yet".to_owned()));
        let stream_up =
            |value| metrics.render(0.0).unwrap().contains(&format!("cuecard_stream_up{{profile=\"acme\"}} {value}"));
        assert!(stream_up(0));
        health.set(Part::Token, Condition::Good);
        health.lost(Part::Stream, "connection refused");
        assert_eq!(health.state(), (ProfileState::Waiting, "connection refused".to_owned()));
        health.set(Part::Stream, Condition::Good);
        assert_eq!(health.state().0, ProfileState::Ready);
        assert!(stream_up(1));
        health.lost(Part::Stream, "closed by the peer");
        assert!(stream_up(0));
        assert_eq!(health.state(), (ProfileState::Degraded, "closed by the peer".to_owned()));
        health.set(Part::Stream, Condition::Good);
        health.lost(Part::Pushes, "open");
        health.lost(Part::Stream, "closed again");
        assert_eq!(health.state(), (ProfileState::Degraded, "closed again; open".to_owned()));
        let report = health.report();
        let part = |part, is_good, reason: &str| PartReport { part, is_good, reason: reason.to_owned() };
        let parts =
            [part(Part::Token, true, ""), part(Part::Stream, false, "closed again"), part(Part::Pushes, false, "open")];
        assert_eq!(
            (report.state, report.reason.as_str(), &report.parts[..]),
            ("degraded", "closed again; open", &parts[..])
        );
        let text = metrics.render(0.0).unwrap();
        assert!(text.contains(r#"cuecard_profile_state{profile="acme",state="degraded"} 1"#), "{text}");
        assert!(text.contains(r#"cuecard_profile_state{profile="acme",state="ready"} 0"#), "{text}");
        health.set(Part::Index, Condition::Missing("no articles".to_owned()));
        assert_eq!(health.state(), (ProfileState::Waiting, "no articles; closed again; open".to_owned()));
    }
}
