//! Builds the next generation of an index from what one source answered.
//!
//! Input are the articles of a source and an encoder; output is a published generation and a report, or neither: until
//! `CURRENT` is replaced in the last step, an error leaves the index as it was. What didn't change costs nothing: its
//! vectors, its place in the lexical index and the base of the vectors are taken over. An index that is damaged or of
//! another model is built from the articles that it holds, one without readable articles from nothing.

mod embed;
mod plan;
mod report;
mod rows;
mod settings;
mod start;
mod update;
mod write;

use std::path::Path;
use std::time::Instant;

pub(crate) use embed::embed_checked;
pub use report::{BuildPhase, BuildProgress, BuildReport};
pub use settings::BuildSettings;
pub use update::{Completeness, Update};

use crate::build::plan::plan;
use crate::build::start::Start;
use crate::build::write::Writer;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::store::durable::create_directory;
use crate::store::layout::Layout;
use crate::store::lock::WriterLock;

/// Builds with the default settings, see [`build_with`].
pub fn build(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    build_with(directory, update, encoder, &BuildSettings::default(), progress)
}

/// Brings the index in `directory` up to date with `update`, making it if there is none. Blocks until the new
/// generation is in service. One writer at a time: a second one gets [`IndexError::Locked`].
pub fn build_with(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    settings: &BuildSettings,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    if update.source.trim().is_empty() {
        return Err(IndexError::NoSourceName);
    }
    let started = Instant::now();
    let layout = Layout::new(directory);
    create_directory(&layout.generations())?;
    let _lock = WriterLock::take(&layout)?;
    progress.phase(BuildPhase::Comparing);
    let start = Start::read(&layout, &ModelIdentity::of(encoder), &update)?;
    let mut report = BuildReport { started_afresh: start.afresh, ..BuildReport::default() };
    let mut plan = plan(start.entries, update);
    report.count(&plan);
    match start.before {
        Some(before) if plan.is_unchanged() => {
            report.finish(&plan.kept, before.generation.manifest.generation, started);
        }
        before => {
            if before.is_none() {
                plan.renew_all();
            }
            let writer = Writer { layout: &layout, encoder, settings, progress };
            let (number, entries) = writer.publish(before.as_ref(), plan, &mut report)?;
            report.published = true;
            report.finish(&entries, number, started);
        }
    }
    Ok(report)
}
