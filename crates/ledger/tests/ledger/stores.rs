//! The two databases that a ledger lies in, each test with one of its own.

#[path = "../../../knowledge/tests/knowledge/services/places.rs"]
mod places;

use cuecard_ledger::{Ledger, LedgerError, LedgerOptions};
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

/// An empty database.
pub struct Store {
    pub url: String,
    _directory: Option<TempDir>,
}

impl Store {
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        Self { url, _directory: Some(directory) }
    }

    /// A schema of its own in the server that the tests share.
    pub async fn postgres() -> Option<Self> {
        let server = places::address("CUECARD_TEST_POSTGRES")?;
        let schema = places::unique("ledger").replace('-', "_");
        raw(&server).await.execute(&*format!("CREATE SCHEMA {schema}")).await.unwrap();
        Some(Self { url: format!("{server}?options[search_path]={schema}"), _directory: None })
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    pub async fn open(&self) -> Ledger {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.url, LedgerOptions::default()).await
    }

    /// What the database holds, past the ledger.
    pub async fn raw(&self) -> AnyConnection {
        raw(&self.url).await
    }
}

async fn raw(url: &str) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// Makes of each test one on SQLite and one on PostgreSQL; the latter says so where it is skipped.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: $type:ty) $body:block)*) => {
        $($(#[$doc])* async fn $name($store: $type) $body)*

        mod sqlite {
            use $crate::stores::Store;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Store::sqlite()).await;
            })*
        }

        mod postgres {
            use $crate::stores::Store;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(store) = Store::postgres().await {
                    super::$name(store).await;
                }
            })*
        }
    };
}
pub(crate) use on_both;
