//! What the two databases write differently, and what their errors mean. Nothing else in this room asks which of them it is:
//! [`crate::database`] finds it out from the URL.
//!
//! What is written for both is put into their words in [`crate::statement`].

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Executor, Row};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// What is wrong with a file of which pages can't be read, and what to do.
pub(crate) const DAMAGED: &str = "the file is damaged or is no SQLite database; put a copy of it in its place, or move it \
                                  away with its -wal and -shm files to start with an empty ledger";

/// Another process may hold the file's lock while it copies it or purges it; none does so for longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// How sure a commit is before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sync {
    /// It survives the process.
    Process,
    /// It survives a loss of power.
    Power,
}

/// What an error of the database means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What was to be written breaks a rule of the schema, and would again.
    Refused,
    /// The file is damaged, or no database.
    Damaged,
    /// The file or its directory can't be written by this user.
    Forbidden,
    /// Another process holds the file.
    Locked,
    Other,
}

impl Dialect {
    pub(crate) fn migrations(self) -> &'static Migrator {
        match self {
            Self::Sqlite => &SQLITE_MIGRATIONS,
            Self::Postgres => &POSTGRES_MIGRATIONS,
        }
    }

    /// What stands before the number of a value in a statement. None for SQLite, where a value is a plain `?`: it looks a numbered one up
    /// among all others.
    pub(crate) fn numbered_placeholder(self) -> Option<char> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some('$'),
        }
    }

    /// Whether the ledger's tables were ever made: the number of tables that tell of it.
    pub(crate) fn count_migration_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'",
            Self::Postgres => "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
        }
    }

    /// Asks what the whole database takes on disk, in bytes.
    pub(crate) fn size(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            Self::Postgres => "SELECT pg_database_size(current_database())",
        }
    }

    /// Writes a copy into the file `$1`; none where that is left to the server's own tools.
    pub(crate) fn copy(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("VACUUM INTO $1"),
            Self::Postgres => None,
        }
    }

    /// What every connection is told first.
    pub(crate) async fn prepare(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        if self == Self::Sqlite {
            connection.execute(&*format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis())).await?;
        }
        Ok(())
    }

    /// What a connection that writes is told next.
    pub(crate) async fn prepare_writer(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let settings: &[&str] = match self {
            Self::Sqlite => &[
                "PRAGMA journal_mode = WAL",
                "PRAGMA foreign_keys = ON",
                // A statement with many rows notes how to take itself back: in memory, or a file is made for each commit.
                "PRAGMA temp_store = MEMORY",
                // What is deleted is overwritten in the file. A purge writes about a third more by it.
                "PRAGMA secure_delete = ON",
            ],
            // A session that a network cut off keeps what it holds until the server misses it: after two minutes so, and not
            // after the two hours of most systems.
            Self::Postgres => &["SET tcp_keepalives_idle = 30", "SET tcp_keepalives_interval = 10"],
        };
        for setting in settings {
            connection.execute(*setting).await?;
        }
        Ok(())
    }

    /// Why what is committed would not be kept, if so. A server answers for that itself.
    pub(crate) async fn why_not_kept(self, connection: &mut AnyConnection) -> sqlx::Result<Option<String>> {
        match self {
            Self::Sqlite => {
                let mode: String = connection.fetch_one("PRAGMA journal_mode").await?.try_get(0)?;
                let reason = format!("it has no write-ahead log (journal mode {mode}); name a file on a local disk");
                Ok((mode != "wal").then_some(reason))
            }
            Self::Postgres => Ok(None),
        }
    }

    /// What is wrong with the pages of a file, if anything; reads all of it. A server looks after its own.
    pub(crate) async fn damage(self, connection: &mut AnyConnection) -> sqlx::Result<Option<String>> {
        match self {
            Self::Sqlite => {
                let verdict: String = connection.fetch_one("PRAGMA quick_check(1)").await?.try_get(0)?;
                Ok((verdict != "ok").then(|| format!("{DAMAGED} ({verdict})")))
            }
            Self::Postgres => Ok(None),
        }
    }

    /// Writes all that is kept anew, without the copies that a file's pages hold of rows that moved between them. It takes as long
    /// as there is much, and nobody else may write. What a server keeps of deleted rows is its operator's.
    pub(crate) async fn write_anew(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let statements: &[&str] = match self {
            // In memory there may be no room for all of it.
            Self::Sqlite => &["PRAGMA temp_store = FILE", "VACUUM"],
            Self::Postgres => &[],
        };
        for statement in statements {
            connection.execute(*statement).await?;
        }
        Ok(())
    }

    /// Takes what was deleted out of a file's log, which is folded in and emptied. Whether it could: not while somebody reads in it.
    /// A server's log is its operator's.
    pub(crate) async fn wipe(self, connection: &mut AnyConnection) -> sqlx::Result<bool> {
        match self {
            Self::Sqlite => {
                let folded = connection.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await?;
                Ok(folded.try_get::<i64, _>(0)? == 0)
            }
            Self::Postgres => Ok(true),
        }
    }

    /// Whether a transaction that failed may be over without having been rolled back: a rollback then fails, and tells nothing
    /// of the connection.
    pub(crate) fn rolls_back_by_itself(self) -> bool {
        self == Self::Sqlite
    }

    /// Whether the ledger is this session's, which takes it where nobody has it. A file is guarded by the lock on its
    /// directory; of a server, each schema may hold one ledger in service.
    pub(crate) async fn claim(self, connection: &mut AnyConnection) -> sqlx::Result<bool> {
        let claim = match self {
            Self::Sqlite => return Ok(true),
            Self::Postgres => "SELECT pg_try_advisory_lock(hashtext('cuecard ledger'), hashtext(current_schema()))",
        };
        connection.fetch_one(claim).await?.try_get(0)
    }

    /// Begins a transaction that is as sure as asked for. Plain statements: after some errors SQLite rolls back by itself, and
    /// sqlx's own transaction would then count one level too many for ever.
    pub(crate) async fn begin(self, sync: Sync, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let statements = match (self, sync) {
            // With a write-ahead log, only FULL syncs each commit before it is acknowledged.
            (Self::Sqlite, Sync::Power) => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            (Self::Sqlite, Sync::Process) => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            (Self::Postgres, Sync::Power) => "BEGIN; SET LOCAL synchronous_commit = on",
            (Self::Postgres, Sync::Process) => "BEGIN; SET LOCAL synchronous_commit = off",
        };
        connection.execute(statements).await.map(drop)
    }

    /// What to do about an error, where that is known; `None` is one that is not the database's own.
    pub(crate) fn remedy(self, meaning: Option<Meaning>) -> Option<&'static str> {
        match (self, meaning) {
            (Self::Sqlite, Some(Meaning::Forbidden)) => Some("let this user write the file and its directory"),
            (Self::Postgres, Some(Meaning::Forbidden)) => Some("give the user of the URL this database and its schema"),
            (_, Some(Meaning::Locked)) => Some("end the other process that uses it"),
            (Self::Postgres, None) => Some("see that the server runs and that the URL names it"),
            _ => None,
        }
    }

    /// The codes of <https://www.sqlite.org/rescode.html>, of which the lowest byte is the kind of error, and the classes of
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub(crate) fn meaning(self, error: &dyn DatabaseError) -> Meaning {
        let code = error.code().unwrap_or_default();
        match self {
            Self::Sqlite => match code.parse::<i32>().unwrap_or_default() & 0xff {
                // Too big, a constraint, a type that does not fit.
                18..=20 => Meaning::Refused,
                11 | 26 => Meaning::Damaged,
                8 | 14 => Meaning::Forbidden,
                5 | 6 => Meaning::Locked,
                _ => Meaning::Other,
            },
            // Data that don't fit, constraints, one row twice, and too long for an index.
            Self::Postgres => match code.get(..2) {
                Some("21" | "22" | "23" | "54") => Meaning::Refused,
                Some("28" | "42") => Meaning::Forbidden,
                Some("55") => Meaning::Locked,
                _ => Meaning::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::{Path, PathBuf};

    use super::*;
    use crate::database::{Access, Database};

    /// Every file below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn nothing_else_asks_which_database_it_is() {
        let names = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| format!("Dialect::{dialect:?}"));
        for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let may_ask = ["dialect.rs", "database.rs"].iter().any(|name| path.ends_with(name));
            let source = std::fs::read_to_string(&path).unwrap();
            let asks = names.iter().any(|name| source.contains(name));
            assert!(may_ask || !asks, "{}: give the dialect a method", path.display());
        }
    }

    /// How sure a transaction is that was begun so, in the database's own words.
    async fn sureness(dialect: Dialect, connection: &mut AnyConnection, sync: Sync) -> String {
        dialect.begin(sync, connection).await.unwrap();
        let sureness = match dialect {
            Dialect::Sqlite => connection.fetch_one("PRAGMA synchronous").await.unwrap().get::<i64, _>(0).to_string(),
            Dialect::Postgres => connection.fetch_one("SHOW synchronous_commit").await.unwrap().get(0),
        };
        connection.execute("COMMIT").await.unwrap();
        sureness
    }

    #[tokio::test]
    async fn each_transaction_is_as_sure_as_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let server = std::env::var("CUECARD_TEST_POSTGRES").ok();
        if server.is_none() {
            println!("PostgreSQL is left out: CUECARD_TEST_POSTGRES is not set");
        }
        // 2 is FULL, 1 is NORMAL.
        let stores = [(Some(file), ["2", "1"]), (server, ["on", "off"])];
        for (url, expected) in stores.into_iter().filter_map(|(url, expected)| Some((url?, expected))) {
            let database = Database::named(&url).unwrap();
            let mut connection = database.connect(Access::Create).await.unwrap();
            for (sync, expected) in
                [Sync::Power, Sync::Process, Sync::Power].into_iter().zip([expected[0], expected[1], expected[0]])
            {
                assert_eq!(sureness(database.dialect, &mut connection, sync).await, expected, "{url} {sync:?}");
            }
        }
    }
}
