//! A Chroma collection: asked live, or imported into an index.
//!
//! Input are the address of a Chroma server and embeddings, output the documents nearest to them with their relevance,
//! or all documents as an [`Update`](crate::Update) whose vectors need not be made again. The official crate would bring
//! 62 more into the build and wants the protobuf compiler on every machine, so the few calls of the server's
//! HTTP API (v2) stand here. On failure a [`ChromaError`] says what to run; nothing is kept of a call that failed.

mod answers;
mod client;
mod collection;
mod error;
mod import;
mod record;
mod wire;

pub use answers::{ChromaHit, UnevenLists};
pub use client::ChromaSettings;
pub use collection::ChromaCollection;
pub use error::ChromaError;
pub use import::{ChromaImport, TakenOver, update};
pub use record::{ChromaRecord, ChromaRecords};
#[cfg(feature = "testing")]
pub use wire::{CollectionBody, GetAnswer, QueryAnswer, Space};
