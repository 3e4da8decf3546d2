//! How the process ends: with a code, and without the destructors of its libraries.
//!
//! At an ordinary exit the C library runs what libtorch has left for it, which takes things away from under a thread
//! that still computes: the encoder's, on a model that loads or an index that is built when the service is told to
//! stop. Such a thread crashes, and the process with it. So nothing in here ends by an ordinary exit: what is worth
//! keeping is written by then, and the kernel takes back the rest.

use std::ffi::c_int;
use std::io::Write;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    Success = 0,
    Failure = 1,
    /// After an actor gave up: `EX_SOFTWARE` of sysexits, so that a runtime can tell it from bad settings.
    GaveUp = 70,
    /// After a second signal: what a shell reports for SIGINT.
    Killed = 130,
}

#[allow(unsafe_code, reason = "a declaration of a function of the C library, of which no call is unsafe")]
unsafe extern "C" {
    safe fn _exit(code: c_int) -> !;
}

impl ExitCode {
    /// Ends the process now, whatever its threads do.
    pub fn exit(self) -> ! {
        // The log is written as it comes; nobody is left to hear that the last lines could not be printed.
        let _ = std::io::stdout().flush();
        _exit(self as c_int)
    }
}
