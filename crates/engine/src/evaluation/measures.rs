//! The figures of an evaluation, as pure functions of what was judged.

use std::time::Duration;

use serde::Serialize;

/// Ranks that count.
const DEPTH: usize = 5;

/// One conversation's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Rank of the first right article in the order before silence, from 1.
    pub right_at: Option<usize>,
    /// Whether anything was shown.
    pub shown: bool,
    /// Whether the first card shown was a right one.
    pub first_card_right: bool,
    /// From utterance to ranking.
    pub took: Duration,
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
}

impl Report {
    /// Sums up labelled conversations and those that need no card.
    pub fn new(seeking: &[Judged], quiet: &[Judged]) -> Self {
        let share = |holds: &dyn Fn(&Judged) -> bool| {
            share(seeking.iter().filter(|judged| holds(judged)).count(), seeking.len())
        };
        let within = |rank: usize| move |judged: &Judged| judged.right_at.is_some_and(|right| right <= rank);
        let reciprocal =
            |judged: &Judged| judged.right_at.filter(|right| *right <= DEPTH).map_or(0.0, |right| 1.0 / right as f64);
        let shown: Vec<_> = seeking.iter().filter(|judged| judged.shown).collect();
        let right = shown.iter().filter(|judged| judged.first_card_right).count();
        let false_pushes = quiet.iter().filter(|judged| judged.shown).count();
        let mut times: Vec<_> = seeking.iter().chain(quiet).map(|judged| judged.took.as_secs_f64() * 1000.0).collect();
        times.sort_by(f64::total_cmp);
        Self {
            conversations: seeking.len(),
            mrr_at_5: rounded(seeking.iter().map(reciprocal).sum::<f64>() / seeking.len().max(1) as f64),
            recall_at_1: share(&within(1)),
            recall_at_5: share(&within(DEPTH)),
            shown_rate: share(&|judged| judged.shown),
            false_push_rate: (!quiet.is_empty()).then(|| self::share(false_pushes, quiet.len())),
            precision_when_shown: (!shown.is_empty()).then(|| self::share(right, shown.len())),
            p50_ms: rounded(percentile(&times, 50.0)),
            p95_ms: rounded(percentile(&times, 95.0)),
        }
    }
}

/// The nearest-rank percentile of sorted values; 0 of none.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

fn share(part: usize, whole: usize) -> f64 {
    rounded(part as f64 / whole.max(1) as f64)
}

/// To 4 places: more would only be noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(right_at: Option<usize>, shown: bool, first_card_right: bool, milliseconds: u64) -> Judged {
        Judged { right_at, shown, first_card_right, took: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn figures_worked_by_hand() {
        let seeking = [
            judged(Some(1), true, true, 10),
            judged(Some(4), true, false, 20),
            judged(Some(6), false, false, 30),
            judged(None, true, false, 40),
        ];
        let quiet = [judged(None, true, false, 50), judged(None, false, false, 60)];
        let report = Report::new(&seeking, &quiet);
        let expected = Report {
            conversations: 4,
            mrr_at_5: 0.3125,
            recall_at_1: 0.25,
            recall_at_5: 0.5,
            shown_rate: 0.75,
            false_push_rate: Some(0.5),
            precision_when_shown: Some(0.3333),
            p50_ms: 30.0,
            p95_ms: 60.0,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn nothing_shown_and_nothing_quiet_leave_their_figures_out() {
        let report = Report::new(&[judged(None, false, false, 1)], &[]);
        assert_eq!((report.false_push_rate, report.precision_when_shown), (None, None));
        assert_eq!(percentile(&[], 50.0), 0.0);
    }
}
