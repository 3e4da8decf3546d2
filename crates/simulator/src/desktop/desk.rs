//! What the agents' desktops show: the newest interactions with their bubbles and cards, and the changes to them.
//!
//! Input: frames, shown pushes, verdicts of the agent, accepted training calls. Output: a snapshot for a page that has
//! just opened, and one JSON event per change while a page is open. Bounded: the oldest interaction leaves the desk when
//! a new one needs its place, and the oldest cards lose what they suggested when all together are too much.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::cards::Push;
use super::interaction::{Changed, Interaction, Of};
use crate::base::frames::{Saying, Told};
use crate::base::turns::Attribution;
use crate::base::verdict::AgentVerdict;

/// Interactions on the desk.
const MAX_INTERACTIONS: usize = 30;
/// Bytes kept of all cards together; pushes of a few KiB come nowhere near, those of 1 MiB would fill the machine.
const MAX_CARD_BYTES: usize = 256 * 1024 * 1024;

/// The numbers above the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) streams: usize,
    pub(crate) turns: u64,
    pub(crate) cards: u64,
    pub(crate) duplicates: u64,
    pub(crate) violations: u64,
}

/// The desk and the events not yet told to its pages.
#[derive(Default)]
pub(crate) struct Desk {
    interactions: VecDeque<Interaction>,
    /// Of the newest interactions that were told to have one, by their ids.
    titles: VecDeque<(String, String)>,
    counts: Counts,
    events: Vec<Value>,
    is_watched: bool,
    num_cards: u64,
    /// Kept of all cards.
    num_bytes: usize,
}

impl Desk {
    /// Everything on the desk now.
    pub(crate) fn snapshot(&self) -> Value {
        json!({"event": "snapshot", "interactions": self.interactions, "counts": self.counts})
    }

    /// Whether a page is open; events are made only then.
    pub(crate) fn set_watched(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    /// The changes since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn set_counts(&mut self, counts: Counts) {
        if counts != self.counts {
            self.counts = counts;
            if self.is_watched {
                self.events.push(json!({"event": "counts", "counts": self.counts}));
            }
        }
    }

    /// Takes a frame that went to the socket; `ended_turn` is the number of the customer turn that it ended.
    pub(crate) fn note_frame(&mut self, client: &Arc<str>, frame: &Told<'_>, ended_turn: Option<usize>) {
        let says_nothing = matches!(frame.saying, Saying::Completed | Saying::Nothing);
        if let Some(id) = frame.id.as_deref().filter(|_| !says_nothing) {
            self.open(Of { client, id }, |interaction| interaction.hear(&frame.saying, ended_turn));
        }
    }

    /// Takes a question that was asked over HTTP.
    pub(crate) fn note_question(&mut self, of: Of<'_>, text: &str, turn: usize) {
        self.open(of, |interaction| interaction.ask(text, turn));
    }

    /// Says what an interaction is called that has not begun yet.
    pub(crate) fn name(&mut self, id: &str, title: &str) {
        if self.titles.len() == MAX_INTERACTIONS {
            self.titles.pop_front();
        }
        self.titles.push_back((id.to_owned(), title.to_owned()));
    }

    /// Puts a push on the desk beside the turn that it answers.
    pub(crate) fn show(&mut self, of: Of<'_>, push: Push, attribution: Attribution) {
        let (number, before) = (self.num_cards, self.size_of(of));
        self.num_cards += 1;
        self.open(of, |interaction| interaction.show(number, push, attribution));
        self.num_bytes += self.size_of(of) - before;
        self.forget_oldest_cards();
    }

    /// The agent pressed a button; the frame that tells the client went out.
    pub(crate) fn note_verdict(&mut self, of: Of<'_>, insight_id: &str, verdict: AgentVerdict) {
        self.change(of, |interaction| interaction.change_card(insight_id, |card| card.judge(insight_id, verdict)));
    }

    /// The training endpoint took the client's feedback.
    pub(crate) fn note_training(&mut self, of: Of<'_>, insight_id: &str) {
        self.change(of, |interaction| interaction.change_card(insight_id, |card| card.learn(insight_id)));
    }

    pub(crate) fn end(&mut self, of: Of<'_>) {
        self.change(of, Interaction::end);
    }

    fn size_of(&self, of: Of<'_>) -> usize {
        self.interactions.iter().find(|shown| shown.is(of)).map_or(0, Interaction::size)
    }

    /// Forgets what the oldest cards suggested, as far as all are too much.
    fn forget_oldest_cards(&mut self) {
        while self.num_bytes > MAX_CARD_BYTES {
            let kept = self.interactions.iter_mut().filter_map(|shown| Some((shown.oldest_kept()?, shown)));
            let Some((_, oldest)) = kept.min_by_key(|(number, _)| *number) else {
                return;
            };
            self.num_bytes -= oldest.forget_oldest_card();
        }
    }

    /// Changes an interaction, which comes onto the desk first where it is not there.
    fn open(&mut self, of: Of<'_>, change: impl FnOnce(&mut Interaction) -> Vec<Changed>) {
        if !self.interactions.iter().any(|shown| shown.is(of)) {
            if self.interactions.len() == MAX_INTERACTIONS
                && let Some(oldest) = self.interactions.pop_front()
            {
                self.num_bytes -= oldest.size();
            }
            let titled = self.titles.iter().rfind(|(id, _)| id == of.id);
            let opened = Interaction::new(of, titled.map(|(_, title)| title.clone()));
            if self.is_watched {
                self.events.push(json!({"event": "interaction", "interaction": opened}));
            }
            self.interactions.push_back(opened);
        }
        self.change(of, change);
    }

    /// Changes an interaction that is on the desk, and tells the open pages.
    fn change(&mut self, of: Of<'_>, change: impl FnOnce(&mut Interaction) -> Vec<Changed>) {
        let Some(interaction) = self.interactions.iter_mut().find(|shown| shown.is(of)) else {
            return;
        };
        let changed = change(interaction);
        if self.is_watched {
            self.events.extend(changed.into_iter().map(|changed| interaction.event(changed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;

    use super::*;
    use crate::base::contracts::Route;
    use crate::base::verdict::RejectReason;
    use std::time::{Duration, Instant};

    fn desk() -> Desk {
        Desk { is_watched: true, ..Desk::default() }
    }

    fn client() -> Arc<str> {
        "c".into()
    }

    fn say(desk: &mut Desk, id: &str, participant: &str, text: &str) {
        let frame =
            json!({"type": "TRANSCRIPT_FRAGMENT", "interactionId": id, "participant": participant, "text": text});
        desk.note_frame(&client(), &Told::read(&frame), None);
    }

    fn push(body: &Bytes) -> Push {
        Push { route: Route::Insights, body: body.clone(), decision: None }
    }

    fn event(desk: &mut Desk, text: &str, turn: usize) {
        let data = json!({"id": "i", "state": "active", "channels": [{"transcript": text}]});
        desk.note_frame(&client(), &Told::read(&json!({"type": "interaction", "data": data})), Some(turn));
    }

    fn bubbles(desk: &Desk) -> Vec<(String, Option<u64>)> {
        let snapshot = desk.snapshot();
        let bubbles = snapshot["interactions"][0]["bubbles"].as_array().map_or(&[][..], Vec::as_slice);
        let seen = |bubble: &Value| (bubble["text"].as_str().unwrap_or_default().to_owned(), bubble["turn"].as_u64());
        bubbles.iter().map(seen).collect()
    }

    #[test]
    fn fragments_join_until_the_turn_ends() {
        let mut desk = desk();
        say(&mut desk, "i", "CUSTOMER", "hello");
        say(&mut desk, "i", "CUSTOMER", "there");
        state(&mut desk, "TURN_END", Some(1));
        say(&mut desk, "i", "CUSTOMER", "more");
        say(&mut desk, "i", "AGENT", "yes");
        let expected = [("hello there".to_owned(), Some(1)), ("more".to_owned(), None), ("yes".to_owned(), None)];
        assert_eq!(bubbles(&desk), expected);
        assert_eq!(desk.take_events().len(), 6, "one for the interaction, five for its bubbles");
        assert!(desk.take_events().is_empty());
    }

    fn state(desk: &mut Desk, state: &str, turn: Option<usize>) {
        let frame = json!({"type": "DIALOG_STATE", "state": state, "interactionId": "i"});
        desk.note_frame(&client(), &Told::read(&frame), turn);
    }

    #[test]
    fn a_bubble_ends_where_the_turn_does() {
        let mut desk = desk();
        say(&mut desk, "i", "CUSTOMER", "hello");
        state(&mut desk, "ON_HOLD", None);
        say(&mut desk, "i", "CUSTOMER", "there");
        say(&mut desk, "i", "AGENT", "yes");
        desk.take_events();
        state(&mut desk, "AGENT_SILENT", Some(1));
        assert_eq!(bubbles(&desk), [("hello there".to_owned(), Some(1)), ("yes".to_owned(), None)]);
        assert_eq!(desk.take_events().len(), 2, "the agent's bubble is done, the customer's has its number");
        state(&mut desk, "TURN_END", Some(2));
        assert_eq!(bubbles(&desk)[0].1, Some(1), "a turn that no bubble shows takes no other's place");
    }

    #[test]
    fn a_bubble_that_never_ends_does_not_grow_for_ever() {
        let mut desk = desk();
        for _ in 0..3 {
            say(&mut desk, "i", "CUSTOMER", &"é".repeat(5_000));
        }
        let (text, _) = &bubbles(&desk)[0];
        assert!(text.len() > 15_000 && text.len() <= 16 * 1024, "{}", text.len());
    }

    #[test]
    fn an_event_s_bubble_holds_what_is_new_in_it() {
        let mut desk = desk();
        event(&mut desk, "hello", 1);
        event(&mut desk, "hello where is it", 2);
        event(&mut desk, "something else", 3);
        let expected = ["hello", "where is it", "something else"];
        let seen: Vec<_> = bubbles(&desk).into_iter().map(|(text, _)| text).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_verdict_marks_the_newest_showing() {
        let mut desk = desk();
        let client = client();
        let of = Of { client: &client, id: "i" };
        let body = Bytes::from(json!({"insights": [{"id": "a", "title": "t", "snippet": "s"}]}).to_string());
        let now = Instant::now();
        let attribution = |number| Attribution::Turn { number, ended_at: now, after: Duration::from_millis(5) };
        desk.show(of, push(&body), attribution(1));
        desk.show(of, push(&body), attribution(2));
        desk.note_verdict(of, "a", AgentVerdict::Rejected(Some(RejectReason::KnewIt)));
        desk.note_training(of, "a");
        desk.note_verdict(of, "unknown", AgentVerdict::Accepted);
        let cards = desk.snapshot()["interactions"][0]["cards"].clone();
        assert_eq!(cards[0]["suggestions"][0]["verdict"], Value::Null);
        assert_eq!(cards[1]["suggestions"][0]["verdict"], "REJECTED");
        assert_eq!(cards[1]["suggestions"][0]["reason"], "knew_it");
        assert_eq!(cards[1]["suggestions"][0]["learned"], true);
        assert_eq!(cards[1]["after_ms"], 5.0);
    }

    #[test]
    fn the_oldest_cards_lose_their_suggestions_when_all_are_too_much() {
        let snippet = "s".repeat(1024 * 1024);
        let body = json!({"insights": [{"id": "a", "title": "t", "snippet": snippet}]}).to_string();
        // One text that all cards share, so that the test needs no such memory itself.
        let body = Bytes::from(body);
        let (mut desk, client) = (Desk::default(), client());
        let mut show = |id: &str| {
            desk.show(Of { client: &client, id }, push(&body), Attribution::Unprompted);
            desk.interactions.iter().map(|shown| shown.size() / body.len()).collect::<Vec<_>>()
        };
        show("i");
        show("j");
        for _ in 0..252 {
            show("i");
        }
        assert_eq!(show("j"), [253, 2]);
        assert_eq!(show("i"), [253, 2], "the oldest of i made room");
        assert_eq!(show("i"), [254, 1], "and the oldest of j, which came next");
        for number in 0..MAX_INTERACTIONS {
            show(&number.to_string());
        }
        let kept: usize = desk.interactions.iter().map(Interaction::size).sum();
        assert_eq!(
            (kept, desk.num_bytes),
            (MAX_INTERACTIONS * body.len(), kept),
            "what leaves the desk is not counted"
        );
    }

    #[test]
    fn nothing_is_told_when_nobody_watches() {
        let mut desk = Desk::default();
        say(&mut desk, "i", "CUSTOMER", "hello");
        desk.set_counts(Counts { turns: 1, ..Counts::default() });
        assert!(desk.take_events().is_empty());
        assert_eq!(bubbles(&desk).len(), 1);
    }

    #[test]
    fn the_oldest_interaction_leaves_a_full_desk() {
        let mut desk = desk();
        for number in 0..=MAX_INTERACTIONS {
            say(&mut desk, &format!("i{number}"), "CUSTOMER", "x");
        }
        let snapshot = desk.snapshot();
        assert_eq!(snapshot["interactions"].as_array().map(Vec::len), Some(MAX_INTERACTIONS));
        assert_eq!(snapshot["interactions"][0]["id"], "i1");
    }
}
