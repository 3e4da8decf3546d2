//! One module per command; each reads its arguments, calls the rooms, and prints for the person at the terminal.

pub mod ask;
pub mod check;
pub mod demo;
pub mod eval;
pub mod graph;
pub mod index;
mod knowledge;
pub mod serve;
