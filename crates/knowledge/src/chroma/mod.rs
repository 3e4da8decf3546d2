//! A Chroma collection: asked live, or imported into an index.
//!
//! Input are the address of a Chroma server and embeddings, output the documents nearest to them with their relevance,
//! or all documents as an [`Update`](crate::Update) whose vectors need not be made again. The official crate would bring
//! 62 more into the build and wants the protobuf compiler on every machine, so the few calls of the server's
//! HTTP API (v2) stand here. On failure a [`ChromaError`] says what to run; nothing is kept of a call that failed.

mod client;
mod collection;
mod error;
mod import;
mod record;
mod settings;
mod space;
mod taken_over;
mod wire;

pub use collection::{ChromaCollection, ChromaHit};
pub use error::ChromaError;
pub use import::{ChromaImport, update};
pub use record::ChromaRecords;
pub use settings::ChromaSettings;
pub use space::Space;
pub use taken_over::TakenOver;
