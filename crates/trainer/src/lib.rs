//! Learns a deployment's model from labelled turns.
//!
//! [`collect`] asks an engine what it knows of each labelled turn, [`Lessons::learn`] learns from that, and [`gains`] tells what it is
//! worth on turns that it has not seen. The engine only reads what comes out of here; nothing that answers questions depends
//! on this room.

mod adapter;
mod calibration;
mod data;
mod descent;
mod examples;
mod feedback;
mod folds;
mod gains;
mod gate;
mod mixing;
mod train;
mod trees;

pub use cuecard_engine as engine;

pub use data::data_hash;
pub use examples::{CandidateExample, Example, Labelled, collect};
pub use feedback::{PositionBias, ShownCard, ShownCards};
pub use folds::fold_of;
pub use gains::gains;
pub use mixing::mix;
pub use train::{Lessons, TrainError, right_at};
