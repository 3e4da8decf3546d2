//! Tenants of a test: what is not said of one answers at once and finds nothing.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use cuecard_cxone::answers::RetryPolicy;
use cuecard_cxone::stream::Roles;
use cuecard_cxone::token::Token;
use cuecard_cxone::{Connection, ConnectionSettings, Contract, Dialect};
use cuecard_engine::encoder::{Encoder, EncoderSettings, Encoding};
use cuecard_engine::ranking::Formula;
use cuecard_engine::{Backend, BackendName, Engine, Excerpt, Plan, SearchPool, UsualTurns};

use super::{Cxone, token};
use crate::cxone_calls::{CxoneCalls, CxoneCallsDeps, TokenActorAddress};
use crate::decisions::Shadow;
use crate::health::{Part, ProfileHealth};
use crate::messages::{GetToken, Invalidate, ProfileName, TokenError};
use crate::telemetry::Metrics;
use crate::tenant::{CallbackRules, Knowledge, KnowledgePlaces, Learning, ModelShelf, Profile, Tenant, Tenants};

/// What a tenant of a test is made of; what is not said answers at once and finds nothing.
pub struct TenantParts {
    pub name: &'static str,
    pub encoder: Encoder,
    pub backends: Vec<Arc<dyn Backend>>,
    pub cxone: Arc<Cxone>,
    pub plan: Plan,
    pub pushes: bool,
    pub learning: Learning,
    /// A second ranker beside the first.
    pub shadow: Option<Plan>,
    /// What the tenant can't work without.
    pub needed: &'static [Part],
    /// Where its calls are counted.
    pub metrics: Metrics,
}

impl TenantParts {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            encoder: Encoder::scripted(|_| std::future::ready(Ok(Encoding::along(0)))),
            backends: Vec::new(),
            cxone: Cxone::new(),
            plan: plan(&[]),
            pushes: true,
            learning: Learning::default(),
            shadow: None,
            needed: &[],
            metrics: Metrics::new(&[ProfileName::new(name)], Vec::new()).unwrap(),
        }
    }

    /// The tenant, which always has a token.
    pub fn build(self) -> Arc<Tenant> {
        let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret".into());
        settings.base_url = "https://cxone.example".to_owned();
        let connection = Connection::new(settings).unwrap();
        let name = ProfileName::new(self.name);
        let health = ProfileHealth::new(name.clone(), self.needed, self.metrics.clone());
        let calls = Arc::new(CxoneCalls::new(CxoneCallsDeps {
            http: self.cxone.client(),
            connection: connection.clone(),
            dialect: Dialect::Insights,
            policy: RetryPolicy::default(),
            rate_limit: None,
            health: Arc::clone(&health),
            metrics: self.metrics,
        }));
        let profile = Profile {
            name,
            contract: Contract::Insights,
            connection,
            stream: None,
            roles: Roles::default(),
            dialect: Dialect::Insights,
            agent_id: String::new(),
            required_scopes: Vec::new(),
            plan: Arc::new(self.plan),
            pushes: self.pushes,
            shadow: self.shadow.clone().map(Arc::new),
            model: None,
            learning: self.learning,
            knowledge: KnowledgePlaces {
                encoder: EncoderSettings::default(),
                index: None,
                graph: None,
                chroma: None,
                sync: None,
            },
            retry_ambiguous: true,
            rate_limit: None,
            normalise: false,
            callback: CallbackRules { default_url: None, hosts: Vec::new(), allow_private: false },
        };
        let engine = Engine::new(self.encoder, SEARCH_POOL.clone(), self.backends);
        let shadow = |plan| Shadow { engine: engine.clone().with_usual(UsualTurns::default()), plan: Arc::new(plan) };
        let models = ModelShelf::new("".as_ref(), &profile.name);
        Arc::new(Tenant {
            profile,
            shadow: self.shadow.map(shadow),
            engine,
            knowledge: Knowledge::default(),
            calls,
            health,
            models,
            versions: Arc::default(),
        })
    }
}

/// Shared, so that a tenant costs no thread.
static SEARCH_POOL: LazyLock<SearchPool> = LazyLock::new(|| SearchPool::new(2).unwrap());

/// Tenants called `acme` and `other` that answer at once and find nothing.
pub fn tenants() -> Tenants {
    ["acme", "other"].map(|name| TenantParts::new(name).build()).into_iter().collect()
}

/// A plan that asks these backends and is never silent.
pub fn plan(backends: &[BackendName]) -> Plan {
    Plan {
        backends: backends.to_vec(),
        excerpt: Excerpt::Start,
        screen_time: Duration::from_mins(1),
        rejection_cooldown: Duration::from_mins(10),
        deadline: Duration::from_secs(4),
        ..Plan::of_index(Formula::Cosine)
    }
}

/// Gives callers a token, once so many have asked in vain.
struct TokenGiver {
    failures: u32,
}

impl Actor for TokenGiver {
    type Context = Context<Self>;
}

impl Handler<GetToken> for TokenGiver {
    type Result = Result<Token, TokenError>;

    fn handle(&mut self, _: GetToken, _: &mut Self::Context) -> Self::Result {
        if self.failures > 0 {
            self.failures -= 1;
            return Err(TokenError::NoAnswer);
        }
        Ok(token("t1", 3600, Duration::ZERO))
    }
}

impl Handler<Invalidate> for TokenGiver {
    type Result = ();

    fn handle(&mut self, _: Invalidate, _: &mut Self::Context) {}
}

/// Gives these tenants tokens; must be called on an arbiter.
pub fn give_tokens(tenants: &Tenants) {
    give_tokens_after(0, tenants);
}

/// The same for whoever asks after so many others.
pub fn give_tokens_after(failures: u32, tenants: &Tenants) {
    let giver = TokenGiver { failures }.start();
    for tenant in tenants.iter() {
        let (get, invalidate) = (giver.clone().recipient(), giver.clone().recipient());
        tenant.calls.introduce(TokenActorAddress { get, invalidate });
    }
}
