//! What learned models read, by name.

use crate::conversation::{Evidence, PARTS};
use crate::silence::Wanted;
use crate::turn_form::Form;
use strum::VariantArray;

/// Ranks beyond it are one.
const LAST_RANK: f32 = 50.0;

/// What an embedding is multiplied by beside the other features of a turn, which have about this spread.
const EMBEDDING_SCALE: f64 = 4.0;

/// The feature of a turn that is the gate by hand.
pub const BY_HAND: &str = "by hand";

/// Of a question, the same for all its candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuestionSigns {
    /// Words of the newest customer turn.
    pub num_words: usize,
    /// Turns of the call.
    pub num_turns: usize,
    /// How far the phrases in which articles say how customers ask can be trusted, 0 to 1.
    pub phrase_reach: f32,
}

/// The names of a candidate's features, in their order.
pub fn candidate_features() -> Vec<String> {
    let own = || PARTS.iter().map(|part| part.name).chain(["adapted", "sum"]);
    let below_best = own().map(|name| format!("{name}, below the best"));
    let ranks = ["rank by sum", "rank by newest_cosine", "rank by group_call"];
    let of_question = ["words", "turns"];
    own().map(str::to_owned).chain(below_best).chain(ranks.into_iter().chain(of_question).map(str::to_owned)).collect()
}

/// The features of all candidates of a question.
pub fn of_candidates(evidence: &[Evidence], question: QuestionSigns) -> Vec<Vec<f32>> {
    let own: Vec<Vec<f32>> = evidence.iter().map(own).collect();
    let num_own = own.first().map_or(0, Vec::len);
    let best: Vec<f32> =
        (0..num_own).map(|feature| own.iter().map(|own| own[feature]).fold(f32::NEG_INFINITY, f32::max)).collect();
    let ranks =
        [ranks(evidence, Evidence::sum), ranks(evidence, |e| e.newest_cosine), ranks(evidence, |e| e.group_call)];
    let of_question = [question.num_words.min(40) as f32, question.num_turns.min(64) as f32];
    let row = |(candidate, own): (usize, Vec<f32>)| {
        let below_best: Vec<f32> = own.iter().zip(&best).map(|(own, best)| own - best).collect();
        let ranks = ranks.iter().map(|ranks| ranks[candidate]);
        own.into_iter().chain(below_best).chain(ranks).chain(of_question).collect()
    };
    own.into_iter().enumerate().map(row).collect()
}

fn own(evidence: &Evidence) -> Vec<f32> {
    PARTS.iter().map(|part| (part.of)(evidence)).chain([evidence.adapted, evidence.sum()]).collect()
}

/// The place of each by a value, the highest first, from 0.
fn ranks(evidence: &[Evidence], value: impl Fn(&Evidence) -> f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..evidence.len()).collect();
    order.sort_by(|a, b| value(&evidence[*b]).total_cmp(&value(&evidence[*a])).then_with(|| a.cmp(b)));
    let mut ranks = vec![0.0; evidence.len()];
    for (rank, candidate) in order.into_iter().enumerate() {
        ranks[candidate] = (rank as f32).min(LAST_RANK);
    }
    ranks
}

/// The names of a turn's features before those of its embedding, in their order.
pub fn turn_features() -> Vec<String> {
    let forms = Form::VARIANTS.iter().map(|form| <&str>::from(form).to_owned());
    forms.chain(["length", "closeness", "certainty", BY_HAND].map(str::to_owned)).collect()
}

/// The features of a turn, those of its embedding last; without one these are 0.
pub fn of_turn(wanted: &Wanted, num_words: usize, embedding: Option<&[f32]>, dimensions: usize) -> Vec<f64> {
    let forms = Form::VARIANTS.iter().map(|form| if wanted.forms.contains(form) { 1.0 } else { 0.0 });
    let usual = |value: Option<f64>| value.unwrap_or_default();
    let measured = [
        num_words.min(20) as f64 / 20.0,
        usual(wanted.above_usual.closeness),
        usual(wanted.above_usual.certainty),
        wanted.score,
    ];
    let embedding = embedding.filter(|embedding| embedding.len() == dimensions);
    let of_embedding = (0..dimensions).map(|n| embedding.map_or(0.0, |vector| EMBEDDING_SCALE * f64::from(vector[n])));
    forms.chain(measured).chain(of_embedding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_has_a_name() {
        let evidence = [Evidence { newest_cosine: 0.5, ..Evidence::default() }, Evidence::default()];
        let features = of_candidates(&evidence, QuestionSigns { num_words: 3, num_turns: 100, phrase_reach: 0.0 });
        let names = candidate_features();
        assert!(features.iter().all(|row| row.len() == names.len()));
        let of =
            |row: usize, name: &str| names.iter().position(|known| known == name).map(|place| features[row][place]);
        assert_eq!((of(0, "newest_cosine"), of(1, "newest_cosine, below the best")), (Some(0.5), Some(-0.5)));
        assert_eq!((of(1, "rank by newest_cosine"), of(1, "turns")), (Some(1.0), Some(64.0)));
        assert!(of_candidates(&[], QuestionSigns::default()).is_empty());
    }
}
