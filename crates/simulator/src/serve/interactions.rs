//! Which turn a card answers, for one tenant.
//!
//! Input: the frames as they are handed to the socket, the questions as they are asked over HTTP, and the pushes as they
//! arrive. Output: per customer turn the time of its end and of its card. A turn is customer text followed by a
//! `DIALOG_STATE` frame (contract 003), an event with something new to read (001), or a question asked (000, 002, 004).
//! Bounded: what ended long ago is forgotten, and when there are very many the one that ended first, or the oldest where
//! none has ended. Pure: the caller brings the instants.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::base::frames::{Saying, Told};
use crate::base::turns::{Attribution, Turns};

/// An interaction that ended so long ago is forgotten; feedback for it comes well before.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);
/// Interactions remembered, about 50 MB.
const MAX_INTERACTIONS: usize = 100_000;

/// One customer turn with its end, and the card that answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnOutcome {
    /// The tenant.
    pub client_id: String,
    /// The interaction that it belongs to.
    pub interaction_id: String,
    /// Counts from 1 within the interaction.
    pub number: usize,
    /// From the ending frame's hand-over to the socket, or the question's sending, until the card's arrival; `None`
    /// without a card.
    pub card_after: Option<Duration>,
    /// The arrival of the card's push, by which it is found among what was received.
    pub card_at: Option<Instant>,
}

/// What a hub knows about an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Live,
    Ended,
}

#[derive(Default)]
struct Interaction {
    /// Its place in the order of first mention.
    number: u64,
    ended_at: Option<Instant>,
    customer_spoke: bool,
    /// Hash of the transcript that the last event carried.
    heard: Option<u64>,
    turns: Turns,
    /// Hears of the next card.
    waiting: Option<oneshot::Sender<()>>,
}

impl Interaction {
    /// Each event is a finished utterance; one that carries what the last one did adds nothing.
    fn has_news(&mut self, transcript: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        transcript.hash(&mut hasher);
        let heard = Some(hasher.finish());
        !transcript.is_empty() && std::mem::replace(&mut self.heard, heard) != heard
    }
}

/// All interactions of a tenant and their turns.
#[derive(Default)]
pub(crate) struct Interactions {
    by_id: HashMap<Arc<str>, Interaction>,
    /// By first mention.
    order: BTreeMap<u64, Arc<str>>,
    next_number: u64,
    /// Those that have ended, the first to end first: apart, so that none which never ends stands before them.
    ended: BTreeSet<(Instant, Arc<str>)>,
    /// Customer text without an interaction waits for the next state that names one.
    anonymous_customer_spoke: bool,
}

impl Interactions {
    /// Makes an interaction known and live.
    pub(crate) fn open(&mut self, id: &str, now: Instant) {
        self.opened(id, now);
    }

    fn opened(&mut self, id: &str, now: Instant) -> &mut Interaction {
        let id: Arc<str> = id.into();
        if !self.by_id.contains_key(&id) {
            self.forget(now);
            self.order.insert(self.next_number, Arc::clone(&id));
        }
        let interaction = self.by_id.entry(Arc::clone(&id)).or_insert_with(|| {
            self.next_number += 1;
            Interaction { number: self.next_number - 1, ..Interaction::default() }
        });
        if let Some(ended) = interaction.ended_at.take() {
            self.ended.remove(&(ended, id));
        }
        interaction
    }

    /// Makes room for one more.
    fn forget(&mut self, now: Instant) {
        while let Some((ended, id)) = self.ended.first() {
            if now.saturating_duration_since(*ended) <= FORGOTTEN_AFTER && self.by_id.len() < MAX_INTERACTIONS {
                return;
            }
            if let Some(forgotten) = self.by_id.remove(id) {
                self.order.remove(&forgotten.number);
            }
            self.ended.pop_first();
        }
        while self.by_id.len() >= MAX_INTERACTIONS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// Pushes for it are refused from now on; false when it was not live.
    pub(crate) fn end(&mut self, id: &str, now: Instant) -> bool {
        let Some(live) = self.by_id.get_mut(id).filter(|found| found.ended_at.is_none()) else {
            return false;
        };
        live.ended_at = Some(now);
        self.ended.insert((now, id.into()));
        true
    }

    pub(crate) fn standing(&self, id: &str) -> Standing {
        match self.by_id.get(id) {
            None => Standing::Unknown,
            Some(interaction) if interaction.ended_at.is_some() => Standing::Ended,
            Some(_) => Standing::Live,
        }
    }

    /// Takes note of a frame that goes to the client; the number of the customer turn that it ended, if any.
    pub(crate) fn note_frame(&mut self, frame: &Told<'_>, now: Instant) -> Option<usize> {
        let Some(id) = frame.id.as_deref() else {
            if let Saying::Words { customer, .. } = frame.saying {
                self.anonymous_customer_spoke |= customer;
            }
            return None;
        };
        let interaction = self.opened(id, now);
        let ends_turn = match &frame.saying {
            Saying::Words { customer, .. } => {
                interaction.customer_spoke |= customer;
                false
            }
            Saying::TurnEnd => {
                let spoke = std::mem::take(&mut interaction.customer_spoke);
                std::mem::take(&mut self.anonymous_customer_spoke) || spoke
            }
            Saying::Transcript(text) => interaction.has_news(text),
            Saying::Completed => {
                self.end(id, now);
                false
            }
            Saying::Nothing => false,
        };
        ends_turn.then(|| self.end_turn(id, now))
    }

    /// A customer turn of `id` ended at `now`; its number.
    pub(crate) fn end_turn(&mut self, id: &str, now: Instant) -> usize {
        self.opened(id, now).turns.end(now)
    }

    /// Whether a turn of `id` has its card.
    pub(crate) fn has_card(&self, id: &str, number: usize) -> bool {
        self.by_id.get(id).is_some_and(|interaction| interaction.turns.has_card(number))
    }

    /// Is told when the next card of `id` comes.
    pub(crate) fn next_card(&mut self, id: &str, now: Instant) -> oneshot::Receiver<()> {
        let (told, hears) = oneshot::channel();
        self.opened(id, now).waiting = Some(told);
        hears
    }

    /// Finds the turn that a push answers and gives it to it. `fingerprint` is equal for identical cards.
    pub(crate) fn place(&mut self, id: &str, fingerprint: u64, now: Instant) -> Attribution {
        let Some(interaction) = self.by_id.get_mut(id) else {
            return Attribution::Unprompted;
        };
        let attribution = interaction.turns.place(fingerprint, now);
        if matches!(attribution, Attribution::Turn { .. })
            && let Some(waiting) = interaction.waiting.take()
        {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
        attribution
    }

    /// Every ended turn of `client`, interactions in the order in which they were first mentioned.
    pub(crate) fn turns<'a>(&'a self, client: &'a str) -> impl Iterator<Item = TurnOutcome> + 'a {
        let of = move |id: &'a Arc<str>| {
            let turns = self.by_id.get(id).into_iter().flat_map(|found| found.turns.cards());
            turns.map(move |(number, card_after, card_at)| TurnOutcome {
                client_id: client.to_owned(),
                interaction_id: id.to_string(),
                number,
                card_after,
                card_at,
            })
        };
        self.order.values().flat_map(of)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn note(interactions: &mut Interactions, frame: &Value) -> Option<usize> {
        interactions.note_frame(&Told::read(frame), Instant::now())
    }

    #[test]
    fn only_customer_text_with_an_ending_frame_is_a_turn() {
        let fragment = |participant: &str| json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x", "interactionId": "i", "participant": participant});
        let state = |id: &str| json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": id});
        let hold = json!({"type": "DIALOG_STATE", "state": "ON_HOLD", "interactionId": "i"});
        let anonymous = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x"});
        let mut interactions = Interactions::default();
        for (frame, ended, why) in [
            (fragment("AGENT"), None, "words"),
            (state("i"), None, "agent turn"),
            (fragment("VISITOR"), None, "words"),
            (hold, None, "no end"),
            (state("i"), Some(1), "unknown participant counts as customer"),
            (state("i"), None, "nothing new"),
            (anonymous, None, "words"),
            (state("j"), Some(1), "text without id joins the next state"),
        ] {
            assert_eq!(note(&mut interactions, &frame), ended, "{why}");
        }
        assert_eq!(interactions.turns("c").count(), 2);
        assert_eq!(note(&mut interactions, &json!({"type": "SENTIMENT", "interactionId": "k"})), None);
        assert_eq!(interactions.standing("k"), Standing::Live, "named by a frame of any other type");
    }

    #[test]
    fn an_event_with_something_new_is_a_turn() {
        let event = |id: &str, state: &str, text: &str| json!({"type": "interaction", "data": {"id": id, "state": state, "channels": [{"transcript": text}]}});
        let mut interactions = Interactions::default();
        for (frame, ended) in [
            (event("i", "active", "hello"), Some(1)),
            (event("i", "active", "hello"), None),
            (event("i", "active", "hello there "), Some(2)),
            (event("i", "active", ""), None),
            (event("j", "active", " "), None),
            (json!({"type": "interaction", "data": {"state": "active"}}), None),
        ] {
            assert_eq!(note(&mut interactions, &frame), ended, "{frame}");
        }
        assert_eq!(interactions.standing("j"), Standing::Live, "named without words");
        note(&mut interactions, &event("i", "completed", ""));
        assert_eq!(interactions.standing("i"), Standing::Ended);
    }

    #[test]
    fn times_and_interactions_are_kept_apart() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut interactions = Interactions::default();
        for (id, at) in [("i", 0), ("j", 10)] {
            assert_eq!(interactions.end_turn(id, after(at)), 1);
        }
        let expected = Attribution::Turn { number: 1, ended_at: start, after: Duration::from_millis(30) };
        assert_eq!(interactions.place("i", 1, after(30)), expected);
        let times: Vec<_> = interactions.turns("c").map(|turn| (turn.interaction_id, turn.card_after)).collect();
        assert_eq!(times, [("i".to_owned(), Some(Duration::from_millis(30))), ("j".to_owned(), None)]);
    }

    #[test]
    fn an_ended_interaction_lives_again_when_it_is_named() {
        let now = Instant::now();
        let mut interactions = Interactions::default();
        assert_eq!(interactions.standing("i"), Standing::Unknown);
        assert!(!interactions.end("i", now));
        interactions.open("i", now);
        assert_eq!(interactions.standing("i"), Standing::Live);
        assert!(interactions.end("i", now));
        assert!(!interactions.end("i", now), "ended once");
        assert_eq!(interactions.standing("i"), Standing::Ended);
        interactions.end_turn("i", now);
        assert_eq!(interactions.standing("i"), Standing::Live);
    }

    #[test]
    fn what_ended_long_ago_is_forgotten() {
        let now = Instant::now();
        let later = now + FORGOTTEN_AFTER + Duration::from_secs(1);
        let mut interactions = Interactions::default();
        for id in ["old", "live", "ended late"] {
            interactions.open(id, now);
        }
        interactions.end("old", now);
        interactions.end("ended late", later);
        interactions.open("new", later);
        let standings = ["old", "live", "ended late", "new"].map(|id| interactions.standing(id));
        assert_eq!(standings, [Standing::Unknown, Standing::Live, Standing::Ended, Standing::Live]);
        for number in 0..MAX_INTERACTIONS {
            interactions.open(&number.to_string(), later);
        }
        assert_eq!((interactions.by_id.len(), interactions.order.len()), (MAX_INTERACTIONS, MAX_INTERACTIONS));
        assert_eq!(interactions.standing("live"), Standing::Unknown, "the oldest goes when there are too many");
    }

    #[test]
    fn one_that_never_ends_keeps_no_other_remembered() {
        let now = Instant::now();
        let later = now + FORGOTTEN_AFTER + Duration::from_secs(1);
        let mut interactions = Interactions::default();
        for id in ["session", "old", "lives again", "late"] {
            interactions.open(id, now);
            interactions.end(id, now);
        }
        for id in ["session", "lives again", "late"] {
            interactions.open(id, now);
        }
        interactions.end("late", later);
        interactions.open("new", later);
        let ids = ["session", "old", "lives again", "late", "new"];
        let standings = |interactions: &Interactions| ids.map(|id| interactions.standing(id));
        let (unknown, live, ended) = (Standing::Unknown, Standing::Live, Standing::Ended);
        assert_eq!(standings(&interactions), [live, unknown, live, ended, live]);
        for number in interactions.by_id.len()..=MAX_INTERACTIONS {
            interactions.open(&number.to_string(), later);
        }
        assert_eq!(standings(&interactions), [live, unknown, live, unknown, live], "what has ended goes first");
        let sizes = (interactions.by_id.len(), interactions.order.len(), interactions.ended.len());
        assert_eq!(sizes, (MAX_INTERACTIONS, MAX_INTERACTIONS, 0));
    }

    #[test]
    fn whoever_waits_hears_of_the_next_card() {
        let now = Instant::now();
        let mut interactions = Interactions::default();
        interactions.end_turn("i", now);
        let mut hears = interactions.next_card("i", now);
        assert!(hears.try_recv().is_err());
        interactions.place("j", 1, now);
        assert!(hears.try_recv().is_err());
        interactions.place("i", 1, now);
        assert_eq!(hears.try_recv(), Ok(()));
    }
}
