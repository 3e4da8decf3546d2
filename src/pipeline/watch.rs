//! What is looked at again and again beside the flow: new index generations, keywords of graphs, collections that are
//! not open yet, and the gauges that nobody reports.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cuecard_actors::admission::Admission;
use cuecard_actors::engine::knowledge::graph::KeywordCatalog;
use cuecard_actors::engine::{BulkEncoder, Effort, Engine, GraphBackend};
use cuecard_actors::health::{Condition, Part, ProfileHealth};
use cuecard_actors::ledger::Deliveries;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::telemetry::Metrics;
use jiff::Timestamp;
use tokio::time::{interval, sleep};

use super::knowledge::Collection;
use super::profiles::Answering;

/// A new generation must be seen within 2 s.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a graph is asked for its keywords.
const KEYWORD_INTERVAL: Duration = Duration::from_mins(1);
/// How often a database that could not be reached is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

const LEXICAL_ONLY: &str = "lexical only: questions come faster than they are embedded, so articles are found by their \
                            words alone; give encoder.threads more cores or run another replica";

/// What the look goes over.
pub(super) struct Watch {
    /// Of the profiles whose questions are embedded.
    pub(super) embedding: Vec<Arc<ProfileHealth>>,
    pub(super) plans: Arc<HashMap<ProfileName, Answering>>,
    pub(super) metrics: Metrics,
    pub(super) admission: Admission,
    pub(super) deliveries: Deliveries,
}

impl Watch {
    /// Looks for ever.
    pub(super) async fn run(self) {
        let mut tick = interval(LOOK_INTERVAL);
        let mut complaints = HashMap::new();
        loop {
            tick.tick().await;
            self.metrics.set_admission(self.admission.queued(), self.admission.in_flight());
            tell_effort(self.admission.effort(), &self.embedding);
            self.metrics.set_acceptance(self.deliveries.acceptance().ratio());
            let (plans, metrics) = (Arc::clone(&self.plans), self.metrics.clone());
            let looking = tokio::task::spawn_blocking(move || {
                refresh(&plans, &metrics, &mut complaints);
                complaints
            });
            complaints = looking.await.unwrap_or_else(|_| {
                tracing::error!("looking for a new index generation panicked");
                HashMap::new()
            });
        }
    }
}

/// Questions that are found by their words alone get worse cards, which an operator must see.
fn tell_effort(effort: Effort, profiles: &[Arc<ProfileHealth>]) {
    let condition = match effort {
        Effort::Full | Effort::NewestTurn => Condition::Good,
        Effort::LexicalOnly => Condition::Failing(LEXICAL_ONLY.to_owned()),
    };
    for health in profiles {
        health.set(Part::Effort, condition.clone());
    }
}

/// Puts new generations in service; a damaged one leaves the old in service, and is complained of once.
fn refresh(plans: &HashMap<ProfileName, Answering>, metrics: &Metrics, complaints: &mut HashMap<ProfileName, String>) {
    for (profile, answering) in plans {
        let Some(index) = &answering.engine.sources().index else { continue };
        match index.refresh() {
            Ok(true) => tracing::info!(%profile, generation = index.current().generation(), "a new index generation"),
            Ok(false) => drop(complaints.remove(profile)),
            Err(error) => {
                let error = error.to_string();
                if complaints.get(profile) != Some(&error) {
                    tracing::error!(%profile, error, "the new index generation can't be used");
                    complaints.insert(profile.clone(), error);
                }
            }
        }
        let index = index.current();
        let age = Timestamp::now().duration_since(index.manifest().built_at);
        metrics.set_index(profile, index.len(), age.as_secs_f64().max(0.0));
    }
}

/// Keeps the catalog of a graph's keywords up to date, and says whether the graph answers.
pub(super) async fn keep_catalog(graph: Arc<GraphBackend>, engine: Engine, cache: PathBuf, health: Arc<ProfileHealth>) {
    let mut known = None;
    loop {
        let renewed = renew_catalog(&graph, &engine, &cache, &health, &mut known).await;
        if renewed.is_ok() && graph.is_fixed() {
            return;
        }
        let wait = renewed.map_or_else(
            |reason| {
                health.lost(Part::Knowledge, &reason);
                RETRY_INTERVAL
            },
            |()| KEYWORD_INTERVAL,
        );
        sleep(wait).await;
    }
}

/// A profile that has no catalog yet finds little, so it is not ready.
async fn renew_catalog(
    graph: &Arc<GraphBackend>,
    engine: &Engine,
    cache: &Path,
    health: &ProfileHealth,
    known: &mut Option<Vec<String>>,
) -> Result<(), String> {
    let mut keywords = graph.keywords().await.map_err(|error| error.to_string())?;
    keywords.sort_unstable();
    if known.as_ref() != Some(&keywords) {
        if known.is_none() {
            health.lost(Part::Knowledge, &format!("embedding the graph's {} keywords", keywords.len()));
        }
        replace_catalog(graph, engine, cache.to_owned(), keywords.clone()).await?;
        *known = Some(keywords);
    }
    health.set(Part::Knowledge, Condition::Good);
    Ok(())
}

/// Embeds the keywords on the bulk lane; until that is done the old catalog answers.
async fn replace_catalog(
    graph: &Arc<GraphBackend>,
    engine: &Engine,
    cache: PathBuf,
    keywords: Vec<String>,
) -> Result<(), String> {
    let (graph, encoder) = (Arc::clone(graph), BulkEncoder::new(engine.encoder().clone()));
    let building = tokio::task::spawn_blocking(move || {
        KeywordCatalog::build(keywords, &encoder, Some(&cache)).map(|catalog| graph.replace_catalog(catalog))
    });
    match building.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the keywords of the graph can't be embedded: {error}")),
        Err(_) => Err("embedding the keywords of the graph panicked".to_owned()),
    }
}

/// Opens a collection, trying until that succeeds.
pub(super) async fn open_collection(collection: Collection, health: Arc<ProfileHealth>) {
    while let Err(error) = collection.open().await {
        health.lost(Part::Knowledge, &error.to_string());
        sleep(RETRY_INTERVAL).await;
    }
    health.set(Part::Knowledge, Condition::Good);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_actors::telemetry::ProfileState;

    use super::*;

    #[test]
    fn a_profile_that_finds_by_words_alone_is_degraded_until_it_embeds_again() {
        let profile = ProfileName::new("acme");
        let metrics = Metrics::new(std::slice::from_ref(&profile), Vec::new()).unwrap();
        let health = ProfileHealth::new(profile, &[], metrics);
        for (effort, expected) in [
            (Effort::Full, ProfileState::Ready),
            (Effort::NewestTurn, ProfileState::Ready),
            (Effort::LexicalOnly, ProfileState::Degraded),
            (Effort::Full, ProfileState::Ready),
        ] {
            tell_effort(effort, std::slice::from_ref(&health));
            let (state, reason) = health.state();
            assert_eq!(state, expected, "{effort:?}");
            assert_eq!(reason.starts_with("lexical only"), expected == ProfileState::Degraded, "{reason}");
        }
    }
}
