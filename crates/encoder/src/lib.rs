//! all-MiniLM-L6-v2 on threads of its own: text in, one vector and a few key phrases out.
//!
//! **Input**: the model's three files ([`EncoderSettings::model_dir`]), then texts. Live texts
//! ([`Encoder::encode`]) come from conversations and are answered first; bulk texts
//! ([`Encoder::embed_bulk`]) come from indexing and yield before every batch and, inside a
//! batch, before each product.
//!
//! **Output**: [`Encoding`], from a single forward pass: the mean-pooled, L2-normalised vector of
//! 384 numbers and the words that received most attention.
//!
//! **Failure**: a missing or broken model file is an [`EncoderError`] that names it and says what
//! to run. A full queue refuses live texts at once. A panic inside a forward pass becomes an error for
//! the callers of that batch, and the thread is replaced; so is one that hangs, which is given up with its callers
//! answered. [`Encoder::given_up`] tells of so many of these that only a new process helps.

mod attention;
mod bert;
mod encoder;
mod encoding;
mod error;
mod hand;
mod layers;
mod linear;
mod model_files;
mod rows;
#[cfg(feature = "testing")]
mod scripted;
mod settings;
mod simd;
#[cfg(test)]
mod testing;
mod threads;
mod torch_thread;
mod turns;
mod watch;
mod word_pieces;
mod work_queue;
mod worker;

pub use encoder::Encoder;
pub use encoding::{Encoding, KeyPhrase, PendingEncoding};
pub use error::EncoderError;
pub use model_files::ModelInfo;
pub use settings::{EncoderSettings, Precision, cache_dir, default_model_dir};
pub use turns::{Lane, Turns};
pub use watch::EncoderHealth;

/// Length of every vector: what the index and the contracts are built for.
pub const DIMENSIONS: usize = 384;

/// Longest text in word pieces, `[CLS]` and `[SEP]` included: the length the model was trained for.
pub const MAX_WORD_PIECES: usize = 256;
