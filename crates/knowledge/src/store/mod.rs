//! The index directory: what lies where, and how it changes without a reader ever seeing half of it.
//!
//! | path | what |
//! |---|---|
//! | `CURRENT` | number of the generation in service and the hash of its manifest; replaced by rename |
//! | `lock` | held by the one writer |
//! | `embeddings` | every vector ever made, by hash of model and text |
//! | `generations/<n>/manifest.json` | what is in it, with length and hash of every other file |
//! | `generations/<n>/articles.jsonl` | the articles, their sources, passages and rows |
//! | `generations/<n>/base.vectors`, `base.graph`, `delta.vectors` | see [`crate::vectors`] |
//! | `generations/<n>/lexical/` | see [`crate::lexical`] |
//!
//! A generation is written in its place, flushed to disk, and only then named by `CURRENT`; one that `CURRENT` never
//! named is debris of a writer that died and is removed by the next.

pub mod directory;
pub mod embeddings;
pub mod entries;
pub mod generation;
