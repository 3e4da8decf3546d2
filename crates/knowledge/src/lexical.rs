//! BM25 over the text of the articles: entity, title, body and customers' phrases as one text, and heading, tags and phrases as
//! another; lower-cased,
//! English stems (tantivy).
//!
//! A document holds an article's words and its document number, nothing to be read back. Updating links the immutable
//! files of the generation before, deletes what is gone by number, and adds what is new. Searching takes any text as a
//! bag of words; there is no query syntax to get wrong. Beside the search for the best there is one look at all articles
//! that gives each the share of weighted words that it has.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tantivy::collector::TopDocs;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::postings::Postings;
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{
    Directory, DocSet, Index, IndexWriter, ReloadPolicy, Searcher, SegmentReader, TERMINATED, TantivyDocument,
    TantivyError, Term,
};

use crate::error::IndexError;
use crate::filter::Admitted;
use crate::store::directory::{copy, create_directory, link_or_copy, sync_directory};
use crate::store::entries::Entry;

/// tantivy's own: split at what is no letter or digit, lower-cased, Snowball's English stemmer.
const TOKENIZER: &str = "en_stem";

/// Indexing memory; at the article sizes of help centres a segment then holds some 50,000 of them.
const WRITER_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// A segment is written anew when more than this share of it is deleted: deleted articles still count in BM25's statistics.
const DELETED_SHARE_BEFORE_MERGE: f32 = 0.2;

/// BM25's own numbers, as tantivy has them.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// A word that more than one in so many articles has tells none from another.
const COMMON_WORD: u64 = 4;

/// One rare word, or two, shall not make an article of them look like an answer to all that was said.
const LEAST_MOST: f32 = 4.0;

/// More words than this say nothing more: it is a conversation of 16 KiB, the longest that is asked for.
const MOST_QUERY_WORDS: u16 = 4_096;

#[derive(Clone, Copy)]
struct Fields {
    document: Field,
    text: Field,
    heading: Field,
}

/// What is looked at for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordsOf {
    /// Entity, title and body.
    Text,
    /// Heading and tags.
    Heading,
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let document = builder.add_u64_field("document", INDEXED | FAST);
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
    let options = TextOptions::default().set_indexing_options(indexing);
    let text = builder.add_text_field("text", options.clone());
    let heading = builder.add_text_field("heading", options);
    (builder.build(), Fields { document, text, heading })
}

/// What becomes of the lexical index from one generation to the next.
pub struct Changes<'a> {
    /// Entries, each with its heading.
    pub added: &'a [(&'a Entry, &'a str)],
    pub removed: &'a [u64],
}

/// Writes the lexical index of a new generation into `directory`, starting from the one in `before`, which stays as it is.
pub fn write(directory: &Path, before: Option<&Path>, changes: &Changes<'_>) -> Result<(), IndexError> {
    create_directory(directory)?;
    if let Some(before) = before {
        link_generation(before, directory)?;
    }
    update(directory, before.is_some(), changes).map_err(IndexError::lexical(directory))?;
    remove_locks(directory)?;
    sync_directory(directory)
}

/// Segment files are never written twice and may share an inode; the two lists of files are replaced and get their own.
fn link_generation(before: &Path, directory: &Path) -> Result<(), IndexError> {
    let unreadable = || IndexError::io("list", before);
    for entry in fs::read_dir(before).map_err(unreadable())? {
        let entry = entry.map_err(unreadable())?;
        let to = directory.join(entry.file_name());
        match entry.path().extension().and_then(|extension| extension.to_str()) {
            Some("lock") => {}
            Some("json") | None => copy(&entry.path(), &to)?,
            Some(_) => link_or_copy(&entry.path(), &to)?,
        }
    }
    Ok(())
}

fn update(directory: &Path, exists: bool, changes: &Changes<'_>) -> Result<(), TantivyError> {
    let (schema, fields) = schema();
    let index = if exists { Index::open_in_dir(directory)? } else { Index::create_in_dir(directory, schema)? };
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(WRITER_MEMORY_BYTES)
        .build();
    let mut writer: IndexWriter = index.writer_with_options(options)?;
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(DELETED_SHARE_BEFORE_MERGE);
    writer.set_merge_policy(Box::new(policy));
    for &document in changes.removed {
        writer.delete_term(Term::from_field_u64(fields.document, document));
    }
    for (entry, heading) in changes.added {
        let mut document = TantivyDocument::new();
        document.add_u64(fields.document, entry.document);
        document.add_text(fields.text, entry.article.text());
        entry.article.phrases().for_each(|phrase| document.add_text(fields.text, phrase));
        document.add_text(fields.heading, heading);
        writer.add_document(document)?;
    }
    writer.commit()?;
    // Without this a merge would go on writing into a generation that is already in service.
    writer.wait_merging_threads()
}

fn remove_locks(directory: &Path) -> Result<(), IndexError> {
    let unreadable = || IndexError::io("list", directory);
    for entry in fs::read_dir(directory).map_err(unreadable())? {
        let path = entry.map_err(unreadable())?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            fs::remove_file(&path).map_err(IndexError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// An article that has words of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LexicalHit {
    /// Position of the article, see [`Index::article`](crate::Index::article).
    pub article: usize,
    /// Okapi BM25 with k1 1.2 and b 0.75 over all articles.
    pub bm25: f32,
}

/// For each segment the article of each of its documents; a deleted document has none.
type ArticlesOfSegments = Vec<Vec<Option<u32>>>;

/// The lexical index of one generation, open for searching.
pub struct Lexical {
    searcher: Searcher,
    fields: Fields,
    analyzer: TextAnalyzer,
    articles: ArticlesOfSegments,
    num_articles: usize,
}

impl Lexical {
    /// Opens `directory`, in which every article must have exactly one document, given by number in the order of the
    /// articles; or says what is wrong.
    pub fn open(directory: &Path, documents: impl Iterator<Item = u64>) -> Result<Self, String> {
        let failed = |error: TantivyError| format!("lexical: {error}");
        let (schema, fields) = schema();
        let directory = MmapDirectory::open(directory).map_err(|error| failed(error.into()))?;
        let index = Index::open(ReadOnlyDirectory(directory)).map_err(failed)?;
        if index.schema() != schema {
            return Err("lexical: the fields are not those of this version".to_owned());
        }
        let analyzer = index.tokenizer_for_field(fields.text).map_err(failed)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed)?;
        let searcher = reader.searcher();
        let (articles, num_articles) = articles_of_documents(&searcher, documents)?;
        Ok(Self { searcher, fields, analyzer, articles, num_articles })
    }

    /// The `k` admitted articles with the highest BM25 for the words of `text`, best first, ties in the order of the
    /// articles.
    pub fn search(&self, text: &str, k: usize, admitted: &Admitted) -> Result<Vec<LexicalHit>, TantivyError> {
        let k = k.min(admitted.len());
        let query = match self.bag_of_words(text) {
            Some(query) if k > 0 => query,
            _ => return Ok(Vec::new()),
        };
        // tantivy breaks ties by segment and knows nothing of what is admitted. Of what scores better than the last hit it
        // has named all, so fetching goes on until k admitted ones do.
        let mut limit = k + 1;
        loop {
            let found = self.searcher.search(&query, &TopDocs::with_limit(limit))?;
            let (is_all, last) = (found.len() < limit, found.last().map_or(0.0, |hit| hit.0));
            let hits = found.into_iter().filter_map(|(bm25, address)| {
                let article = self.articles.get(address.segment_ord as usize)?.get(address.doc_id as usize)?;
                article
                    .filter(|article| admitted.has(*article))
                    .map(|article| LexicalHit { article: article as usize, bm25 })
            });
            let hits = best(hits.collect(), k);
            if is_all || hits.get(k - 1).is_some_and(|kth| kth.bm25 > last) {
                return Ok(hits);
            }
            limit = (limit * 4).min(self.num_articles + 1);
        }
    }

    /// The words of a text as they are compared, in the order of speech; at most the first few thousand.
    pub fn words(&self, text: &str) -> Vec<String> {
        let mut analyzer = self.analyzer.clone();
        let mut stream = analyzer.token_stream(text);
        let mut words = Vec::new();
        while words.len() < usize::from(MOST_QUERY_WORDS) && stream.advance() {
            words.push(stream.token().text.clone());
        }
        words
    }

    /// Whether any article has this word, as [`words`](Self::words) gives it.
    pub fn has_word(&self, word: &str) -> bool {
        let term = Term::from_field_text(self.fields.text, word);
        self.searcher.doc_freq(&term).is_ok_and(|articles| articles > 0)
    }

    /// For each article the share of weighted words that it has, 0 to about 1: the sum of BM25 over different words, each
    /// times its weight, divided by the most that an article could reach, or by a small number where that is less. Words
    /// that more than a quarter of the articles have say nothing; those that none has change nothing.
    pub fn shares<'a>(
        &self,
        of: WordsOf,
        weights: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> Result<Vec<f32>, TantivyError> {
        let mut shares = vec![0.0; self.num_articles];
        let Some(sought) = self.sought(of, weights)? else { return Ok(shares) };
        for (segment, articles) in self.searcher.segment_readers().iter().zip(&self.articles) {
            sought.add_shares(segment, articles, &mut shares)?;
        }
        for share in &mut shares {
            *share /= sought.scale;
        }
        Ok(shares)
    }

    /// The same of one text that is no article of this index, by how rare the words are here.
    pub fn share_of_text<'a>(
        &self,
        text: &str,
        of: WordsOf,
        weights: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> Result<f32, TantivyError> {
        let Some(sought) = self.sought(of, weights)? else { return Ok(0.0) };
        let words = self.words(text);
        let norm = sought.norm(words.len() as f32);
        let mut frequencies: HashMap<Term, f32> = HashMap::new();
        for word in &words {
            *frequencies.entry(Term::from_field_text(sought.field, word)).or_default() += 1.0;
        }
        let share = |(term, weight): &(Term, f32)| {
            frequencies.get(term).map_or(0.0, |frequency| weight * frequency / (frequency + norm))
        };
        Ok(sought.words.iter().map(share).sum::<f32>() / sought.scale)
    }

    /// The words that tell articles apart; `None` where there are none.
    fn sought<'a>(
        &self,
        of: WordsOf,
        weights: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> Result<Option<Sought>, TantivyError> {
        let field = match of {
            WordsOf::Text => self.fields.text,
            WordsOf::Heading => self.fields.heading,
        };
        let num_documents = Bm25StatisticsProvider::total_num_docs(&self.searcher)?;
        let mut most = 0.0;
        let mut words = Vec::new();
        for (word, weight) in weights {
            let term = Term::from_field_text(field, word);
            let containing = self.searcher.doc_freq(&term)?;
            if containing > 0 && containing <= (num_documents / COMMON_WORD).max(1) {
                let weight = (1.0 + K1) * weight * idf(containing, num_documents);
                most += weight;
                words.push((term, weight));
            }
        }
        let num_words = Bm25StatisticsProvider::total_num_tokens(&self.searcher, field)?;
        let average_length = num_words as f32 / num_documents.max(1) as f32;
        let sought = Sought { field, words, average_length, scale: most.max(LEAST_MOST) };
        Ok((!sought.words.is_empty()).then_some(sought))
    }

    /// Each word counts as often as it is said. Words are weighted rather than repeated: 16 KiB of talk then take
    /// 8 ms instead of 50 in 12,000 articles. Their fixed order keeps the sum of their scores the same each time.
    fn bag_of_words(&self, text: &str) -> Option<BooleanQuery> {
        let mut analyzer = self.analyzer.clone();
        let mut stream = analyzer.token_stream(text);
        let mut counts: BTreeMap<Term, u16> = BTreeMap::new();
        for _ in 0..MOST_QUERY_WORDS {
            if !stream.advance() {
                break;
            }
            *counts.entry(Term::from_field_text(self.fields.text, &stream.token().text)).or_default() += 1;
        }
        let weighted = |(term, count)| {
            let word = TermQuery::new(term, IndexRecordOption::WithFreqs);
            let word: Box<dyn Query> = Box::new(BoostQuery::new(Box::new(word), f32::from(count)));
            (Occur::Should, word)
        };
        let words: Vec<_> = counts.into_iter().map(weighted).collect();
        (!words.is_empty()).then(|| BooleanQuery::new(words))
    }
}

/// How rare a word is, as tantivy weighs it.
fn idf(containing: u64, num_documents: u64) -> f32 {
    let (containing, all) = (containing as f32, num_documents as f32);
    (1.0 + (all - containing + 0.5) / (containing + 0.5)).ln()
}

/// Words to look for, each with the most that it can add.
struct Sought {
    field: Field,
    words: Vec<(Term, f32)>,
    average_length: f32,
    /// What shares are divided by.
    scale: f32,
}

impl Sought {
    /// How strongly a text of so many words is marked down.
    fn norm(&self, num_words: f32) -> f32 {
        K1 * (1.0 - B + B * num_words / self.average_length)
    }

    fn add_shares(
        &self,
        segment: &SegmentReader,
        articles: &[Option<u32>],
        shares: &mut [f32],
    ) -> Result<(), TantivyError> {
        let inverted = segment.inverted_index(self.field)?;
        let lengths = segment.get_fieldnorms_reader(self.field)?;
        let norms: [f32; 256] = std::array::from_fn(|id| self.norm(FieldNormReader::id_to_fieldnorm(id as u8) as f32));
        for (term, weight) in &self.words {
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::WithFreqs)? else { continue };
            let mut document = postings.doc();
            while document != TERMINATED {
                if let Some(article) = articles[document as usize] {
                    let frequency = postings.term_freq() as f32;
                    let norm = norms[usize::from(lengths.fieldnorm_id(document))];
                    shares[article as usize] += weight * frequency / (frequency + norm);
                }
                document = postings.advance();
            }
        }
        Ok(())
    }
}

fn best(mut hits: Vec<LexicalHit>, k: usize) -> Vec<LexicalHit> {
    hits.sort_by(|a, b| b.bm25.total_cmp(&a.bm25).then_with(|| a.article.cmp(&b.article)));
    hits.truncate(k);
    hits
}

/// The articles of all documents, and how many articles there are.
fn articles_of_documents(
    searcher: &Searcher,
    documents: impl Iterator<Item = u64>,
) -> Result<(ArticlesOfSegments, usize), String> {
    let mut by_document: Vec<(u64, u32)> = documents.zip(0..).collect();
    by_document.sort_unstable();
    let mut num_found = 0;
    let mut segments = Vec::new();
    for segment in searcher.segment_readers() {
        let documents = segment.fast_fields().u64("document").map_err(|error| format!("lexical: {error}"))?;
        let mut articles = vec![None; segment.max_doc() as usize];
        for doc in segment.doc_ids_alive() {
            let position = documents
                .first(doc)
                .and_then(|document| by_document.binary_search_by_key(&document, |pair| pair.0).ok())
                .ok_or("lexical: a document belongs to no article")?;
            articles[doc as usize] = Some(by_document[position].1);
            num_found += 1;
        }
        segments.push(articles);
    }
    let num_articles = by_document.len();
    if num_found == num_articles {
        Ok((segments, num_articles))
    } else {
        Err(format!("lexical: {num_found} documents for {num_articles} articles"))
    }
}

/// A generation's lexical directory as tantivy sees it when searching: nothing is ever written, no lock file either.
///
/// So a generation stays as its manifest says, and an index can lie on a read-only volume. No lock is needed because
/// nobody changes a published generation.
#[derive(Debug, Clone)]
struct ReadOnlyDirectory(MmapDirectory);

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a published generation is never written")
}

impl Directory for ReadOnlyDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.0.get_file_handle(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.0.exists(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.0.atomic_read(path)
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}
