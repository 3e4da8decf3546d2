//! Writes a generation into its place, describes it in its manifest, and puts it in service.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;

use crate::build::embed::fresh_entries;
use crate::build::plan::Plan;
use crate::build::report::{BuildPhase, BuildProgress, BuildReport};
use crate::build::rows::{Arranged, arrange};
use crate::build::settings::BuildSettings;
use crate::build::start::Before;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::lexical::{self, Changes};
use crate::store::current::Current;
use crate::store::durable::{create_directory, link_or_copy, sync_directory, write_file};
use crate::store::embeddings::Embeddings;
use crate::store::entries::{Entry, content_of, write_entries};
use crate::store::layout::{ARTICLES, BASE_GRAPH, BASE_VECTORS, DELTA_VECTORS, LEXICAL, Layout};
use crate::store::manifest::{FORMAT_VERSION, FileRecord, Manifest, SourceSummary};
use crate::vectors::file::write_vectors;
use crate::vectors::graph::Graph;
use crate::vectors::matrix::Matrix;

/// Everything that a generation is written from.
pub struct NewGeneration {
    pub number: u64,
    pub identity: ModelIdentity,
    /// In their order, with their final rows.
    pub entries: Vec<Entry>,
    /// The documents of those entries that the generation before lacks.
    pub new_documents: Range<u64>,
    /// The documents that are in the generation before and not in this one.
    pub removed: Vec<u64>,
    pub arranged: Arranged,
}

/// What every step of writing a generation needs.
pub struct Writer<'a> {
    pub layout: &'a Layout,
    pub encoder: &'a dyn TextEncoder,
    pub settings: &'a BuildSettings,
    pub progress: &'a dyn BuildProgress,
}

impl Writer<'_> {
    /// Writes the generation that `plan` describes and puts it in service; gives its number and its articles.
    pub fn publish(
        &self,
        before: Option<&Before>,
        plan: Plan,
        report: &mut BuildReport,
    ) -> Result<(u64, Vec<Entry>), IndexError> {
        let embeddings = Embeddings::open(&self.layout.embeddings())?;
        let first_document = before.map_or(1, |before| before.generation.manifest.next_document);
        let fresh = fresh_entries(plan.fresh, first_document, self.encoder, &embeddings, self.progress)?;
        report.embedded = fresh.embedded;
        let (mut kept, mut added) = (plan.kept, fresh.entries);
        let arranged = arrange(before, &mut kept, &mut added, fresh.matrix, self.settings.exact_below);
        let new = NewGeneration {
            number: self.layout.next_number()?,
            identity: ModelIdentity::of(self.encoder),
            new_documents: first_document..first_document + added.len() as u64,
            removed: plan.gone.iter().map(|entry| entry.document).collect(),
            entries: in_order(kept, added),
            arranged,
        };
        self.write(before, &new)?.publish(self.layout)?;
        self.layout.sweep_or_warn(Some(new.number));
        let passages = new.entries.iter().flat_map(|entry| &entry.passages);
        if let Err(error) = embeddings.prune(&passages.map(|passage| passage.key).collect::<HashSet<_>>()) {
            tracing::warn!(%error, "embeddings that nothing uses any more were left");
        }
        Ok((new.number, new.entries))
    }

    /// Writes all files of `new`, flushed to disk; the answer is what puts it in service.
    fn write(&self, before: Option<&Before>, new: &NewGeneration) -> Result<Current, IndexError> {
        let directory = self.layout.generation(new.number);
        create_directory(&directory)?;
        let mut files = BTreeMap::new();
        self.write_lexical(&directory, before, new, &mut files)?;
        self.progress.phase(BuildPhase::Vectors);
        let delta = &new.arranged.delta;
        write_file(&directory.join(DELTA_VECTORS), |file| write_vectors(delta, file))?;
        write_file(&directory.join(ARTICLES), |file| write_entries(&new.entries, file))?;
        record(&directory, DELTA_VECTORS, &mut files)?;
        record(&directory, ARTICLES, &mut files)?;
        match (&new.arranged.new_base, before) {
            (Some(base), _) => self.write_base(&directory, base, new.arranged.with_graph, &mut files)?,
            (None, Some(before)) => link_base(&directory, before, &mut files)?,
            (None, None) => {}
        }
        self.progress.phase(BuildPhase::Publishing);
        let current = manifest(new, files).write(&directory)?;
        sync_directory(&directory)?;
        sync_directory(&self.layout.generations())?;
        Ok(current)
    }

    fn write_lexical(
        &self,
        directory: &Path,
        before: Option<&Before>,
        new: &NewGeneration,
        files: &mut BTreeMap<String, FileRecord>,
    ) -> Result<(), IndexError> {
        self.progress.phase(BuildPhase::Lexical);
        let lexical = directory.join(LEXICAL);
        let added: Vec<&Entry> =
            new.entries.iter().filter(|entry| new.new_documents.contains(&entry.document)).collect();
        let before = before.map(|before| before.generation.path(LEXICAL));
        lexical::write(&lexical, before.as_deref(), &Changes { added: &added, removed: &new.removed })?;
        let unreadable = || IndexError::io("list", &lexical);
        for entry in fs::read_dir(&lexical).map_err(unreadable())? {
            let name = entry.map_err(unreadable())?.file_name();
            record(directory, &format!("{LEXICAL}/{}", name.to_string_lossy()), files)?;
        }
        Ok(())
    }

    fn write_base(
        &self,
        directory: &Path,
        base: &Matrix,
        with_graph: bool,
        files: &mut BTreeMap<String, FileRecord>,
    ) -> Result<(), IndexError> {
        write_file(&directory.join(BASE_VECTORS), |file| write_vectors(base, file))?;
        record(directory, BASE_VECTORS, files)?;
        if with_graph {
            self.progress.phase(BuildPhase::Graph);
            let graph = Graph::build(base, self.settings.graph_threads)?.to_bytes()?;
            write_file(&directory.join(BASE_GRAPH), |file| file.write_all(&graph))?;
            record(directory, BASE_GRAPH, files)?;
        }
        Ok(())
    }
}

fn in_order(mut entries: Vec<Entry>, added: Vec<Entry>) -> Vec<Entry> {
    entries.extend(added);
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    entries
}

fn record(directory: &Path, name: &str, files: &mut BTreeMap<String, FileRecord>) -> Result<(), IndexError> {
    let path = directory.join(name);
    let record = FileRecord::of(&path).map_err(IndexError::io("read back", &path))?;
    files.insert(name.to_owned(), record);
    Ok(())
}

fn link_base(directory: &Path, before: &Before, files: &mut BTreeMap<String, FileRecord>) -> Result<(), IndexError> {
    for name in [BASE_VECTORS, BASE_GRAPH] {
        if let Some(record) = before.generation.record(name) {
            link_or_copy(&before.generation.path(name), &directory.join(name))?;
            files.insert(name.to_owned(), record.clone());
        }
    }
    Ok(())
}

fn manifest(new: &NewGeneration, files: BTreeMap<String, FileRecord>) -> Manifest {
    let mut sources: BTreeMap<String, SourceSummary> = BTreeMap::new();
    for source in new.entries.iter().flat_map(|entry| &entry.sources) {
        sources.entry(source.clone()).or_insert(SourceSummary { articles: 0 }).articles += 1;
    }
    Manifest {
        format_version: FORMAT_VERSION,
        generation: new.number,
        built_at: Timestamp::now(),
        model: new.identity.model.clone(),
        dimensions: new.identity.dimensions,
        articles: new.entries.len(),
        chunks: new.entries.iter().map(|entry| entry.passages.len()).sum(),
        sources,
        content: content_of(&new.entries),
        next_document: new.new_documents.end,
        base_rows: new.arranged.base_rows,
        delta_rows: new.arranged.delta.num_rows(),
        files,
    }
}
