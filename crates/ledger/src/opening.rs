//! Opening a ledger: from a URL to a checked file, its writing connection and its pool of readers.
//!
//! A file that can't serve is refused here, with its path, what is wrong and what to do, and not when the
//! first event is about to be lost. Whoever only wants to know looks at it ([`inspect`]) and changes nothing.

use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use crate::LedgerError;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Readers serve the retry loops and an operator's page; more would only contend for the same two cores.
const MAX_READERS: u32 = 4;

/// Another process may hold the file's lock while it reads or copies it; none does so for longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const DAMAGED: &str = "the file is damaged or is no SQLite database; put a copy of it in its place, or move it \
                       away with its -wal and -shm files to start with an empty ledger";

pub(crate) async fn open(url: &str) -> Result<(SqliteConnection, SqlitePool), LedgerError> {
    let options = connect_options(url)?;
    let refused = |reason| LedgerError::Open { path: options.get_filename().to_path_buf(), reason };
    create_directory(options.get_filename()).await.map_err(refused)?;
    let writer = prepare(&options).await.map_err(refused)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(MAX_READERS)
        .connect_lazy_with(options.clone().create_if_missing(false).read_only(true));
    Ok((writer, readers))
}

/// Reads what is there, beside whoever writes it; a file of an earlier version is brought up to date by the service alone.
pub(crate) async fn reader(url: &str) -> Result<SqliteConnection, LedgerError> {
    let options = plain_options(url)?.busy_timeout(BUSY_TIMEOUT).read_only(true);
    let refused = |reason| LedgerError::Open { path: options.get_filename().to_path_buf(), reason };
    let mut connection = options.connect().await.map_err(explain).map_err(refused)?;
    match state(&mut connection).await.map_err(refused)? {
        LedgerState::Current => Ok(connection),
        _ => Err(refused("it is of an earlier version; start the service once, which brings it up to date".to_owned())),
    }
}

/// What a start would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerState {
    /// No file: the start makes one.
    Missing,
    /// A file of this version's form.
    Current,
    /// A file of an earlier version: the start brings it to this version's form.
    Older,
    /// A file with a log that a killed process left, which the start folds in. What it holds is told only then.
    Unfolded,
}

/// Looks at the file of `sqlite:<path>` and writes nothing, not even beside it. No other process may have it open.
pub(crate) async fn inspect(url: &str) -> Result<LedgerState, LedgerError> {
    let options = plain_options(url)?;
    let path = options.get_filename().to_path_buf();
    let refused = |reason| LedgerError::Open { path: path.clone(), reason };
    if path.to_string_lossy().starts_with("file:") {
        return Err(refused("it has no write-ahead log; name a file on a local disk".to_owned()));
    }
    match std::fs::OpenOptions::new().write(true).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LedgerState::Missing),
        Err(error) => return Err(refused(format!("{error}; let this user write the file and its directory"))),
    }
    let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().display()));
    if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return Ok(LedgerState::Unfolded);
    }
    // Immutable: else SQLite makes two files beside this one, to read it with.
    look_into(&options.read_only(true).immutable(true)).await.map_err(refused)
}

async fn look_into(options: &SqliteConnectOptions) -> Result<LedgerState, String> {
    let mut connection = options.connect().await.map_err(explain)?;
    check_pages(&mut connection).await?;
    state(&mut connection).await
}

async fn state(connection: &mut SqliteConnection) -> Result<LedgerState, String> {
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(explain)?;
    if tables == 0 {
        return Ok(LedgerState::Older);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *connection)
            .await
            .map_err(explain)?;
    for (version, checksum) in &applied {
        let migration = MIGRATIONS.iter().find(|migration| migration.version == *version);
        let migration = migration.ok_or_else(|| explain_migration(MigrateError::VersionMissing(*version)))?;
        if *migration.checksum != **checksum {
            return Err(explain_migration(MigrateError::VersionMismatch(*version)));
        }
    }
    Ok(if applied.len() < MIGRATIONS.iter().count() { LedgerState::Older } else { LedgerState::Current })
}

fn connect_options(url: &str) -> Result<SqliteConnectOptions, LedgerError> {
    Ok(plain_options(url)?
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log, only FULL syncs each commit before it is acknowledged.
        .synchronous(SqliteSynchronous::Full)
        // A statement with many rows notes how to take itself back: in memory, or a file is made for each commit.
        .pragma("temp_store", "memory"))
}

/// The file that a URL names.
fn plain_options(url: &str) -> Result<SqliteConnectOptions, LedgerError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if scheme != "sqlite" {
        return Err(LedgerError::UnsupportedScheme { scheme: scheme.to_owned() });
    }
    SqliteConnectOptions::from_str(url)
        .map_err(|error| LedgerError::Open { path: url.into(), reason: error.to_string() })
}

async fn create_directory(file: &Path) -> Result<(), String> {
    let Some(directory) = file.parent() else { return Ok(()) };
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| format!("its directory can't be made: {error}; make one that this user may write"))
}

async fn prepare(options: &SqliteConnectOptions) -> Result<SqliteConnection, String> {
    let mut connection = options.connect().await.map_err(explain)?;
    check_file(&mut connection).await?;
    MIGRATIONS.run_direct(&mut connection).await.map_err(explain_migration)?;
    // A file that may only be read opens without complaint; a statement that would write shows it.
    sqlx::query("DELETE FROM feedback WHERE FALSE").execute(&mut connection).await.map_err(explain)?;
    Ok(connection)
}

async fn check_file(connection: &mut SqliteConnection) -> Result<(), String> {
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(explain)?;
    if journal != "wal" {
        return Err(format!("it has no write-ahead log (journal mode {journal}); name a file on a local disk"));
    }
    check_pages(connection).await
}

async fn check_pages(connection: &mut SqliteConnection) -> Result<(), String> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await.map_err(explain)?;
    if verdict == "ok" { Ok(()) } else { Err(format!("{DAMAGED} ({verdict})")) }
}

fn explain_migration(error: MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => explain(error),
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => format!(
            "its schema {version} is not known to this version of cuecard; start the version that wrote it or a later one"
        ),
        error => error.to_string(),
    }
}

/// The result codes of <https://www.sqlite.org/rescode.html>; the lowest byte is the kind of error.
#[allow(clippy::needless_pass_by_value, reason = "stands in map_err")]
fn explain(error: sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(11 | 26) => DAMAGED.to_owned(),
        Some(8 | 14) => format!("{error}; let this user write the file and its directory"),
        Some(5 | 6) => format!("{error}; end the other process that uses it"),
        _ => error.to_string(),
    }
}
