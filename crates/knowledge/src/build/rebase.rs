//! Makes a large base anew, with its nearest-neighbour graph, while the generation in service goes on and others follow.
//!
//! The graph takes minutes, so it is built of a generation as it is then, without the lock. What changed meanwhile becomes
//! the delta over the new base: an article that is still there has its rows in it, and one that is gone leaves dead rows.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::build::files::{NewBase, NewGeneration};
use crate::build::rows::{Begin, Rows, Taking, is_due};
use crate::build::update::{BuildPhase, BuildProgress, BuildSettings};
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::index::Index;
use crate::store::directory::{Layout, WriterLock};
use crate::store::entries::Entry;
use crate::vectors::nearest_neighbours::NeighbourGraph;

/// A new base for an index, not yet in service.
pub struct Rebase {
    of: Arc<Index>,
    base: NewBase,
}

impl Rebase {
    /// A base of all that is in the index, if one is due. Blocks for minutes while the graph is built.
    pub fn prepare(
        index: &Arc<Index>,
        settings: &BuildSettings,
        progress: &dyn BuildProgress,
    ) -> Result<Option<Self>, IndexError> {
        if !is_due(index, settings.exact_below) {
            return Ok(None);
        }
        progress.phase(BuildPhase::Neighbours);
        let mut taking = taking(index, Begin::default());
        let mut entries = index.entries().to_vec();
        for entry in &mut entries {
            taking.take(entry);
        }
        let rows = taking.rows;
        let neighbours = Some(NeighbourGraph::build(&rows.vectors, settings.neighbour_threads)?);
        Ok(Some(Self { of: Arc::clone(index), base: NewBase { entries, rows, neighbours } }))
    }

    /// Puts the base in service below what the index in `directory` holds now; gives the generation in service. Where another
    /// writer has made the base anew meanwhile, that one stays.
    pub fn publish(self, directory: &Path, progress: &dyn BuildProgress) -> Result<u64, IndexError> {
        let layout = Layout::new(directory);
        let _lock = WriterLock::wait(&layout)?;
        let current = Index::open_or_share(&layout, &self.of.manifest().identity(), Some(&self.of))?;
        if !current.manifest().shares_base(self.of.manifest()) {
            return Ok(current.generation());
        }
        Ok(over(&current, self.base).publish(&layout, Some(&current), progress)?.generation)
    }
}

fn taking(from: &Index, begin: Begin) -> Taking<'_> {
    Taking { from, stays: Begin::default(), begin, rows: Rows::new(from.manifest().dimensions) }
}

/// The articles of `index` over another base.
fn over(index: &Index, base: NewBase) -> NewGeneration {
    let in_base: HashMap<(&str, ContentHash), &Arc<Entry>> =
        base.entries.iter().map(|entry| (entry.order(), entry)).collect();
    let mut delta = taking(index, Begin::default().after(&base.rows));
    let mut place = |entry: &Arc<Entry>| {
        let mut entry = Arc::clone(entry);
        match in_base.get(&entry.order()) {
            Some(based) if (based.document, &based.sources) == (entry.document, &entry.sources) => Arc::clone(based),
            Some(based) => {
                let (document, sources) = (entry.document, entry.sources.clone());
                Arc::new(Entry { document, sources, ..Entry::clone(based) })
            }
            None => {
                delta.take(&mut entry);
                entry
            }
        }
    };
    let entries = index.entries().iter().map(&mut place).collect();
    let next_document = index.manifest().next_document;
    NewGeneration {
        identity: index.manifest().identity(),
        entries,
        next_document,
        first_new_document: next_document,
        removed: Vec::new(),
        delta: delta.rows,
        new_base: Some(base),
        related: index.related().clone(),
        names: index.relations().name_codes().clone(),
        titles: index.relations().titles().clone(),
    }
}
