//! Builds the next generation of an index from what one source answered.
//!
//! Input are the articles of a source and an encoder; output is a published generation and a report, or neither: until
//! `CURRENT` is replaced in the last step, an error leaves the index as it was. What didn't change costs nothing: its
//! vectors, its place in the lexical index and the base of the vectors are taken over. An index that is damaged or of
//! another model is built from the articles that it holds, one without readable articles from nothing.

mod files;
mod plan;
mod rebase;
mod rows;
mod update;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub use rebase::Rebase;
pub use update::{BuildPhase, BuildProgress, BuildReport, BuildSettings, Completeness, Update};

use crate::build::plan::{Start, plan};
use crate::build::write::Writer;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::index::Index;
use crate::store::directory::{Layout, WriterLock, create_directory};

/// Builds with the default settings, see [`build_with`].
pub fn build(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    build_with(directory, update, encoder, &BuildSettings::default(), progress)
}

/// Brings the index in `directory` up to date with `update`, making it if there is none, and then makes its base anew where
/// that is due. Blocks until the new generation is in service. One writer at a time: a second one gets
/// [`IndexError::Locked`].
pub fn build_with(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    settings: &BuildSettings,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    let started = Instant::now();
    let layout = Layout::new(directory);
    let mut report = bring_up_to_date(&layout, None, update, encoder, settings, progress)?;
    if report.chunks >= settings.exact_below {
        let index = Index::open_or_share(&layout, &ModelIdentity::of(encoder), None)?;
        if let Some(rebase) = Rebase::prepare(&index, settings, progress)? {
            report.generation = rebase.publish(directory, progress)?;
            report.published = true;
        }
    }
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Brings an index up to date, sharing memory with a generation of it that is `open`; a base that is due is left as it is.
pub fn bring_up_to_date(
    layout: &Layout,
    open: Option<&Arc<Index>>,
    update: Update,
    encoder: &dyn TextEncoder,
    settings: &BuildSettings,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    if update.source.trim().is_empty() {
        return Err(IndexError::NoSourceName);
    }
    let started = Instant::now();
    create_directory(&layout.generations())?;
    let _lock = WriterLock::take(layout)?;
    progress.phase(BuildPhase::Comparing);
    let start = Start::read(layout, &ModelIdentity::of(encoder), &update, open)?;
    let mut plan = plan(start.entries, update);
    let mut report = BuildReport {
        phrased: plan.num_phrased(),
        added: plan.added,
        changed: plan.changed,
        removed: plan.removed,
        unchanged: plan.unchanged,
        started_afresh: start.afresh,
        ..BuildReport::default()
    };
    match start.before {
        Some(before) if plan.is_unchanged() => {
            let manifest = before.manifest();
            (report.generation, report.articles, report.chunks) =
                (manifest.generation, manifest.articles, manifest.chunks);
        }
        before => {
            if before.is_none() {
                plan.renew_all();
            }
            let writer = Writer { layout, encoder, settings, progress };
            let (published, num_embedded) = writer.publish(before.as_deref(), plan)?;
            (report.generation, report.published, report.embedded) = (published.generation, true, num_embedded);
            (report.articles, report.chunks) = (published.num_articles, published.num_passages);
        }
    }
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
