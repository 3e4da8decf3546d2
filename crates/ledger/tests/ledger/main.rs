//! The ledger on real databases: what it keeps, in which order it gives it back, what it refuses, and what becomes of what can't
//! be written.

#![allow(clippy::unwrap_used)]

mod acceptance;
mod deliveries;
mod failing;
mod kill;
mod migrating;
mod opening;
mod operator_actions;
mod queue;
mod queue_model;
mod ranking_metrics;
mod ranking_model;
mod rankings;
mod retention;
mod stores;
mod way;

use cuecard_ledger::NewFeedback;
use jiff::Timestamp;
use uuid::Uuid;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn event(interaction: &str, insight: &str, accepted: bool) -> NewFeedback {
    NewFeedback {
        event: Uuid::new_v4(),
        profile: "main".into(),
        interaction: interaction.into(),
        insight: insight.into(),
        action: if accepted { "ACCEPTED" } else { "REJECTED" }.into(),
        accepted,
        heard_at: second(1_700_000_000),
    }
}
