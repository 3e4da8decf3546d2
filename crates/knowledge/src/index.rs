//! Generations of an index, open for reading.
//!
//! Input are embeddings, texts and a filter, output positions of admitted articles with their scores; positions are those
//! of the articles sorted by id, and belong to this generation only. Everything is checked when it is opened, after which reading needs
//! no file by name: the generation may be replaced and removed while it is in use.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::article::Article;
use crate::codes_said::codes_said;
use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::filter::{Admitted, ArticleFilter};
use crate::lexical::{Lexical, LexicalHit, WordsOf};
use crate::phrasing::{Phrasing, WeightedGrams};
use crate::readings::{Reading, Readings};
use crate::relations::{Related, Relations};
use crate::store::directory::{Current, Layout};
use crate::store::entries::{Entry, Extent, check, together};
use crate::store::generation::{Generation, Manifest, Part};
use crate::vectors::quantised::QuantisedQuery;
use crate::vectors::{Owner, VectorHit, VectorTable, cosine};

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
    base: Arc<Part>,
    delta: Part,
    /// Of both, in their order.
    entries: Vec<Arc<Entry>>,
    vectors: VectorTable,
    lexical: Lexical,
    related: Related,
    relations: Relations,
    phrasing: Phrasing,
    /// See [`Index::centrality`].
    centrality: OnceLock<Vec<f32>>,
    /// By the filters of the profiles that asked so far, a handful.
    admitted: Mutex<Vec<(ArticleFilter, Arc<Admitted>)>>,
    readings: Readings,
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

    /// `open` where it is the generation in service; else that one, sharing memory with it. Vectors of another model or length
    /// are refused.
    pub(crate) fn open_or_share(
        layout: &Layout,
        expected: &ModelIdentity,
        open: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, IndexError> {
        let current = Current::read(layout)?;
        match open.filter(|open| open.current == current && open.manifest.identity() == *expected) {
            Some(open) => Ok(Arc::clone(open)),
            None => Self::open_beside(layout.root(), Some(expected), open.map(Arc::as_ref)).map(Arc::new),
        }
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
        let lexical = || generation.verify_lexical(other.map(|other| &other.manifest));
        let (base, lexical) = rayon::join(|| base_of(&generation, other), lexical);
        let (base, delta, (related, names, titles)) = (base?, generation.delta()?, generation.relations()?);
        let damaged = |what: String| generation.damaged(&what);
        let documents = || related.articles.iter().map(|article| article.document);
        let entries = together(&base.entries, &delta.entries, documents()).map_err(damaged)?;
        let rows = base.vectors.matrix().num_rows() + delta.vectors.matrix().num_rows();
        check(&entries, Extent { rows, sentences: base.sentences.num_rows() + delta.sentences.num_rows() })
            .map_err(damaged)?;
        let lexical = Lexical::open(&lexical?, documents()).map_err(damaged)?;
        let (base_vectors, delta_vectors) = (Arc::clone(&base.vectors), Arc::clone(&delta.vectors));
        let vectors = VectorTable::new(base_vectors, delta_vectors, owners(&entries, rows), entries.len());
        let relations = Relations::new(&entries, &related, names, titles);
        let (manifest, centrality, admitted) = (generation.manifest, OnceLock::new(), Mutex::default());
        let articles = entries.iter().map(|entry| entry.article.as_ref());
        let phrasing = Phrasing::of(articles, |phrase| lexical.words(phrase));
        let readings = Readings::default();
        Ok(Self {
            manifest,
            current,
            base,
            delta,
            entries,
            vectors,
            lexical,
            related,
            relations,
            phrasing,
            centrality,
            admitted,
            readings,
        })
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

    /// For each article the share of weighted words that it has, 0 to about 1, of words as [`Index::read`] gives them.
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

    /// What a text says to this index.
    pub fn read(&self, text: &str) -> Arc<Reading> {
        // What any article says is a word of the articles' language.
        let is_known = |word: &str| self.lexical.words(word).iter().any(|word| self.lexical.has_word(word));
        let read = || {
            let mut words = self.lexical.words(text);
            words.extend(codes_said(text, &words, |word| self.lexical.has_word(word)));
            Reading { grams: self.phrasing.grams_of(&words), words, names: self.relations.names_heard(text, is_known) }
        };
        self.readings.get(text, read)
    }

    /// For each embedding and each article the cosine of its best passage with the embedding, to the second place; 0 where
    /// there is no embedding. With a nearest-neighbour graph only the nearest articles have theirs, all others the least
    /// of these.
    pub fn closeness<const N: usize>(&self, embeddings: [Option<&[f32]>; N]) -> [Vec<f32>; N] {
        self.vectors.closeness(embeddings)
    }

    /// The cosine of an article's nearest sentence with an embedding, to the second place; 0 for an article without any.
    pub fn sentence_closeness(&self, article: usize, embedding: &CodedEmbedding) -> f32 {
        let Range { start, end } = self.entries[article].sentences.clone();
        let (start, end, in_base) = (start as usize, end as usize, self.base.sentences.num_rows());
        let best = match start.checked_sub(in_base) {
            None => self.base.sentences.best_cosine(start..end, embedding.0.wide()),
            Some(start) => self.delta.sentences.best_cosine(start..end - in_base, embedding.0.wide()),
        };
        best.unwrap_or(0.0)
    }

    /// The articles that say how customers ask for them.
    pub fn num_phrased(&self) -> usize {
        self.phrasing.num_articles()
    }

    /// How far the phrases in which articles say how customers ask can be trusted, 0 to 1: see [`Phrasing::reach`].
    pub fn phrase_reach(&self) -> f32 {
        self.phrasing.reach()
    }

    /// For each article without phrases what others gain by the number of theirs: see [`Phrasing::unphrased`].
    pub fn unphrased(&self) -> &[f32] {
        self.phrasing.unphrased()
    }

    /// For each article how much turns, as [`Index::read`] reads them, speak for it by the phrases in which articles say how customers
    /// ask; 0 for an article that says nothing of it.
    pub fn speaks_for<'a>(&self, turns: impl Iterator<Item = WeightedGrams<'a>>) -> Vec<f32> {
        self.phrasing.speaks_for(turns)
    }

    /// For each article how near it lies to all others: the cosine of its best passage with the mean of the base's. What is
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

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    pub(crate) fn base(&self) -> &Part {
        &self.base
    }

    pub(crate) fn delta(&self) -> &Part {
        &self.delta
    }

    pub(crate) fn related(&self) -> &Related {
        &self.related
    }

    pub(crate) fn vectors(&self) -> &VectorTable {
        &self.vectors
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

/// The base that a generation has in common with another, or its own.
fn base_of(generation: &Generation, other: Option<&Index>) -> Result<Arc<Part>, IndexError> {
    match other.filter(|other| generation.manifest.shares_base(&other.manifest)) {
        Some(other) => Ok(Arc::clone(&other.base)),
        None => generation.base().map(Arc::new),
    }
}

/// Whose each row is; reading the entries made sure that none is claimed twice.
fn owners(entries: &[Arc<Entry>], num_rows: usize) -> Vec<Option<Owner>> {
    let mut owners = vec![None; num_rows];
    for (article, entry) in (0..).zip(entries) {
        for (chunk, passage) in (0..).zip(&entry.passages) {
            owners[passage.row as usize] = Some(Owner { article, chunk });
        }
    }
    owners
}
