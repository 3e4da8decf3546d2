//! A collection that is asked live, and read whole for an import.
//!
//! A collection is addressed by its id. One that was deleted and made again under the same name has another; the next
//! query finds that out and goes on with the new one.

use std::sync::{Arc, PoisonError, RwLock};
use std::vec::IntoIter;

use serde_json::{Map, Value};

use crate::chroma::client::{CallError, ChromaClient};
use crate::chroma::error::ChromaError;
use crate::chroma::record::{ChromaRecord, ChromaRecords, Metadata};
use crate::chroma::settings::ChromaSettings;
use crate::chroma::space::Space;
use crate::chroma::wire::{CollectionBody, GetAnswer, GetBody, QueryAnswer, QueryBody, Values};

/// Records for each request of an import: 2 MB with vectors of 384 dimensions.
const PAGE: usize = 250;

/// Their vectors alone are 1.5 GB.
const MOST_RECORDS: usize = 1_000_000;

/// A document near an embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct ChromaHit {
    pub id: String,
    /// Empty for a record without a document.
    pub document: String,
    /// The metadata's `source`, `unknown` without one.
    pub source: String,
    /// The metadata's `title`.
    pub title: Option<String>,
    /// The metadata's `url`.
    pub url: Option<String>,
    /// The cosine of query and record, as far as their vectors are unit vectors; shown to 4 places.
    pub relevance: f64,
}

/// A collection of a Chroma server. Safe to ask from many threads; needs a tokio runtime.
pub struct ChromaCollection {
    client: ChromaClient,
    settings: ChromaSettings,
    /// What its vectors must have; `None` where any will do.
    dimensions: Option<usize>,
    opened: RwLock<Arc<Opened>>,
}

/// Documents, metadata and distances of one embedding's hits, as far as the server sent them.
type HitFields = (Option<Values<String>>, Option<Values<Map<String, Value>>>, Option<Values<f64>>);

/// What the name of the collection stands for now.
struct Opened {
    id: String,
    space: Space,
}

impl ChromaCollection {
    /// Finds the collection and compares its vectors' length with that of the model in use.
    pub async fn open(settings: &ChromaSettings, dimensions: usize) -> Result<Self, ChromaError> {
        Self::open_as(settings, Some(dimensions)).await
    }

    /// Finds the collection whatever its vectors are: their documents can be embedded anew.
    pub async fn open_for_import(settings: &ChromaSettings) -> Result<Self, ChromaError> {
        Self::open_as(settings, None).await
    }

    async fn open_as(settings: &ChromaSettings, dimensions: Option<usize>) -> Result<Self, ChromaError> {
        let (client, settings) = (ChromaClient::new(settings)?, settings.clone());
        let opened = find(&client, &settings, dimensions).await?;
        Ok(Self { client, settings, dimensions, opened: RwLock::new(Arc::new(opened)) })
    }

    /// The name of the collection.
    pub fn name(&self) -> &str {
        &self.settings.collection
    }

    /// How the collection measures distances.
    pub fn space(&self) -> Space {
        self.opened().space
    }

    /// For each of `embeddings` the `k` records nearest to it, the nearest first.
    pub async fn query(&self, embeddings: &[&[f32]], k: usize) -> Result<Vec<Vec<ChromaHit>>, ChromaError> {
        for embedding in embeddings {
            if let Some(expected) = self.dimensions.filter(|&expected| expected != embedding.len()) {
                return Err(other_dimensions(&self.settings, expected, embedding.len()));
            }
        }
        if k == 0 {
            return Ok(vec![Vec::new(); embeddings.len()]);
        }
        let include = ["documents", "metadatas", "distances"];
        let body = QueryBody { query_embeddings: embeddings, n_results: k, include };
        let opened = self.opened();
        match self.client.post(&[&opened.id, "query"], &body).await {
            Ok(answer) => self.hits(answer, opened.space),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::NotFound) => {
                let opened = self.open_again().await?;
                let again = self.client.post(&[&opened.id, "query"], &body).await;
                self.hits(again.map_err(|error| failed(error, &self.client, &self.settings))?, opened.space)
            }
        }
    }

    /// All records with their vectors, read in pages. Refused when the collection changes meanwhile: an import that
    /// lacks records would remove their articles.
    pub async fn read_all(&self) -> Result<ChromaRecords, ChromaError> {
        let there = self.count().await?;
        let collection = self.name().to_owned();
        if there > MOST_RECORDS {
            return Err(ChromaError::TooLarge { collection, there, most: MOST_RECORDS });
        }
        let mut records = Vec::with_capacity(there);
        loop {
            let page = self.page(records.len()).await?;
            let is_last = page.is_empty();
            records.extend(page);
            if is_last || records.len() > there {
                break;
            }
        }
        let (read, there) = (records.len(), self.count().await?);
        if read != there {
            return Err(ChromaError::Changed { collection, read, there });
        }
        Ok(ChromaRecords { collection, records })
    }

    async fn count(&self) -> Result<usize, ChromaError> {
        let opened = self.opened();
        let count = self.client.get(&[&opened.id, "count"]).await;
        count.map_err(|error| failed(error, &self.client, &self.settings))
    }

    async fn page(&self, offset: usize) -> Result<Vec<ChromaRecord>, ChromaError> {
        let opened = self.opened();
        let body = GetBody { limit: PAGE, offset, include: ["documents", "metadatas", "embeddings"] };
        let answer = self.client.post(&[&opened.id, "get"], &body).await;
        let answer: GetAnswer = answer.map_err(|error| failed(error, &self.client, &self.settings))?;
        let num = answer.ids.len();
        let documents = self.as_long(answer.documents, num)?;
        let metadatas = self.as_long(answer.metadatas, num)?;
        let embeddings = self.as_long(answer.embeddings, num)?;
        let fields = documents.into_iter().zip(metadatas).zip(embeddings);
        let record = |(id, ((document, metadata), embedding))| ChromaRecord {
            id,
            document,
            metadata: Metadata::from(metadata),
            embedding,
        };
        Ok(answer.ids.into_iter().zip(fields).map(record).collect())
    }

    fn hits(&self, answer: QueryAnswer, space: Space) -> Result<Vec<Vec<ChromaHit>>, ChromaError> {
        let QueryAnswer { ids, documents, metadatas, distances } = answer;
        let mut documents = documents.map(Vec::into_iter);
        let mut metadatas = metadatas.map(Vec::into_iter);
        let mut distances = distances.map(Vec::into_iter);
        let list = |ids: Vec<String>| {
            let fields = (next(&mut documents), next(&mut metadatas), next(&mut distances));
            self.hits_of_one(ids, fields, space)
        };
        ids.into_iter().map(list).collect()
    }

    fn hits_of_one(&self, ids: Vec<String>, fields: HitFields, space: Space) -> Result<Vec<ChromaHit>, ChromaError> {
        let (documents, metadatas, distances) = fields;
        let documents = self.as_long(documents, ids.len())?;
        let metadatas = self.as_long(metadatas, ids.len())?;
        let distances = self.as_long(distances, ids.len())?;
        let fields = documents.into_iter().zip(metadatas).zip(distances);
        // A record whose distance is no number lies nowhere.
        let hits = ids.into_iter().zip(fields).filter_map(|(id, ((document, metadata), distance))| {
            let metadata = Metadata::from(metadata);
            let (source, title, url) = (metadata.source(), metadata.text("title"), metadata.text("url"));
            let document = document.unwrap_or_default();
            Some(ChromaHit { id, document, source, title, url, relevance: space.relevance(distance?) })
        });
        Ok(hits.collect())
    }

    /// One value for each record, none where the server sent no list.
    fn as_long<T>(&self, values: Option<Vec<Option<T>>>, num: usize) -> Result<Vec<Option<T>>, ChromaError> {
        match values {
            Some(values) if values.len() == num => Ok(values),
            Some(values) => Err(self.client.unreadable(format!("{} values for {num} records", values.len()))),
            None => Ok(std::iter::repeat_with(|| None).take(num).collect()),
        }
    }

    fn opened(&self) -> Arc<Opened> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open_again(&self) -> Result<Arc<Opened>, ChromaError> {
        let opened = Arc::new(find(&self.client, &self.settings, self.dimensions).await?);
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&opened);
        Ok(opened)
    }
}

async fn find(
    client: &ChromaClient,
    settings: &ChromaSettings,
    dimensions: Option<usize>,
) -> Result<Opened, ChromaError> {
    let found = client.get(&[&settings.collection]).await;
    let found: CollectionBody = found.map_err(|error| failed(error, client, settings))?;
    match (found.dimension, dimensions) {
        (Some(found), Some(expected)) if found != expected => Err(other_dimensions(settings, found, expected)),
        _ => Ok(Opened { space: found.space(), id: found.id }),
    }
}

/// The next embedding's list; none where the server sent none for any.
fn next<T>(lists: &mut Option<IntoIter<Values<T>>>) -> Option<Values<T>> {
    lists.as_mut().map(|lists| lists.next().unwrap_or_default())
}

fn other_dimensions(settings: &ChromaSettings, found: usize, expected: usize) -> ChromaError {
    ChromaError::OtherDimensions { collection: settings.collection.clone(), found, expected }
}

fn failed(error: CallError, client: &ChromaClient, settings: &ChromaSettings) -> ChromaError {
    match error {
        CallError::Failed(error) => error,
        CallError::NotFound => ChromaError::NoCollection {
            url: client.url(),
            tenant: settings.tenant.clone(),
            database: settings.database.clone(),
            collection: settings.collection.clone(),
        },
    }
}
