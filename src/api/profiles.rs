//! Which profile a route speaks to.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use cuecard_actors::cxone::{Contract, InteractionId};
use cuecard_actors::messages::{Ask, InteractionKey, ProfileName, WorkItem};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::problem::Problem;
use crate::settings::{CallbackRules, Profile};

/// What the API knows of a profile.
#[derive(Debug, Clone)]
pub(super) struct ApiProfile {
    pub(super) name: ProfileName,
    pub(super) contract: Contract,
    pub(super) deadline: Duration,
    pub(super) callback: CallbackRules,
}

/// The profiles by name.
pub(super) struct ApiProfiles {
    by_name: BTreeMap<String, ApiProfile>,
}

impl ApiProfiles {
    pub(super) fn new(profiles: &[Profile]) -> Self {
        let known = |profile: &Profile| ApiProfile {
            name: profile.name.clone(),
            contract: profile.contract,
            deadline: profile.plan.deadline,
            callback: profile.callback.clone(),
        };
        Self { by_name: profiles.iter().map(|profile| (profile.name.to_string(), known(profile))).collect() }
    }

    /// The profile that the path names, or the only one that has the contract.
    pub(super) fn of(&self, request: &HttpRequest, contract: Contract) -> Result<&ApiProfile, Problem> {
        let not_found = |detail| Problem::new(StatusCode::NOT_FOUND, detail);
        let names = || self.with(contract).map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = request.match_info().get("profile") {
            let found = self.by_name.get(name).filter(|profile| profile.contract == contract);
            return found.ok_or_else(|| {
                not_found(match names().as_str() {
                    "" => format!("no profile has the contract {contract}"),
                    names => format!("no profile of that name has the contract {contract}; there are: {names}"),
                })
            });
        }
        let mut with = self.with(contract);
        match (with.next(), with.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(not_found(format!("no profile has the contract {contract}"))),
            (Some(_), Some(_)) => Err(not_found(format!(
                "several profiles have the contract {contract}, put one of their names before the path: {}",
                names()
            ))),
        }
    }

    fn with(&self, contract: Contract) -> impl Iterator<Item = &ApiProfile> {
        self.by_name.values().filter(move |profile| profile.contract == contract)
    }
}

impl ApiProfile {
    /// A question that somebody waits for.
    pub(super) fn item(&self, interaction: InteractionId, agent_id: Option<String>, ask: Ask) -> WorkItem {
        let now = Instant::now();
        WorkItem {
            decision: Uuid::now_v7(),
            key: InteractionKey { profile: self.name.clone(), interaction },
            utterance_number: 1,
            agent_id,
            heard_at: Timestamp::now(),
            ask,
            heard: now,
            deadline: now + self.deadline,
        }
    }
}
