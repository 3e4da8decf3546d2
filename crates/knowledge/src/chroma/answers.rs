//! What a server's answers hold: records, and records near an embedding.
//!
//! Input: the lists of an answer, one of each kind with a value for each record. Output: records, or hits with their
//! relevance; a record that can't be read costs no other. On failure [`UnevenLists`]: nothing then tells which value is
//! whose. Pure.

use std::vec::IntoIter;

use cuecard_text::json::Row;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::article::Article;
use crate::chroma::record::ChromaRecord;
use crate::chroma::wire::{GetAnswer, QueryAnswer, Space, Values};
use crate::filter::ArticleFilter;

/// A record near an embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct ChromaHit {
    /// The record as an import takes it.
    pub article: Article,
    /// The cosine of query and record, as far as their vectors are unit vectors; shown to 4 places.
    pub relevance: f64,
}

impl ChromaHit {
    /// What is read of it: the document, or the title of a record without one.
    pub fn passage(&self) -> &str {
        let Article { title, body, .. } = &self.article;
        if body.trim().is_empty() { title } else { body }
    }
}

/// The records that the server gave for one embedding.
pub struct Answered {
    pub num_records: usize,
    /// Those of them that are articles and admitted.
    pub hits: Vec<ChromaHit>,
}

/// A list that has a value too many, or too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{num_values} values for {num_records} records")]
pub struct UnevenLists {
    num_values: usize,
    num_records: usize,
}

impl QueryAnswer {
    /// For each embedding what is near it.
    pub fn hits(self, space: Space, filter: &ArticleFilter) -> Result<Vec<Answered>, UnevenLists> {
        let Self { ids, documents, metadatas, distances } = self;
        let mut documents = documents.map(Vec::into_iter);
        let mut metadatas = metadatas.map(Vec::into_iter);
        let mut distances = distances.map(Vec::into_iter);
        let list = |ids: Vec<Row<String>>| {
            let num_records = ids.len();
            let distances = as_long(next(&mut distances), num_records)?;
            let records = records(ids, next(&mut documents), next(&mut metadatas), None)?;
            // A record whose distance is no number lies nowhere.
            let hits = records.into_iter().zip(distances).filter_map(|(record, distance)| {
                let article = record.usable()?.article().filter(|article| filter.admits(article))?;
                Some(ChromaHit { article, relevance: space.relevance(distance?.usable()?) })
            });
            Ok(Answered { num_records, hits: hits.collect() })
        };
        ids.into_iter().map(list).collect()
    }
}

impl GetAnswer {
    /// The records of a page.
    pub fn records(self) -> Result<Vec<Row<ChromaRecord>>, UnevenLists> {
        records(self.ids, self.documents, self.metadatas, self.embeddings)
    }
}

fn records(
    ids: Vec<Row<String>>,
    documents: Option<Values<String>>,
    metadatas: Option<Values<Map<String, Value>>>,
    embeddings: Option<Values<Vec<f32>>>,
) -> Result<Vec<Row<ChromaRecord>>, UnevenLists> {
    let num = ids.len();
    let fields = as_long(documents, num)?.into_iter().zip(as_long(metadatas, num)?);
    let fields = fields.zip(as_long(embeddings, num)?);
    let record = |(id, ((document, metadata), embedding))| ChromaRecord::read(id, document, metadata, embedding);
    Ok(ids.into_iter().zip(fields).map(record).collect())
}

/// One value for each record, none where the server sent no list.
fn as_long<T>(values: Option<Values<T>>, num_records: usize) -> Result<Values<T>, UnevenLists> {
    match values {
        Some(values) if values.len() == num_records => Ok(values),
        Some(values) => Err(UnevenLists { num_values: values.len(), num_records }),
        None => Ok(std::iter::repeat_with(|| None).take(num_records).collect()),
    }
}

/// The next embedding's list; none where the server sent none for any.
fn next<T>(lists: &mut Option<IntoIter<Values<T>>>) -> Option<Values<T>> {
    lists.as_mut().map(|lists| lists.next().unwrap_or_default())
}
