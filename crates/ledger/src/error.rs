//! What can go wrong with the ledger, as cases that a caller tells apart.

use std::sync::Arc;

#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Only the scheme is told: the rest of a database URL may hold a password.
    #[error(
        "a ledger URL of scheme {scheme:?} is not served; write sqlite:<path> or postgres://<user>@<host>/<database>"
    )]
    UnsupportedScheme { scheme: String },
    /// `ledger` is a path, or a server and its database without the password.
    #[error("ledger {ledger}: {reason}")]
    Open { ledger: String, reason: String },
    /// Nothing of this write was kept, or only the answer was lost with its connection. Writes of one commit fail together.
    #[error(
        "the ledger can't be written: {0}; see that its disk has room, that its server runs and that nobody else holds it"
    )]
    Unavailable(Arc<str>),
    /// The write breaks a rule of the schema, and would again: nothing of it was kept.
    #[error("the ledger refuses this write, which breaks a rule of its schema: {0}")]
    Refused(#[source] Arc<sqlx::Error>),
    #[error(
        "the ledger could not be read: {0}; see that this user may read it, that its server runs and its disk is well"
    )]
    Read(#[source] Arc<sqlx::Error>),
    /// The ledger was closed; a write that was under way is not confirmed.
    #[error("the ledger is closed")]
    Closed,
    /// A write that was under way is not confirmed.
    #[error("the ledger's writer is gone, by a panic that the log names; start the service anew")]
    WriterGone,
    /// What the service has of an interaction in memory, only the service can erase.
    #[error("a service, perhaps of another host, has the ledger open, so it is the one to erase there")]
    InService,
    /// A backup of a server's database is that server's.
    #[error("a ledger on PostgreSQL is backed up with pg_dump")]
    BackupElsewhere,
}

impl LedgerError {
    pub(crate) fn read(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolClosed => Self::Closed,
            error => Self::Read(Arc::new(error)),
        }
    }
}
