//! What is done to the ledger beside the flow: its pages are checked once, and what is too old is taken away.

use std::time::Duration;

use cuecard_actors::ledger::Ledger;
use tokio::time::{interval, sleep};

use crate::settings::RetentionSettings;

/// After the start has other things to do no more.
const FIRST_LOOK: Duration = Duration::from_mins(1);
/// Between two steps of a purge: what agents do comes first.
const PAUSE: Duration = Duration::from_millis(50);

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
