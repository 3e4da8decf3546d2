//! From fragments of speech to utterances: what was said, by whom, and when that is worth a question.
//!
//! A [`Window`] collects the fragments of one interaction and gives an [`Utterance`] at a flush. It is pure:
//! the caller passes the time in. The live Buffer, the evaluation and the replay all use this one.

mod turns;
mod window;

pub use turns::{Speaker, Turn, TurnWindow, Utterance};
pub use window::{FlushReason, Fragment, Pauses, Window, WindowLimits};
