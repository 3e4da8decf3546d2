//! The account of a replay: what became of every customer turn.
//!
//! Input: the turns with their cards' times, and what the service says of itself. Output: the printed figures. Pure.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::admin::Outcomes;
use crate::ledger::TurnOutcome;

/// The figures of a replay, in the order in which they are printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Customer turns with their ending frames.
    pub turns: u64,
    /// Turns that got a card.
    pub cards: u64,
    /// Turns that the service left without a card because it had nothing good enough.
    pub silent: u64,
    /// Turns that gave way to a newer one of the same interaction.
    pub replaced: u64,
    /// Turns whose card would have come too late.
    pub expired: u64,
    /// Turns without a card that nothing explains.
    pub lost: u64,
    /// Pushes that no turn waited for.
    pub duplicates: u64,
    /// Breaches of the contract.
    pub violations: u64,
    /// Median time from the ending frame to the card; none without cards.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

impl Report {
    /// `chosen` is what the service counted between first and last turn; without it every turn without a card is lost.
    pub(super) fn new(turns: &[TurnOutcome], chosen: Option<&Outcomes>, duplicates: u64, violations: u64) -> Self {
        let mut times: Vec<Duration> = turns.iter().filter_map(|turn| turn.card_after).collect();
        times.sort_unstable();
        let outcomes = chosen.copied().unwrap_or_default();
        let (num_turns, num_cards) = (turns.len() as u64, times.len() as u64);
        Self {
            turns: num_turns,
            cards: num_cards,
            silent: outcomes.silent,
            replaced: outcomes.replaced,
            expired: outcomes.expired,
            lost: num_turns.saturating_sub(num_cards).saturating_sub(outcomes.chosen()),
            duplicates,
            violations,
            p50_ms: percentile_ms(&times, 50),
            p95_ms: percentile_ms(&times, 95),
            p99_ms: percentile_ms(&times, 99),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("turns", self.turns),
            ("cards", self.cards),
            ("silent", self.silent),
            ("replaced", self.replaced),
            ("expired", self.expired),
            ("lost", self.lost),
            ("duplicates", self.duplicates),
            ("violations", self.violations),
        ];
        for (name, count) in counts {
            writeln!(formatter, "{name:<12}{count:>10}")?;
        }
        let times = [("p50", self.p50_ms), ("p95", self.p95_ms), ("p99", self.p99_ms)];
        for (name, time) in times {
            let shown = time.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1}"));
            writeln!(formatter, "{:<12}{shown:>10}", format!("{name} ms"))?;
        }
        Ok(())
    }
}

/// The nearest-rank percentile of sorted times, in milliseconds to 2 places.
fn percentile_ms(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let time = sorted.get(rank - 1)?;
    Some((time.as_secs_f64() * 100_000.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(with_card: u64, without: usize) -> Vec<TurnOutcome> {
        let turn = |card_after| TurnOutcome { interaction_id: "i".into(), number: 1, card_after };
        let with = (1..=with_card).map(|millis| turn(Some(Duration::from_millis(millis))));
        with.chain(std::iter::repeat_n(turn(None), without)).collect()
    }

    #[test]
    fn lost_turns_are_those_that_nothing_explains() {
        let outcomes = |silent, replaced, expired, shed, failed| Outcomes {
            silent,
            replaced,
            expired,
            shed,
            failed,
            refused: failed,
        };
        // (turns with, turns without a card, the service's account, lost)
        let table = [
            (4, 0, None, 0),
            (4, 3, None, 3),
            (4, 3, Some(outcomes(0, 0, 0, 0, 0)), 3),
            (4, 3, Some(outcomes(1, 1, 1, 0, 0)), 0),
            (4, 4, Some(outcomes(1, 1, 1, 1, 0)), 0),
            (4, 3, Some(outcomes(1, 0, 0, 0, 2)), 2),
            (4, 3, Some(outcomes(9, 0, 0, 0, 0)), 0),
        ];
        for (with, without, chosen, lost) in table {
            let report = Report::new(&turns(with, without), chosen.as_ref(), 0, 0);
            assert_eq!((report.cards, report.lost), (with, lost), "{without} without, {chosen:?}");
        }
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let report = Report::new(&turns(100, 5), None, 0, 0);
        assert_eq!((report.p50_ms, report.p95_ms, report.p99_ms), (Some(50.0), Some(95.0), Some(99.0)));
        let one = Report::new(&turns(1, 0), None, 0, 0);
        assert_eq!((one.p50_ms, one.p99_ms), (Some(1.0), Some(1.0)));
        assert_eq!(Report::new(&turns(0, 1), None, 0, 0).p50_ms, None);
    }

    #[test]
    fn printed_names_are_the_command_line_s() {
        let report = Report::new(&turns(1, 1), None, 2, 3);
        let json = serde_json::to_string(&report).unwrap_or_default();
        let expected = r#"{"turns":2,"cards":1,"silent":0,"replaced":0,"expired":0,"lost":1,"duplicates":2,"violations":3,"p50_ms":1.0,"p95_ms":1.0,"p99_ms":1.0}"#;
        assert_eq!(json, expected);
        let table = report.to_string();
        assert_eq!(table.lines().count(), 11);
        assert!(table.contains("lost                 1"), "{table}");
    }
}
