//! The figures of an evaluation, as pure functions of what was judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::turns::{Played, TurnReport};

/// Parts that a calibration is judged in.
const PARTS: usize = 10;
/// Ranks that count.
const DEPTH: usize = 5;

/// What became of one conversation: a line of `cuecard eval --out`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The conversation's id.
    pub id: String,
    /// The id of the one that it goes on from, where a call stands in several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<String>,
    /// Whether its last customer turn wants no card.
    pub quiet: bool,
    /// Rank of the first right article in the order before silence, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_at: Option<usize>,
    /// How much the last customer turn looks like one that wants a card; `None` where nothing judges that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<f64>,
    /// The ranker's score of the first article of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_score: Option<f64>,
    /// The probability that a first card is right, where that was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_probability: Option<f64>,
    /// Whether anything was shown.
    pub shown: bool,
    /// Whether the first card shown was a right one.
    pub first_card_right: bool,
    /// From utterance to ranking.
    pub took_ms: f64,
    /// The whole conversation, turn by turn, where it was played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub played: Option<Played>,
}

/// What `cuecard eval` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Conversations judged.
    pub conversations: usize,
    /// Mean of 1 / rank of the first right article, 0 beyond rank 5.
    pub mrr_at_5: f64,
    /// Share of conversations whose first article is right.
    pub recall_at_1: f64,
    /// Share of conversations with a right article among the first five.
    pub recall_at_5: f64,
    /// Share of conversations for which something was shown.
    pub shown_rate: f64,
    /// Share of the quiet conversations for which something was shown all the same; left out without them.
    pub false_push_rate: Option<f64>,
    /// Among the conversations for which something was shown, the share whose first card is right.
    pub precision_when_shown: Option<f64>,
    /// Median time from utterance to ranking.
    pub p50_ms: f64,
    /// 95th percentile of it.
    pub p95_ms: f64,
    /// How far the probability that a card is right is from the share that is, see [`calibration_error`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// What silence would do at another threshold, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_shown: Option<AtShown>,
    /// Whole conversations, where they were played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_turn: Option<TurnReport>,
}

/// Silence at the threshold that shows a given share of the cards that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtShown {
    /// The share of the seeking conversations that are shown something.
    pub shown_rate: f64,
    /// The share of the quiet ones that are shown something at the same threshold.
    pub false_push_rate: f64,
}

impl Judged {
    /// 1 / rank of the first right article, 0 beyond rank 5.
    pub fn reciprocal_rank(&self) -> f64 {
        self.right_at.filter(|right| *right <= DEPTH).map_or(0.0, |right| 1.0 / right as f64)
    }

    /// Whether a right article is among the first so many.
    pub fn is_right_within(&self, rank: usize) -> bool {
        self.right_at.is_some_and(|right| right <= rank)
    }
}

impl Report {
    /// Sums up conversations that want a card and those that want none; `at_shown` is a share of the first.
    pub fn new(judged: &[Judged], at_shown: Option<f64>) -> Self {
        let (quiet, seeking): (Vec<_>, Vec<_>) = judged.iter().partition(|judged| judged.quiet);
        let share = |holds: &dyn Fn(&Judged) -> bool| {
            share(seeking.iter().filter(|judged| holds(judged)).count(), seeking.len())
        };
        let shown = seeking.iter().filter(|judged| judged.shown).count();
        let right = seeking.iter().filter(|judged| judged.shown && judged.first_card_right).count();
        let false_pushes = quiet.iter().filter(|judged| judged.shown).count();
        let mut times: Vec<_> = judged.iter().map(|judged| judged.took_ms).collect();
        times.sort_by(f64::total_cmp);
        let reciprocal: f64 = seeking.iter().map(|judged| judged.reciprocal_rank()).sum();
        Self {
            conversations: seeking.len(),
            mrr_at_5: rounded(reciprocal / seeking.len().max(1) as f64),
            recall_at_1: share(&|judged| judged.is_right_within(1)),
            recall_at_5: share(&|judged| judged.is_right_within(DEPTH)),
            shown_rate: share(&|judged| judged.shown),
            false_push_rate: (!quiet.is_empty()).then(|| self::share(false_pushes, quiet.len())),
            precision_when_shown: (shown > 0).then(|| self::share(right, shown)),
            p50_ms: rounded(percentile(&times, 50.0)),
            p95_ms: rounded(percentile(&times, 95.0)),
            calibration_error: calibration_error(judged).map(rounded),
            at_shown: at_shown.and_then(|share| AtShown::of(&seeking, &quiet, share)),
            every_turn: TurnReport::of(judged.iter().filter_map(|judged| Some(&judged.played.as_ref()?.tally))),
        }
    }
}

impl AtShown {
    /// `None` where nothing judges whether a card is wanted, or where nobody wants one or everybody does.
    fn of(seeking: &[&Judged], quiet: &[&Judged], wanted_share: f64) -> Option<Self> {
        let looks = |judged: &[&Judged]| judged.iter().map(|judged| judged.wanted).collect::<Option<Vec<_>>>();
        let (mut seeking, quiet) = (looks(seeking)?, looks(quiet)?);
        seeking.sort_by(|a, b| b.total_cmp(a));
        let num_shown = (wanted_share * seeking.len() as f64).ceil() as usize;
        if quiet.is_empty() {
            return None;
        }
        let threshold = *seeking.get(num_shown.max(1) - 1)?;
        let rate = |looks: &[f64]| share(looks.iter().filter(|look| **look >= threshold).count(), looks.len());
        Some(Self { shown_rate: rate(&seeking), false_push_rate: rate(&quiet) })
    }
}

/// The expected calibration error of the probability that a first card is right: the mean distance between the probability
/// and the share that is right, over ten parts of one size in the order of the probability. `None` where nothing was learned.
fn calibration_error(judged: &[Judged]) -> Option<f64> {
    let is_right = |judged: &Judged| !judged.quiet && judged.is_right_within(1);
    let of = |judged: &Judged| Some((judged.card_probability?, f64::from(is_right(judged))));
    let mut odds: Vec<(f64, f64)> = judged.iter().filter_map(of).collect();
    if odds.is_empty() {
        return None;
    }
    odds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let distance = |part: &[(f64, f64)]| {
        part.iter().map(|(probability, is_right)| probability - is_right).sum::<f64>().abs() / odds.len() as f64
    };
    Some((0..PARTS).map(|part| distance(&odds[part * odds.len() / PARTS..(part + 1) * odds.len() / PARTS])).sum())
}

/// The nearest-rank percentile of sorted values; 0 of none.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

pub(super) fn share(part: usize, whole: usize) -> f64 {
    rounded(part as f64 / whole.max(1) as f64)
}

/// To 4 places: more would only be noise.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Milliseconds, to the microsecond.
pub(super) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(right_at: Option<usize>, wanted: f64, shown: bool, first_card_right: bool, took_ms: f64) -> Judged {
        let (id, dialogue, wanted) = (String::new(), None, Some(wanted));
        let (best_score, card_probability, played) = (None, None, None);
        let quiet = false;
        Judged {
            id,
            dialogue,
            quiet,
            right_at,
            wanted,
            best_score,
            card_probability,
            shown,
            first_card_right,
            took_ms,
            played,
        }
    }

    fn quiet(wanted: f64, shown: bool, took_ms: f64) -> Judged {
        Judged { quiet: true, ..judged(None, wanted, shown, false, took_ms) }
    }

    #[test]
    fn a_probability_is_judged_by_the_share_that_is_right() {
        let judged = |probability, is_right: bool, is_quiet| Judged {
            quiet: is_quiet,
            card_probability: Some(probability),
            ..judged(is_right.then_some(1), 0.0, false, false, 0.0)
        };
        let even = |probability: f64| (0..20).map(|n| judged(probability, n % 2 == 0, false)).collect::<Vec<_>>();
        assert_eq!(calibration_error(&even(0.5)), Some(0.0));
        assert!((calibration_error(&even(0.8)).unwrap_or_default() - 0.3).abs() < 1e-9);
        assert_eq!(calibration_error(&[judged(1.0, true, true)]), Some(1.0), "no card is right where none is wanted");
        assert_eq!(calibration_error(&[quiet(0.1, false, 60.0)]), None);
    }

    #[test]
    fn figures_worked_by_hand() {
        let all = [
            judged(Some(1), 0.9, true, true, 10.0),
            judged(Some(4), 0.8, true, false, 20.0),
            judged(Some(6), 0.3, false, false, 30.0),
            judged(None, 0.7, true, false, 40.0),
            quiet(0.75, true, 50.0),
            quiet(0.1, false, 60.0),
        ];
        let expected = Report {
            conversations: 4,
            mrr_at_5: 0.3125,
            recall_at_1: 0.25,
            recall_at_5: 0.5,
            shown_rate: 0.75,
            false_push_rate: Some(0.5),
            precision_when_shown: Some(0.3333),
            calibration_error: None,
            p50_ms: 30.0,
            p95_ms: 60.0,
            at_shown: Some(AtShown { shown_rate: 0.5, false_push_rate: 0.0 }),
            every_turn: None,
        };
        assert_eq!(Report::new(&all, Some(0.5)), expected);
        let three_quarters = Report::new(&all, Some(0.75)).at_shown;
        assert_eq!(three_quarters, Some(AtShown { shown_rate: 0.75, false_push_rate: 0.5 }));
        assert_eq!(Report::new(&all[..4], Some(0.5)).at_shown, None, "of no quiet ones there is no share");
    }

    #[test]
    fn nothing_shown_and_nothing_quiet_leave_their_figures_out() {
        let report = Report::new(&[judged(None, 0.0, false, false, 1.0)], None);
        assert_eq!((report.false_push_rate, report.precision_when_shown), (None, None));
        assert_eq!(percentile(&[], 50.0), 0.0);
    }
}
