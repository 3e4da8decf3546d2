//! One interaction's bounded window of turns and unflushed fragments.

use std::collections::VecDeque;
use std::time::Duration;

use cuecard_text::Spoken;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Speaker, Turn, Utterance};

/// Why a window was flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlushReason {
    /// The stream said that a turn ended or someone fell silent.
    State,
    /// No fragment came for a while.
    Pause,
    /// The first unflushed fragment got too old.
    Longest,
    /// The unflushed text reached the window's size.
    Full,
    /// Somebody asked over HTTP or on a command line.
    Asked,
}

/// A piece of speech as it arrived.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Who spoke.
    pub speaker: Speaker,
    /// The words.
    pub text: Spoken,
    /// When the frame was received.
    pub arrived: Instant,
}

/// What a window may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLimits {
    /// Turns kept; the oldest are cut first.
    pub turns: usize,
    /// Bytes of text kept; the oldest are cut first.
    pub bytes: usize,
}

impl Default for WindowLimits {
    /// Contract: an utterance carries at most the last 64 turns and 16 KiB.
    fn default() -> Self {
        Self { turns: 64, bytes: 16 * 1024 }
    }
}

/// When silence flushes a window (contract 003).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    /// Time after the last fragment.
    pub after_last: Duration,
    /// Time after the first unflushed fragment.
    pub after_first: Duration,
}

/// Turns heard so far and fragments not yet flushed.
#[derive(Debug, Default)]
pub struct Window {
    turns: VecDeque<Turn>,
    turn_open: bool,
    unflushed: Vec<Fragment>,
    unflushed_bytes: usize,
}

impl Window {
    /// Takes a fragment in.
    pub fn hear(&mut self, fragment: Fragment) {
        self.unflushed_bytes += fragment.text.num_bytes();
        self.unflushed.push(fragment);
    }

    /// Whether the unflushed text alone fills the window, so that it must be flushed now.
    pub fn is_full(&self, limits: &WindowLimits) -> bool {
        self.unflushed_bytes >= limits.bytes
    }

    /// When silence will flush the window and why; `None` with nothing unflushed.
    pub fn next_flush(&self, pauses: &Pauses) -> Option<(Instant, FlushReason)> {
        let pause = self.unflushed.last()?.arrived + pauses.after_last;
        let longest = self.unflushed.first()?.arrived + pauses.after_first;
        Some(if pause <= longest { (pause, FlushReason::Pause) } else { (longest, FlushReason::Longest) })
    }

    /// Hands the unflushed fragments to another window (those of a connection that named no interaction).
    pub fn take_unflushed(&mut self) -> Vec<Fragment> {
        self.unflushed_bytes = 0;
        std::mem::take(&mut self.unflushed)
    }

    /// Fragments that wait for a flush.
    pub fn num_unflushed(&self) -> usize {
        self.unflushed.len()
    }

    /// When the newest unflushed fragment arrived.
    pub fn last_heard(&self) -> Option<Instant> {
        self.unflushed.last().map(|fragment| fragment.arrived)
    }

    /// Turns what is unflushed, together with `others`, into turns in the order of arrival, and gives the
    /// utterance to ask about: none if the customer said nothing new.
    pub fn flush(&mut self, reason: FlushReason, others: Vec<Fragment>, limits: &WindowLimits) -> Option<Utterance> {
        let mut fragments = self.take_unflushed();
        fragments.extend(others);
        fragments.sort_by_key(|fragment| fragment.arrived);
        let mut customer_spoke = false;
        for fragment in fragments {
            let text = fragment.text.trimmed();
            customer_spoke |= fragment.speaker == Speaker::Customer && !text.is_blank();
            self.append(fragment.speaker, text);
        }
        if reason == FlushReason::State {
            self.turn_open = false;
        }
        self.cut(limits);
        customer_spoke.then(|| Utterance { turns: self.turns.iter().cloned().collect(), flushed: reason })
    }

    fn append(&mut self, speaker: Speaker, text: Spoken) {
        if text.is_blank() {
            return;
        }
        match self.turns.back_mut() {
            Some(turn) if self.turn_open && turn.speaker == speaker => turn.text.extend(&text),
            _ => self.turns.push_back(Turn { speaker, text }),
        }
        self.turn_open = true;
    }

    /// Cuts the oldest turns, and the start of the one that is left, down to the limits. The newest
    /// customer turn goes last: without it there is nothing to ask.
    fn cut(&mut self, limits: &WindowLimits) {
        let mut bytes: usize = self.turns.iter().map(|turn| turn.text.num_bytes()).sum();
        while self.turns.len() > 1 && (self.turns.len() > limits.turns || bytes > limits.bytes) {
            let newest_customer = self.turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
            // An agent's speech that alone exceeds the limits must not push the question out.
            let oldest = usize::from(newest_customer == Some(0));
            let Some(turn) = self.turns.remove(oldest) else { break };
            bytes -= turn.text.num_bytes();
        }
        if let Some(turn) = self.turns.front_mut() {
            turn.text.keep_end(limits.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::conversation::TurnWindow;
    use Speaker::{Agent, Customer};

    const LIMITS: WindowLimits = WindowLimits { turns: 4, bytes: 60 };
    const PAUSES: Pauses = Pauses { after_last: Duration::from_secs(3), after_first: Duration::from_secs(10) };

    fn heard(speaker: Speaker, text: &str, arrived: Instant) -> Fragment {
        Fragment { speaker, text: text.into(), arrived }
    }

    fn texts(utterance: &Utterance) -> Vec<(Speaker, &str)> {
        utterance.turns.iter().map(|turn| (turn.speaker, turn.text.verbatim())).collect()
    }

    /// Feeds `(speaker, text)` one millisecond apart.
    fn feed(window: &mut Window, start: Instant, fragments: &[(Speaker, &str)]) {
        for (number, (speaker, text)) in fragments.iter().enumerate() {
            window.hear(heard(*speaker, text, start + Duration::from_millis(number as u64)));
        }
    }

    #[test]
    fn consecutive_fragments_of_one_participant_are_one_turn() {
        let mut window = Window::default();
        feed(&mut window, Instant::now(), &[(Agent, "good"), (Agent, "morning"), (Customer, "my"), (Customer, "bill")]);
        let utterance = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(texts(&utterance), [(Agent, "good morning"), (Customer, "my bill")]);
    }

    #[test]
    fn a_pause_leaves_the_turn_open_and_a_state_ends_it() {
        let mut window = Window::default();
        let now = Instant::now();
        feed(&mut window, now, &[(Customer, "my bill")]);
        assert_eq!(texts(&window.flush(FlushReason::Pause, vec![], &LIMITS).unwrap()), [(Customer, "my bill")]);
        feed(&mut window, now, &[(Customer, "is late")]);
        let second = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(texts(&second), [(Customer, "my bill is late")]);
        feed(&mut window, now, &[(Customer, "why")]);
        let third = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(texts(&third), [(Customer, "my bill is late"), (Customer, "why")]);
    }

    #[test]
    fn nothing_new_from_the_customer_makes_no_utterance() {
        let mut window = Window::default();
        let now = Instant::now();
        assert!(window.flush(FlushReason::State, vec![], &LIMITS).is_none());
        feed(&mut window, now, &[(Agent, "hello")]);
        assert!(window.flush(FlushReason::State, vec![], &LIMITS).is_none());
        feed(&mut window, now, &[(Customer, "hi"), (Agent, "how can i help")]);
        let utterance = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(utterance.newest_customer_turn().verbatim(), "hi");
        feed(&mut window, now, &[(Agent, "still there?"), (Customer, "  ")]);
        assert!(window.flush(FlushReason::State, vec![], &LIMITS).is_none());
    }

    #[test]
    fn fragments_of_two_windows_are_joined_in_order_of_arrival() {
        let now = Instant::now();
        let mut own = Window::default();
        own.hear(heard(Customer, "one", now));
        own.hear(heard(Customer, "three", now + Duration::from_millis(2)));
        let mut connection = Window::default();
        connection.hear(heard(Customer, "two", now + Duration::from_millis(1)));
        let utterance = own.flush(FlushReason::State, connection.take_unflushed(), &LIMITS).unwrap();
        assert_eq!(utterance.newest_customer_turn().verbatim(), "one two three");
        assert!(connection.next_flush(&PAUSES).is_none());
    }

    #[test]
    fn silence_flushes_after_the_last_fragment_or_the_first_unflushed_one() {
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.next_flush(&PAUSES), None);
        window.hear(heard(Customer, "a", start));
        assert_eq!(window.next_flush(&PAUSES), Some((start + Duration::from_secs(3), FlushReason::Pause)));
        for second in [2, 4, 6, 8] {
            window.hear(heard(Customer, "b", start + Duration::from_secs(second)));
        }
        assert_eq!(window.next_flush(&PAUSES), Some((start + Duration::from_secs(10), FlushReason::Longest)));
        window.flush(FlushReason::Longest, vec![], &LIMITS);
        assert_eq!(window.next_flush(&PAUSES), None);
    }

    #[test]
    fn the_oldest_turns_are_cut_first_and_the_question_last() {
        let mut window = Window::default();
        let now = Instant::now();
        feed(&mut window, now, &[(Customer, "1"), (Agent, "2"), (Customer, "3"), (Agent, "4"), (Customer, "5")]);
        let utterance = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(utterance.window_text(TurnWindow::All).verbatim(), "2 3 4 5");
        let long = "x".repeat(50);
        feed(&mut window, now, &[(Customer, "question"), (Agent, &long), (Agent, &long)]);
        let utterance = window.flush(FlushReason::State, vec![], &LIMITS).unwrap();
        assert_eq!(texts(&utterance), [(Customer, "question")]);
    }

    #[test]
    fn a_turn_over_the_limit_keeps_its_end_at_a_character_boundary() {
        let mut window = Window::default();
        feed(&mut window, Instant::now(), &[(Customer, &format!("{}end", "ü".repeat(40)))]);
        assert!(window.is_full(&LIMITS));
        let utterance = window.flush(FlushReason::Full, vec![], &LIMITS).unwrap();
        let text = utterance.newest_customer_turn();
        assert!(text.num_bytes() <= LIMITS.bytes && text.verbatim().ends_with("end"), "{}", text.verbatim());
        assert!(!window.is_full(&LIMITS));
    }

    proptest::proptest! {
        #[test]
        fn an_utterance_stays_within_the_limits_and_holds_a_question(
            fragments in proptest::collection::vec((proptest::bool::ANY, "[a-zü ]{0,30}", 0..8u8), 1..60),
        ) {
            let mut window = Window::default();
            let now = Instant::now();
            for (customer, text, action) in fragments {
                window.hear(heard(if customer { Customer } else { Agent }, &text, now));
                let reason = match action { 0 => FlushReason::State, 1 => FlushReason::Pause, _ => continue };
                if let Some(utterance) = window.flush(reason, vec![], &LIMITS) {
                    let bytes: usize = utterance.turns.iter().map(|turn| turn.text.num_bytes()).sum();
                    proptest::prop_assert!(bytes <= LIMITS.bytes && utterance.turns.len() <= LIMITS.turns);
                    proptest::prop_assert!(!utterance.newest_customer_turn().is_blank());
                }
            }
        }
    }
}
