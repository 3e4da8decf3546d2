//! A question on its way through the stages.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cuecard_cxone::InteractionId;
use cuecard_cxone::ranking::RankingRequest;
use cuecard_engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_text::Spoken;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

/// The name of a connection profile. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// A name as it stands in the settings.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as text, for labels and logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What everything kept about a conversation is keyed by: two tenants may use the same interaction ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InteractionKey {
    /// The tenant's profile.
    pub profile: ProfileName,
    /// The interaction within it.
    pub interaction: InteractionId,
}

impl fmt::Display for InteractionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.profile, self.interaction)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Cards for what was said.
    Cards(Arc<Utterance>),
    /// An order of these snippets; they enter at the Ranker.
    Order(RankingRequest),
}

/// A question with its identity and its times. Inside a process times are instants of the monotonic clock;
/// on the wire they are an age and a budget, so that no two clocks need to agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "WireWorkItem", from = "WireWorkItem")]
pub struct WorkItem {
    /// The decision that this item comes to, silent ones too; also the delivery's id and its idempotency key.
    pub decision: Uuid,
    /// Whose conversation it is.
    pub key: InteractionKey,
    /// Counts the utterances of the interaction from 1.
    pub utterance_number: u64,
    /// The agent on whose desktop the cards go, where a caller named one; else the profile's.
    pub agent_id: Option<String>,
    /// When the last word was heard, for people; nothing is decided by it.
    pub heard_at: Timestamp,
    /// What is asked for.
    pub ask: Ask,
    /// When the frame with the last word was received.
    pub heard: Instant,
    /// When a card stops being worth showing.
    pub deadline: Instant,
}

impl WorkItem {
    /// Whether a card would come too late.
    pub fn is_expired(&self, now: Instant) -> bool {
        now >= self.deadline
    }
}

#[derive(Serialize, Deserialize)]
struct WireWorkItem {
    decision: Uuid,
    #[serde(flatten)]
    key: InteractionKey,
    utterance_number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    heard_at: Timestamp,
    ask: WireAsk,
    age_ms: u64,
    budget_ms: u64,
}

/// Between processes of this service words travel as they were said.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireAsk {
    Cards { turns: Vec<WireTurn>, flushed: FlushReason },
    Order(RankingRequest),
}

#[derive(Serialize, Deserialize)]
struct WireTurn {
    speaker: Speaker,
    #[serde(serialize_with = "cuecard_text::verbatim")]
    text: Spoken,
}

impl From<Ask> for WireAsk {
    fn from(ask: Ask) -> Self {
        match ask {
            Ask::Cards(utterance) => {
                let Utterance { turns, flushed } = Arc::unwrap_or_clone(utterance);
                let turns = turns.into_iter().map(|Turn { speaker, text }| WireTurn { speaker, text });
                Self::Cards { turns: turns.collect(), flushed }
            }
            Ask::Order(request) => Self::Order(request),
        }
    }
}

impl From<WireAsk> for Ask {
    fn from(wire: WireAsk) -> Self {
        match wire {
            WireAsk::Cards { turns, flushed } => {
                let turns = turns.into_iter().map(|WireTurn { speaker, text }| Turn { speaker, text });
                Self::Cards(Arc::new(Utterance { turns: turns.collect(), flushed }))
            }
            WireAsk::Order(request) => Self::Order(request),
        }
    }
}

impl From<WorkItem> for WireWorkItem {
    fn from(item: WorkItem) -> Self {
        let now = Instant::now();
        Self {
            decision: item.decision,
            key: item.key,
            utterance_number: item.utterance_number,
            agent_id: item.agent_id,
            heard_at: item.heard_at,
            ask: item.ask.into(),
            age_ms: milliseconds(now.saturating_duration_since(item.heard)),
            budget_ms: milliseconds(item.deadline.saturating_duration_since(now)),
        }
    }
}

impl From<WireWorkItem> for WorkItem {
    fn from(wire: WireWorkItem) -> Self {
        let now = Instant::now();
        // A day bounds both: a peer's nonsense must not overflow the clock.
        let at_most_a_day = |milliseconds: u64| Duration::from_millis(milliseconds.min(24 * 60 * 60 * 1000));
        Self {
            decision: wire.decision,
            key: wire.key,
            utterance_number: wire.utterance_number,
            agent_id: wire.agent_id,
            heard_at: wire.heard_at,
            ask: wire.ask.into(),
            heard: now.checked_sub(at_most_a_day(wire.age_ms)).unwrap_or(now),
            deadline: now + at_most_a_day(wire.budget_ms),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::item;

    /// What the coarsest step of the wire format and the time between writing and reading may cost.
    const TOLERANCE: Duration = Duration::from_millis(50);

    fn close(one: Instant, other: Instant) -> bool {
        one.max(other) - one.min(other) <= TOLERANCE
    }

    fn on_the_wire(item: &WorkItem) -> Value {
        serde_json::to_value(item.clone()).unwrap()
    }

    #[test]
    fn a_round_trip_keeps_age_and_budget_without_a_common_clock() {
        let now = Instant::now();
        let heard = now.checked_sub(Duration::from_millis(1500)).unwrap();
        let item = WorkItem { heard, deadline: now + Duration::from_millis(2500), ..item("acme", "c-1", 7) };
        let wire = on_the_wire(&item);
        let (age_ms, budget_ms) = (wire["age_ms"].as_u64().unwrap(), wire["budget_ms"].as_u64().unwrap());
        assert!((1500..1550).contains(&age_ms) && (2450..=2500).contains(&budget_ms), "{wire}");
        assert_eq!((&wire["profile"], &wire["interaction"]), (&"acme".into(), &"c-1".into()));
        assert!(wire.get("heard").is_none() && wire.get("deadline").is_none(), "{wire}");
        let read: WorkItem = serde_json::from_value(wire).unwrap();
        assert!(close(read.heard, item.heard) && close(read.deadline, item.deadline));
        let times = WorkItem { heard: item.heard, deadline: item.deadline, ..read };
        assert_eq!(times, item);
    }

    #[test]
    fn a_message_to_another_process_keeps_the_words() {
        let said =
            WorkItem { ask: Ask::Cards(Arc::new(Utterance::question("where is my order"))), ..item("acme", "c", 1) };
        let wire = on_the_wire(&said);
        assert_eq!(wire["ask"]["cards"]["turns"][0]["text"], "where is my order");
        assert_eq!(serde_json::from_value::<WorkItem>(wire).unwrap().ask, said.ask);
    }

    #[test]
    fn an_item_that_is_late_stays_late() {
        let now = Instant::now();
        let late = WorkItem { deadline: now, ..item("acme", "c-1", 1) };
        assert!(late.is_expired(now));
        let read: WorkItem = serde_json::from_value(on_the_wire(&late)).unwrap();
        assert!(read.is_expired(Instant::now()));
    }

    #[test]
    fn an_unsafe_interaction_is_refused() {
        let mut wire = on_the_wire(&item("acme", "c-1", 1));
        wire["interaction"] = json!("../../admin");
        assert!(serde_json::from_value::<WorkItem>(wire).is_err());
    }

    proptest! {
        #[test]
        fn absurd_numbers_are_survived(age_ms: u64, budget_ms: u64, utterance_number: u64) {
            let mut wire = on_the_wire(&item("acme", "c-1", 1));
            wire["age_ms"] = json!(age_ms);
            wire["budget_ms"] = json!(budget_ms);
            wire["utterance_number"] = json!(utterance_number);
            let read: WorkItem = serde_json::from_value(wire).unwrap();
            let now = Instant::now();
            prop_assert!(read.heard <= now);
            prop_assert!(read.deadline <= now + Duration::from_hours(24));
            prop_assert_eq!(read.utterance_number, utterance_number);
            on_the_wire(&read);
        }
    }
}
