//! What a collection brings to an index: its documents as articles, and its vectors where they are the model's own.
//!
//! Nothing in Chroma says for certain which model made the vectors. So they are taken over only when their length is
//! right and a sample of documents embedded anew comes out the same; otherwise the build embeds the documents, which is
//! only slower. A vector stands for the whole text of its article, title included, as it did in Chroma; a document
//! that is too long for the model in one piece is embedded anew in several.

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use cuecard_text::json::LeftOut;

use crate::article::Article;
use crate::build::{Completeness, Update};
use crate::chroma::error::ChromaError;
use crate::chroma::record::{ChromaRecord, ChromaRecords};
use crate::embed::embed_checked;
use crate::encoder::TextEncoder;
use crate::hashing::ContentHash;
use crate::passages::passages;
use crate::vectors::cosine;

/// Documents embedded anew: another model agrees on none of them, so a few decide.
const SAMPLE: usize = 8;

/// Below what multiplying in 8 bits costs (0.9974 was the lowest of 12,039 articles), far above what another model reaches.
const SAME: f32 = 0.99;

/// What an import found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChromaImport {
    pub records: usize,
    /// Records without document and title, which are left out.
    pub without_text: usize,
    /// Records that could not be read, which are left out too.
    pub unreadable: LeftOut,
    /// Texts that need not be embedded.
    pub taken_over: usize,
    /// Why none of the vectors is taken over, although there are some.
    pub not_taken_over: Option<String>,
}

/// A vector of the collection that stands for the one passage of an article.
struct Offered {
    /// Its place among the articles.
    article: usize,
    key: ContentHash,
    vector: Vec<f32>,
}

/// The collection as a full update of the source `chroma:<collection>`, and the encoder to build it with. Embeds a sample
/// and blocks meanwhile.
pub fn update(
    records: ChromaRecords,
    encoder: &dyn TextEncoder,
) -> Result<(Update, TakenOver<'_>, ChromaImport), ChromaError> {
    let num_readable = records.records.len();
    let num_records = num_readable + records.left_out.count;
    let (articles, mut offered) = read(records.records, encoder);
    let not_taken_over = objection(&articles, &offered, encoder)?;
    if not_taken_over.is_some() {
        offered.clear();
    }
    let known: HashMap<_, _> = offered.into_iter().map(|offered| (offered.key, offered.vector)).collect();
    let (without_text, taken_over) = (num_readable - articles.len(), known.len());
    let import =
        ChromaImport { records: num_records, without_text, unreadable: records.left_out, taken_over, not_taken_over };
    let source = format!("chroma:{}", records.collection);
    let update = Update { source, articles, completeness: Completeness::Full };
    Ok((update, TakenOver { inner: encoder, known, answered: AtomicUsize::new(0) }, import))
}

fn read(records: Vec<ChromaRecord>, encoder: &dyn TextEncoder) -> (Vec<Article>, Vec<Offered>) {
    let (mut articles, mut offered) = (Vec::with_capacity(records.len()), Vec::new());
    for mut record in records {
        let Some(article) = record.article() else { continue };
        if let Some(vector) = record.embedding.take().and_then(unit)
            // Of a document with markup the vector is another text's.
            && record.document.as_ref() == Some(&article.body)
            && !article.body.trim().is_empty()
            && let [passage] = passages(&article, encoder).as_slice()
        {
            let key = ContentHash::of_text(encoder.model(), &passage.text);
            offered.push(Offered { article: articles.len(), key, vector });
        }
        articles.push(article);
    }
    (articles, offered)
}

/// Why these vectors are not those of the encoder.
fn objection(
    articles: &[Article],
    offered: &[Offered],
    encoder: &dyn TextEncoder,
) -> Result<Option<String>, ChromaError> {
    let expected = encoder.dimensions();
    if let Some(other) = offered.iter().map(|offered| offered.vector.len()).find(|found| *found != expected) {
        return Ok(Some(format!("the collection's vectors have {other} dimensions, the model makes {expected}")));
    }
    let sample: Vec<_> = offered.iter().step_by((offered.len() / SAMPLE).max(1)).take(SAMPLE).collect();
    if sample.is_empty() {
        return Ok(None);
    }
    let documents: Vec<_> = sample.iter().map(|offered| articles[offered.article].body.clone()).collect();
    let anew = embed_checked(encoder, &documents).map_err(ChromaError::Encoder)?;
    let cosines = sample.iter().zip(&anew).map(|(offered, anew)| cosine(&offered.vector, anew));
    let lowest = cosines.fold(f32::INFINITY, f32::min);
    Ok((lowest < SAME).then(|| {
        let num = documents.len();
        format!(
            "of {num} documents embedded anew one has a cosine of {lowest:.4} with its vector: another model made it"
        )
    }))
}

/// `None` for a vector without a direction.
fn unit(vector: Vec<f32>) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    (norm.is_normal()).then(|| vector.into_iter().map(|value| value / norm).collect())
}

/// Answers the texts that it knows with the collection's own vectors and asks the inner encoder for the others. To a
/// build it is the inner encoder: the vectors were compared with what that one makes of the same documents.
pub struct TakenOver<'a> {
    inner: &'a dyn TextEncoder,
    /// Unit vectors by the hash of their text under the model of `inner`.
    known: HashMap<ContentHash, Vec<f32>>,
    answered: AtomicUsize,
}

impl TakenOver<'_> {
    /// How many texts it knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many texts were answered without the inner encoder.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn vector(&self, text: &str) -> Option<Vec<f32>> {
        self.known.get(&ContentHash::of_text(self.inner.model(), text)).cloned()
    }
}

impl TextEncoder for TakenOver<'_> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        self.inner.chunks(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        let mut vectors: Vec<Option<Vec<f32>>> = texts.iter().map(|text| self.vector(text)).collect();
        let unknown: Vec<String> =
            texts.iter().zip(&vectors).filter(|(_, known)| known.is_none()).map(|(text, _)| text.clone()).collect();
        self.answered.fetch_add(texts.len() - unknown.len(), Ordering::Relaxed);
        if !unknown.is_empty() {
            let slots = vectors.iter_mut().filter(|vector| vector.is_none());
            slots.zip(self.inner.embed(&unknown)?).for_each(|(slot, vector)| *slot = Some(vector));
        }
        // An encoder that answered too few vectors leaves gaps; whoever asked counts them.
        Ok(vectors.into_iter().flatten().collect())
    }
}
