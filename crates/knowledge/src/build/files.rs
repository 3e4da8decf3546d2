//! Writes the files of a generation into its place and describes them in its manifest.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::build::rows::Rows;
use crate::build::update::{BuildPhase, BuildProgress};
use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::index::Index;
use crate::lexical::{self, Changes};
use crate::relations::Related;
use crate::store::directory::{
    BASE, BASE_ARTICLES, BASE_NEIGHBOURS, BASE_SENTENCES, BASE_VECTORS, Current, DELTA_ARTICLES, DELTA_SENTENCES,
    DELTA_VECTORS, LEXICAL, Layout, NAMES, RELATIONS, TITLES, create_directory, link_or_copy, sync_directory,
    write_file,
};
use crate::store::entries::{Entry, content_of, write_entries};
use crate::store::generation::{FORMAT_VERSION, FileRecord, Manifest, SourceSummary};
use crate::vectors::codes::Codes;
use crate::vectors::nearest_neighbours::NeighbourGraph;

/// A base that is written anew.
pub struct NewBase {
    pub entries: Vec<Arc<Entry>>,
    pub rows: Rows,
    pub neighbours: Option<NeighbourGraph>,
}

/// Everything that a generation is written from.
pub struct NewGeneration {
    pub identity: ModelIdentity,
    /// In their order, with their final rows and documents.
    pub entries: Vec<Arc<Entry>>,
    /// The number of the next lexical document.
    pub next_document: u64,
    /// From this number on documents are new.
    pub first_new_document: u64,
    /// The documents that are in the generation before and not in this one.
    pub removed: Vec<u64>,
    /// `None` when the base of the generation before stays.
    pub new_base: Option<NewBase>,
    pub delta: Rows,
    pub related: Related,
    pub names: Codes,
    pub titles: Codes,
}

/// A generation that is in service.
pub struct Published {
    pub generation: u64,
    pub num_articles: usize,
    pub num_passages: usize,
}

impl NewGeneration {
    /// Writes all files, flushed to disk, and puts the generation in service.
    pub fn publish(
        &self,
        layout: &Layout,
        before: Option<&Index>,
        progress: &dyn BuildProgress,
    ) -> Result<Published, IndexError> {
        let generation = layout.next_number()?;
        let mut files = Files { directory: &layout.generation(generation), records: BTreeMap::new() };
        create_directory(files.directory)?;
        let directory_before = before.map(|before| layout.generation(before.generation()));
        progress.phase(BuildPhase::Lexical);
        self.write_lexical(&mut files, directory_before.as_deref())?;
        progress.phase(BuildPhase::Vectors);
        self.write_base(&mut files, before.zip(directory_before.as_deref()))?;
        self.write_rest(&mut files, before)?;
        progress.phase(BuildPhase::Publishing);
        let Files { directory, records } = files;
        let manifest = self.manifest(generation, records);
        let current = manifest.write(directory)?;
        sync_directory(directory)?;
        sync_directory(&layout.generations())?;
        Current::publish(current, layout)?;
        layout.sweep_or_warn(Some(generation));
        Ok(Published { generation, num_articles: manifest.articles, num_passages: manifest.chunks })
    }

    fn write_lexical(&self, files: &mut Files<'_>, before: Option<&Path>) -> Result<(), IndexError> {
        let directory = files.directory.join(LEXICAL);
        let headings = self.related.articles.iter().map(|article| article.heading.as_str());
        let with_headings = self.entries.iter().map(AsRef::as_ref).zip(headings);
        let added: Vec<_> = with_headings.filter(|(entry, _)| entry.document >= self.first_new_document).collect();
        let before = before.map(|before| before.join(LEXICAL));
        lexical::write(&directory, before.as_deref(), &Changes { added: &added, removed: &self.removed })?;
        let unreadable = || IndexError::io("list", &directory);
        for entry in fs::read_dir(&directory).map_err(unreadable())? {
            let name = entry.map_err(unreadable())?.file_name();
            files.record(&format!("{LEXICAL}/{}", name.to_string_lossy()))?;
        }
        Ok(())
    }

    fn write_base(&self, files: &mut Files<'_>, before: Option<(&Index, &Path)>) -> Result<(), IndexError> {
        match (&self.new_base, before) {
            (Some(base), _) => {
                files.write(BASE_ARTICLES, |file| write_entries(&base.entries, file))?;
                files.write(BASE_VECTORS, |file| base.rows.vectors.write(file))?;
                files.write(BASE_SENTENCES, |file| base.rows.sentences.write(file))?;
                if let Some(neighbours) = &base.neighbours {
                    let bytes = neighbours.to_bytes()?;
                    files.write(BASE_NEIGHBOURS, |file| file.write_all(&bytes))?;
                }
            }
            (None, Some((before, directory))) => files.link(before.manifest(), directory, BASE)?,
            (None, None) => {}
        }
        Ok(())
    }

    fn write_rest(&self, files: &mut Files<'_>, before: Option<&Index>) -> Result<(), IndexError> {
        let base = match &self.new_base {
            Some(base) => base.entries.as_slice(),
            None => before.map_or(&[][..], |before| &before.base().entries),
        };
        let in_base: HashMap<u64, &Arc<Entry>> = base.iter().map(|entry| (entry.document, entry)).collect();
        let is_in_base =
            |entry: &&Arc<Entry>| in_base.get(&entry.document).is_some_and(|base| Arc::ptr_eq(base, entry));
        let in_delta = self.entries.iter().filter(|entry| !is_in_base(entry));
        files.write(DELTA_ARTICLES, |file| write_entries(in_delta, file))?;
        files.write(DELTA_VECTORS, |file| self.delta.vectors.write(file))?;
        files.write(DELTA_SENTENCES, |file| self.delta.sentences.write(file))?;
        files.write(RELATIONS, |file| Ok(serde_json::to_writer(file, &self.related)?))?;
        files.write(NAMES, |file| self.names.write(file))?;
        files.write(TITLES, |file| self.titles.write(file))
    }

    fn manifest(&self, generation: u64, files: BTreeMap<String, FileRecord>) -> Manifest {
        let mut sources: BTreeMap<String, SourceSummary> = BTreeMap::new();
        for source in self.entries.iter().flat_map(|entry| &entry.sources) {
            match sources.get_mut(source) {
                Some(summary) => summary.articles += 1,
                None => drop(sources.insert(source.clone(), SourceSummary { articles: 1 })),
            }
        }
        Manifest {
            format_version: FORMAT_VERSION,
            generation,
            built_at: Timestamp::now(),
            model: self.identity.model.clone(),
            dimensions: self.identity.dimensions,
            articles: self.entries.len(),
            chunks: self.entries.iter().map(|entry| entry.passages.len()).sum(),
            sources,
            content: content_of(&self.entries),
            next_document: self.next_document,
            files,
        }
    }
}

/// The files that a generation has so far.
struct Files<'a> {
    directory: &'a Path,
    records: BTreeMap<String, FileRecord>,
}

impl Files<'_> {
    fn write(&mut self, name: &str, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), IndexError> {
        write_file(&self.directory.join(name), content)?;
        self.record(name)
    }

    fn record(&mut self, name: &str) -> Result<(), IndexError> {
        let path = self.directory.join(name);
        let record = FileRecord::of(&path).map_err(IndexError::io("read back", &path))?;
        self.records.insert(name.to_owned(), record);
        Ok(())
    }

    /// Gives those of another generation's files whose names start with `prefix` a second name.
    fn link(&mut self, manifest: &Manifest, directory: &Path, prefix: &str) -> Result<(), IndexError> {
        for (name, record) in manifest.files.iter().filter(|(name, _)| name.starts_with(prefix)) {
            link_or_copy(&directory.join(name), &self.directory.join(name))?;
            self.records.insert(name.clone(), record.clone());
        }
        Ok(())
    }
}
