//! Text that comes from outside: what people said, which must reach no log by accident.

mod spoken;

pub use spoken::{Spoken, verbatim};
