//! The index directory: what lies where, and how it changes without a reader ever seeing half of it.
//!
//! | path | what |
//! |---|---|
//! | `CURRENT` | number of the generation in service and the hash of its manifest; replaced by rename |
//! | `lock` | held by the one writer |
//! | `embeddings` | every vector ever made, by hash of model and text |
//! | `damaged-<time>/` | an index that was damaged, as it was, see [`setting_aside`] |
//! | `generations/<n>/manifest.json` | what is in it, with length and hash of every other file |
//! | `generations/<n>/base.*` | most articles, with their sources and rows, and their passages' vectors, the graph over these, and their sentences' codes; the same files as those of the generation before, until the base is made anew |
//! | `generations/<n>/delta.*` | the same, without a graph, of what changed since the base was made |
//! | `generations/<n>/relations.json`, `names.codes`, `titles.codes` | which articles of the two there are, in their order, and how they stand to one another, see [`crate::relations`] |
//! | `generations/<n>/lexical/` | see [`crate::lexical`] |
//!
//! A generation is written in its place, flushed to disk, and only then named by `CURRENT`; one that `CURRENT` never
//! named is debris of a writer that died and is removed by the next.

pub mod directory;
pub mod embeddings;
pub mod entries;
pub mod generation;
pub mod setting_aside;
