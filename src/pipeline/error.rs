//! Why the actors can't be started.

use cuecard_actors::cxone::http::TlsError;
use cuecard_actors::engine::SearchPoolError;
use cuecard_actors::ledger::LedgerError;

/// Why the actors can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine's certificates.
    #[error("no TLS client can be made: {0}")]
    Tls(TlsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The search threads.
    #[error(transparent)]
    SearchPool(#[from] SearchPoolError),
}
