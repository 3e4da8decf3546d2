//! A collection that is asked live, and read whole for an import.
//!
//! A collection is addressed by its id. One that was deleted and made again under the same name has another; the next
//! query finds that out and goes on with the new one.

use std::sync::{Arc, PoisonError, RwLock};

use cuecard_text::json::{Row, sift};
use tokio::time::timeout;

use crate::chroma::answers::{Answered, ChromaHit};
use crate::chroma::client::{CallError, ChromaClient, ChromaSettings};
use crate::chroma::error::ChromaError;
use crate::chroma::record::{ChromaRecord, ChromaRecords};
use crate::chroma::wire::{CollectionBody, GetAnswer, GetBody, QueryAnswer, QueryBody, Space};
use crate::filter::ArticleFilter;

/// Records for each request of an import: 2 MB with vectors of 384 dimensions.
const PAGE: usize = 250;

/// Their vectors alone are 1.5 GB.
const MOST_RECORDS: usize = 1_000_000;

/// Records asked for at most where a filter leaves out most of them: 1 MB of documents.
const MOST_ASKED: usize = 1_000;

/// A collection of a Chroma server. Safe to ask from many threads; needs a tokio runtime.
pub struct ChromaCollection {
    client: ChromaClient,
    settings: ChromaSettings,
    /// What its vectors must have; `None` where any will do.
    dimensions: Option<usize>,
    opened: RwLock<Arc<Opened>>,
}

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

    /// Looks for it on its server, which may have another one by that name now.
    pub async fn look(&self) -> Result<(), ChromaError> {
        self.open_again().await.map(drop)
    }

    /// For each of `embeddings` the `k` admitted records nearest to it, the nearest first, within the settings' time in
    /// all. A record without anything to read is none.
    pub async fn query(
        &self,
        embeddings: &[&[f32]],
        k: usize,
        filter: &ArticleFilter,
    ) -> Result<Vec<Vec<ChromaHit>>, ChromaError> {
        for embedding in embeddings {
            if let Some(expected) = self.dimensions.filter(|&expected| expected != embedding.len()) {
                return Err(other_dimensions(&self.settings, expected, embedding.len()));
            }
        }
        if k == 0 {
            return Ok(vec![Vec::new(); embeddings.len()]);
        }
        let after = self.settings.timeout;
        let late = |_| ChromaError::TimedOut { url: self.client.url(), after };
        timeout(after, self.ask_until_enough(embeddings, k, filter)).await.map_err(late)?
    }

    /// Records that the filter leaves out make room for others, which are asked for again.
    async fn ask_until_enough(
        &self,
        embeddings: &[&[f32]],
        k: usize,
        filter: &ArticleFilter,
    ) -> Result<Vec<Vec<ChromaHit>>, ChromaError> {
        let mut num_asked = k;
        loop {
            let answered = self.nearest(embeddings, num_asked, filter).await?;
            let may_have_more = |list: &Answered| list.hits.len() < k && list.num_records == num_asked;
            if num_asked >= MOST_ASKED || !answered.iter().any(may_have_more) {
                return Ok(answered.into_iter().map(|list| list.hits.into_iter().take(k).collect()).collect());
            }
            num_asked = (num_asked * 4).min(MOST_ASKED);
        }
    }

    async fn nearest(
        &self,
        embeddings: &[&[f32]],
        num_asked: usize,
        filter: &ArticleFilter,
    ) -> Result<Vec<Answered>, ChromaError> {
        let include = ["documents", "metadatas", "distances"];
        let body = QueryBody { query_embeddings: embeddings, n_results: num_asked, include };
        let opened = self.opened();
        match self.client.post(&[&opened.id, "query"], &body).await {
            Ok(answer) => self.hits(answer, opened.space, filter),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::NotFound) => {
                let opened = self.open_again().await?;
                let again = self.client.post(&[&opened.id, "query"], &body).await;
                self.hits(again.map_err(|error| failed(error, &self.client, &self.settings))?, opened.space, filter)
            }
        }
    }

    /// All records with their vectors, read in pages. Refused when the collection changes meanwhile: an import that
    /// lacks records would remove their articles.
    pub async fn read_all(&self) -> Result<ChromaRecords, ChromaError> {
        let there = self.count().await?;
        let collection = self.settings.collection.clone();
        if there > MOST_RECORDS {
            return Err(ChromaError::TooLarge { collection, there, most: MOST_RECORDS });
        }
        let mut rows = Vec::with_capacity(there);
        loop {
            let page = self.page(rows.len()).await?;
            let is_last = page.is_empty();
            rows.extend(page);
            if is_last || rows.len() > there {
                break;
            }
        }
        let (read, there) = (rows.len(), self.count().await?);
        if read != there {
            return Err(ChromaError::Changed { collection, read, there });
        }
        let (records, left_out) = sift("records", rows);
        Ok(ChromaRecords { collection, records, left_out })
    }

    async fn count(&self) -> Result<usize, ChromaError> {
        let opened = self.opened();
        let count = self.client.get(&[&opened.id, "count"]).await;
        count.map_err(|error| failed(error, &self.client, &self.settings))
    }

    async fn page(&self, offset: usize) -> Result<Vec<Row<ChromaRecord>>, ChromaError> {
        let opened = self.opened();
        let body = GetBody { limit: PAGE, offset, include: ["documents", "metadatas", "embeddings"] };
        let answer = self.client.post(&[&opened.id, "get"], &body).await;
        let answer: GetAnswer = answer.map_err(|error| failed(error, &self.client, &self.settings))?;
        answer.records().map_err(|uneven| self.client.unreadable(uneven.to_string()))
    }

    fn hits(&self, answer: QueryAnswer, space: Space, filter: &ArticleFilter) -> Result<Vec<Answered>, ChromaError> {
        answer.hits(space, filter).map_err(|uneven| self.client.unreadable(uneven.to_string()))
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
