//! The knowledge room: articles in, the nearest articles out.
//!
//! Input are articles (JSON Lines, or values handed over by a sync) and an encoder that the caller brings as a
//! [`TextEncoder`]; [`build`] turns them into one immutable generation of an index directory. Output are the articles
//! nearest to an embedding ([`Index::nearest`]) and those that share words with a text ([`Index::lexical`]).
//! A reader holds its generation as long as it likes; [`IndexHandle`] swaps in a newer one.
//! Two more places to look lie beside the index: a knowledge graph ([`graph`]) and a Chroma collection ([`chroma`]).
//! On failure every operation answers a typed error that says what to run; the generation in service is never touched.

mod article;
mod build;
pub mod chroma;
mod encoder;
mod error;
pub mod graph;
mod handle;
mod hashing;
mod index;
mod lexical;
mod passages;
mod reader;
mod rows;
mod store;
pub mod sync;
mod vectors;

pub use article::{Article, Audience};
pub use build::{BuildPhase, BuildProgress, BuildReport, BuildSettings, Completeness, Update, build, build_with};
pub use encoder::{ModelIdentity, TextEncoder};
pub use error::IndexError;
pub use graph::MatchedBy;
pub use handle::IndexHandle;
pub use hashing::ContentHash;
pub use index::{Index, LexicalHit, VectorHit};
pub use reader::{ArticleFile, BadRow, BadRowReason, ReadError, read_articles};
pub use rows::{Row, Rows, TooLong, json_flaw};
pub use store::manifest::{Manifest, SourceSummary};
