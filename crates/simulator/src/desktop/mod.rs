//! The agents' desktop: takes what the stand-in tells and takes, gives the pages and their live feed; decides nothing.

mod cards;
mod desk;
mod interaction;
pub(crate) mod pages;

pub(crate) use cards::Push;
pub(crate) use desk::{Counts, Desk};
pub(crate) use interaction::Of;
