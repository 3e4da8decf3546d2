//! What can go wrong, in the cases that callers tell apart.

use std::path::PathBuf;

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

    #[error("the encoder's live lane is full: {capacity} texts wait; try again later or add encoder threads")]
    QueueFull { capacity: usize },

    #[error("the encoder failed on a batch: {0}")]
    Failed(String),

    #[error("the encoder has been shut down")]
    Closed,
}
