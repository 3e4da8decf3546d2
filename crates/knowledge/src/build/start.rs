//! What a build starts from: the generation in service, or as much of it as can be used.
//!
//! Debris of a writer that died is removed first. A damaged index, or one of another format, is replaced by a full
//! update, which then starts from nothing and says why; a partial one is refused, since it could not replace it.

use crate::build::update::Completeness;
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
    /// Why there is an index but nothing to take over.
    pub afresh: Option<String>,
}

impl Start {
    pub fn read(layout: &Layout, identity: &ModelIdentity, completeness: Completeness) -> Result<Self, IndexError> {
        match Self::of_current(layout, identity) {
            Err(error @ (IndexError::Damaged { .. } | IndexError::OtherFormat { .. }))
                if completeness == Completeness::Full =>
            {
                tracing::warn!(%error, "the index is built from nothing");
                Ok(Self { afresh: Some(error.to_string()), ..Self::default() })
            }
            other => other,
        }
    }

    fn of_current(layout: &Layout, identity: &ModelIdentity) -> Result<Self, IndexError> {
        let current = match Current::read(layout) {
            Err(IndexError::NoIndex { .. }) => {
                layout.sweep(None)?;
                return Ok(Self::default());
            }
            other => other?,
        };
        layout.sweep(Some(current.generation))?;
        let generation = Generation::read(layout, current)?;
        let entries = generation.entries()?;
        if let Err(other_model) = generation.expect(identity) {
            return Ok(Self { entries, before: None, afresh: Some(other_model.to_string()) });
        }
        let (base, delta) = (generation.base()?, generation.delta()?);
        generation.verify(BASE_GRAPH)?;
        generation.verify_lexical()?;
        Ok(Self { entries, before: Some(Before { generation, base, delta }), afresh: None })
    }
}
