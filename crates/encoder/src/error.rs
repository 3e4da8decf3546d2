//! What can go wrong, in the cases that callers tell apart; panics and torch's errors become such cases.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
};

use cuecard_text::masking::mask;
use tch::TchError;

/// Cloneable, because one failed batch answers several callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    #[error(
        "the model directory {} has no {}; run `make build` (its set-up, scripts/setup, fetches the model) \
         or point CUECARD_MODEL_DIR to a directory that has config.json, model.safetensors and tokenizer.json",
        directory.display(), names.join(", ")
    )]
    MissingFiles { directory: PathBuf, names: Vec<&'static str> },

    #[error(
        "the model file {} can't be used: {reason}; delete it and run `make build`, which fetches it again",
        path.display()
    )]
    BrokenFile { path: PathBuf, reason: String },

    #[error("encoder setting {name}: {reason}")]
    Setting { name: &'static str, reason: String },

    #[error("an encoder thread could not be started: {0}; lower encoder.threads or raise the limit on threads")]
    Thread(String),

    #[error("the encoder's queue is full: {capacity} live texts wait; try again later or add encoder threads")]
    QueueFull { capacity: usize },

    #[error("the encoder failed on a batch: {0}")]
    Failed(String),

    #[error("the encoder panicked on a batch; the log says where, at debug level also why")]
    Panicked,

    #[error("the encoder hung on a batch and was given up")]
    Hung,

    #[error("the encoder has been shut down")]
    Closed,
}

impl From<TchError> for EncoderError {
    fn from(error: TchError) -> Self {
        Self::Failed(format!("torch: {}", first_line(&error.to_string())))
    }
}

/// Turns a panic into an error, which does not repeat what the panic said: that may be a customer's words. The log has them
/// at debug level, masked.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, EncoderError>) -> Result<T, EncoderError> {
    caught(call).unwrap_or_else(|reason| {
        tracing::error!("the encoder panicked; its callers get an error");
        tracing::debug!(reason = &*mask(&reason), "what the encoder's panic said");
        Err(EncoderError::Panicked)
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
