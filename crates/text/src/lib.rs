//! Text that comes from outside: JSON as its senders write it, and what people said, which must reach no log by accident.

pub mod json;
pub mod masking;
mod spoken;

pub use spoken::{Spoken, verbatim};

/// An id of an article, a snippet or a push stands in logs, and in keys of databases; beyond this it is something else.
pub const MAX_ID_BYTES: usize = 1024;
