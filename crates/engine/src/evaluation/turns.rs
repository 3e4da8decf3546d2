//! A whole conversation, turn by turn: what came to the agent's screen, and whether it helped.

use cuecard_ranking::SilenceReason;
use serde::{Deserialize, Serialize};

use super::conversations::Gold;
use super::measures::{rounded, share};

/// What one customer turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// A card was wanted and the first one that came is right.
    Right,
    /// A card was wanted, none came, and a right one stands on the screen.
    StillRight,
    /// A card was wanted and another one came.
    Wrong,
    /// No card was wanted and one came.
    Noise,
    /// A card was wanted, none came, and no right one stands on the screen.
    Missed,
    /// No card was wanted and none came.
    RightlySilent,
}

impl TurnOutcome {
    fn of(gold: Gold<'_>, pushed: Option<&str>, standing: Option<&str>) -> Self {
        let is_right = |id: Option<&str>| id.is_some_and(|id| gold.has(id));
        match (gold.is_empty(), pushed.is_some()) {
            (true, true) => Self::Noise,
            (true, false) => Self::RightlySilent,
            (false, true) if is_right(pushed) => Self::Right,
            (false, true) => Self::Wrong,
            (false, false) if is_right(standing) => Self::StillRight,
            (false, false) => Self::Missed,
        }
    }
}

/// A customer turn of a conversation that was played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlayedTurn {
    /// Counts the customer turns from 1.
    pub turn: u64,
    /// What it came to; none where nobody said what would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TurnOutcome>,
    /// The first card that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// The first card that stood on the screen before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// Why none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<SilenceReason>,
    /// How much the turn looks like one that wants a card; none where nothing judges that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<f64>,
    /// The first article of the order, whether it came or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// Its score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_score: Option<f64>,
}

/// A whole conversation that was played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// Its turns counted.
    #[serde(flatten)]
    pub tally: TurnTally,
    /// Its customer turns in their order.
    pub turns: Vec<PlayedTurn>,
}

/// The turns of one conversation by what they came to. Turns without a label are played and not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnTally {
    /// A card was wanted and the first one that came is right.
    pub right: usize,
    /// A card was wanted, none came, and a right one stands on the screen.
    pub still_right: usize,
    /// A card was wanted and another one came.
    pub wrong: usize,
    /// No card was wanted and one came.
    pub noise: usize,
    /// A card was wanted, none came, and no right one stands on the screen.
    pub missed: usize,
    /// No card was wanted and none came.
    pub rightly_silent: usize,
    /// Pushes at any turn, labelled or not.
    pub pushes: usize,
    /// Cards that help nobody, pushed over one that answers the newest turn that wanted a card.
    pub replaced: usize,
}

/// A conversation that is played.
#[derive(Default)]
pub(super) struct Play {
    pub(super) tally: TurnTally,
    /// Whether what stands on the screen answers the newest turn that wanted a card.
    answers: bool,
}

impl Play {
    /// Counts a labelled turn: `pushed` is the first card that came, `standing` the one that stood there before.
    pub(super) fn count(&mut self, gold: Gold<'_>, pushed: Option<&str>, standing: Option<&str>) -> TurnOutcome {
        if !gold.is_empty() {
            self.answers = standing.is_some_and(|id| gold.has(id));
        }
        let outcome = TurnOutcome::of(gold, pushed, standing);
        if matches!(outcome, TurnOutcome::Wrong | TurnOutcome::Noise) {
            self.tally.replaced += usize::from(self.answers && standing.is_some() && standing != pushed);
        }
        if pushed.is_some() {
            self.answers = outcome == TurnOutcome::Right;
        }
        self.tally.count(outcome);
        outcome
    }

    /// Something came at a turn of which nobody said what would be right.
    pub(super) fn unjudged_push(&mut self) {
        self.answers = false;
    }
}

impl TurnTally {
    fn count(&mut self, outcome: TurnOutcome) {
        let counter = match outcome {
            TurnOutcome::Right => &mut self.right,
            TurnOutcome::StillRight => &mut self.still_right,
            TurnOutcome::Wrong => &mut self.wrong,
            TurnOutcome::Noise => &mut self.noise,
            TurnOutcome::Missed => &mut self.missed,
            TurnOutcome::RightlySilent => &mut self.rightly_silent,
        };
        *counter += 1;
    }

    /// Labelled turns that want a card.
    pub fn wanted(&self) -> usize {
        self.right + self.still_right + self.wrong + self.missed
    }

    /// Pushes at labelled turns.
    pub fn judged_pushes(&self) -> usize {
        self.right + self.wrong + self.noise
    }

    fn add(&mut self, other: &Self) {
        let Self { right, still_right, wrong, noise, missed, rightly_silent, pushes, replaced } = other;
        self.right += right;
        self.still_right += still_right;
        self.wrong += wrong;
        self.noise += noise;
        self.missed += missed;
        self.rightly_silent += rightly_silent;
        self.pushes += pushes;
        self.replaced += replaced;
    }
}

/// All conversations that were played.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnReport {
    /// Conversations played.
    pub conversations: usize,
    /// Their turns.
    #[serde(flatten)]
    pub tally: TurnTally,
    /// Pushes for each conversation.
    pub pushes_per_conversation: f64,
    /// Pushes for each conversation that were wrong or noise.
    pub unhelpful_per_conversation: f64,
    /// Of the pushes at labelled turns, the share that was right.
    pub helpful_share: f64,
    /// Of the turns that want a card, the share at which the right one came or stood.
    pub right_at_question: f64,
}

impl TurnReport {
    pub(super) fn of<'a>(tallies: impl Iterator<Item = &'a TurnTally>) -> Option<Self> {
        let (mut tally, mut conversations) = (TurnTally::default(), 0);
        for one in tallies {
            tally.add(one);
            conversations += 1;
        }
        let each = |count: usize| rounded(count as f64 / conversations.max(1) as f64);
        (conversations > 0).then(|| Self {
            conversations,
            pushes_per_conversation: each(tally.pushes),
            unhelpful_per_conversation: each(tally.wrong + tally.noise),
            helpful_share: share(tally.right, tally.judged_pushes()),
            right_at_question: share(tally.right + tally.still_right, tally.wanted()),
            tally,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_judged_by_what_came_and_what_stood_there() {
        let gold = ["a".to_owned(), "b".to_owned()];
        let (wants, wants_none) = (Gold::new(&gold, &[]), Gold::new(&[], &[]));
        let table = [
            (wants, Some("a"), None, TurnOutcome::Right),
            (wants, Some("b"), Some("x"), TurnOutcome::Right),
            (wants, Some("x"), None, TurnOutcome::Wrong),
            (wants, Some("x"), Some("a"), TurnOutcome::Wrong),
            (wants, None, Some("b"), TurnOutcome::StillRight),
            (wants, None, Some("x"), TurnOutcome::Missed),
            (wants, None, None, TurnOutcome::Missed),
            (wants_none, Some("a"), None, TurnOutcome::Noise),
            (wants_none, None, Some("x"), TurnOutcome::RightlySilent),
        ];
        let mut play = Play::default();
        for (gold, pushed, standing, outcome) in table {
            assert_eq!(TurnOutcome::of(gold, pushed, standing), outcome);
            play.count(gold, pushed, standing);
        }
        let expected = TurnTally {
            right: 2,
            still_right: 1,
            wrong: 2,
            noise: 1,
            missed: 2,
            rightly_silent: 1,
            pushes: 0,
            replaced: 1,
        };
        assert_eq!(play.tally, expected);
        let report = TurnReport::of([&expected, &TurnTally::default()].into_iter());
        let figures =
            report.map(|report| (report.unhelpful_per_conversation, report.helpful_share, report.right_at_question));
        assert_eq!(figures, Some((1.5, 0.4, 0.4286)));
        assert_eq!(TurnReport::of([].into_iter()), None);
    }

    #[test]
    fn a_card_that_answers_is_replaced_by_whatever_helps_nobody() {
        let (gold, other) = (["a".to_owned()], ["b".to_owned()]);
        let (wants, wants_other, wants_none) = (Gold::new(&gold, &[]), Gold::new(&other, &[]), Gold::new(&[], &[]));
        let replaced = |turns: &[(Gold<'_>, Option<&str>, Option<&str>)]| {
            let mut play = Play::default();
            for (gold, pushed, standing) in turns {
                play.count(*gold, *pushed, *standing);
            }
            play.tally.replaced
        };
        assert_eq!(replaced(&[(wants, Some("a"), None), (wants_none, Some("x"), Some("a"))]), 1);
        assert_eq!(replaced(&[(wants, Some("a"), None), (wants_none, Some("x"), None)]), 0, "its time was over");
        assert_eq!(replaced(&[(wants, Some("a"), None), (wants_other, Some("x"), Some("a"))]), 0, "it answers no more");
        assert_eq!(replaced(&[(wants_none, Some("a"), None), (wants, Some("x"), Some("a"))]), 1, "it came early");
        assert_eq!(replaced(&[(wants, Some("a"), None), (wants_other, Some("b"), Some("a"))]), 0);
    }
}
