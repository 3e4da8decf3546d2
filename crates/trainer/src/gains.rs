//! What a model is worth: the difference that it makes on conversations that it was not learned from.

use cuecard_engine::evaluation::{Judged, compare};
use cuecard_engine::ranking::model::{GATE_MEASURE, MeasuredGain, ORDER_MEASURE};

/// Measures that decide whether a model goes live, and whether less of them is better.
const DECIDING: [(&str, bool); 2] = [(ORDER_MEASURE, false), (GATE_MEASURE, true)];

/// The gains between two evaluations of the same conversations, of the measures that decide.
pub fn gains(before: &[Judged], after: &[Judged]) -> Vec<MeasuredGain> {
    let all = compare(before, after).map(|comparison| comparison.gains).unwrap_or_default();
    let deciding = |(measure, less_is_better): &(&str, bool)| {
        let gain = all.iter().find(|gain| gain.measure == *measure)?;
        let (measure, less_is_better) = ((*measure).to_owned(), *less_is_better);
        Some(MeasuredGain { measure, before: gain.before, after: gain.after, interval: gain.interval, less_is_better })
    };
    DECIDING.iter().filter_map(deciding).collect()
}
