//! Why a collection can't be asked or imported, and what to do.

use std::time::Duration;

use thiserror::Error;

use crate::error::IndexError;

#[derive(Debug, Error)]
pub enum ChromaError {
    #[error("{url} is no address of a Chroma server: {what}; it looks like http://host:8000")]
    Address { url: String, what: String },
    #[error("Chroma at {url} can't be reached: {what}; is it running (`chroma run`), and is this its address?")]
    Unreachable { url: String, what: String },
    #[error("Chroma at {url} did not answer within {} ms; is it overloaded, or the timeout too short?", after.as_millis())]
    TimedOut { url: String, after: Duration },
    #[error("Chroma at {url} refused the request with {status}; check the token of the collection")]
    Refused { url: String, status: u16 },
    #[error(
        "there is no collection {collection} in database {database} of tenant {tenant} at {url}; fill one with Chroma's \
         client (`client.create_collection(\"{collection}\")`, then `collection.add(…)`), or name another"
    )]
    NoCollection { url: String, tenant: String, database: String, collection: String },
    #[error(
        "the vectors of collection {collection} have {found} dimensions, those of the model in use {expected}; fill a \
         collection with vectors of that model, or import this one into an index, which embeds its documents anew"
    )]
    OtherDimensions { collection: String, found: usize, expected: usize },
    #[error("Chroma at {url} answered {status}: {detail}; its log has more")]
    Answer { url: String, status: u16, detail: String },
    #[error("Chroma at {url} answered what can't be read: {what}; this program speaks API v2 of Chroma 1.x")]
    Unreadable { url: String, what: String },
    #[error("collection {collection} changed while it was read: {read} of {there} records came; import it again")]
    Changed { collection: String, read: usize, there: usize },
    #[error(
        "collection {collection} holds {there} records, an import takes at most {most}; ask it live with chroma_url"
    )]
    TooLarge { collection: String, there: usize, most: usize },
    #[error("the encoder could not embed a sample of the documents: {0}")]
    Encoder(#[source] IndexError),
}

impl ChromaError {
    /// Whether waiting may help: the server is not there, or has trouble of its own.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Answer { status, .. } => *status >= 500,
            _ => false,
        }
    }
}
