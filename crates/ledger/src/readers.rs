//! The connections that read: a small pool, each read within a time of its own.
//!
//! A server that neither answers nor closes its connections holds up nobody for longer than that, the close of the ledger
//! included.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyPool};
use tokio::time::timeout;

use crate::LedgerError;

/// What is read is some hundred rows by a key: a server that has not answered by then is taken for gone.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads what is kept; clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    pool: AnyPool,
}

impl Readers {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self { pool }
    }

    /// All rows of a query.
    pub(crate) async fn rows<'q>(&self, query: Query<'q, Any, AnyArguments<'q>>) -> Result<Vec<AnyRow>, LedgerError> {
        let mut connection = self.connection().await?;
        if let Ok(rows) = timeout(READ_TIMEOUT, query.fetch_all(&mut *connection)).await {
            return rows.map_err(LedgerError::read);
        }
        // Given back, it would be asked first whether it is well, and nobody answers.
        drop(connection.detach());
        let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer for 10 s");
        Err(LedgerError::read(silence.into()))
    }

    /// The one row of a query that always has one.
    pub(crate) async fn row<'q>(&self, query: Query<'q, Any, AnyArguments<'q>>) -> Result<AnyRow, LedgerError> {
        self.rows(query).await?.pop().ok_or(sqlx::Error::RowNotFound).map_err(LedgerError::read)
    }

    /// A connection for what may take longer.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Any>, LedgerError> {
        self.pool.acquire().await.map_err(LedgerError::read)
    }

    /// Waits for what is being read.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
