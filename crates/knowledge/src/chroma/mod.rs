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
mod space;
mod taken_over;
mod wire;

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use collection::{ChromaCollection, ChromaHit};
pub use error::ChromaError;
pub use import::{ChromaImport, update};
pub use record::ChromaRecords;
pub use space::Space;
pub use taken_over::TakenOver;

/// Where a collection is.
#[derive(Debug, Clone)]
pub struct ChromaSettings {
    /// `http://host:8000` or `https://…`; a path in front of the API is kept.
    pub url: Url,
    /// `default_tenant` unless the server has several.
    pub tenant: String,
    /// `default_database` unless the tenant has several.
    pub database: String,
    pub collection: String,
    /// Sent as `x-chroma-token`.
    pub token: Option<SecretString>,
    /// What a query may take in all, and a page of an import.
    pub timeout: Duration,
}
