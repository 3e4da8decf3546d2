//! What can be written, and how the writes of one commit become statements.
//!
//! Writes of one kind go over together. Between the kinds the order is fixed: deliveries before what agents did with them, so
//! that an event of the same commit finds its card.

use std::sync::Arc;

use crate::behind::BehindKind;
use crate::decisions::{self, DecisionRecord};
use crate::deliveries::{self, DeliveryRecord};
use crate::dialect::Sync;
use crate::feedback::{self, NewFeedback};
use crate::operator_actions::{self, OperatorAction};
use crate::queue::{self, ItemEnd, ItemId, NewItem};
use crate::rankings::{self, Click, RankingEntry};
use crate::retention::{self, Removal, Rows};
use crate::statement::Session;
use crate::totals::Change;

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Delivery(DeliveryRecord),
    Feedback(NewFeedback),
    /// With what its caller wants to hear of it.
    Ranking(RankingEntry, Option<NewItem>),
    Click(Click),
    OperatorAction(OperatorAction),
    Decision(Arc<DecisionRecord>),
    Ended(ItemId, ItemEnd),
    Alone(Alone),
}

/// What is a commit of its own.
#[derive(Debug, Clone)]
pub(crate) enum Alone {
    Revive(ItemId),
    Purge(Removal),
    Erase { interaction: String, profile: Option<String> },
    Probe,
}

impl Write {
    /// How sure it must be before it is acknowledged.
    pub(crate) fn sync(&self, durable: Sync) -> Sync {
        match self {
            Self::Feedback(_) | Self::Ranking(..) | Self::Click(_) | Self::OperatorAction(_) => durable,
            Self::Delivery(_) | Self::Decision(_) | Self::Ended(..) | Self::Alone(_) => Sync::Process,
        }
    }

    /// The kind of one for which nobody waits.
    pub(crate) fn behind_kind(&self) -> Option<BehindKind> {
        match self {
            Self::Delivery(_) => Some(BehindKind::Deliveries),
            Self::Feedback(_) => Some(BehindKind::Feedback),
            Self::Decision(_) => Some(BehindKind::Decisions),
            _ => None,
        }
    }

    /// The profile and the interaction of one for which nobody waits.
    pub(crate) fn whose(&self) -> Option<(&str, &str)> {
        match self {
            Self::Delivery(delivery) => Some((&delivery.profile, &delivery.interaction)),
            Self::Feedback(event) => Some((&event.profile, &event.interaction)),
            Self::Decision(decision) => Some((&decision.profile, &decision.interaction)),
            _ => None,
        }
    }

    pub(crate) fn is_erasure(&self) -> bool {
        matches!(self, Self::Alone(Alone::Erase { .. }))
    }

    /// What it takes in memory, of the kinds that are bounded by that.
    pub(crate) fn num_bytes(&self) -> usize {
        match self {
            Self::Decision(decision) => decision.num_bytes(),
            _ => 0,
        }
    }
}

/// Writes that go together.
#[derive(Default)]
struct Kinds<'a> {
    deliveries: Vec<&'a DeliveryRecord>,
    feedback: Vec<&'a NewFeedback>,
    rankings: Vec<&'a RankingEntry>,
    callbacks: Vec<&'a NewItem>,
    clicks: Vec<&'a Click>,
    operator_actions: Vec<&'a OperatorAction>,
    decisions: Vec<&'a DecisionRecord>,
    ended: Vec<(ItemId, &'a ItemEnd)>,
    alone: Vec<&'a Alone>,
}

impl<'a> Kinds<'a> {
    fn of(writes: &[&'a Write]) -> Self {
        let mut kinds = Self::default();
        for write in writes {
            match write {
                Write::Delivery(delivery) => kinds.deliveries.push(delivery),
                Write::Feedback(event) => kinds.feedback.push(event),
                Write::Ranking(entry, callback) => {
                    kinds.rankings.push(entry);
                    kinds.callbacks.extend(callback);
                }
                Write::Click(click) => kinds.clicks.push(click),
                Write::OperatorAction(action) => kinds.operator_actions.push(action),
                Write::Decision(decision) => kinds.decisions.push(decision),
                Write::Ended(id, end) => kinds.ended.push((*id, end)),
                Write::Alone(alone) => kinds.alone.push(alone),
            }
        }
        kinds
    }
}

/// Runs the statements of one commit, inside a transaction; gives the rows of what stands alone.
pub(crate) async fn apply(session: &mut Session<'_>, writes: &[&Write], change: &mut Change) -> sqlx::Result<Rows> {
    let kinds = Kinds::of(writes);
    deliveries::add(session, &kinds.deliveries, change).await?;
    feedback::add(session, &kinds.feedback, change).await?;
    rankings::add(session, &kinds.rankings, &kinds.clicks).await?;
    queue::add(session, &kinds.callbacks, change).await?;
    operator_actions::add(session, &kinds.operator_actions).await?;
    decisions::add(session, &kinds.decisions).await?;
    queue::end(session, &kinds.ended, change).await?;
    let mut rows = Rows::new();
    for alone in kinds.alone {
        rows.extend(apply_alone(session, alone, change).await?);
    }
    change.write(session).await?;
    Ok(rows)
}

async fn apply_alone(session: &mut Session<'_>, alone: &Alone, change: &mut Change) -> sqlx::Result<Rows> {
    match alone {
        Alone::Revive(id) => Ok(vec![("revived", queue::revive(session, *id, change).await?)]),
        Alone::Purge(removal) => removal.run(session).await,
        Alone::Erase { interaction, profile } => {
            retention::erase(session, interaction, profile.as_deref(), change).await
        }
        Alone::Probe => retention::probe(session).await.map(|()| Rows::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::decisions::DecisionKey;

    #[test]
    fn what_agents_and_operators_do_is_as_sure_as_the_settings_say_and_what_nobody_waits_for_survives_the_process() {
        let at = Timestamp::UNIX_EPOCH;
        let [profile, interaction, outcome] = ["main", "call", "silent"].map(str::to_owned);
        let click = Click { profile: "main".into(), session: "s".into(), snippet: "a".into(), rank_position: 1, at };
        let key = DecisionKey { id: Uuid::nil(), profile, interaction, outcome, at };
        let decision = Write::Decision(Arc::new(DecisionRecord::new(key, "{}").unwrap()));
        for durable in [Sync::Power, Sync::Process] {
            assert_eq!(Write::Click(click.clone()).sync(durable), durable);
            assert_eq!(decision.sync(durable), Sync::Process);
        }
    }
}
