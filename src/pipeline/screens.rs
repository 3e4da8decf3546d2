//! What an earlier process saw of the agents' screens, by what the ledger recorded: a call that goes on over a restart gets no card
//! that stands there, and none that its agent rejected a short while ago.

use std::time::Duration;

use cuecard_actors::engine::Plan;
use cuecard_actors::ledger::{Ledger, LedgerError};
use cuecard_actors::messages::{InteractionKey, ProfileName};
use cuecard_actors::ranker::{ScreenEvent, SeenBefore};
use cuecard_actors::tenant::Tenants;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Deliveries, and verdicts, that are looked at: some minutes of the busiest service.
const LOOKED_AT: u32 = 20_000;

/// The first cards that may still stand on a screen, and the rejections that may still count, oldest first.
pub(super) async fn seen_before(ledger: &Ledger, tenants: &Tenants) -> Result<Vec<SeenBefore>, LedgerError> {
    let start = Start { timestamp: Timestamp::now(), instant: Instant::now() };
    let since = |counts_for: fn(&Plan) -> Duration| {
        let longest = tenants.iter().map(|tenant| counts_for(&tenant.profile.plan)).max().unwrap_or_default();
        start.timestamp.checked_sub(SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX))
    };
    let shown_since = since(|plan| plan.screen_time).unwrap_or(Timestamp::MIN);
    let rejected_since = since(|plan| plan.rejection_cooldown).unwrap_or(Timestamp::MIN);
    let shown = ledger.deliveries().since(shown_since, LOOKED_AT).await?;
    let rejected = ledger.feedback().rejections(rejected_since, LOOKED_AT).await?;
    let shown = shown.into_iter().filter_map(|shown| {
        let first = shown.article_ids.into_iter().next()?;
        start.seen((&shown.profile, &shown.interaction), first, shown.delivered_at, ScreenEvent::Shown)
    });
    let rejected = rejected.into_iter().filter_map(|rejected| {
        let of = (rejected.profile.as_str(), rejected.interaction.as_str());
        start.seen(of, rejected.article_id, rejected.rejected_at, ScreenEvent::Rejected)
    });
    let mut seen: Vec<_> = shown.chain(rejected).collect();
    // A card is rejected after it was shown, also within one microsecond.
    seen.sort_by_key(|seen| seen.at);
    Ok(seen)
}

/// When this process began, by both clocks.
struct Start {
    timestamp: Timestamp,
    instant: Instant,
}

impl Start {
    fn seen(
        &self,
        (profile, interaction): (&str, &str),
        article_id: String,
        at: Timestamp,
        event: ScreenEvent,
    ) -> Option<SeenBefore> {
        let key = InteractionKey { profile: ProfileName::new(profile), interaction: interaction.parse().ok()? };
        // A clock that was set back shows a card as new, which is the safe side.
        let age = Duration::try_from(self.timestamp.duration_since(at)).unwrap_or_default();
        Some(SeenBefore { key, article_id, at: self.instant.checked_sub(age)?, event })
    }
}
