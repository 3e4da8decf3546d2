//! The index in service, which is replaced while others read it.
//!
//! Whoever owns the handle calls [`IndexHandle::refresh`] on a timer; each reader takes [`IndexHandle::current`] once per
//! piece of work and so sees one generation from beginning to end. A newer generation that can't be opened leaves the one
//! in service where it is. An update reads nothing again that is in service, and a base that is due is made anew beside it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;

use crate::build::{BuildReport, BuildSettings, Rebase, Update, bring_up_to_date};
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::index::Index;
use crate::store::directory::{Current, Layout};

/// The index in service.
pub struct IndexHandle {
    directory: PathBuf,
    expected: Option<ModelIdentity>,
    current: RwLock<Arc<Index>>,
    updating: Mutex<()>,
    is_rebasing: AtomicBool,
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
            is_rebasing: AtomicBool::new(false),
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
        loop {
            let old = self.current();
            if Current::read(&Layout::new(&self.directory))? == old.current() {
                return Ok(false);
            }
            let new = Arc::new(Index::open_beside(&self.directory, self.expected.as_ref(), Some(&old))?);
            if self.replace(&old, new) {
                return Ok(true);
            }
        }
    }

    /// Brings the index up to date and in service; call it with [`updating`](Self::updating) held. Blocks.
    pub fn update(&self, update: Update, encoder: &dyn TextEncoder) -> Result<BuildReport, IndexError> {
        let (layout, settings) = (Layout::new(&self.directory), BuildSettings::default());
        let report = bring_up_to_date(&layout, Some(&self.current()), update, encoder, &settings, &())?;
        self.refresh()?;
        Ok(report)
    }

    /// Makes the base of a large index anew where that is due, on threads of its own; updates and readers go on meanwhile.
    /// What it can't do is logged, and tried again at the next call.
    pub fn rebase_in_background(self: &Arc<Self>, settings: BuildSettings) {
        if self.is_rebasing.swap(true, Ordering::Relaxed) {
            return;
        }
        let handle = Arc::clone(self);
        let started = thread::Builder::new().name("rebase".to_owned()).spawn(move || {
            if let Err(error) = handle.rebase(&settings) {
                tracing::warn!(%error, "the base of the index can't be made anew");
            }
            handle.is_rebasing.store(false, Ordering::Relaxed);
        });
        if let Err(error) = started {
            self.is_rebasing.store(false, Ordering::Relaxed);
            tracing::warn!(%error, "the base of the index can't be made anew");
        }
    }

    fn rebase(&self, settings: &BuildSettings) -> Result<(), IndexError> {
        let Some(rebase) = Rebase::prepare(&self.current(), settings, &())? else { return Ok(()) };
        let _updating = self.updating();
        let generation = rebase.publish(&self.directory, &())?;
        self.refresh()?;
        tracing::info!(generation, "the base of the index is new, with its nearest-neighbour graph");
        Ok(())
    }

    /// Puts `new` in service unless another one than `old` came into service while it was opened: that one may be the
    /// newer, so it is looked again.
    fn replace(&self, old: &Arc<Index>, new: Arc<Index>) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_old = Arc::ptr_eq(&current, old);
        if is_old {
            *current = new;
        }
        is_old
    }
}
