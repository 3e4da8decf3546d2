//! The account of a replay: what became of every customer turn.
//!
//! Input: the turns with their cards' times, and what the service says of itself. Output: the printed figures. Pure.

use std::fmt;

use serde::Serialize;

use super::admin::{Outcome, Outcomes};

/// The figures of a replay, in the order in which they are printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Customer turns with their ending frames, and those that a client did not come back for.
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
    /// What a closed loop reached.
    #[serde(flatten)]
    pub throughput: Option<Throughput>,
}

/// Cards over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Median over the seconds of the run without the first two; none when there are no others.
    pub cards_per_second: Option<f64>,
}

/// What the simulator saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) turns: u64,
    pub(super) cards: u64,
    pub(super) duplicates: u64,
    pub(super) violations: u64,
    /// 50, 95 and 99.
    pub(super) percentiles_ms: [Option<f64>; 3],
}

impl Report {
    /// `explained` are the turns without a card of which it is known why.
    pub(super) fn new(seen: &Seen, explained: &Outcomes, throughput: Option<Throughput>) -> Self {
        let Seen { turns, cards, duplicates, violations, percentiles_ms: [p50_ms, p95_ms, p99_ms] } = *seen;
        Self {
            turns,
            cards,
            silent: explained.count(Outcome::Silent),
            replaced: explained.count(Outcome::Replaced),
            expired: explained.count(Outcome::Expired),
            lost: turns.saturating_sub(cards).saturating_sub(explained.chosen()),
            duplicates,
            violations,
            p50_ms,
            p95_ms,
            p99_ms,
            throughput,
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
        if let Some(throughput) = &self.throughput {
            let shown = throughput.cards_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
            writeln!(formatter, "{:<12}{shown:>10}", "cards/s")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(turns: u64, cards: u64, explained: [u64; 5]) -> Report {
        let outcomes = [Outcome::Silent, Outcome::Replaced, Outcome::Expired, Outcome::Shed, Outcome::Withheld];
        let mut counted = Outcomes::default();
        outcomes.into_iter().zip(explained).for_each(|(outcome, number)| counted.add(outcome, number));
        counted.add(Outcome::Failed, 9);
        let seen = Seen { turns, cards, duplicates: 2, violations: 3, percentiles_ms: [Some(1.0); 3] };
        Report::new(&seen, &counted, None)
    }

    #[test]
    fn lost_turns_are_those_that_nothing_explains() {
        // (turns, cards, what is explained, lost)
        let table = [
            (4, 4, [0, 0, 0, 0, 0], 0),
            (7, 4, [0, 0, 0, 0, 0], 3),
            (7, 4, [1, 1, 1, 0, 0], 0),
            (8, 4, [1, 1, 1, 1, 0], 0),
            (5, 4, [0, 0, 0, 0, 1], 0),
            (7, 4, [1, 0, 0, 0, 0], 2),
            (7, 4, [9, 0, 0, 0, 0], 0),
        ];
        for (turns, cards, explained, lost) in table {
            assert_eq!(report(turns, cards, explained).lost, lost, "{turns} {cards} {explained:?}");
        }
    }

    #[test]
    fn printed_names_are_the_command_line_s() {
        let report = report(2, 1, [0; 5]);
        let json = serde_json::to_string(&report).unwrap_or_default();
        let expected = r#"{"turns":2,"cards":1,"silent":0,"replaced":0,"expired":0,"lost":1,"duplicates":2,"violations":3,"p50_ms":1.0,"p95_ms":1.0,"p99_ms":1.0}"#;
        assert_eq!(json, expected);
        let table = report.to_string();
        assert_eq!(table.lines().count(), 11);
        assert!(table.contains("lost                 1"), "{table}");
    }

    #[test]
    fn a_closed_loop_tells_its_rate() {
        for (rate, json, line) in
            [(Some(80.5), "80.5", "cards/s           80.5"), (None, "null", "cards/s              -")]
        {
            let throughput = Some(Throughput { cards_per_second: rate });
            let report = Report::new(&Seen::default(), &Outcomes::default(), throughput);
            let text = serde_json::to_string(&report).unwrap_or_default();
            assert!(text.ends_with(&format!(",\"p99_ms\":null,\"cards_per_second\":{json}}}")), "{text}");
            assert!(report.to_string().contains(line), "{report}");
        }
    }
}
