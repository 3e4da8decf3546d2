//! Two evaluations of the same conversations: what the second gained, and whether that can be chance.
//!
//! Paired bootstrap by conversation (Koehn, "Statistical significance tests for machine translation evaluation", 2004):
//! conversations are drawn with replacement, the same ones for both, and the gain is measured on each draw; 95 % of the
//! gains lie within the interval. What belongs to one call is drawn together: its questions are much alike, and each by
//! itself would make the interval too narrow.

use std::collections::{HashMap, HashSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::measures::{Judged, percentile, rounded};
use super::turns::TurnTally;

/// Draws; the standard error of a quantile of 2.5 % is then about a hundredth of the interval's width.
const DRAWS: usize = 5_000;
/// The share of the wanted cards at which false pushes are compared.
const SHOWN: f64 = 0.9;
/// The same figures each time.
const SEED: u64 = 20_251_128;

/// What the second evaluation gained over the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Conversations that both hold.
    pub conversations: usize,
    /// Calls that these belong to.
    pub dialogues: usize,
    /// Conversations that only one of them holds, which are left out.
    pub left_out: usize,
    /// One for each measure that both have.
    pub gains: Vec<Gain>,
}

/// The difference in one measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// Its name in the report of an evaluation.
    pub measure: &'static str,
    /// The first evaluation's.
    pub before: f64,
    /// The second evaluation's.
    pub after: f64,
    /// The 95 % interval of the difference.
    pub interval: [f64; 2],
    /// Share of the draws in which the second is not above the first.
    pub not_above: f64,
}

/// A measure as a ratio of two sums over conversations.
struct Measure {
    name: &'static str,
    parts: fn(&Judged) -> Option<(f64, f64)>,
}

const MEASURES: [Measure; 9] = [
    Measure { name: "mrr_at_5", parts: |judged| seeking(judged, judged.reciprocal_rank()) },
    Measure { name: "recall_at_1", parts: |judged| seeking(judged, f64::from(judged.is_right_within(1))) },
    Measure { name: "recall_at_5", parts: |judged| seeking(judged, f64::from(judged.is_right_within(5))) },
    Measure { name: "shown_rate", parts: |judged| seeking(judged, f64::from(judged.shown)) },
    Measure { name: "false_push_rate", parts: |judged| judged.quiet.then(|| (f64::from(judged.shown), 1.0)) },
    Measure { name: "helpful_share", parts: |judged| turns(judged, |turns| (turns.right, turns.judged_pushes())) },
    Measure {
        name: "unhelpful_per_conversation",
        parts: |judged| turns(judged, |turns| (turns.wrong + turns.noise, 1)),
    },
    Measure { name: "pushes_per_conversation", parts: |judged| turns(judged, |turns| (turns.pushes, 1)) },
    Measure {
        name: "right_at_question",
        parts: |judged| turns(judged, |turns| (turns.right + turns.still_right, turns.wanted())),
    },
];

fn seeking(judged: &Judged, value: f64) -> Option<(f64, f64)> {
    (!judged.quiet).then_some((value, 1.0))
}

fn turns(judged: &Judged, counts: fn(&TurnTally) -> (usize, usize)) -> Option<(f64, f64)> {
    let (part, whole) = counts(&judged.played.as_ref()?.tally);
    Some((part as f64, whole as f64))
}

/// Two evaluations that have no conversation in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the two evaluations have no conversation in common; compare two of the same conversations")]
pub struct NothingInCommon;

/// Compares two evaluations, conversation by conversation.
pub fn compare(before: &[Judged], after: &[Judged]) -> Result<Comparison, NothingInCommon> {
    let key = |judged: &Judged| (judged.quiet, judged.id.clone());
    let mut by_id: HashMap<_, _> = after.iter().map(|judged| (key(judged), judged)).collect();
    let pairs: Vec<_> = before.iter().filter_map(|judged| Some((judged, by_id.remove(&key(judged))?))).collect();
    if pairs.is_empty() {
        return Err(NothingInCommon);
    }
    let left_out = before.len() - pairs.len() + by_id.len();
    let mut gains: Vec<Gain> = MEASURES.iter().filter_map(|measure| measure.gain(&pairs)).collect();
    gains.extend(at_share(&pairs));
    let dialogues = pairs.iter().map(dialogue).collect::<HashSet<_>>().len();
    Ok(Comparison { conversations: pairs.len(), dialogues, left_out, gains })
}

/// The call that a conversation belongs to; a line of an older file does not say.
fn dialogue<'a>((before, after): &(&'a Judged, &'a Judged)) -> &'a str {
    before.dialogue.as_ref().or(after.dialogue.as_ref()).unwrap_or(&before.id)
}

/// The false pushes of each evaluation at its own threshold that shows [`SHOWN`] of the wanted cards.
fn at_share(pairs: &[(&Judged, &Judged)]) -> Option<Gain> {
    let [before, after] =
        [least_wanted(pairs.iter().map(|(before, _)| *before))?, least_wanted(pairs.iter().map(|(_, after)| *after))?];
    let at =
        |judged: &Judged, least: f64| Judged { shown: judged.wanted.is_some_and(|it| it >= least), ..judged.clone() };
    let moved: Vec<_> = pairs.iter().map(|(one, other)| (at(one, before), at(other, after))).collect();
    let pairs: Vec<_> = moved.iter().map(|(before, after)| (before, after)).collect();
    let false_pushes =
        Measure { name: "false_push_rate_at_90", parts: |judged| judged.quiet.then(|| (f64::from(judged.shown), 1.0)) };
    false_pushes.gain(&pairs)
}

/// How much the least wanted turn must look like one that wants a card for this share of them to be shown; `None` where
/// nothing judges that.
fn least_wanted<'a>(judged: impl Iterator<Item = &'a Judged>) -> Option<f64> {
    let mut wanted: Vec<f64> =
        judged.filter(|judged| !judged.quiet).map(|judged| judged.wanted).collect::<Option<_>>()?;
    wanted.sort_by(|a, b| b.total_cmp(a));
    let num_shown = (SHOWN * wanted.len() as f64).ceil() as usize;
    wanted.get(num_shown.max(1) - 1).copied()
}

/// Part and whole of both evaluations for one call.
type Parts = [f64; 4];

impl Measure {
    /// `None` where no conversation has this measure in both.
    fn gain(&self, pairs: &[(&Judged, &Judged)]) -> Option<Gain> {
        let both = |(before, after): &(&Judged, &Judged)| -> Option<Parts> {
            let ((part, whole), (part_after, whole_after)) = ((self.parts)(before)?, (self.parts)(after)?);
            Some([part, whole, part_after, whole_after])
        };
        let mut parts: Vec<Parts> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for pair in pairs {
            let Some(of_pair) = both(pair) else { continue };
            let place = *places.entry(dialogue(pair)).or_insert(parts.len());
            match parts.get_mut(place) {
                Some(known) => *known = sum(known, &of_pair),
                None => parts.push(of_pair),
            }
        }
        let (before, after) = ratios(parts.iter())?;
        let mut random = StdRng::seed_from_u64(SEED);
        let mut differences: Vec<_> = (0..DRAWS)
            .filter_map(|_| {
                let draw = (0..parts.len()).map(|_| &parts[random.random_range(0..parts.len())]);
                ratios(draw).map(|(before, after)| after - before)
            })
            .collect();
        differences.sort_by(f64::total_cmp);
        let not_above = differences.iter().filter(|difference| **difference <= 0.0).count() as f64;
        Some(Gain {
            measure: self.name,
            before: rounded(before),
            after: rounded(after),
            interval: [percentile(&differences, 2.5), percentile(&differences, 97.5)].map(rounded),
            not_above: rounded(not_above / differences.len().max(1) as f64),
        })
    }
}

fn sum(one: &Parts, other: &Parts) -> Parts {
    std::array::from_fn(|n| one[n] + other[n])
}

fn ratios<'a>(parts: impl Iterator<Item = &'a Parts>) -> Option<(f64, f64)> {
    let [part, whole, part_after, whole_after] = parts.fold([0.0; 4], |sums, parts| sum(&sums, parts));
    (whole > 0.0 && whole_after > 0.0).then(|| (part / whole, part_after / whole_after))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn judged(number: usize, right_at: usize) -> Judged {
        Judged {
            id: number.to_string(),
            dialogue: None,
            quiet: false,
            right_at: Some(right_at),
            wanted: None,
            best_score: None,
            card_probability: None,
            shown: true,
            first_card_right: right_at == 1,
            took_ms: 1.0,
            played: None,
        }
    }

    fn gain(before: &[Judged], after: &[Judged], measure: &str) -> Gain {
        compare(before, after).unwrap().gains.into_iter().find(|gain| gain.measure == measure).unwrap()
    }

    #[test]
    fn a_gain_on_nearly_all_is_told_from_one_on_a_few() {
        let before: Vec<_> = (0..100).map(|number| judged(number, 2)).collect();
        let better: Vec<_> = (0..100).map(|number| judged(number, 1 + usize::from(number % 10 == 0))).collect();
        let mixed: Vec<_> = (0..100).map(|number| judged(number, 1 + number % 4)).collect();
        let clear = gain(&before, &better, "mrr_at_5");
        assert_eq!((clear.before, clear.after), (0.5, 0.95));
        assert!(clear.interval[0] > 0.4 && clear.interval[1] < 0.5 && clear.not_above == 0.0, "{clear:?}");
        let unclear = gain(&before, &mixed, "mrr_at_5");
        assert!(unclear.interval[0] < 0.03 && unclear.interval[1] > 0.0, "{unclear:?}");
    }

    #[test]
    fn what_belongs_to_one_call_is_drawn_together() {
        // A hundred calls of which every second gains; each of them four times over says no more than once.
        let line = |call: usize, line: usize, right_at| Judged {
            id: format!("{call}-{line}"),
            dialogue: Some(call.to_string()),
            ..judged(call, right_at)
        };
        let interval = |lines: usize| {
            let all = || (0..100).flat_map(|call| (0..lines).map(move |number| (call, number)));
            let before: Vec<_> = all().map(|(call, number)| line(call, number, 2)).collect();
            let after: Vec<_> = all().map(|(call, number)| line(call, number, 1 + call % 2)).collect();
            let compared = compare(&before, &after).unwrap();
            assert_eq!((compared.conversations, compared.dialogues), (100 * lines, 100));
            gain(&before, &after, "mrr_at_5").interval
        };
        assert_eq!(interval(4), interval(1));
        // A line that does not say which call it belongs to is one by itself.
        let before: Vec<_> = (0..400).map(|number| judged(number, 2)).collect();
        let after: Vec<_> = (0..400).map(|number| judged(number, 1 + number % 2)).collect();
        let (apart, [low, high]) = (gain(&before, &after, "mrr_at_5").interval, interval(4));
        assert!(apart[1] - apart[0] < 0.6 * (high - low), "{apart:?}");
    }

    #[test]
    fn conversations_of_one_side_are_left_out_and_counted() {
        let (before, after) = ([judged(1, 1), judged(2, 1)], [judged(2, 2), judged(3, 1), judged(4, 1)]);
        let compared = compare(&before, &after).unwrap();
        assert_eq!((compared.conversations, compared.left_out), (1, 3));
        assert_eq!(compared.gains.iter().find(|gain| gain.measure == "mrr_at_5").unwrap().after, 0.5);
        assert!(compared.gains.iter().all(|gain| gain.measure != "helpful_share"), "nobody played them");
        assert_eq!(compare(&before, &after[1..]), Err(NothingInCommon));
    }
}
