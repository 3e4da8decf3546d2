//! What is spoken, and when.
//!
//! Input: conversations, a rate over all of their customer turns, the least time between two of one conversation. Output: a
//! script, and a timetable for it. The conversation that has waited longest speaks next; when none has waited long enough
//! a new one begins, and when none is left to begin the timetable waits, or begins them all anew. Pure.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::options::ReplayError;
use crate::serve::files::{Conversation, Turn};

/// What is played.
pub(super) struct Script<'a> {
    conversations: &'a [Conversation],
    /// One for each conversation.
    ids: Vec<String>,
    /// For each conversation its customer turns, each with the agent turns before it.
    pub(super) customer_turns: Vec<Vec<RangeInclusive<usize>>>,
}

impl<'a> Script<'a> {
    /// `name` gives each conversation its interaction.
    pub(super) fn new(
        conversations: &'a [Conversation],
        name: impl Fn(&[Conversation]) -> Vec<String>,
    ) -> Result<Self, ReplayError> {
        let customer_turns: Vec<_> = conversations.iter().map(customer_turns).collect();
        if customer_turns.iter().all(Vec::is_empty) {
            return Err(ReplayError::NothingToPlay);
        }
        Ok(Self { conversations, ids: name(conversations), customer_turns })
    }

    pub(super) fn num_turns(&self) -> usize {
        self.customer_turns.iter().map(Vec::len).sum()
    }

    pub(super) fn turns(&self, conversation: usize, range: &RangeInclusive<usize>) -> &'a [Turn] {
        &self.conversations[conversation].turns[range.clone()]
    }

    /// The interaction of a conversation the first time, the second time and so on.
    pub(super) fn id(&self, conversation: usize, pass: usize) -> String {
        let id = &self.ids[conversation];
        if pass == 0 { id.clone() } else { format!("{id}~{pass}") }
    }
}

/// One customer turn in the timetable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedTurn {
    /// When its ending frame is due, from the start.
    pub(super) due: Duration,
    /// Which conversation.
    pub(super) conversation: usize,
    /// How often it was played before.
    pub(super) pass: usize,
    /// The turns to be spoken without pause: those of the agent since the customer last spoke, then the customer's.
    pub(super) turns: RangeInclusive<usize>,
    /// Nothing follows in its conversation.
    pub(super) is_last: bool,
}

/// How customer turns follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo {
    /// From one customer turn to the next over all conversations.
    pub(super) interval: Duration,
    /// The same within one conversation, at least.
    pub(super) spacing: Duration,
    /// No turn is due later.
    pub(super) duration: Option<Duration>,
    /// Until then the conversations begin anew, where there is such an end.
    pub(super) repeats: bool,
}

struct Speaker {
    conversation: usize,
    pass: usize,
    customer_turns: VecDeque<RangeInclusive<usize>>,
    spoke_at: Duration,
}

/// The timetable.
pub(super) fn plan(conversations: &[Vec<RangeInclusive<usize>>], tempo: Tempo) -> Vec<PlannedTurn> {
    let num_passes = if tempo.repeats && tempo.duration.is_some() { usize::MAX } else { 1 };
    let mut fresh = (0..num_passes).flat_map(|pass| conversations.iter().enumerate().map(move |all| (pass, all))).map(
        |(pass, (conversation, customer_turns))| Speaker {
            conversation,
            pass,
            customer_turns: customer_turns.iter().cloned().collect(),
            spoke_at: Duration::ZERO,
        },
    );
    let mut speaking: VecDeque<Speaker> = VecDeque::new();
    let mut planned = Vec::new();
    let mut due = Duration::ZERO;
    loop {
        let ready = |speaker: &Speaker| speaker.spoke_at + tempo.spacing <= due;
        let next = if speaking.front().is_some_and(ready) {
            speaking.pop_front()
        } else {
            fresh
                .find(|speaker| !speaker.customer_turns.is_empty())
                .or_else(|| speaking.pop_front().inspect(|waiting| due = waiting.spoke_at + tempo.spacing))
        };
        let Some(mut speaker) = next else {
            return planned;
        };
        if tempo.duration.is_some_and(|duration| due > duration) {
            return planned;
        }
        if let Some(turns) = speaker.customer_turns.pop_front() {
            let is_last = speaker.customer_turns.is_empty();
            let Speaker { conversation, pass, .. } = speaker;
            planned.push(PlannedTurn { due, conversation, pass, turns, is_last });
        }
        if !speaker.customer_turns.is_empty() {
            speaker.spoke_at = due;
            speaking.push_back(speaker);
        }
        due += tempo.interval;
    }
}

/// The customer turns that have words, each with the agent turns before it. What the agent says last waits for nothing
/// and is not spoken.
fn customer_turns(conversation: &Conversation) -> Vec<RangeInclusive<usize>> {
    let mut found = Vec::new();
    let mut first = 0;
    for (index, turn) in conversation.turns.iter().enumerate() {
        if turn.is_customer() && turn.has_words() {
            found.push(first..=index);
            first = index + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `c` is a customer turn, `a` an agent's, `e` a customer turn without words.
    fn conversation(pattern: &str) -> Conversation {
        let turn = |kind: char| Turn {
            speaker: if kind == 'a' { "agent" } else { "customer" }.into(),
            text: if kind == 'e' { " " } else { "words" }.into(),
        };
        Conversation { id: pattern.into(), title: None, turns: pattern.chars().map(turn).collect() }
    }

    fn timetable(patterns: &[&str], interval_millis: u64, duration: Option<u64>) -> Vec<(u128, usize)> {
        let conversations: Vec<_> = patterns.iter().map(|pattern| customer_turns(&conversation(pattern))).collect();
        let tempo = Tempo {
            interval: Duration::from_millis(interval_millis),
            spacing: Duration::from_secs(1),
            duration: duration.map(Duration::from_millis),
            repeats: false,
        };
        let seen = |turn: PlannedTurn| (turn.due.as_millis(), turn.conversation);
        plan(&conversations, tempo).into_iter().map(seen).collect()
    }

    #[test]
    fn timetables() {
        type Case = (&'static str, &'static [&'static str], u64, Option<u64>, &'static [(u128, usize)]);
        let table: &[Case] = &[
            ("slow: one after another", &["cc", "c"], 2000, None, &[(0, 0), (2000, 0), (4000, 1)]),
            ("fast: two at a time", &["cac", "cc"], 500, None, &[(0, 0), (500, 1), (1000, 0), (1500, 1)]),
            ("nothing left to begin: wait", &["cc"], 100, None, &[(0, 0), (1000, 0)]),
            ("an end", &["ccc"], 1000, Some(1500), &[(0, 0), (1000, 0)]),
            ("nothing to ask", &["a", "e", ""], 1000, None, &[]),
            ("silent ones are skipped", &["a", "c"], 1000, None, &[(0, 1)]),
        ];
        for (name, patterns, interval, duration, expected) in table {
            assert_eq!(timetable(patterns, *interval, *duration), *expected, "{name}");
        }
    }

    #[test]
    fn conversations_that_repeat_keep_the_rate_until_the_end() {
        let conversations = [customer_turns(&conversation("cc")), customer_turns(&conversation("e"))];
        let tempo = Tempo {
            interval: Duration::from_millis(250),
            spacing: Duration::from_secs(1),
            duration: Some(Duration::from_secs(2)),
            repeats: true,
        };
        let planned = plan(&conversations, tempo);
        let due: Vec<_> = planned.iter().map(|turn| turn.due.as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000]);
        let passes: Vec<_> = planned.iter().map(|turn| (turn.pass, turn.is_last)).collect();
        let first = [0, 1, 2, 3].map(|pass| (pass, false));
        let second = [0, 1, 2, 3].map(|pass| (pass, true));
        assert_eq!(passes, [&first[..], &second, &[(4, false)]].concat());
        assert_eq!(plan(&conversations, Tempo { duration: None, ..tempo }).len(), 2);
    }

    #[test]
    fn agents_speak_before_the_customer_and_not_after() {
        assert_eq!(customer_turns(&conversation("aacaeca")), [0..=2, 3..=5]);
    }

    #[test]
    fn two_turns_of_one_conversation_are_a_second_apart() {
        let patterns = ["ccccc"; 40];
        let times = timetable(&patterns, 20, None);
        assert_eq!(times.len(), 200);
        for conversation in 0..patterns.len() {
            let own: Vec<_> = times.iter().filter(|(_, of)| *of == conversation).map(|(due, _)| *due).collect();
            assert!(own.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{own:?}");
        }
    }
}
