//! What is looked at again and again beside the flow: new index generations, keywords of graphs, collections, and the
//! gauges that nobody reports.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cuecard_actors::admission::Admission;
use cuecard_actors::engine::knowledge::IndexHandle;
use cuecard_actors::engine::knowledge::graph::KeywordCatalog;
use cuecard_actors::engine::{BulkEncoder, Effort, Engine};
use cuecard_actors::health::{Condition, Part, ProfileHealth};
use cuecard_actors::ledger::Deliveries;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::telemetry::Metrics;
use jiff::Timestamp;
use tokio::time::{interval, sleep};

use super::knowledge::{Collection, Graph};
use super::profiles::tell_index;

/// A new generation must be seen within 2 s.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a graph is asked for its keywords.
const KEYWORD_INTERVAL: Duration = Duration::from_mins(1);
/// How often a collection is looked for: a load balancer learns of one that is away within as many seconds.
const COLLECTION_INTERVAL: Duration = Duration::from_secs(15);
/// How often a database that could not be reached is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

const LEXICAL_ONLY: &str = "lexical only: questions come faster than they are embedded, so articles are found by their \
                            words alone; give encoder.threads more cores or run another replica";

/// What the look goes over.
pub(super) struct Watch {
    /// Of the profiles whose questions are embedded.
    pub(super) embedding: Vec<Arc<ProfileHealth>>,
    pub(super) indexes: Vec<(Arc<IndexHandle>, Arc<ProfileHealth>)>,
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
            let (indexes, metrics) = (self.indexes.clone(), self.metrics.clone());
            let looking = tokio::task::spawn_blocking(move || {
                refresh(&indexes, &metrics, &mut complaints);
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
fn refresh(
    indexes: &[(Arc<IndexHandle>, Arc<ProfileHealth>)],
    metrics: &Metrics,
    complaints: &mut HashMap<ProfileName, String>,
) {
    for (index, health) in indexes {
        let profile = health.profile();
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
        tell_index(index, health);
        let index = index.current();
        let age = Timestamp::now().duration_since(index.manifest().built_at);
        metrics.set_index(profile, index.len(), age.as_secs_f64().max(0.0));
    }
}

/// The profiles that share a graph or a collection.
pub(super) type Users = Vec<Arc<ProfileHealth>>;

fn lost(users: &Users, part: Part, reason: &str) {
    for health in users {
        health.lost(part, reason);
    }
}

fn works(users: &Users, part: Part) {
    for health in users {
        health.set(part, Condition::Good);
    }
}

/// Keeps the catalog of a graph's keywords up to date, and says whether the graph answers.
pub(super) async fn keep_catalog(graph: Graph, engine: Engine, users: Users, metrics: Metrics) {
    let mut known = None;
    loop {
        let renewed = renew_catalog(&graph, &engine, &users, &mut known).await;
        if renewed.is_ok() && graph.backend.is_fixed() {
            return;
        }
        for health in &users {
            metrics.set_constraint_failures(health.profile(), graph.backend.constraint_failures());
        }
        let wait = renewed.map_or_else(
            |reason| {
                lost(&users, Part::Graph, &reason);
                RETRY_INTERVAL
            },
            |()| KEYWORD_INTERVAL,
        );
        sleep(wait).await;
    }
}

/// A profile that has no catalog yet finds little, so it is not ready.
async fn renew_catalog(
    graph: &Graph,
    engine: &Engine,
    users: &Users,
    known: &mut Option<Vec<String>>,
) -> Result<(), String> {
    let mut keywords = graph.backend.keywords().await.map_err(|error| error.to_string())?;
    keywords.sort_unstable();
    if known.as_ref() != Some(&keywords) {
        if known.is_none() {
            lost(users, Part::Graph, &format!("embedding the graph's {} keywords", keywords.len()));
        }
        replace_catalog(graph, engine, keywords.clone()).await?;
        *known = Some(keywords);
    }
    works(users, Part::Graph);
    Ok(())
}

/// Embeds the keywords on the bulk lane; until that is done the old catalog answers.
async fn replace_catalog(graph: &Graph, engine: &Engine, keywords: Vec<String>) -> Result<(), String> {
    let (Graph { backend, keyword_cache }, encoder) = (graph.clone(), BulkEncoder::new(engine.encoder().clone()));
    let building = tokio::task::spawn_blocking(move || {
        KeywordCatalog::build(keywords, &encoder, Some(&keyword_cache)).map(|catalog| backend.replace_catalog(catalog))
    });
    match building.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the keywords of the graph can't be embedded: {error}")),
        Err(_) => Err("embedding the keywords of the graph panicked".to_owned()),
    }
}

/// Opens a collection, trying until that succeeds, and from then on says whether it is still there.
pub(super) async fn keep_open(collection: Collection, users: Users) {
    loop {
        let wait = match collection.open().await {
            Ok(()) => {
                works(&users, Part::Collection);
                COLLECTION_INTERVAL
            }
            Err(error) => {
                lost(&users, Part::Collection, &error.to_string());
                RETRY_INTERVAL
            }
        };
        sleep(wait).await;
    }
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
