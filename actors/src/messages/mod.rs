//! What actors tell each other. A message that only one actor sends to itself stays beside that actor.

mod decision;
mod outcome;
mod stages;
mod streams;
mod ticket;
mod tokens;
mod work;

pub use decision::{Asked, Decision, StageTime, Versions};
pub use outcome::{Failure, Outcome, Receipt, Refusal, RefusalCause};
pub use stages::{AdmittedItem, CardRejected, Content, Delivery, Extracted, NotShown, Rankable};
pub use streams::{Heard, HeardFeedback, StreamWord};
pub use ticket::{Stage, Ticket};
pub use tokens::{GetToken, Invalidate, TokenError};
pub use work::{Ask, InteractionKey, ProfileName, WorkItem};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use cuecard_engine::conversation::{Speaker, Utterance};
    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::*;
    use crate::testing::{Recorder, card, delivery, item, ranking_of, token};

    const SAID: &str = "my-card-number";

    /// Logs show messages by `Debug`: ids and sizes, never what a customer said, and no secret.
    #[test]
    fn debug_shows_neither_words_nor_secrets() {
        let profile = ProfileName::new("acme");
        let interaction = || "c-1".parse().unwrap();
        let fragment =
            StreamWord::Fragment { interaction: Some(interaction()), speaker: Speaker::Customer, text: SAID.into() };
        let heard = Heard { profile: profile.clone(), received: Instant::now(), word: fragment };
        let question = WorkItem { ask: Ask::Cards(Arc::new(Utterance::question(SAID))), ..item("acme", "c-1", 1) };
        let mut cards = delivery(&question, &Recorder::new());
        cards.content = Content::Cards(Arc::new(ranking_of(vec![card("kb-2")])));
        let feedback = HeardFeedback {
            profile,
            interaction: interaction(),
            insight: card("kb-1").article().id.clone(),
            action: SAID.into(),
            accepted: true,
            heard_at: Timestamp::UNIX_EPOCH,
        };
        let complaint = Invalidate(token(SAID, 60, std::time::Duration::ZERO));
        let shown = format!("{heard:?} {question:?} {cards:?} {feedback:?} {complaint:?}");
        assert!(!shown.contains(SAID), "{shown}");
        for expected in ["acme", "c-1", "14 bytes", "1 cards", "kb-1"] {
            assert!(shown.contains(expected), "{expected} is not in {shown}");
        }
        cards.ticket.finish(Outcome::Replaced);
    }
}
