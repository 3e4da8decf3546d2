//! What the stand-in, the load generator and the desktop all use: takes names, paths, frames and times of turns, gives
//! their meaning by the five contracts. Pure; knows nothing of the three.

pub(crate) mod contracts;
pub(crate) mod frames;
pub(crate) mod turns;
pub(crate) mod verdict;
