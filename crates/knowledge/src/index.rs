//! Generations of an index, open for reading.
//!
//! Input are embeddings, texts and a filter, output positions of admitted articles with their scores; positions are those
//! of the articles sorted by id, and belong to this generation only. Everything is checked when it is opened, after which reading needs
//! no file by name: the generation may be replaced and removed while it is in use.
//!
//! An [`IndexHandle`] holds the generation in service, which is replaced while others read it: whoever owns the handle
//! calls [`IndexHandle::refresh`] on a timer; each reader takes [`IndexHandle::current`] once per piece of work and so
//! sees one generation from beginning to end. A newer generation that can't be opened leaves the one in service where
//! it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::article::Article;
use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::filter::{Admitted, ArticleFilter};
use crate::lexical::{Lexical, LexicalHit, WordsOf};
use crate::relations::Relations;
use crate::store::directory::{BASE_NEIGHBOURS, BASE_VECTORS, Current, Layout};
use crate::store::entries::Entry;
use crate::store::generation::{Generation, Manifest};
use crate::vectors::codes::Codes;
use crate::vectors::quantised::QuantisedQuery;
use crate::vectors::{Owner, Segment, VectorHit, VectorTable, cosine};

/// How often opening starts over because a newer generation replaced the one that was being read.
const OPENINGS: usize = 4;

/// An embedding as codes, for comparing it with many sentences.
pub struct CodedEmbedding(QuantisedQuery);

impl CodedEmbedding {
    /// `None` for an embedding of another length than the index has.
    pub fn of(embedding: &[f32], index: &Index) -> Option<Self> {
        (embedding.len() == index.manifest.dimensions).then(|| Self(QuantisedQuery::of(embedding)))
    }
}

/// A generation of an index. Cheap to share, safe to read from many threads.
pub struct Index {
    manifest: Manifest,
    current: Current,
    entries: Vec<Entry>,
    vectors: VectorTable,
    lexical: Lexical,
    relations: Relations,
    sentences: Codes,
    /// See [`Index::centrality`].
    centrality: OnceLock<Vec<f32>>,
    /// By the filters of the profiles that asked so far, a handful.
    admitted: Mutex<Vec<(ArticleFilter, Arc<Admitted>)>>,
}

impl Index {
    /// Opens the generation in service. With `expected`, vectors of another model or length are refused.
    pub fn open(directory: &Path, expected: Option<&ModelIdentity>) -> Result<Self, IndexError> {
        Self::open_beside(directory, expected, None)
    }

    /// As [`Index::open`], sharing the memory of what `other` has in common with it.
    pub(crate) fn open_beside(
        directory: &Path,
        expected: Option<&ModelIdentity>,
        other: Option<&Self>,
    ) -> Result<Self, IndexError> {
        let layout = Layout::new(directory);
        let mut current = Current::read(&layout)?;
        for _ in 1..OPENINGS {
            match Self::open_generation(&layout, current, expected, other) {
                Err(IndexError::Damaged { .. }) if Current::read(&layout)? != current => {
                    current = Current::read(&layout)?;
                }
                opened => return opened,
            }
        }
        Self::open_generation(&layout, current, expected, other)
    }

    fn open_generation(
        layout: &Layout,
        current: Current,
        expected: Option<&ModelIdentity>,
        other: Option<&Self>,
    ) -> Result<Self, IndexError> {
        let generation = Generation::read(layout, current)?;
        if let Some(expected) = expected {
            generation.expect(expected)?;
        }
        let entries = generation.entries()?;
        let base = match other.and_then(|other| other.base_in_common(&generation)) {
            Some(base) => {
                generation.verify("base.")?;
                base
            }
            None => open_base(&generation)?,
        };
        let delta = Segment::new(generation.delta()?, None);
        let owners = owners(&entries, generation.manifest.base_rows + generation.manifest.delta_rows);
        let lexical = Lexical::open(&generation.verify_lexical()?, &entries);
        let lexical = lexical.map_err(|what| generation.damaged(&what))?;
        let vectors = VectorTable::new(base, delta, owners, entries.len());
        let relations = Relations::new(&entries, &generation.names()?, generation.name_codes()?, generation.titles()?);
        let sentences = generation.sentences()?;
        let (manifest, centrality, admitted) = (generation.manifest, OnceLock::new(), Mutex::default());
        Ok(Self { manifest, current, entries, vectors, lexical, relations, sentences, centrality, admitted })
    }

    fn base_in_common(&self, generation: &Generation) -> Option<Arc<Segment>> {
        let same = |name: &str| self.manifest.files.get(name) == generation.record(name);
        (same(BASE_VECTORS) && same(BASE_NEIGHBOURS)).then(|| self.vectors.base().clone())
    }

    /// The `k` admitted articles nearest to a unit vector, each once with its best passage; best first, ties by article id.
    /// A vector of another length than the index has no neighbours.
    pub fn nearest(&self, embedding: &[f32], k: usize, filter: &ArticleFilter) -> Vec<VectorHit> {
        self.vectors.nearest(embedding, k, &self.admitted(filter))
    }

    /// The `k` admitted articles with the highest BM25 for the words of `text`, whatever they are; best first, ties by
    /// article id.
    pub fn lexical(&self, text: &str, k: usize, filter: &ArticleFilter) -> Vec<LexicalHit> {
        self.lexical.search(text, k, &self.admitted(filter)).unwrap_or_else(|error| {
            tracing::error!(%error, generation = self.generation(), "the lexical index can't be searched");
            Vec::new()
        })
    }

    /// For each article the share of weighted words that it has, 0 to about 1, of words as [`Index::words`] gives them.
    pub fn shares<'a>(&self, of: WordsOf, weights: impl IntoIterator<Item = (&'a str, f32)>) -> Vec<f32> {
        self.lexical.shares(of, weights).unwrap_or_else(|error| {
            tracing::error!(%error, generation = self.generation(), "the lexical index can't be looked at");
            vec![0.0; self.len()]
        })
    }

    /// The same of one text that is no article of this index.
    pub fn share_of_text<'a>(&self, text: &str, of: WordsOf, weights: impl IntoIterator<Item = (&'a str, f32)>) -> f32 {
        self.lexical.share_of_text(text, of, weights).unwrap_or_default()
    }

    /// The words of a text as articles' words are compared.
    pub fn words(&self, text: &str) -> Vec<String> {
        self.lexical.words(text)
    }

    /// Whether any article has a word of this text.
    pub fn has_word(&self, text: &str) -> bool {
        self.lexical.words(text).iter().any(|word| self.lexical.has_word(word))
    }

    /// For each embedding and each article the cosine of its best passage with the embedding, to the second place; 0 where
    /// there is no embedding. With a nearest-neighbour graph only the nearest articles have theirs, all others the least
    /// of these.
    pub fn closeness<const N: usize>(&self, embeddings: [Option<&[f32]>; N]) -> [Vec<f32>; N] {
        self.vectors.closeness(embeddings)
    }

    /// The cosine of an article's nearest sentence with an embedding, to the second place; 0 for an article without any.
    pub fn sentence_closeness(&self, article: usize, embedding: &CodedEmbedding) -> f32 {
        let rows = self.entries[article].sentences.clone();
        rows.map(|row| embedding.0.cosine(&self.sentences, row as usize)).max_by(f32::total_cmp).unwrap_or(0.0)
    }

    /// For each article how near it lies to all others: the cosine of its best passage with the mean of all passages. What is
    /// near to everything answers nothing in particular.
    pub fn centrality(&self) -> &[f32] {
        self.centrality.get_or_init(|| self.vectors.centrality())
    }

    /// The embedding of a passage.
    pub fn embedding(&self, article: usize, chunk: usize) -> Option<&[f32]> {
        let passage = self.entries.get(article)?.passages.get(chunk)?;
        Some(self.vectors.row(passage.row as usize))
    }

    /// How the articles stand to one another.
    pub fn relations(&self) -> &Relations {
        &self.relations
    }

    /// Which articles a filter admits, by position.
    pub fn admits(&self, filter: &ArticleFilter) -> impl Fn(usize) -> bool + use<> {
        let admitted = self.admitted(filter);
        move |article| admitted.has(article as u32)
    }

    fn admitted(&self, filter: &ArticleFilter) -> Arc<Admitted> {
        let mut known = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, admitted)) = known.iter().find(|(known, _)| known == filter) {
            return Arc::clone(admitted);
        }
        let admitted = Arc::new(Admitted::of(self.articles().map(|article| filter.admits(article))));
        known.push((filter.clone(), Arc::clone(&admitted)));
        admitted
    }

    /// The best passage of one article for an embedding. `None` for a position or a length that is not this index's.
    pub fn best_chunk(&self, article: usize, embedding: &[f32]) -> Option<VectorHit> {
        if embedding.len() != self.manifest.dimensions {
            return None;
        }
        let passages = self.entries.get(article)?.passages.iter().enumerate();
        passages
            .map(|(chunk, passage)| {
                let cosine = cosine(self.vectors.row(passage.row as usize), embedding);
                VectorHit { article, chunk, cosine }
            })
            .reduce(|best, hit| if hit.cosine > best.cosine { hit } else { best })
    }

    /// The words of a passage: its part of the body, or the title of an article without a body.
    pub fn chunk_text(&self, article: usize, chunk: usize) -> Option<&str> {
        let entry = self.entries.get(article)?;
        let passage = entry.passages.get(chunk)?;
        match entry.article.body.get(passage.body.clone())?.trim() {
            "" => Some(&entry.article.title),
            text => Some(text),
        }
    }

    /// The article at a position below [`Index::len`], the order being that of the ids.
    ///
    /// # Panics
    /// With a position that no hit of this index gave.
    pub fn article(&self, article: usize) -> &Arc<Article> {
        &self.entries[article].article
    }

    /// All articles in the order of their positions.
    pub fn articles(&self) -> impl ExactSizeIterator<Item = &Arc<Article>> {
        self.entries.iter().map(|entry| &entry.article)
    }

    /// The position of the first article with this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        let position = self.entries.partition_point(|entry| entry.article.id.as_str() < id);
        self.entries.get(position).filter(|entry| entry.article.id == id).map(|_| position)
    }

    /// The sources that hold an article.
    pub fn sources(&self, article: usize) -> impl Iterator<Item = &str> {
        self.entries.get(article).into_iter().flat_map(|entry| &entry.sources).map(String::as_str)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn generation(&self) -> u64 {
        self.manifest.generation
    }

    pub(crate) fn current(&self) -> Current {
        self.current
    }

    /// Number of articles.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn open_base(generation: &Generation) -> Result<Arc<Segment>, IndexError> {
    let matrix = generation.base()?;
    let neighbours = generation.neighbours(&matrix)?;
    Ok(Arc::new(Segment::new(matrix, neighbours)))
}

/// Whose each row is; reading the entries made sure that none is claimed twice.
fn owners(entries: &[Entry], num_rows: usize) -> Vec<Option<Owner>> {
    let mut owners = vec![None; num_rows];
    for (article, entry) in (0..).zip(entries) {
        for (chunk, passage) in (0..).zip(&entry.passages) {
            owners[passage.row as usize] = Some(Owner { article, chunk });
        }
    }
    owners
}

/// The index in service.
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
