//! When no card is better than a card.
//!
//! Three things are kept apart: whether the newest turn wants a card at all ([`Wanted`]), whether there is an article that
//! answers it, and whether that is on the screen already.

use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantArray, VariantNames};

use crate::baseline::{Baseline, MeasuredTurn};
use crate::turn_form::{Form, forms};

/// Why nothing is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SilenceReason {
    /// No backend found anything.
    NothingFound,
    /// The newest customer turn does not look like one that wants a card.
    NotAsked,
    /// No article answers well enough.
    Unsure,
    /// The best article stands on the screen, or what stands there answers as well.
    AlreadyShown,
    /// The agent rejected the best article a short while ago, and no other answers well enough.
    Rejected,
}

impl SilenceReason {
    /// Every reason; metrics start each at 0.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The reason's name in metrics and explanations.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How much the newest customer turn looks like one that wants a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// What the turn looks like.
    pub forms: Vec<Form>,
    /// How near articles lie to it and how clearly the best stands out, in deviations above what is usual.
    #[serde(flatten)]
    pub above_usual: MeasuredTurn,
    /// The version of what is usual.
    pub baseline: u64,
    /// All of it as one number, the higher the likelier, by hand.
    pub score: f64,
    /// The same as log-odds, where that was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_odds: Option<f64>,
}

/// What each sign of a turn adds to its score.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedParts {
    /// Of each form that it has.
    pub forms: Vec<(Form, f64)>,
    /// How near articles lie to it, beside what is usual.
    pub closeness: Option<f64>,
    /// How clearly the best article stands out, beside what is usual.
    pub certainty: Option<f64>,
    /// Its length.
    pub length: f64,
}

/// What a customer's turn is judged by, beside its words.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnSigns {
    /// Whether it is the customer's first.
    pub is_first: bool,
    /// How near articles lie to it and how clearly the best stands out.
    pub measured: MeasuredTurn,
}

/// What a deviation above the usual is worth; see [`weight`].
const CLOSENESS: f64 = 1.2;
const CERTAINTY: f64 = 0.3;
/// What a turn of [`LONG`] words or more is worth beside one of none: who asks has something to say.
const LENGTH: f64 = 0.5;
const LONG: usize = 20;

/// What a form is worth, fitted on labelled turns of two kinds of calls, bookings and telephone contracts, and rounded.
fn weight(form: Form) -> f64 {
    match form {
        Form::Question => 1.1,
        Form::HowTo => 0.6,
        Form::Inquiry => 0.5,
        Form::Trouble => 0.4,
        Form::Phatic | Form::Opening => -0.8,
        Form::Answer => -0.2,
        Form::Number => -0.6,
        Form::Task => -0.5,
    }
}

impl Wanted {
    /// Of the newest customer turn. Without vectors it counts as one that is as near as usual.
    pub fn of(turn: &str, signs: TurnSigns, baseline: &Baseline) -> Self {
        let (forms, above_usual) = (forms(turn, signs.is_first), baseline.standardised(signs.measured));
        let of_measures = CLOSENESS * above_usual.closeness.unwrap_or_default()
            + CERTAINTY * above_usual.certainty.unwrap_or_default();
        let of_length = LENGTH * crate::words(turn).take(LONG).count() as f64 / LONG as f64;
        let score = forms.iter().copied().map(weight).sum::<f64>() + of_measures + of_length;
        Self { forms, above_usual, baseline: baseline.version, score, log_odds: None }
    }

    /// What the score by hand is made of: each form, how near articles lie, how clearly the best stands out, and the length of
    /// the turn, which is what is left.
    pub fn parts(&self) -> WantedParts {
        let forms: Vec<_> = self.forms.iter().map(|form| (*form, weight(*form))).collect();
        let closeness = self.above_usual.closeness.map(|above| CLOSENESS * above);
        let certainty = self.above_usual.certainty.map(|above| CERTAINTY * above);
        let of_forms: f64 = forms.iter().map(|(_, weight)| weight).sum();
        let length = self.score - of_forms - closeness.unwrap_or_default() - certainty.unwrap_or_default();
        WantedParts { forms, closeness, certainty, length }
    }

    /// What was learned, or else the score by hand: the higher the likelier, and of no common scale.
    pub fn best_known(&self) -> f64 {
        self.log_odds.unwrap_or(self.score)
    }
}

/// How readily a card is shown, where nothing was learned from labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownSelectivity, parse_err_fn = unknown_selectivity)]
pub enum Selectivity {
    /// Whatever may want a card gets one, where its article is no wild guess.
    Low,
    /// A card comes where one is likely wanted and its article likely answers.
    Medium,
    /// Only clear questions that an article clearly answers get a card.
    High,
}

/// A name that no selectivity has.
#[derive(Debug, thiserror::Error)]
#[error("there is no selectivity `{name}`; there are {}", Selectivity::VARIANTS.join(", "))]
pub struct UnknownSelectivity {
    name: String,
}

fn unknown_selectivity(name: &str) -> UnknownSelectivity {
    UnknownSelectivity { name: name.to_owned() }
}

impl Selectivity {
    /// The least [`Wanted::score`] of a turn that gets a card.
    fn least_wanted(self) -> f64 {
        match self {
            Self::Low => 0.0,
            Self::Medium => 0.8,
            Self::High => 1.3,
        }
    }

    /// The share of the cards that is to be right.
    fn precision(self) -> f64 {
        match self {
            Self::Low => 0.5,
            Self::Medium => 0.7,
            Self::High => 0.85,
        }
    }

    /// The least probability of an article that is shown.
    fn least_probability(self) -> f64 {
        match self {
            Self::Low => 0.25,
            Self::Medium => 0.5,
            Self::High => 0.75,
        }
    }
}

/// When nothing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceRule {
    /// By how much the newest customer turn looks like one that wants a card.
    Selectivity(Selectivity),
    /// By the share of the cards that is expected to be right, which a calibrated model tells; by hand, as `medium`, without
    /// one.
    Precision(f64),
    /// By its closeness to the nearest passage alone: the smallest cosine that justifies a card.
    MinCosine(f64),
}

impl SilenceRule {
    /// Why the newest customer turn gets no card, if it gets none. `closeness` is its cosine with the nearest passage; a
    /// turn without one is never silenced by a cosine.
    pub fn judge(&self, wanted: Option<&Wanted>, closeness: Option<f32>) -> Option<SilenceReason> {
        if let Some(least) = self.least_cosine() {
            return closeness.filter(|closeness| f64::from(*closeness) < least).map(|_| SilenceReason::Unsure);
        }
        let least = self.least_wanted()?;
        wanted.filter(|wanted| wanted.score < least).map(|_| SilenceReason::NotAsked)
    }

    /// The least [`Wanted::score`] of a turn that gets a card, where that is judged by hand.
    pub fn least_wanted(&self) -> Option<f64> {
        self.by_hand().map(Selectivity::least_wanted)
    }

    /// The least probability of an article that is shown, where that is judged by hand.
    pub fn least_probability(&self) -> Option<f64> {
        self.by_hand().map(Selectivity::least_probability)
    }

    /// The smallest cosine that justifies a card, where that decides.
    pub fn least_cosine(&self) -> Option<f64> {
        match self {
            Self::MinCosine(least) => Some(*least),
            Self::Selectivity(_) | Self::Precision(_) => None,
        }
    }

    /// What is asked of a turn and an article by hand.
    fn by_hand(&self) -> Option<Selectivity> {
        match self {
            Self::Selectivity(selectivity) => Some(*selectivity),
            Self::Precision(_) => Some(Selectivity::Medium),
            Self::MinCosine(_) => None,
        }
    }

    /// The share of the cards that is to be right, where a calibrated model tells that.
    pub fn precision(&self) -> Option<f64> {
        match self {
            Self::Selectivity(selectivity) => Some(selectivity.precision()),
            Self::Precision(precision) => Some(*precision),
            Self::MinCosine(_) => None,
        }
    }

    /// Whether an article of this probability answers too seldom to be shown.
    pub fn is_unsure(&self, probability: f64) -> bool {
        self.least_probability().is_some_and(|least| probability < least)
    }

    /// How readily the newest customer turn gets a card, for an order of turns: by what was learned where it was, else the number
    /// that [`judge`](Self::judge) compares.
    pub fn score(&self, wanted: Option<&Wanted>, closeness: Option<f32>) -> Option<f64> {
        match self {
            Self::Selectivity(_) | Self::Precision(_) => wanted.map(Wanted::best_known),
            Self::MinCosine(_) => closeness.map(f64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::log_odds;

    #[test]
    fn only_a_distant_turn_is_silenced_by_a_cosine() {
        let rule = SilenceRule::MinCosine(0.4);
        assert_eq!(rule.judge(None, Some(0.39)), Some(SilenceReason::Unsure));
        assert_eq!(rule.judge(None, Some(0.41)), None);
        assert_eq!(rule.judge(None, None), None);
    }

    #[test]
    fn a_question_wants_a_card_and_thanks_want_none() {
        let baseline = Baseline::default();
        let usual = Some(baseline.usual.closeness.mean as f32);
        let judged = |selectivity, turn: &str, closeness| {
            let signs = TurnSigns { is_first: false, measured: MeasuredTurn::of(closeness, None) };
            SilenceRule::Selectivity(selectivity).judge(Some(&Wanted::of(turn, signs, &baseline)), closeness)
        };
        for selectivity in [Selectivity::Low, Selectivity::Medium] {
            assert_eq!(judged(selectivity, "How do I get my money back?", usual), None);
            assert_eq!(judged(selectivity, "Great, thanks a lot.", usual), Some(SilenceReason::NotAsked));
        }
        assert_eq!(judged(Selectivity::Low, "my router is broken and nothing works any more", usual), None);
        assert_eq!(judged(Selectivity::High, "I have a router", Some(0.6)), Some(SilenceReason::NotAsked));
        assert_eq!(judged(Selectivity::High, "How do I get my money back?", usual), None);
        let about_trouble = "my router is broken and nothing works any more";
        assert_eq!(judged(Selectivity::Medium, about_trouble, usual), Some(SilenceReason::NotAsked));
        assert_eq!(judged(Selectivity::Medium, "Can I return it?", None), None, "words alone are enough");
    }

    #[test]
    fn the_parts_of_a_score_make_it() {
        let signs = TurnSigns { is_first: false, measured: MeasuredTurn::of(Some(0.66), Some(0.9)) };
        let wanted = Wanted::of("How do I get my money back? I never got it.", signs, &Baseline::default());
        let WantedParts { forms, closeness, certainty, length } = wanted.parts();
        assert_eq!(forms.iter().map(|(form, _)| *form).collect::<Vec<_>>(), wanted.forms);
        let close = |part: f64, expected: f64| (part - expected).abs() < 1e-6;
        assert!(close(closeness.unwrap_or_default(), CLOSENESS), "a deviation nearer than usual: {closeness:?}");
        assert!(close(length, LENGTH * 11.0 / 20.0), "{length}");
        // A half of it, since what is usual has a deviation of 2.
        let of_certainty = CERTAINTY * log_odds(0.9) / 2.0;
        assert!(close(certainty.unwrap_or_default(), of_certainty), "{certainty:?}");
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for reason in SilenceReason::ALL {
            assert_eq!(serde_json::to_value(reason).ok(), Some(reason.name().into()));
        }
    }
}
