//! What the frames of both streams mean for the ledger.
//!
//! Input: a frame at the moment it goes to the socket. Output: the number of the customer turn that it ended, if any.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde_json::Value;

use super::Ledger;

/// The states that end a turn; others are ignored.
pub(crate) const ENDING_STATES: [&str; 3] = ["TURN_END", "AGENT_SILENT", "CUSTOMER_SILENT"];

impl Ledger {
    /// Takes note of a frame.
    pub(crate) fn note_frame(&mut self, frame: &Value, now: Instant) -> Option<usize> {
        match frame["type"].as_str() {
            Some("interaction") => self.note_event(&frame["data"], now),
            Some("TRANSCRIPT_FRAGMENT") => self.note_fragment(frame, now),
            Some("DIALOG_STATE") => self.note_state(frame, now),
            _ => {
                self.open(frame["interactionId"].as_str()?, now);
                None
            }
        }
    }

    fn note_fragment(&mut self, frame: &Value, now: Instant) -> Option<usize> {
        let from_customer = frame["participant"].as_str() != Some("AGENT");
        match frame["interactionId"].as_str() {
            Some(id) => self.opened(id, now).customer_spoke |= from_customer,
            None => self.anonymous_customer_spoke |= from_customer,
        }
        None
    }

    fn note_state(&mut self, frame: &Value, now: Instant) -> Option<usize> {
        let id = frame["interactionId"].as_str()?;
        if !frame["state"].as_str().is_some_and(|state| ENDING_STATES.contains(&state)) {
            self.open(id, now);
            return None;
        }
        let anonymous = std::mem::take(&mut self.anonymous_customer_spoke);
        let interaction = self.opened(id, now);
        let spoke = std::mem::take(&mut interaction.customer_spoke) || anonymous;
        spoke.then(|| self.end_turn(id, now))
    }

    /// Each event is a finished utterance; one that carries what the last one did adds nothing.
    fn note_event(&mut self, data: &Value, now: Instant) -> Option<usize> {
        let id = data["id"].as_str()?;
        if data["state"] != "active" {
            self.open(id, now);
            self.end(id, now);
            return None;
        }
        let transcript = transcript(data);
        let interaction = self.opened(id, now);
        if transcript.is_empty() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        transcript.hash(&mut hasher);
        let heard = Some(hasher.finish());
        if interaction.heard == heard {
            return None;
        }
        interaction.heard = heard;
        Some(self.end_turn(id, now))
    }
}

/// What the channels of an event carry, joined with a space.
pub(crate) fn transcript(data: &Value) -> String {
    let channels = data["channels"].as_array().map_or(&[][..], Vec::as_slice);
    let texts: Vec<&str> = channels.iter().filter_map(|channel| channel["transcript"].as_str()).collect();
    texts.join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Standing;
    use serde_json::json;

    fn fragment(id: &str, participant: &str) -> Value {
        json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x", "interactionId": id, "participant": participant})
    }

    fn state(id: &str) -> Value {
        json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": id})
    }

    fn event(id: &str, state: &str, transcripts: &[&str]) -> Value {
        let channels: Vec<Value> = transcripts.iter().map(|text| json!({"transcript": text})).collect();
        json!({"type": "interaction", "data": {"id": id, "state": state, "channels": channels}})
    }

    #[test]
    fn only_customer_text_with_an_ending_frame_is_a_turn() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        assert_eq!(ledger.note_frame(&fragment("i", "AGENT"), now), None);
        assert_eq!(ledger.note_frame(&state("i"), now), None, "agent turn");
        assert_eq!(ledger.note_frame(&fragment("i", "SUPERVISOR"), now), None);
        let hold = json!({"type": "DIALOG_STATE", "state": "ON_HOLD", "interactionId": "i"});
        assert_eq!(ledger.note_frame(&hold, now), None, "no end");
        assert_eq!(ledger.note_frame(&state("i"), now), Some(1), "unknown participant counts as customer");
        assert_eq!(ledger.note_frame(&state("i"), now), None, "nothing new");
        let anonymous = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x"});
        assert_eq!(ledger.note_frame(&anonymous, now), None);
        assert_eq!(ledger.note_frame(&state("j"), now), Some(1), "text without id joins the next state");
        assert_eq!((ledger.counts().turns, ledger.turns("c").count()), (2, 2));
    }

    #[test]
    fn an_event_with_something_new_is_a_turn() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        let mut note = |frame: Value| ledger.note_frame(&frame, now);
        assert_eq!(note(event("i", "active", &["hello"])), Some(1));
        assert_eq!(note(event("i", "active", &["hello"])), None, "identical");
        assert_eq!(note(event("i", "active", &["hello", " there "])), Some(2));
        assert_eq!(note(event("i", "active", &[])), None);
        assert_eq!(note(event("j", "active", &[" "])), None);
        assert_eq!(note(json!({"type": "interaction", "data": {"state": "active"}})), None, "no id");
        assert_eq!(ledger.standing("j"), Standing::Live, "named without words");
        ledger.note_frame(&event("i", "completed", &[]), now);
        assert_eq!(ledger.standing("i"), Standing::Ended);
    }

    #[test]
    fn a_frame_of_any_other_type_makes_its_interaction_known() {
        let mut ledger = Ledger::default();
        let other = json!({"type": "SENTIMENT", "interactionId": "i"});
        assert_eq!(ledger.note_frame(&other, Instant::now()), None);
        assert_eq!(ledger.standing("i"), Standing::Live);
    }
}
