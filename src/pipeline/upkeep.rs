//! What is done to the ledger beside the flow: its pages are checked once, what is too old is taken away, and what it takes on
//! disk is measured.

use std::time::Duration;

use cuecard_actors::ledger::Ledger;
use cuecard_actors::telemetry::Metrics;
use tokio::time::{interval, sleep};

use crate::settings::RetentionSettings;

/// After the start has other things to do no more.
const FIRST_LOOK: Duration = Duration::from_mins(1);
/// Between two steps of a purge: what agents do comes first.
const PAUSE: Duration = Duration::from_millis(50);

/// A database server looks through its files for it.
const MEASURE_INTERVAL: Duration = Duration::from_mins(1);

/// Measures the ledger for ever; what can't be read now is measured the next time.
pub(super) async fn measure(ledger: Ledger, metrics: Metrics) {
    let mut due = interval(MEASURE_INTERVAL);
    loop {
        due.tick().await;
        match ledger.num_bytes().await {
            Ok(num_bytes) => metrics.set_ledger_size(num_bytes),
            Err(error) => tracing::debug!(%error, "the ledger's size can't be read"),
        }
    }
}

/// Looks after the ledger for ever.
pub(super) async fn run(ledger: Ledger, settings: RetentionSettings) {
    sleep(FIRST_LOOK).await;
    if let Err(error) = ledger.verify().await {
        tracing::warn!(%error, "the pages of the ledger can't be checked");
    }
    let mut due = interval(settings.purge_every);
    loop {
        due.tick().await;
        match ledger.purge(settings.retention(), PAUSE).await {
            Ok(purged) if purged.iter().any(|(_, rows)| *rows > 0) => {
                tracing::info!(?purged, "what was kept for long enough is taken away");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what is too old can't be taken away"),
        }
    }
}
