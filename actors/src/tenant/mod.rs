//! A tenant: everything that one connection profile comes to, made once from the settings.
//!
//! Stages, API, polls, check and admin port all hold this one type: its plan, its engine, its calls to CXone, its health.
//! What two profiles name alike (a model, an index, a graph, a collection) is loaded once and shared.

mod in_service;
mod loading;
mod marks;
mod models;
mod profile;
mod reload;
mod upkeep;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use cuecard_cxone::InteractionId;
use cuecard_cxone::ranking::{self, RankingRequest, RankingSubmission};
use cuecard_engine::encoder::Encoder;
use cuecard_engine::knowledge::IndexHandle;
use cuecard_engine::knowledge::chroma::{ChromaCollection, ChromaError, ChromaSettings};
use cuecard_engine::{Engine, GraphBackend};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

pub use in_service::as_in_service;
pub use loading::{LoadError, Loading};
pub use marks::{ArticleMarks, MarkError};
pub use models::{ModelShelf, PromotionError, read_model};
pub use profile::{
    CallbackRules, ChromaPlace, GraphPlace, KnowledgePlaces, Learning, NamedModel, Profile, SyncSettings,
};
pub use reload::Prepared;
pub use upkeep::Upkeep;

use crate::cxone_calls::CxoneCalls;
use crate::decisions::Shadow;
use crate::health::ProfileHealth;
use crate::messages::{Ask, InteractionKey, ProfileName, Versions, WorkItem};

/// See the module. Shared by all who work for it.
pub struct Tenant {
    /// What the settings say.
    pub profile: Profile,
    /// What answers them.
    pub engine: Engine,
    /// A second ranker beside it, where the settings name one.
    pub shadow: Option<Shadow>,
    /// What the engine answers from, for whoever keeps it up to date.
    pub knowledge: Knowledge,
    /// How CXone is called.
    pub calls: Arc<CxoneCalls>,
    /// What it can do at the moment.
    pub health: Arc<ProfileHealth>,
    /// Where learned models are put that were promoted for it, and what ran last; looked at where the settings name none.
    pub models: ModelShelf,
    /// What its decisions are made by.
    pub versions: Arc<Versions>,
}

/// What a tenant's backends read, where it is in this process's hands.
#[derive(Clone, Default)]
pub struct Knowledge {
    /// The index; new generations are swapped in under the engine.
    pub index: Option<Arc<IndexHandle>>,
    /// The graph.
    pub graph: Option<Graph>,
    /// The collection.
    pub collection: Option<Collection>,
}

/// A graph that is asked.
#[derive(Clone)]
pub struct Graph {
    /// The graph.
    pub backend: Arc<GraphBackend>,
    /// The file of the data directory that keeps the embeddings of its keywords: of this graph, and of no other.
    pub keyword_cache: PathBuf,
}

/// A collection that is asked as soon as it has been opened.
#[derive(Clone)]
pub struct Collection {
    settings: ChromaSettings,
    opened: Arc<OnceLock<ChromaCollection>>,
    /// Length of the vectors that it must hold.
    dimensions: usize,
}

impl Collection {
    /// Looks for it on its server, and opens it unless it is open.
    pub async fn open(&self) -> Result<(), ChromaError> {
        if let Some(opened) = self.opened.get() {
            return opened.look().await;
        }
        let _ = self.opened.set(ChromaCollection::open(&self.settings, self.dimensions).await?);
        Ok(())
    }
}

impl Tenant {
    /// The profile's name.
    pub fn name(&self) -> &ProfileName {
        &self.profile.name
    }

    /// A question that somebody waits for.
    pub fn question(&self, interaction: InteractionId, agent_id: Option<String>, ask: Ask) -> WorkItem {
        let now = Instant::now();
        WorkItem {
            decision: Uuid::now_v7(),
            key: InteractionKey { profile: self.name().clone(), interaction },
            utterance_number: 1,
            agent_id,
            heard_at: Timestamp::now(),
            ask,
            heard: now,
            deadline: now + self.profile.plan.deadline,
        }
    }

    /// Puts a caller's snippets in order.
    pub fn order(&self, request: &RankingRequest) -> RankingSubmission {
        ranking::order(request, self.profile.normalise)
    }
}

/// All tenants by the names of their profiles. Cheap to clone; all clones see new settings at once.
#[derive(Clone, Default)]
pub struct Tenants {
    by_name: Arc<ArcSwap<BTreeMap<ProfileName, Arc<Tenant>>>>,
}

impl Tenants {
    /// The tenant of a profile as the settings have it now; a message may name one that they do not know any more.
    pub fn get(&self, profile: &ProfileName) -> Option<Arc<Tenant>> {
        self.by_name.load().get(profile).cloned()
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Tenant>> + use<> {
        self.by_name.load().values().cloned().collect::<Vec<_>>().into_iter()
    }

    /// The encoders of all tenants, what several share once.
    pub fn encoders(&self) -> Vec<Encoder> {
        let mut encoders: Vec<Encoder> = Vec::new();
        for tenant in self.iter() {
            let encoder = tenant.engine.encoder();
            if encoders.iter().all(|known| !known.is_same(encoder)) {
                encoders.push(encoder.clone());
            }
        }
        encoders
    }

    /// How long a profile's cards are worth showing; nobody answers for a profile that does not exist, so no time at all.
    pub fn deadline(&self, profile: &ProfileName) -> Duration {
        self.get(profile).map_or(Duration::ZERO, |tenant| tenant.profile.plan.deadline)
    }
}

impl FromIterator<Arc<Tenant>> for Tenants {
    fn from_iter<I: IntoIterator<Item = Arc<Tenant>>>(tenants: I) -> Self {
        let by_name = tenants.into_iter().map(|tenant| (tenant.name().clone(), tenant)).collect();
        Self { by_name: Arc::new(ArcSwap::from_pointee(by_name)) }
    }
}
