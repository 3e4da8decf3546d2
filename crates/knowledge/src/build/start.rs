//! What a build starts from: the generation in service, or as much of it as can be used.
//!
//! Debris of a writer that died is removed first. Where vectors or the lexical index are damaged, or another model's, they
//! are made again from the articles that are there. Where the articles themselves can't be read, a full update of the only
//! source starts from nothing and says why; whatever would lose the articles of another source is refused.

use crate::build::update::{Completeness, Update};
use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::store::current::Current;
use crate::store::entries::Entry;
use crate::store::generation::Generation;
use crate::store::layout::{BASE_GRAPH, Layout};
use crate::vectors::matrix::Matrix;

/// A generation whose vectors and lexical index can be taken over.
#[derive(Debug)]
pub struct Before {
    pub generation: Generation,
    pub base: Matrix,
    pub delta: Matrix,
}

#[derive(Debug, Default)]
pub struct Start {
    pub entries: Vec<Entry>,
    pub before: Option<Before>,
    /// Why there is an index but nothing, or nothing but its articles, to take over.
    pub afresh: Option<String>,
}

impl Start {
    pub fn read(layout: &Layout, identity: &ModelIdentity, update: &Update) -> Result<Self, IndexError> {
        let current = match Current::read(layout) {
            Err(IndexError::NoIndex { .. }) => {
                layout.sweep_or_warn(None);
                return Ok(Self::default());
            }
            Err(error) => return Self::from_nothing(error, update),
            Ok(current) => current,
        };
        layout.sweep_or_warn(Some(current.generation));
        let generation = match Generation::read(layout, current) {
            Err(error) => return Self::from_nothing(error, update),
            Ok(generation) => generation,
        };
        let entries = match generation.entries() {
            Err(error) => return Self::from_nothing(generation.costing_others(error, &update.source), update),
            Ok(entries) => entries,
        };
        match Before::read(generation, identity) {
            Ok(before) => Ok(Self { entries, before: Some(before), afresh: None }),
            Err(error @ (IndexError::Damaged { .. } | IndexError::OtherModel { .. })) => {
                tracing::warn!(%error, "all but the articles is made again");
                Ok(Self { entries, before: None, afresh: Some(error.to_string()) })
            }
            Err(error) => Err(error),
        }
    }

    fn from_nothing(error: IndexError, update: &Update) -> Result<Self, IndexError> {
        let is_replaced = update.completeness == Completeness::Full;
        match error {
            IndexError::Damaged { .. } | IndexError::OtherFormat { .. } if is_replaced => {
                tracing::warn!(%error, "the index is built from nothing");
                Ok(Self { afresh: Some(error.to_string()), ..Self::default() })
            }
            other => Err(other),
        }
    }
}

impl Before {
    fn read(generation: Generation, identity: &ModelIdentity) -> Result<Self, IndexError> {
        generation.expect(identity)?;
        let (base, delta) = (generation.base()?, generation.delta()?);
        generation.verify(BASE_GRAPH)?;
        generation.verify_lexical()?;
        Ok(Self { generation, base, delta })
    }
}
