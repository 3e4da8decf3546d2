//! The signals that a service hears, held back from the process's first instant until somebody listens for them.
//!
//! The libraries of the encoder's model take most of a second to start, and all of it lies before `main`. A process that is
//! the first of its container never hears of a signal that came while nobody listened; one that came while it was blocked
//! waits.

use nix::sys::signal::{SigSet, Signal};

/// What means an ordered stop, or that settings are to be read again; by itself each of them ends the process.
fn heard() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

/// Blocks them; for the place that the loader calls before any library starts.
pub extern "C" fn hold() {
    // Where it can't be done a signal ends the process, as it always would.
    let _ = heard().thread_block();
}

/// Lets them through to this thread; those that came meanwhile arrive now.
pub fn release() {
    // What was blocked can be unblocked.
    let _ = heard().thread_unblock();
}
