//! The load generator: takes a running stand-in, conversations and a rate or a number of them side by side, says every
//! customer turn to the service under test, and gives an account of what became of each.

mod account;
mod admin;
mod ask;
mod loops;
mod options;
mod plan;
mod report;
mod run;
mod speaker;

pub(crate) use options::base_url;
pub use options::{Load, ReplayError, ReplayOptions};
pub use report::{Report, Throughput};
pub use run::replay;
