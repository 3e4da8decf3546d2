//! What a command prints for whoever runs it.

use std::any::Any;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::panic::resume_unwind;

use crate::exit::ExitCode;

/// Prints a line, as the standard `println!` does. Where whoever reads has closed, as `head` does after its lines, the command ends
/// there, and with it what it has made for the time of its run.
macro_rules! say {
    ($($line:tt)*) => { $crate::commands::say::line(format_args!($($line)*)) };
}

/// Why a command ends before its time.
struct NobodyReads;

/// For [`say!`] alone.
pub(super) fn line(line: Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => resume_unwind(Box::new(NobodyReads)),
        // A disk that is full, or no output at all: what is left to do is done all the same.
        _ => {}
    }
}

/// What a command that was unwound ends with. A panic has said by now what it was.
pub(super) fn code_of(unwound: &(dyn Any + Send)) -> ExitCode {
    if unwound.is::<NobodyReads>() { ExitCode::Success } else { ExitCode::GaveUp }
}
