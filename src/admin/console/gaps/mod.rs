//! The knowledge gaps: which questions of customers found no good article, those about one thing together.
//!
//! Input: the decisions that are kept, with the masked words of those profiles that keep them, and which cards agents rejected.
//! Output: clusters with counts and examples. Where no words are kept, questions are told apart by the article that came
//! nearest, and the answer says so.

mod clusters;
mod questions;

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use cuecard_actors::decisions::{DecisionFilter, RecentDecisions};
use cuecard_actors::ledger::{Ledger, LedgerError};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use self::clusters::{Gaps, clustered};
use self::questions::{Kept, unanswered};
use super::super::AdminState;
use super::super::routes::{loading, unavailable};
use crate::detail::Detail;

/// Decisions that are looked through, the newest: a day of a small deployment, and some seconds of reading.
const LOOKED_THROUGH: u32 = 4_000;
/// Read at once; each is some 20 KiB until it is read.
const AT_ONCE: u32 = 250;

/// Whose gaps are asked for; all profiles' where it does not say.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Only those of this profile.
    #[param(example = "insights")]
    profile: Option<String>,
}

/// The clusters, the largest first.
#[utoipa::path(
    get, path = "/console/gaps", operation_id = "list_gaps", tag = "console",
    summary = "Which questions found no good article",
    params(Asked),
    responses(
        (status = 200, description = "those about one thing together, the largest group first", body = Gaps),
        (status = 422, description = "a parameter is unknown or wrong", body = Detail),
        (status = 500, description = "the decisions can't be read", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be read", body = Detail),
    ),
)]
pub async fn list(state: web::Data<AdminState>, web::Query(asked): web::Query<Asked>) -> HttpResponse {
    let Asked { profile } = asked;
    let (Some(recent), Some(ledger)) = (state.recent.get(), state.ledger.get()) else { return loading() };
    let Ok(_busy) = state.console.busy.acquire().await else { return loading() };
    let (kept, rejected) = match read(ledger).await {
        Ok(read) => read,
        Err(error) => return unavailable(&error),
    };
    let recent = recent.clone();
    let told = web::block(move || {
        // A service that keeps none in its ledger has the newest in memory.
        let kept = if kept.num_decisions() == 0 { in_memory(&recent) } else { kept };
        gaps(kept, &rejected, profile.as_deref())
    });
    match told.await {
        Ok(gaps) => HttpResponse::Ok().json(gaps),
        Err(error) => HttpResponse::InternalServerError().json(Detail::new(error.to_string())),
    }
}

/// What was read, newest first.
#[derive(Default)]
struct Read {
    kept: Vec<Kept>,
    /// Decisions that another version wrote in another form, or at which the ledger is damaged.
    unreadable: usize,
}

impl Read {
    fn of<'a>(decisions: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut read = Self::default();
        for json in decisions {
            match json.and_then(Kept::read) {
                Some(kept) => read.kept.push(kept),
                None => read.unreadable += 1,
            }
        }
        read
    }

    fn extend(&mut self, older: Self) {
        self.kept.extend(older.kept);
        self.unreadable += older.unreadable;
    }

    fn num_decisions(&self) -> usize {
        self.kept.len() + self.unreadable
    }
}

/// The newest decisions of the ledger, and those whose first card was rejected.
async fn read(ledger: &Ledger) -> Result<(Read, HashSet<Uuid>), LedgerError> {
    let rejected = ledger.deliveries().rejected(LOOKED_THROUGH).await?.into_iter().collect();
    let (mut read, mut before) = (Read::default(), None);
    while read.num_decisions() < LOOKED_THROUGH as usize {
        let page = ledger.decisions().newest(before, AT_ONCE).await?;
        let num_decisions = page.len();
        before = page.last().map(|last| last.number);
        let of_page = web::block(move || Read::of(page.iter().map(|decision| decision.json.as_deref()))).await;
        read.extend(of_page.unwrap_or_else(|_| Read { unreadable: num_decisions, ..Read::default() }));
        if num_decisions < AT_ONCE as usize {
            break;
        }
    }
    Ok((read, rejected))
}

fn in_memory(recent: &RecentDecisions) -> Read {
    let newest = recent.newest(&DecisionFilter::default(), LOOKED_THROUGH as usize);
    Read::of(newest.iter().map(|json| Some(json.as_str())))
}

fn gaps(read: Read, rejected: &HashSet<Uuid>, profile: Option<&str>) -> Gaps {
    let Read { mut kept, unreadable } = read;
    kept.retain(|decision| profile.is_none_or(|profile| decision.profile == profile));
    kept.reverse();
    let since = kept.first().map(|decision| decision.heard_at);
    Gaps { looked_through: kept.len(), unreadable, since, ..clustered(&unanswered(&kept, rejected)) }
}

#[cfg(test)]
mod tests;
