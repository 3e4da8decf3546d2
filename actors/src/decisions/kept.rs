//! A decision as it is kept: as JSON, with the words of the conversation where its profile keeps them, masked. Written and read
//! here alone.

use cuecard_engine::conversation::{Speaker, Turn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::messages::{Asked, Decision};

/// A decision as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptDecision {
    /// Without a word of what was said: in its place stands a length.
    pub decision: Decision,
    /// What was said, oldest first; none where the profile keeps none.
    pub words: Option<Vec<Said>>,
}

/// A turn without what names a person or an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// Who spoke.
    #[schema(value_type = String, pattern = "^(customer|agent)$")]
    pub speaker: Speaker,
    /// Masked.
    pub text: String,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Said>>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    words: Option<Vec<Said>>,
}

impl KeptDecision {
    /// The decision as JSON, with the words that were said, masked, where they are to be kept.
    pub fn json(decision: &Decision, keeps_words: bool) -> serde_json::Result<String> {
        let words = if keeps_words { said(&decision.asked) } else { None };
        serde_json::to_string(&Written { decision, words })
    }

    /// Reads what was written; an error where another version wrote it in another form.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        // Twice over the text: read in one, everything would be collected first and looked at then.
        let Words { words } = serde_json::from_str(json)?;
        Ok(Self { decision: serde_json::from_str(json)?, words })
    }

    /// The newest customer turn, masked, where words are kept.
    pub fn newest_customer_turn(&self) -> Option<&str> {
        let said = self.words.as_deref()?.iter().rev().find(|said| said.speaker == Speaker::Customer)?;
        Some(said.text.trim()).filter(|text| !text.is_empty())
    }
}

fn said(asked: &Asked) -> Option<Vec<Said>> {
    let Asked::Cards(utterance) = asked else { return None };
    let said = |turn: &Turn| Said { speaker: turn.speaker, text: turn.text.masked() };
    Some(utterance.turns.iter().map(said).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use cuecard_engine::conversation::{FlushReason, Utterance};

    use super::*;
    use crate::messages::{Ask, Versions, WorkItem};
    use crate::testing::{card, item, ranking_of};

    #[test]
    fn a_decision_is_read_back_with_its_masked_words_and_nothing_else_of_what_was_said() {
        let turn = |speaker, text: &str| Turn { speaker, text: text.into() };
        let turns = vec![
            turn(Speaker::Customer, "my card is 4111 1111 1111 1111, can I pay with it"),
            turn(Speaker::Agent, "Let me see."),
        ];
        let utterance = Utterance { turns, flushed: FlushReason::State };
        let question = WorkItem { ask: Ask::Cards(Arc::new(utterance)), ..item("acme", "c-1", 3) };
        let ranking = Some(Arc::new(ranking_of(vec![card("kb-1")])));
        let decision = Decision { ranking, ..Decision::opened(&question, Arc::new(Versions::default())) };
        let (with, without) =
            (KeptDecision::json(&decision, true).unwrap(), KeptDecision::json(&decision, false).unwrap());
        let kept = KeptDecision::read(&with).unwrap();
        assert_eq!(kept.newest_customer_turn(), Some("my card is [card], can I pay with it"));
        assert_eq!(kept.decision.ranking.unwrap().cards()[0].article().id, "kb-1");
        assert_eq!(kept.decision.id, decision.id);
        assert_eq!(KeptDecision::read(&without).unwrap().words, None);
        for json in [&with, &without] {
            assert!(!json.contains("4111"), "{json}");
        }
        assert!(KeptDecision::read("{}").is_err());
    }
}
