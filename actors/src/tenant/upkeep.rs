//! What is looked at again and again beside the flow: new generations of an index, promoted models, keywords of a graph, a collection's
//! server. One task for each, so that what hangs or fails for one tenant delays no other's.

use std::sync::Arc;
use std::time::Duration;

use cuecard_engine::BulkEncoder;
use cuecard_engine::encoder::Encoder;
use cuecard_engine::knowledge::IndexHandle;
use cuecard_engine::knowledge::graph::KeywordCatalog;
use jiff::Timestamp;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::models::{file_state, read_model};
use super::{Collection, Graph, Tenant, Tenants};
use crate::health::{Condition, Part, ProfileHealth};
use crate::messages::ProfileName;
use crate::telemetry::Metrics;

/// A new generation must be seen within 2 s.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a graph is asked for its keywords.
const KEYWORD_INTERVAL: Duration = Duration::from_mins(1);
/// How often a collection is looked for: a load balancer learns of one that is away within as many seconds.
const COLLECTION_INTERVAL: Duration = Duration::from_secs(15);
/// How often a database that could not be reached is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// What the tasks work with.
pub struct Upkeep {
    /// Whose knowledge is kept up to date.
    pub tenants: Tenants,
    /// Where age and size are shown.
    pub metrics: Metrics,
    /// Ends the tasks.
    pub stop: CancellationToken,
}

/// The profiles that share a thing.
type Users = Vec<Arc<ProfileHealth>>;

impl Upkeep {
    /// Starts a task for each index, graph and collection; must be called inside a tokio runtime.
    pub fn start(&self) {
        let index = |tenant: &Tenant| tenant.knowledge.index.clone();
        for (_, index, users) in self.shared(index, Arc::ptr_eq) {
            self.spawn(keep_current(index, users, self.metrics.clone()));
        }
        for tenant in self.tenants.iter() {
            self.spawn(keep_model(self.tenants.clone(), tenant.name().clone()));
        }
        let graph = |tenant: &Tenant| tenant.knowledge.graph.clone();
        for (tenant, graph, users) in self.shared(graph, |one, other| Arc::ptr_eq(&one.backend, &other.backend)) {
            self.spawn(keep_catalog(graph, tenant.engine.encoder().clone(), users, self.metrics.clone()));
        }
        let collection = |tenant: &Tenant| tenant.knowledge.collection.clone();
        for (_, collection, users) in self.shared(collection, |one, other| Arc::ptr_eq(&one.opened, &other.opened)) {
            self.spawn(keep_open(collection, users));
        }
    }

    /// Each of these things once, with the first tenant that has it and the health of all that share it.
    fn shared<T>(
        &self,
        used: impl Fn(&Tenant) -> Option<T>,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Vec<(Arc<Tenant>, T, Users)> {
        let mut shared: Vec<(Arc<Tenant>, T, Users)> = Vec::new();
        for tenant in self.tenants.iter() {
            let Some(thing) = used(&tenant) else { continue };
            let health = Arc::clone(&tenant.health);
            match shared.iter_mut().find(|(_, known, _)| is_same(known, &thing)) {
                Some((_, _, users)) => users.push(health),
                None => shared.push((tenant, thing, vec![health])),
            }
        }
        shared
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(work).await });
    }
}

impl Tenant {
    /// Says whether there are articles.
    pub(super) fn tell_index(&self) {
        if let Some(index) = &self.knowledge.index {
            tell_index(index, &self.health);
        }
    }
}

/// Whoever brings the articles: a poll, or `cuecard index` in another process.
fn tell_index(index: &IndexHandle, health: &ProfileHealth) {
    if index.current().is_empty() {
        health.lost(Part::Index, "the index holds no articles");
    } else {
        health.set(Part::Index, Condition::Good);
    }
}

/// Puts new generations in service; a damaged one leaves the old in service, and is complained of once.
async fn keep_current(index: Arc<IndexHandle>, users: Users, metrics: Metrics) {
    let mut tick = interval(LOOK_INTERVAL);
    let mut complaint = None;
    loop {
        tick.tick().await;
        let looking = Arc::clone(&index);
        let refreshed = match tokio::task::spawn_blocking(move || looking.refresh()).await {
            Ok(refreshed) => refreshed.map_err(|error| error.to_string()),
            Err(_) => Err("looking for it panicked".to_owned()),
        };
        let directory = index.directory().display();
        match refreshed {
            Ok(true) => tracing::info!(%directory, generation = index.current().generation(), "a new index generation"),
            Ok(false) => complaint = None,
            Err(error) if complaint.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!(%directory, error, "the new index generation can't be used");
                complaint = Some(error);
            }
        }
        let current = index.current();
        let age = Timestamp::now().duration_since(current.manifest().built_at).as_secs_f64().max(0.0);
        for health in &users {
            tell_index(&index, health);
            metrics.set_index(health.profile(), current.len(), age);
        }
    }
}

/// Takes a model up that was promoted, and goes back to the formula where a rollback took the last one out. One that can't
/// be read leaves the one in service, and is complained of once. One that the settings name stays: it was proven when they
/// were read, and its file may be another by now. Whatever runs is kept for the next start.
async fn keep_model(tenants: Tenants, profile: ProfileName) {
    let mut tick = interval(LOOK_INTERVAL);
    let mut known = tenants.get(&profile).and_then(|tenant| file_state(&tenant.models.current()));
    let mut kept = None;
    loop {
        tick.tick().await;
        let Some(tenant) = tenants.get(&profile) else { return };
        let now = file_state(&tenant.models.current());
        if now != known && tenant.profile.model.is_none() {
            take_promoted(&tenant).await;
        }
        known = now;
        let running = tenant.engine.model().map(|model| model.version.clone());
        if kept.as_ref() != Some(&running) {
            kept = Some(running.clone());
            keep_running(&tenant, running).await;
        }
    }
}

/// Puts in service what stands on the shelf.
async fn take_promoted(tenant: &Tenant) {
    let (profile, path) = (tenant.name(), tenant.models.current());
    let before = tenant.engine.model().map(|model| model.version.clone());
    if file_state(&path).is_none() {
        tenant.engine.use_model(None);
        tracing::info!(%profile, before, "the formula answers again, without a model");
        return;
    }
    let (encoder, model) = (tenant.engine.encoder().model().identity(), path.display().to_string());
    match tokio::task::spawn_blocking(move || read_model(&path, &encoder)).await {
        Ok(Ok(read)) => {
            tracing::info!(%profile, version = read.version, before, "a model in service");
            tenant.engine.use_model(Some(Arc::new(read)));
        }
        Ok(Err(error)) => tracing::error!(%profile, model, %error, "the new model can't be used"),
        Err(_) => tracing::error!(%profile, model, "reading the new model panicked"),
    }
}

/// Without it the next start holds a model that the settings name against another one than this.
async fn keep_running(tenant: &Tenant, version: Option<String>) {
    let (profile, models) = (tenant.name(), tenant.models.clone());
    match tokio::task::spawn_blocking(move || models.keep_running(version)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%profile, %error, "which model runs is not kept for the next start"),
        Err(_) => tracing::error!(%profile, "keeping which model runs panicked"),
    }
}

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
async fn keep_catalog(graph: Graph, encoder: Encoder, users: Users, metrics: Metrics) {
    let mut known = None;
    loop {
        let renewed = renew_catalog(&graph, &encoder, &users, &mut known).await;
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
    encoder: &Encoder,
    users: &Users,
    known: &mut Option<Vec<String>>,
) -> Result<(), String> {
    graph.backend.prepare().await.map_err(|error| error.to_string())?;
    let mut keywords = graph.backend.keywords().await.map_err(|error| error.to_string())?;
    keywords.sort_unstable();
    if known.as_ref() != Some(&keywords) {
        if known.is_none() {
            lost(users, Part::Graph, &format!("embedding the graph's {} keywords", keywords.len()));
        }
        replace_catalog(graph, encoder, keywords.clone()).await?;
        *known = Some(keywords);
    }
    works(users, Part::Graph);
    Ok(())
}

/// Embeds the keywords as bulk texts; until that is done the old catalog answers.
async fn replace_catalog(graph: &Graph, encoder: &Encoder, keywords: Vec<String>) -> Result<(), String> {
    let (Graph { backend, keyword_cache }, encoder) = (graph.clone(), BulkEncoder::new(encoder.clone()));
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
async fn keep_open(collection: Collection, users: Users) {
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
