//! Orders retrieved passages and decides when to stay silent.
//!
//! Everything here is a pure function of its arguments: the same question and passages give the same
//! order in a live call, an evaluation and a replay. It knows nothing of where passages come from.

mod answer;
mod baseline;
pub mod conversation;
mod formula;
pub mod model;
mod okapi;
mod screen;
mod silence;
mod turn_form;

pub use answer::answering;
pub use baseline::{Baseline, Measured, MeasuredTurn, Spread, Usual};
pub use formula::{Feature, Formula, Lookup, Passage, Question, Score, UnknownFormula};
pub use model::{Model, ModelError, QuestionSigns};
pub use okapi::Okapi;
pub use screen::Screen;
pub use silence::{Selectivity, SilenceReason, SilenceRule, TurnSigns, UnknownSelectivity, Wanted, WantedParts};
pub use turn_form::Form;

/// The words of a text as the formulas compare them: lower case, split at whatever is neither letter nor digit.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}
