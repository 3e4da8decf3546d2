//! A night on one page, in Markdown.

use std::fmt::Write;
use std::time::Duration;

use cuecard_simulator::FaultName;
use strum::VariantArray;

use crate::night::Night;

/// The figures, and each promise that was broken.
pub fn write(command: &str, night: &Night, lasted: Duration) -> String {
    let (tally, told) = (&night.tally, night.people.told.borrow());
    let mut starts = tally.starts.clone();
    starts.sort();
    let start = |share: f64| {
        let place = ((starts.len().saturating_sub(1)) as f64 * share).round() as usize;
        starts.get(place).map_or(0, Duration::as_millis)
    };
    let mut rows: Vec<(String, String)> = vec![
        ("rounds".into(), tally.rounds.to_string()),
        (
            "kills, of them while it started".into(),
            format!("{}, {}", tally.kills + tally.kills_in_start, tally.kills_in_start),
        ),
        (
            "stops, of them with an account of all that was heard".into(),
            format!("{}, {}", tally.stops + tally.accounts, tally.accounts),
        ),
        ("panics injected; the service gave up (exit code 70)".into(), format!("{}; {}", tally.panics, tally.gave_up)),
        (
            "panics by their point".into(),
            tally.points.iter().map(|(point, times)| format!("{point} {times}")).collect::<Vec<_>>().join(", "),
        ),
        ("from start to open, median and longest, ms".into(), format!("{}, {}", start(0.5), start(1.0))),
    ];
    rows.extend(tally.troubles.iter().map(|(name, times)| ((*name).to_owned(), times.to_string())));
    let effects = tally.effects.iter().map(|(kind, times)| format!("{} {times}", <&str>::from(kind)));
    let faults = FaultName::VARIANTS
        .iter()
        .map(|fault| format!("{} {}", <&str>::from(fault), tally.faults.get(fault).copied().unwrap_or_default()));
    rows.extend([
        ("troubles that took effect".into(), effects.collect::<Vec<_>>().join(", ")),
        ("requests that met a fault of CXone, by its kind".into(), faults.collect::<Vec<_>>().join(", ")),
    ]);
    rows.extend([
        ("questions on the stream".into(), told.asked.to_string()),
        (
            "cards shown, of them again after they were shown too late to be known".into(),
            format!("{}, {}", told.cards, tally.shown_again),
        ),
        (
            "verdicts given; committed; arrived at CXone".into(),
            format!("{}; {}; {}", told.judged.len(), night.account.committed.len(), told.arrived.len()),
        ),
        ("rankings answered 200; clicks answered 204".into(), format!("{}; {}", told.ranked.len(), told.clicked.len())),
        ("answers by status (0: none)".into(), format!("{:?}", told.answers)),
        ("until everything had arrived, s".into(), format!("{:.1}", tally.mended_after.as_secs_f64())),
        ("promises broken".into(), night.account.broken.len().to_string()),
    ]);
    let mut page = format!("Night of {command}; {:.0} s\n\n| | |\n|---|---|\n", lasted.as_secs_f64());
    for (name, value) in rows {
        let _ = writeln!(page, "| {name} | {value} |");
    }
    for broken in &night.account.broken {
        let _ = write!(page, "\n- {broken}");
    }
    page
}
