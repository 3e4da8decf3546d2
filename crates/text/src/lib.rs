//! Text that comes from outside: JSON as its senders write it, and what people said, which must reach no log by accident.

pub mod json;
pub mod masking;
mod spoken;

pub use spoken::{Spoken, verbatim};
