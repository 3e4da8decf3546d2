//! Opening a ledger: from a URL to a database of this version's form that can be written.
//!
//! One that can't serve is refused here, with its name, what is wrong and what to do, and not when the first event is about to
//! be lost. How long that takes does not depend on how much is kept: pages are checked by [`Dialect::damage`], when there is time.
//! Whoever only wants to know looks at it ([`inspect`]) and changes nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::time::{Instant, sleep};

use crate::LedgerError;
use crate::database::{Access, Database};
use crate::dialect::{DAMAGED, Dialect, Meaning, Sync};
use crate::readers::Readers;

const CLAIMED: &str = "another service uses it; give each a database or a schema of its own, or stop the other one";
/// A server lets go of what a service held a moment after that one has ended.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
/// SQLite keeps these beside the file.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];
/// The tables whose newest row is read at the start: a file that lost its end is found so.
const TABLES: [&str; 6] = ["deliveries", "feedback", "queue", "ranking_audit", "ranking_clicks", "decisions"];

/// What to do with a file that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damaged {
    /// The service does not start.
    #[default]
    Refuse,
    /// It is kept under another name, and an empty one takes its place.
    SetAside,
}

/// What a start would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerState {
    /// No file: the start makes one.
    Missing,
    /// One of this version's form.
    Current,
    /// One of an earlier version, or an empty database: the start brings it to this version's form.
    Older,
    /// A file with a log that a killed process left, which the start folds in. What it holds is told only then.
    Unfolded,
}

/// A connection that writes, and those that read.
pub(crate) async fn open(database: &Database, damaged: Damaged) -> Result<(AnyConnection, Readers), LedgerError> {
    if let Some(directory) = database.path.as_deref().and_then(Path::parent) {
        create_directory(directory).await.map_err(|reason| database.refused(reason))?;
    }
    let writer = match prepare(database).await {
        Err(Unfit { is_damaged: true, .. }) if damaged == Damaged::SetAside && database.path.is_some() => {
            set_aside(database).map_err(|error| database.refused(format!("it can't be set aside: {error}")))?;
            prepare(database).await
        }
        prepared => prepared,
    };
    let writer = writer.map_err(|unfit| database.refused(unfit.reason))?;
    let readers = database.readers().map_err(|error| database.refused(error.to_string()))?;
    Ok((writer, readers))
}

/// A connection that reads what is there, beside whoever writes it.
pub(crate) async fn reader(database: &Database) -> Result<AnyConnection, LedgerError> {
    beside(database, Access::Read).await
}

/// A connection that writes beside whoever else does.
pub(crate) async fn current(database: &Database) -> Result<AnyConnection, LedgerError> {
    beside(database, Access::Create).await
}

/// One of an earlier version is brought up to date by the service alone.
async fn beside(database: &Database, access: Access) -> Result<AnyConnection, LedgerError> {
    if let Some(path) = database.path.as_deref().filter(|path| !path.exists()) {
        return Err(database.refused(format!("there is no file {}", path.display())));
    }
    let look = async {
        let mut connection = database.connect(access).await.map_err(|error| explain(database.dialect, error))?;
        match state(database.dialect, &mut connection).await? {
            LedgerState::Current => Ok(connection),
            _ => Err(Unfit::because("it is of an earlier version; start the service once, which brings it up to date")),
        }
    };
    look.await.map_err(|unfit| database.refused(unfit.reason))
}

/// Looks at a ledger and writes nothing, not even beside it. No other process may have a file open meanwhile.
pub(crate) async fn inspect(database: &Database) -> Result<LedgerState, LedgerError> {
    let refused = |unfit: Unfit| database.refused(unfit.reason);
    let Some(path) = &database.path else {
        return look_into(database, Access::Read).await.map_err(refused);
    };
    match std::fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LedgerState::Missing),
        Err(error) => {
            return Err(database.refused(format!("{error}; let this user write the file and its directory")));
        }
    }
    if std::fs::metadata(companion(path, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Ok(LedgerState::Unfolded);
    }
    look_into(database, Access::Look).await.map_err(refused)
}

/// Why a ledger can't serve.
struct Unfit {
    reason: String,
    is_damaged: bool,
}

impl Unfit {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_damaged: false }
    }
}

async fn look_into(database: &Database, access: Access) -> Result<LedgerState, Unfit> {
    let dialect = database.dialect;
    let mut connection = database.connect(access).await.map_err(|error| explain(dialect, error))?;
    match dialect.damage(&mut connection).await.map_err(|error| explain(dialect, error))? {
        Some(reason) => Err(Unfit { reason, is_damaged: true }),
        None => state(dialect, &mut connection).await,
    }
}

async fn state(dialect: Dialect, connection: &mut AnyConnection) -> Result<LedgerState, Unfit> {
    let explain = |error| explain(dialect, error);
    let tables = connection.fetch_one(dialect.count_migration_tables()).await;
    let tables: i64 = tables.and_then(|row| row.try_get(0)).map_err(explain)?;
    if tables == 0 {
        return Ok(LedgerState::Older);
    }
    let applied = connection.fetch_all("SELECT version, checksum FROM _sqlx_migrations ORDER BY version").await;
    let applied = applied.map_err(explain)?;
    for row in &applied {
        let version: i64 = row.try_get(0).map_err(explain)?;
        let checksum: Vec<u8> = row.try_get(1).map_err(explain)?;
        let migration = dialect.migrations().iter().find(|migration| migration.version == version);
        let migration = migration.ok_or_else(|| explain_migration(dialect, MigrateError::VersionMissing(version)))?;
        if *migration.checksum != *checksum {
            return Err(explain_migration(dialect, MigrateError::VersionMismatch(version)));
        }
    }
    let is_current = applied.len() == dialect.migrations().iter().count();
    Ok(if is_current { LedgerState::Current } else { LedgerState::Older })
}

async fn create_directory(directory: &Path) -> Result<(), String> {
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| format!("its directory can't be made: {error}; make one that this user may write"))
}

async fn prepare(database: &Database) -> Result<AnyConnection, Unfit> {
    let dialect = database.dialect;
    let explain = |error| explain(dialect, error);
    let mut connection = database.connect(Access::Create).await.map_err(explain)?;
    claim(dialect, &mut connection).await?;
    dialect.migrations().run_direct(&mut connection).await.map_err(|error| explain_migration(dialect, error))?;
    for table in TABLES {
        let newest = format!("SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1");
        connection.fetch_optional(&*newest).await.map_err(explain)?;
    }
    // One that may only be read opens without complaint; a statement that would write shows it.
    let probe = async {
        dialect.begin(Sync::Process, &mut connection).await?;
        connection.execute("DELETE FROM feedback WHERE FALSE").await?;
        connection.execute("COMMIT").await
    };
    probe.await.map_err(explain)?;
    Ok(connection)
}

/// Makes sure that the ledger can be kept, and that nobody else keeps it.
async fn claim(dialect: Dialect, connection: &mut AnyConnection) -> Result<(), Unfit> {
    if let Some(reason) = dialect.why_not_kept(connection).await.map_err(|error| explain(dialect, error))? {
        return Err(Unfit::because(reason));
    }
    let patience = Instant::now() + CLAIM_PATIENCE;
    while !dialect.claim(connection).await.map_err(|error| explain(dialect, error))? {
        if Instant::now() >= patience {
            return Err(Unfit::because(CLAIMED));
        }
        sleep(CLAIM_PAUSE).await;
    }
    Ok(())
}

/// Renames a damaged file and what lies beside it.
fn set_aside(database: &Database) -> std::io::Result<()> {
    let Some(path) = &database.path else { return Ok(()) };
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    let aside = companion(path, &format!(".damaged-{now}"));
    tracing::error!(ledger = %path.display(), aside = %aside.display(), "the ledger is damaged and was set aside; a new one begins");
    for suffix in COMPANIONS {
        match std::fs::rename(companion(path, suffix), companion(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}{suffix}", path.file_name().unwrap_or_default().display()))
}

fn explain_migration(dialect: Dialect, error: MigrateError) -> Unfit {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => explain(dialect, error),
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => Unfit::because(format!(
            "its schema {version} is not known to this version of cuecard; start the version that wrote it or a later one"
        )),
        error => Unfit::because(error.to_string()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "stands in map_err")]
fn explain(dialect: Dialect, error: sqlx::Error) -> Unfit {
    let meaning = error.as_database_error().map(|error| dialect.meaning(error));
    if meaning == Some(Meaning::Damaged) {
        return Unfit { reason: DAMAGED.to_owned(), is_damaged: true };
    }
    let remedy = dialect.remedy(meaning);
    Unfit::because(remedy.map_or_else(|| error.to_string(), |remedy| format!("{error}; {remedy}")))
}

/// Ends a connection in order.
pub(crate) async fn close(connection: AnyConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the ledger's log was not folded into its file; the next start does it");
    }
}
