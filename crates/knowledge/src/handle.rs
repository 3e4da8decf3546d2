//! The index in service, replaced while others read it.
//!
//! Whoever owns the handle calls [`IndexHandle::refresh`] on a timer; each reader takes [`IndexHandle::current`] once per
//! piece of work and so sees one generation from beginning to end. A newer generation that can't be opened leaves the
//! one in service where it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::index::Index;
use crate::store::current::Current;
use crate::store::layout::Layout;

pub struct IndexHandle {
    directory: PathBuf,
    expected: Option<ModelIdentity>,
    current: RwLock<Arc<Index>>,
    updating: Mutex<()>,
}

impl IndexHandle {
    /// Opens the generation in service; every later one must fit `expected` too.
    pub fn open(directory: &Path, expected: Option<ModelIdentity>) -> Result<Self, IndexError> {
        let index = Index::open(directory, expected.as_ref())?;
        Ok(Self {
            directory: directory.to_owned(),
            expected,
            current: RwLock::new(Arc::new(index)),
            updating: Mutex::default(),
        })
    }

    /// Where its generations are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The index to work with; it stays valid for as long as it is held.
    pub fn current(&self) -> Arc<Index> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Held from looking at what is in service until what was made of it is in service too: updates of several sources
    /// come one after the other instead of failing at the lock of the directory. Blocks.
    pub fn updating(&self) -> MutexGuard<'_, ()> {
        self.updating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the generation that `CURRENT` names, if it is another one, and puts it in service.
    /// `false` when nothing changed, which costs one small read. Blocks while it opens; readers don't wait.
    pub fn refresh(&self) -> Result<bool, IndexError> {
        let old = self.current();
        if Current::read(&Layout::new(&self.directory))? == old.current() {
            return Ok(false);
        }
        let new = Index::open_beside(&self.directory, self.expected.as_ref(), Some(&old))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(true)
    }
}
