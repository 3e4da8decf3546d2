//! Which database a URL names, and how it is connected to.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, ConnectOptions};
use tokio::time::timeout;
use url::Url;

use crate::LedgerError;
use crate::dialect::Dialect;
use crate::readers::Readers;

/// Readers serve the retry loops and an operator's page; more would only contend for the same two cores.
const MAX_READERS: u32 = 4;
/// A server that does not let anybody in by then is taken for gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A path in a URL keeps what is plain in every path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// A database that may hold a ledger.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) dialect: Dialect,
    /// For people: a path, or a server and its database without the password.
    pub(crate) name: String,
    /// Of the file, where it is one.
    pub(crate) path: Option<PathBuf>,
    /// The file may be written.
    url: AnyConnectOptions,
}

/// What may be done over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything; a file that is not there is made.
    Create,
    /// Reading alone.
    Read,
    /// Reading, in a file that nobody writes meanwhile: not even the two files that SQLite makes beside it are written.
    Look,
}

impl Database {
    pub(crate) fn named(url: &str) -> Result<Self, LedgerError> {
        install_default_drivers();
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => Self::file(url),
            "postgres" | "postgresql" => Self::server(url),
            other => Err(LedgerError::UnsupportedScheme { scheme: other.to_owned() }),
        }
    }

    fn file(url: &str) -> Result<Self, LedgerError> {
        let refused = |reason: String| LedgerError::Open { ledger: url.to_owned(), reason };
        let options = SqliteConnectOptions::from_str(url).map_err(|error| refused(error.to_string()))?;
        let path = options.get_filename().to_path_buf();
        if path.to_string_lossy().starts_with("file:") {
            return Err(refused("it is in memory; name a file on a local disk".to_owned()));
        }
        let options = address(&path, "rwc").map_err(refused)?;
        Ok(Self { dialect: Dialect::Sqlite, name: path.display().to_string(), path: Some(path), url: options })
    }

    fn server(url: &str) -> Result<Self, LedgerError> {
        let refused = |reason: String| LedgerError::Open { ledger: "on PostgreSQL".to_owned(), reason };
        // The parser's own error is about the shape of a URL and repeats none of it.
        let parsed = Url::parse(url).map_err(|error| refused(format!("its URL can't be read: {error}")))?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).unwrap_or("the local socket");
        let database = parsed.path().trim_start_matches('/');
        let name = format!("{database} at {host}:{}", parsed.port().unwrap_or(5432));
        let options = AnyConnectOptions::from_url(&parsed).map_err(|error| refused(error.to_string()))?;
        Ok(Self { dialect: Dialect::Postgres, name, path: None, url: options })
    }

    /// The error of a ledger that can't be opened for this reason.
    pub(crate) fn refused(&self, reason: String) -> LedgerError {
        LedgerError::Open { ledger: self.name.clone(), reason }
    }

    /// A connection of its own; statements are not logged, since they hold what people said.
    pub(crate) async fn connect(&self, access: Access) -> sqlx::Result<AnyConnection> {
        let options = self.options(access)?.disable_statement_logging();
        let connecting = timeout(CONNECT_TIMEOUT, options.connect()).await;
        let silence = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not let anybody in for 5 s");
        let mut connection = connecting.unwrap_or_else(|_| Err(silence().into()))?;
        self.dialect.prepare(&mut connection).await?;
        if access == Access::Create {
            self.dialect.prepare_writer(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Connections that read, opened as they are needed.
    pub(crate) fn readers(&self) -> sqlx::Result<Readers> {
        let options = self.options(Access::Read)?.disable_statement_logging();
        let pool = AnyPoolOptions::new().max_connections(MAX_READERS).acquire_timeout(CONNECT_TIMEOUT);
        Ok(Readers::new(pool.connect_lazy_with(options)))
    }

    fn options(&self, access: Access) -> sqlx::Result<AnyConnectOptions> {
        let Some(path) = &self.path else { return Ok(self.url.clone()) };
        match access {
            Access::Create => Ok(self.url.clone()),
            Access::Read => address(path, "ro").map_err(|reason| sqlx::Error::Configuration(reason.into())),
            Access::Look => {
                address(path, "ro&immutable=true").map_err(|reason| sqlx::Error::Configuration(reason.into()))
            }
        }
    }
}

/// The URL of a file that is opened in this mode.
fn address(path: &Path, mode: &str) -> Result<AnyConnectOptions, String> {
    let text = path.to_str().ok_or_else(|| "its path is not UTF-8; name another".to_owned())?;
    let url = format!("sqlite:{}?mode={mode}", utf8_percent_encode(text, PATH));
    AnyConnectOptions::from_str(&url).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sqlx::Executor;

    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        for (url, name) in [
            ("sqlite:./data/ledger.db", "./data/ledger.db"),
            ("sqlite:///srv/my ledger.db?mode=rwc", "/srv/my ledger.db"),
            ("postgres://cuecard:hunter2@db:5433/ledger", "ledger at db:5433"),
            ("postgresql://db/ledger?sslmode=require", "ledger at db:5432"),
        ] {
            let database = Database::named(url).unwrap();
            assert_eq!(database.name, name);
            assert!(!format!("{:?}", database.refused("why".to_owned())).contains("hunter2"));
        }
        let unreadable = Database::named("postgres://cuecard:hunter2@:x/ledger").unwrap_err();
        assert!(!unreadable.to_string().contains("hunter2"), "{unreadable}");
    }

    #[tokio::test]
    async fn any_path_is_opened_as_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["plain.db", "with space.db", "50%.db", "a#b.db", "ü.db"] {
            let path = directory.path().join(name);
            let encoded = utf8_percent_encode(path.to_str().unwrap(), PATH);
            let database = Database::named(&format!("sqlite:{encoded}")).unwrap();
            database.connect(Access::Create).await.unwrap().execute("CREATE TABLE t (a INTEGER)").await.unwrap();
            assert!(path.is_file(), "{name}");
        }
    }
}
