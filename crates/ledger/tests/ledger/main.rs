//! The ledger on real files: what it keeps, in which order it gives it back, and which files it refuses.

#![allow(clippy::unwrap_used)]

mod acceptance;
mod deliveries;
mod feedback_model;
mod feedback_order;
mod kill;
mod opening;
mod operator_actions;
mod ranking_metrics;
mod ranking_model;
mod rankings;

use cuecard_ledger::{Ledger, NewFeedback};
use jiff::Timestamp;
use tempfile::TempDir;

fn url(directory: &TempDir) -> String {
    format!("sqlite:{}", directory.path().join("ledger.db").display())
}

async fn fresh() -> (TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&url(&directory)).await.unwrap();
    (directory, ledger)
}

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn event(interaction: &str, insight: &str, accepted: bool) -> NewFeedback {
    NewFeedback {
        profile: "main".into(),
        interaction: interaction.into(),
        insight: insight.into(),
        action: if accepted { "ACCEPTED" } else { "REJECTED" }.into(),
        accepted,
        heard_at: second(1_700_000_000),
    }
}
