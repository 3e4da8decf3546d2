//! Panics and torch's errors as errors of this crate.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
};

use crate::EncoderError;

/// Turns a panic into an error. What the call touched is dropped with it or, like the model's
/// weights, is only read, so nothing half changed is used again.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, EncoderError>) -> Result<T, EncoderError> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let reason = first_line(panic_message(payload.as_ref()));
        tracing::error!(reason, "the encoder panicked; its callers get an error");
        Err(EncoderError::Failed(format!("panic: {reason}")))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

/// Torch puts a C++ stack trace behind its message, as lines or, in a panic, as escaped ones.
pub(crate) fn first_line(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split("\\n").next().unwrap_or_default()
}
