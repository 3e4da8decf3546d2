//! The knowledge room: articles in, the nearest articles out.
//!
//! Input are articles (JSON Lines, or values handed over by a sync) and an encoder that the caller brings as a
//! [`TextEncoder`]; [`build`] turns them into one immutable generation of an index directory. Output are the articles
//! nearest to an embedding ([`Index::nearest`]) and those that share words with a text ([`Index::lexical`]).
//! A reader holds its generation as long as it likes; [`IndexHandle`] swaps in a newer one.
//! Two more places to look lie beside the index: a knowledge graph ([`graph`]) and a Chroma collection ([`chroma`]).
//! On failure every operation answers a typed error that says what to run; the generation in service is never touched.

mod article;
mod article_file;
mod build;
pub mod chroma;
mod codes_said;
mod embed;
mod encoder;
mod error;
mod filter;
pub mod graph;
mod handle;
mod hashing;
mod index;
mod lexical;
mod markup;
mod passages;
mod phrasing;
mod readings;
mod relations;
mod rows;
mod sentences;
mod store;
pub mod sync;
mod vectors;

pub use article::{Article, Audience, UnknownAudience};
pub use article_file::{ArticleFile, read_articles};
pub use build::{
    BuildPhase, BuildProgress, BuildReport, BuildSettings, Completeness, Rebase, Update, build, build_with,
};
pub use encoder::{ModelIdentity, TextEncoder};
pub use error::IndexError;
pub use filter::{ArticleFilter, Language, UnknownLanguage};
pub use graph::MatchedBy;
pub use handle::IndexHandle;
pub use hashing::ContentHash;
pub use index::{CodedEmbedding, Index};
pub use lexical::{LexicalHit, WordsOf};
pub use phrasing::WeightedGrams;
pub use readings::Reading;
pub use relations::{Heard, Relations, Rival};
pub use rows::{BadRow, FileReport, ReadError, Row, Rows, TooLong, json_flaw};
pub use store::generation::{Manifest, SourceSummary};
pub use store::setting_aside::set_aside;
pub use vectors::VectorHit;
