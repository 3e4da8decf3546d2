//! One poll of a tenant's articles, and the build that follows from it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cuecard_cxone::http::Answer;
use cuecard_cxone::knowledge::Labels;
use cuecard_cxone::knowledge::articles::{ArticlesPage, NextPage, RemoteArticle, parse};
use cuecard_engine::BulkEncoder;
use cuecard_engine::encoder::Encoder;
use cuecard_engine::knowledge::sync::{check_size, held, read_state, update, write_state};
use cuecard_engine::knowledge::{Article, Audience, BuildSettings, Completeness, IndexHandle};
use cuecard_failure_points::failure_point;
use url::Url;

use super::{SyncError, Synced};
use crate::cxone_calls::{ArticlesRead, CxoneCalls};
use crate::messages::ProfileName;
use crate::telemetry::{JsonRepaired, JsonSource, Metrics};

/// One page may be asked for again and again for so long, where nobody waits.
const PATIENCE: Duration = Duration::from_mins(2);
/// A tenant that pages on beyond this many pages has lost count.
const MAX_PAGES: usize = 10_000;
/// Where more rows than this share are bad, something else must be wrong.
const MAX_BAD_SHARE: f64 = 0.1;

/// The name under which a profile's articles stand in an index.
pub fn source_of(profile: &ProfileName) -> String {
    format!("cxone:{profile}")
}

/// One poll of a tenant's articles, to be run again and again. Cheap to clone.
#[derive(Clone)]
pub struct Poll {
    /// How they are asked for.
    pub calls: Arc<CxoneCalls>,
    /// Where they go.
    pub index: Arc<IndexHandle>,
    /// What embeds them.
    pub encoder: Encoder,
    /// Where repaired lists are counted.
    pub metrics: Metrics,
}

/// Everything that a tenant sent.
struct Sent {
    articles: Vec<Article>,
    completeness: Completeness,
    last_modified: Option<String>,
}

fn failed(error: impl std::fmt::Display) -> SyncError {
    SyncError::Failed(error.to_string())
}

impl Poll {
    /// Polls once and puts what changed in service. `allow_shrinking` believes a list of half as much as before, or of nothing.
    pub(super) async fn run(&self, allow_shrinking: bool) -> Result<Synced, SyncError> {
        failure_point!(KnowledgeSyncPoll, self.calls.profile().as_str());
        let source = source_of(self.calls.profile());
        let state = read_state(self.index.directory(), &self.index.current(), &source).map_err(failed)?;
        let last_modified = state.and_then(|state| state.last_modified);
        let listing = Listing { calls: &self.calls, metrics: Some(&self.metrics), patience: PATIENCE };
        let Some(sent) = listing.read(last_modified).await? else { return Ok(Synced::Unchanged) };
        let held = held(&self.index.current(), &source);
        if sent.completeness == Completeness::Full && !allow_shrinking {
            check_size(held, sent.articles.len()).map_err(|shrunk| SyncError::Refused(shrunk.to_string()))?;
        }
        let (index, encoder) = (Arc::clone(&self.index), self.encoder.clone());
        let building = tokio::task::spawn_blocking(move || put_in_service(&index, encoder, &source, sent));
        building.await.map_err(failed)?
    }
}

/// Counts the tenant's articles that can be used, all pages of them, and changes nothing. Each page may be asked for again for so long.
pub async fn count_articles(calls: &CxoneCalls, patience: Duration) -> Result<usize, SyncError> {
    let sent = Listing { calls, metrics: None, patience }.read(None).await?;
    Ok(sent.map_or(0, |sent| sent.articles.len()))
}

/// A tenant's list of articles, page by page.
struct Listing<'a> {
    calls: &'a CxoneCalls,
    /// Where repaired lists are counted.
    metrics: Option<&'a Metrics>,
    /// One page may be asked for again and again for so long.
    patience: Duration,
}

impl Listing<'_> {
    /// All pages; `None` when nothing changed since.
    async fn read(&self, last_modified: Option<String>) -> Result<Option<Sent>, SyncError> {
        let first = ArticlesRead { url: self.calls.connection().articles_url(), last_modified };
        let answer = self.calls.read_articles(&first, self.patience).await.map_err(failed)?;
        if answer.status == 304 {
            return Ok(None);
        }
        let last_modified = answer.last_modified.clone();
        let completeness = if answer.status == 206 { Completeness::Partial } else { Completeness::Full };
        let (mut followed, mut listed, mut num_bad) = (HashSet::from([first.url]), Vec::new(), 0);
        let limit = self.calls.connection().limits().articles_limit_bytes;
        let mut num_bytes = answer.body.len();
        let mut page = read(answer).await?;
        loop {
            if let Some(metrics) = self.metrics {
                JsonRepaired { source: JsonSource::Articles, repairs: page.repairs }.emit(metrics);
            }
            num_bad += page.left_out.count;
            for reason in &page.left_out.named {
                tracing::warn!(profile = %self.calls.profile(), reason, "an article can't be used");
            }
            listed.extend(page.articles.into_iter().map(article));
            let Some(next) = page.next else { break };
            let url = self.url_of(&next, page.page_size)?;
            if followed.len() == MAX_PAGES || !followed.insert(url.clone()) {
                let num_pages = followed.len();
                return Err(failed(format!(
                    "the tenant's list does not end after {num_pages} pages; see in CXone how it is paged"
                )));
            }
            let answer = self.calls.read_articles(&ArticlesRead { url, last_modified: None }, self.patience).await;
            let answer = answer.map_err(failed)?;
            num_bytes += answer.body.len();
            if num_bytes > limit {
                return Err(failed(format!(
                    "the tenant's list is larger than {limit} bytes; give cxone.max_articles_bytes more, and this \
                     machine the memory"
                )));
            }
            page = read(answer).await?;
        }
        let total = listed.len() + num_bad;
        if num_bad as f64 > total as f64 * MAX_BAD_SHARE {
            return Err(SyncError::Refused(format!(
                "{num_bad} of {total} articles can't be used; mend them in CXone, the log names them"
            )));
        }
        Ok(Some(Sent { articles: listed, completeness, last_modified }))
    }

    /// Where the list goes on; a tenant that told its pages' size is asked for pages of that size again.
    fn url_of(&self, next: &NextPage, page_size: Option<u32>) -> Result<Url, SyncError> {
        let connection = self.calls.connection();
        match next {
            NextPage::Link(link) => connection
                .resolve_same_origin(link)
                .ok_or_else(|| failed("the tenant's list goes on at another server, which gets no token of ours")),
            NextPage::Number(number) => Ok(connection.articles_page_url(*number, page_size)),
        }
    }
}

/// Reads a page beside the arbiter: it may be hundreds of megabytes.
async fn read(answer: Answer) -> Result<ArticlesPage, SyncError> {
    let parsing = tokio::task::spawn_blocking(move || parse(&answer.body));
    parsing.await.map_err(failed)?.map_err(failed)
}

fn article(RemoteArticle { id, title, content, labels }: RemoteArticle) -> Article {
    labelled(Article { id, title, body: content, ..Article::default() }, labels)
}

/// An article of CXone with what it says of who may see it.
pub(crate) fn labelled(article: Article, Labels { status, audience, language }: Labels) -> Article {
    Article { status, audience: audience.as_deref().and_then(Audience::named), language, ..article }
}

/// Builds the next generation and puts it in service, then notes where the polls stand: in this order, so that a
/// crash in between costs a full answer and no article.
fn put_in_service(index: &Arc<IndexHandle>, encoder: Encoder, source: &str, sent: Sent) -> Result<Synced, SyncError> {
    let directory = index.directory();
    let _updating = index.updating();
    index.refresh().map_err(failed)?;
    let update = update(&index.current(), source.to_owned(), sent.articles, sent.completeness);
    let report = index.update(update, &BulkEncoder::new(encoder)).map_err(failed)?;
    write_state(directory, &index.current(), source, sent.last_modified).map_err(failed)?;
    index.rebase_in_background(BuildSettings::default());
    tracing::info!(
        source,
        added = report.added,
        changed = report.changed,
        removed = report.removed,
        embedded = report.embedded,
        seconds = report.duration_seconds,
        "the tenant's articles are in the index"
    );
    Ok(if report.published { Synced::Updated } else { Synced::Unchanged })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_cxone::http::Answer;

    use super::*;

    /// On a runtime of one thread nothing else would move while that thread parses.
    #[tokio::test]
    async fn a_large_page_is_parsed_while_the_arbiter_goes_on() {
        let row = r#"{"id":"kb-1","title":"Returns","content":"Within 30 days."},"#;
        let listing = format!(r#"{{"items":[{}{{"id":"kb-0","title":"Last","content":"x"}}]}}"#, row.repeat(100_000));
        let mut moved = 0_u64;
        let others = async {
            loop {
                moved += 1;
                tokio::task::yield_now().await;
            }
        };
        let page = tokio::select! {
            biased;
            page = read(Answer::scripted(200, &[], listing)) => page.unwrap(),
            _ = others => unreachable!(),
        };
        assert_eq!(page.articles.len(), 100_001);
        assert!(moved > 0);
    }
}
