//! The one record of what became of a question, built along its way and handed on at its end.
//!
//! The log line and the admin port read it, and there is no second record of what was decided. It keeps what was said in a
//! form that redacts itself wherever it is written.

use std::sync::Arc;
use std::time::Duration;

use cuecard_cxone::InteractionId;
use cuecard_engine::conversation::Utterance;
use cuecard_engine::{BackendError, Effort, Query, Ranking};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::EnumCount;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Ask, Failure, InteractionKey, Outcome, ProfileName, Stage, WorkItem};

/// What became of one utterance or question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// Made at the flush; also the delivery's id and its idempotency key.
    pub id: Uuid,
    /// The tenant's profile.
    #[schema(value_type = String)]
    pub profile: ProfileName,
    /// The interaction within it.
    pub interaction: InteractionId,
    /// Counts the utterances of the interaction from 1.
    pub utterance_number: u64,
    /// When the last word was heard, for people.
    pub heard_at: Timestamp,
    /// What was asked for: `cards` for what was said, of which only the length is told, or an `order` of `snippets`.
    #[schema(value_type = Object)]
    pub asked: Asked,
    /// How much work the question was given; none where it was never let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub effort: Option<Effort>,
    /// What was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub query: Option<Arc<Query>>,
    /// Backends that did not answer, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// What was found, in what order and by which scores, and what of it was to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ranking: Option<Arc<Ranking>>,
    /// What a second ranker would have made of it, where one is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub shadow: Option<Box<Ranking>>,
    /// How it ended: its `kind`, and a `detail` where there is one, such as what CXone answered.
    #[schema(value_type = Object)]
    pub outcome: Outcome,
    /// From the frame with the last word until the question was asked: words wait for the end of their turn. In milliseconds.
    #[serde(default, rename = "buffered_ms", with = "milliseconds")]
    #[schema(value_type = f64)]
    pub buffered: Duration,
    /// From the frame with the last word to the end, in milliseconds.
    #[serde(rename = "latency_ms", with = "milliseconds")]
    #[schema(value_type = f64)]
    pub latency: Duration,
    /// The stages that were left, in the order of the flow.
    pub stages: Vec<StageTime>,
    /// What it was decided by.
    #[schema(value_type = Versions)]
    pub versions: Arc<Versions>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Cards for what was said.
    Cards(Arc<Utterance>),
    /// An order of so many snippets of a caller's.
    Order {
        /// How many.
        snippets: usize,
    },
}

/// The time spent in a stage, since the one before it was left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StageTime {
    /// Which.
    #[schema(value_type = String)]
    pub stage: Stage,
    /// In milliseconds.
    #[serde(rename = "took_ms", with = "milliseconds")]
    #[schema(value_type = f64)]
    pub took: Duration,
}

/// What decides beside the question: two decisions with the same versions and the same index would be the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Of this program.
    pub program: String,
    /// Of the profile's plan.
    pub plan: String,
    /// Of the encoder's model.
    pub model: String,
    /// The name of the ranker.
    #[serde(default)]
    pub ranker: String,
}

impl Decision {
    /// A question that has just been heard. What nobody ends was on its way when the runtime ended.
    pub fn opened(item: &WorkItem, versions: Arc<Versions>) -> Self {
        Self {
            id: item.decision,
            profile: item.key.profile.clone(),
            interaction: item.key.interaction.clone(),
            utterance_number: item.utterance_number,
            heard_at: item.heard_at,
            asked: Asked::of(&item.ask),
            effort: None,
            query: None,
            failures: Vec::new(),
            ranking: None,
            shadow: None,
            outcome: Outcome::Failed(Failure::Stopping),
            buffered: item.heard.elapsed(),
            latency: Duration::ZERO,
            stages: Vec::with_capacity(Stage::COUNT),
            versions,
        }
    }

    /// The conversation that it is about.
    pub fn key(&self) -> InteractionKey {
        InteractionKey { profile: self.profile.clone(), interaction: self.interaction.clone() }
    }

    /// Notes which backends did not answer.
    pub fn note_failures(&mut self, failures: &[BackendError]) {
        self.failures = failures.iter().map(ToString::to_string).collect();
    }
}

impl Asked {
    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Cards(utterance) => Self::Cards(Arc::clone(utterance)),
            Ask::Order(request) => Self::Order { snippets: request.snippets.len() },
        }
    }
}

/// Durations as people read them: milliseconds, to the microsecond.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(milliseconds / 1e3).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_engine::encoder::KeyPhrase;
    use cuecard_engine::ranking::SilenceReason;
    use serde_json::Value;

    use super::*;
    use crate::testing::{card, item, ranking_of};

    const SAID: &str = "my card is 4111 1111 1111 1111";

    fn decision() -> Decision {
        let question = WorkItem { ask: Ask::Cards(Arc::new(Utterance::question(SAID))), ..item("acme", "c-1", 3) };
        let [program, plan, model, ranker] = ["1.2.3", "0a1b2c3d", "mini@7", "cosine"].map(str::to_owned);
        let versions = Versions { program, plan, model, ranker };
        let key_phrases = vec![KeyPhrase { text: "4111".into(), attention: 0.5 }];
        let embedding = Some(vec![0.25; 384]);
        let query = Query { text: SAID.into(), embedding, key_phrases, ..Query::default() };
        Decision {
            effort: Some(Effort::Full),
            query: Some(Arc::new(query)),
            failures: vec!["search: connection refused".to_owned()],
            ranking: Some(Arc::new(ranking_of(vec![card("kb-1")]))),
            latency: Duration::from_micros(12_345),
            stages: vec![StageTime { stage: Stage::Extract, took: Duration::from_micros(2_500) }],
            outcome: Outcome::Silent(SilenceReason::Unsure),
            ..Decision::opened(&question, Arc::new(versions))
        }
    }

    #[test]
    fn what_is_written_of_a_decision_says_why_and_repeats_no_words() {
        let decision = decision();
        let written = serde_json::to_value(&decision).unwrap();
        for text in [written.to_string(), format!("{decision:?}")] {
            assert!(!text.contains("4111") && text.contains("30 bytes"), "{text}");
        }
        assert_eq!(written["query"].get("embedding"), None);
        let at = |pointer: &str| written.pointer(pointer).cloned().unwrap_or(Value::Null);
        for (pointer, expected) in [
            ("/profile", Value::from("acme")),
            ("/interaction", "c-1".into()),
            ("/utterance_number", 3.into()),
            ("/effort", "full".into()),
            ("/outcome/kind", "silent".into()),
            ("/outcome/detail", "unsure".into()),
            ("/ranking/candidates/0/id", "kb-1".into()),
            ("/ranking/candidates/0/score", 0.5.into()),
            ("/latency_ms", 12.345.into()),
            ("/stages/0/stage", "extract".into()),
            ("/stages/0/took_ms", 2.5.into()),
            ("/versions/plan", "0a1b2c3d".into()),
            ("/versions/ranker", "cosine".into()),
        ] {
            assert_eq!(at(pointer), expected, "{pointer} in {written}");
        }
    }

    #[test]
    fn a_decision_is_read_back_as_it_was_written() {
        let written = serde_json::to_value(decision()).unwrap();
        let read: Decision = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read.latency, Duration::from_micros(12_345));
        let again = serde_json::to_value(read).unwrap();
        assert_eq!(again["ranking"], written["ranking"]);
        assert_eq!((&again["outcome"], &again["stages"]), (&written["outcome"], &written["stages"]));
    }
}
