//! Writes a generation into its place, describes it in its manifest, and puts it in service.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::build::plan::{Before, BuildPlan, Fresh};
use crate::build::update::{BuildPhase, BuildProgress, BuildSettings};
use crate::embed::embed;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::lexical::{self, Changes};
use crate::passages::{Passage, passages};
use crate::relations::{Name, relate};
use crate::sentences::sentences;
use crate::store::directory::{
    ARTICLES, BASE_NEIGHBOURS, BASE_VECTORS, Current, DELTA_VECTORS, LEXICAL, Layout, NAME_CODES, NAMES, SENTENCES,
    TITLES, create_directory, link_or_copy, sync_directory, write_file,
};
use crate::store::embeddings::Embeddings;
use crate::store::entries::{Entry, PassageRow, content_of, write_entries};
use crate::store::generation::{FORMAT_VERSION, FileRecord, Manifest, SourceSummary};
use crate::vectors::codes::Codes;
use crate::vectors::matrix::{Matrix, write_vectors};
use crate::vectors::nearest_neighbours::NeighbourGraph;

/// A base is replaced when its dead rows and the delta are more than one in this many of its rows: the delta is always
/// scanned, and dead rows crowd out living ones in the graph's sight.
const BASE_ROWS_PER_CHANGED_ROW: usize = 10;

/// Everything that a generation is written from.
struct NewGeneration {
    number: u64,
    identity: ModelIdentity,
    /// In their order, with their final rows.
    entries: Vec<Entry>,
    /// The number of the next lexical document.
    next_document: u64,
    /// The documents of those entries that the generation before lacks.
    new_documents: HashSet<u64>,
    /// The documents that are in the generation before and not in this one.
    removed: Vec<u64>,
    arranged: Arranged,
    names: Vec<Name>,
    name_codes: Codes,
    /// Of the masked titles.
    titles: Codes,
    sentences: Codes,
}

/// A generation that is in service.
pub struct Published {
    pub number: u64,
    pub entries: Vec<Entry>,
    /// Texts that the encoder was asked for.
    pub num_embedded: usize,
}

/// What every step of writing a generation needs.
pub struct Writer<'a> {
    pub layout: &'a Layout,
    pub encoder: &'a dyn TextEncoder,
    pub settings: &'a BuildSettings,
    pub progress: &'a dyn BuildProgress,
}

impl Writer<'_> {
    /// Writes the generation that `plan` describes and puts it in service.
    pub fn publish(&self, before: Option<&Before>, plan: BuildPlan) -> Result<Published, IndexError> {
        let mut embeddings = Embeddings::open(Some(&self.layout.embeddings()));
        let first_document = before.map_or(1, |before| before.generation.manifest.next_document);
        let (mut added, texts) = self.entries(plan.fresh, first_document);
        let (fresh, num_embedded) = self.embed(BuildPhase::Embedding, texts, &mut embeddings)?;
        let known_titles = rows_of_titles(plan.kept.iter().chain(&plan.gone));
        let mut kept = plan.kept;
        let arranged = arrange(before, &mut kept, &mut added, fresh, self.settings.exact_below);
        let mut new_documents: HashSet<u64> = added.iter().map(|entry| entry.document).collect();
        let mut next_document = first_document + added.len() as u64;
        let mut removed: Vec<u64> = plan.gone.iter().map(|entry| entry.document).collect();
        let sentences = self.sentences(&mut kept, &mut added, before, &mut embeddings)?;
        let mut entries = kept;
        entries.append(&mut added);
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        let related = relate(&mut entries, self.encoder.model());
        // What an article is found by can change with the names that others brought.
        for entry in entries.iter_mut().filter(|entry| related.reworded.contains(&entry.document)) {
            if !new_documents.contains(&entry.document) {
                removed.push(std::mem::replace(&mut entry.document, next_document));
                new_documents.insert(next_document);
                next_document += 1;
            }
        }
        let titles =
            self.titles(related.titles, before.map(|before| (&before.titles, &known_titles)), &mut embeddings)?;
        let name_codes = self.names(&related.names, &mut embeddings)?;
        let (number, identity, names) = (self.layout.next_number()?, ModelIdentity::of(self.encoder), related.names);
        let new = NewGeneration {
            number,
            identity,
            entries,
            next_document,
            new_documents,
            removed,
            arranged,
            names,
            name_codes,
            titles,
            sentences,
        };
        self.write(before, &new)?.publish(self.layout)?;
        self.layout.sweep_or_warn(Some(number));
        let passages = new.entries.iter().flat_map(|entry| &entry.passages).map(|passage| passage.key);
        let titles = new.entries.iter().filter_map(|entry| Some(entry.title.as_ref()?.key));
        let sentences = new.entries.iter().flat_map(|entry| self.keyed_sentences(entry)).map(|(key, _)| key);
        let names = new.names.iter().map(|name| self.keyed(name.spelled()).0);
        embeddings.prune(&passages.chain(titles).chain(sentences).chain(names).collect());
        Ok(Published { number, entries: new.entries, num_embedded })
    }

    /// Entries of `fresh`, whose documents count from `first_document`, with the texts of their rows, which count from 0.
    fn entries(&self, fresh: Vec<Fresh>, first_document: u64) -> (Vec<Entry>, Vec<(ContentHash, String)>) {
        let mut texts = Vec::new();
        let mut entry = |(document, Fresh { article, content, sources })| {
            let row = |Passage { body, text }| {
                let (row, key) = (texts.len() as u32, ContentHash::of_text(self.encoder.model(), &text));
                texts.push((key, text));
                PassageRow { body, row, key }
            };
            let passages = passages(&article, self.encoder).into_iter().map(row).collect();
            let (name, title, sentences, heading) = (None, None, 0..0, String::new());
            Entry { document, content, sources, passages, name, title, sentences, heading, article }
        };
        let entries = (first_document..).zip(fresh).map(&mut entry).collect();
        (entries, texts)
    }

    fn embed(
        &self,
        phase: BuildPhase,
        texts: Vec<(ContentHash, String)>,
        embeddings: &mut Embeddings,
    ) -> Result<(Matrix, usize), IndexError> {
        embed(texts, self.encoder, embeddings, &|num_done, num_asked| {
            if num_done == 0 {
                self.progress.phase(phase);
            }
            self.progress.embedded(num_done, num_asked);
        })
    }

    fn keyed(&self, text: &str) -> (ContentHash, String) {
        (ContentHash::of_text(self.encoder.model(), text), text.to_owned())
    }

    fn keyed_sentences(&self, entry: &Entry) -> Vec<(ContentHash, String)> {
        sentences(&entry.article.body).chain(entry.article.phrases()).map(|sentence| self.keyed(sentence)).collect()
    }

    /// The codes of all sentences, and in each entry where its own are; those of the generation before are taken over.
    fn sentences(
        &self,
        kept: &mut [Entry],
        added: &mut [Entry],
        before: Option<&Before>,
        embeddings: &mut Embeddings,
    ) -> Result<Codes, IndexError> {
        let mut codes = Codes::new(self.encoder.dimensions());
        for entry in kept {
            let first = codes.num_rows() as u32;
            if let Some(before) = before {
                entry.sentences.clone().for_each(|row| codes.push_row(&before.sentences, row as usize));
            }
            entry.sentences = first..codes.num_rows() as u32;
        }
        let mut texts = Vec::new();
        for entry in &mut *added {
            let first = (codes.num_rows() + texts.len()) as u32;
            texts.extend(self.keyed_sentences(entry));
            entry.sentences = first..(codes.num_rows() + texts.len()) as u32;
        }
        let (fresh, _) = self.embed(BuildPhase::Sentences, texts, embeddings)?;
        for vector in fresh.rows() {
            codes.push(vector);
        }
        Ok(codes)
    }

    fn names(&self, names: &[Name], embeddings: &mut Embeddings) -> Result<Codes, IndexError> {
        let texts = names.iter().map(|name| self.keyed(name.spelled())).collect();
        Ok(Codes::of(&self.embed(BuildPhase::Names, texts, embeddings)?.0))
    }

    /// The codes of these titles; those of a generation before are taken over, with the rows in which they are found there.
    fn titles(
        &self,
        titles: Vec<(ContentHash, String)>,
        before: Option<(&Codes, &HashMap<ContentHash, u32>)>,
        embeddings: &mut Embeddings,
    ) -> Result<Codes, IndexError> {
        let row_before = |key: &ContentHash| before.and_then(|(codes, rows)| Some((codes, *rows.get(key)?)));
        let (keys, missing): (Vec<_>, Vec<_>) =
            titles.into_iter().map(|(key, title)| (key, row_before(&key).is_none().then_some((key, title)))).unzip();
        let (fresh, _) = self.embed(BuildPhase::Titles, missing.into_iter().flatten().collect(), embeddings)?;
        let mut fresh = fresh.rows();
        let mut codes = Codes::new(self.encoder.dimensions());
        for key in keys {
            match row_before(&key) {
                Some((before, row)) => codes.push_row(before, row as usize),
                None => drop(fresh.next().map(|vector| codes.push(vector))),
            }
        }
        Ok(codes)
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
        write_file(&directory.join(TITLES), |file| new.titles.write(file))?;
        write_file(&directory.join(NAMES), |file| Ok(serde_json::to_writer(file, &new.names)?))?;
        write_file(&directory.join(ARTICLES), |file| write_entries(&new.entries, file))?;
        write_file(&directory.join(NAME_CODES), |file| new.name_codes.write(file))?;
        write_file(&directory.join(SENTENCES), |file| new.sentences.write(file))?;
        for name in [DELTA_VECTORS, TITLES, SENTENCES, NAMES, NAME_CODES, ARTICLES] {
            record(&directory, name, &mut files)?;
        }
        match (&new.arranged.new_base, before) {
            (Some(base), _) => self.write_base(&directory, base, new.arranged.with_neighbours, &mut files)?,
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
        with_neighbours: bool,
        files: &mut BTreeMap<String, FileRecord>,
    ) -> Result<(), IndexError> {
        write_file(&directory.join(BASE_VECTORS), |file| write_vectors(base, file))?;
        record(directory, BASE_VECTORS, files)?;
        if with_neighbours {
            self.progress.phase(BuildPhase::Neighbours);
            let neighbours = NeighbourGraph::build(base, self.settings.neighbour_threads)?.to_bytes()?;
            write_file(&directory.join(BASE_NEIGHBOURS), |file| file.write_all(&neighbours))?;
            record(directory, BASE_NEIGHBOURS, files)?;
        }
        Ok(())
    }
}

/// Where the titles of a generation's entries are.
fn rows_of_titles<'a>(entries: impl Iterator<Item = &'a Entry>) -> HashMap<ContentHash, u32> {
    entries.filter_map(|entry| entry.title.as_ref()).map(|title| (title.key, title.row)).collect()
}

fn record(directory: &Path, name: &str, files: &mut BTreeMap<String, FileRecord>) -> Result<(), IndexError> {
    let path = directory.join(name);
    let record = FileRecord::of(&path).map_err(IndexError::io("read back", &path))?;
    files.insert(name.to_owned(), record);
    Ok(())
}

fn link_base(directory: &Path, before: &Before, files: &mut BTreeMap<String, FileRecord>) -> Result<(), IndexError> {
    for name in [BASE_VECTORS, BASE_NEIGHBOURS] {
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
        next_document: new.next_document,
        base_rows: new.arranged.base_rows,
        delta_rows: new.arranged.delta.num_rows(),
        names: new.names.len(),
        title_rows: new.titles.num_rows(),
        sentence_rows: new.sentences.num_rows(),
        files,
    }
}

/// The segments of a new generation.
struct Arranged {
    /// `None` when the base of the generation before stays.
    new_base: Option<Matrix>,
    delta: Matrix,
    /// Rows of the base, new or not.
    base_rows: usize,
    /// Whether the base has a nearest-neighbour graph, or a new one is to get one.
    with_neighbours: bool,
}

/// Numbers the rows of `kept`, which count in the generation before, and of `added`, which count in `fresh`.
///
/// The base is taken over while what changed since it was made stays small, so that an update writes little and needs no
/// new graph; otherwise all rows become a new base and the delta is empty.
fn arrange(
    before: Option<&Before>,
    kept: &mut [Entry],
    added: &mut [Entry],
    fresh: Matrix,
    exact_below: usize,
) -> Arranged {
    let num_rows = count(kept, |_| true) + fresh.num_rows();
    let with_neighbours = num_rows >= exact_below;
    match before {
        Some(before) if keeps_base(before, kept, fresh.num_rows(), with_neighbours) => {
            let base_rows = before.base.num_rows();
            let mut delta = Matrix::new(fresh.dimensions());
            for row in rows_of(kept).filter(|row| **row as usize >= base_rows) {
                let in_delta = *row as usize - base_rows;
                *row = (base_rows + delta.num_rows()) as u32;
                delta.push(before.delta.row(in_delta));
            }
            number_from(added, base_rows + delta.num_rows());
            delta.append(&fresh);
            Arranged { new_base: None, delta, base_rows, with_neighbours }
        }
        Some(before) if !kept.is_empty() => {
            let mut base = Matrix::new(fresh.dimensions());
            for row in rows_of(kept) {
                let values = before.row(*row as usize);
                *row = base.num_rows() as u32;
                base.push(values);
            }
            number_from(added, base.num_rows());
            base.append(&fresh);
            Arranged::anew(base, with_neighbours)
        }
        _ => Arranged::anew(fresh, with_neighbours),
    }
}

impl Arranged {
    fn anew(base: Matrix, with_neighbours: bool) -> Self {
        let (delta, base_rows) = (Matrix::new(base.dimensions()), base.num_rows());
        Self { new_base: Some(base), delta, base_rows, with_neighbours }
    }
}

impl Before {
    fn row(&self, row: usize) -> &[f32] {
        match row.checked_sub(self.base.num_rows()) {
            None => self.base.row(row),
            Some(in_delta) => self.delta.row(in_delta),
        }
    }
}

fn keeps_base(before: &Before, kept: &[Entry], fresh_rows: usize, with_neighbours: bool) -> bool {
    let base_rows = before.base.num_rows();
    let living = count(kept, |row| (row as usize) < base_rows);
    let in_delta = count(kept, |row| row as usize >= base_rows) + fresh_rows;
    let changed = base_rows - living + in_delta;
    changed * BASE_ROWS_PER_CHANGED_ROW <= base_rows && before.generation.has_neighbours() == with_neighbours
}

fn count(entries: &[Entry], counts: impl Fn(u32) -> bool) -> usize {
    entries.iter().flat_map(|entry| &entry.passages).filter(|passage| counts(passage.row)).count()
}

fn rows_of(entries: &mut [Entry]) -> impl Iterator<Item = &mut u32> {
    entries.iter_mut().flat_map(|entry| &mut entry.passages).map(|passage| &mut passage.row)
}

fn number_from(entries: &mut [Entry], first_row: usize) {
    rows_of(entries).for_each(|row| *row += first_row as u32);
}
