//! Panics and torch's errors as errors of this crate.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
};

use crate::EncoderError;

/// Turns a panic into an error, which does not repeat what the panic said: that may be a customer's words.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, EncoderError>) -> Result<T, EncoderError> {
    caught(call).unwrap_or_else(|reason| {
        tracing::error!("the encoder panicked; its callers get an error");
        tracing::debug!(reason, "what the encoder's panic said");
        Err(EncoderError::Failed("it panicked; the log says where, at debug level also why".to_owned()))
    })
}

/// Turns a panic into the first line of what it said. What the call touched is dropped with it or, like the model's
/// weights, is only read, so nothing half changed is used again.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(call))
        .map_err(|payload| first_line(panic_message(payload.as_ref())).to_owned())
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
