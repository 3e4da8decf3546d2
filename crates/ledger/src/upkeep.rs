//! What is done with a ledger beside a service that has it open: how much it holds, a copy of it, a purge. What an interaction
//! left is erased here only where no service runs: one that does has some of it in memory.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::time::sleep;

use crate::LedgerError;
use crate::database::Database;
use crate::dialect::{Dialect, Sync};
use crate::opening;
use crate::retention::{self, Purge, Retention, Rows, Window};
use crate::statement::Session;
use crate::totals::Change;

/// The tables, as an operator calls what is in them, and the column that says when.
const TABLES: [(&str, &str, &str); 7] = [
    ("decisions", "decisions", "at_us"),
    ("deliveries", "deliveries", "delivered_at_us"),
    ("feedback", "feedback", "heard_at_us"),
    ("ranking sessions", "ranking_sessions", "at_us"),
    ("ranking clicks", "ranking_clicks", "clicked_at_us"),
    ("audit entries", "ranking_audit", "at_us"),
    ("operator actions", "operator_actions", "at_us"),
];

const ANEW: &str = "it could not be written anew; give it room on its disk and erase again";
/// The rows are gone from the tables, and their bytes are not from the log yet.
const UNWIPED: &str = "what was erased still stands in the ledger's log, since somebody reads in it: the next erasure takes it out, \
                       or the service's end";

/// What a ledger holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerStats {
    /// On disk, of the whole database.
    pub num_bytes: u64,
    pub tables: Vec<TableStats>,
    /// What waits in the queue, or was set aside, by kind and state.
    pub queue: Vec<QueueStats>,
}

/// What one kind of record comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableStats {
    pub name: &'static str,
    pub rows: u64,
    /// When the oldest and the newest in the order of recording were made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
}

/// What of a kind waits, or was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    pub kind: String,
    pub state: String,
    pub rows: u64,
}

/// What the ledger at a URL holds.
pub async fn stats(url: &str) -> Result<LedgerStats, LedgerError> {
    let database = Database::named(url)?;
    let mut connection = opening::reader(&database).await?;
    let stats = async {
        let num_bytes = connection.fetch_one(database.dialect.size()).await?.try_get::<i64, _>(0)?.unsigned_abs();
        let mut tables = Vec::new();
        for (name, table, time) in TABLES {
            let end = |order| format!("(SELECT {time} FROM {table} ORDER BY 1 {order} LIMIT 1)");
            let statement = format!("SELECT (SELECT COUNT(*) FROM {table}), {}, {}", end("ASC"), end("DESC"));
            let row = connection.fetch_one(&*statement).await?;
            let second = |field| row.try_get::<Option<i64>, _>(field).map(|time| time.map(|us| us / 1_000_000));
            let rows = row.try_get::<i64, _>(0)?.unsigned_abs();
            tables.push(TableStats { name, rows, oldest: second(1)?, newest: second(2)? });
        }
        let statement = "SELECT kind, state, COUNT(*) FROM queue GROUP BY kind, state ORDER BY kind, state";
        let mut queue = Vec::new();
        for row in connection.fetch_all(statement).await? {
            let rows = row.try_get::<i64, _>(2)?.unsigned_abs();
            queue.push(QueueStats { kind: row.try_get(0)?, state: row.try_get(1)?, rows });
        }
        Ok(LedgerStats { num_bytes, tables, queue })
    };
    stats.await.map_err(LedgerError::read)
}

/// The name of the ledger at a URL, for people: without a password.
pub fn name(url: &str) -> Result<String, LedgerError> {
    Ok(Database::named(url)?.name)
}

/// Takes away what is older than it is kept, in small steps with `pause` between them; gives the rows by kind.
pub async fn purge(url: &str, retention: Retention, pause: Duration) -> Result<Rows, LedgerError> {
    let database = Database::named(url)?;
    let mut connection = opening::current(&database).await?;
    let mut purge = Purge::new(retention);
    while let Some(step) = purge.next_step() {
        let row = connection.fetch_one(&*step.look()).await.map_err(LedgerError::read)?;
        if let Some(removal) = purge.saw(Window::read(&row).map_err(LedgerError::read)?) {
            let work = async |session: &mut Session<'_>| removal.run(session).await;
            purge.took(&alone(database.dialect, &mut connection, work).await.map_err(unwritable)?);
        }
        sleep(pause).await;
    }
    Ok(purge.purged)
}

/// Takes an interaction's rows away everywhere, of one profile or of all, and writes a file anew, so that no page holds a copy of
/// them. No service may have the ledger open: of a file the
/// caller sees to that, of a server's schema one that is in service is refused with [`LedgerError::InService`].
pub async fn erase(url: &str, interaction: &str, profile: Option<&str>) -> Result<Rows, LedgerError> {
    let database = Database::named(url)?;
    let mut connection = opening::current(&database).await?;
    // Held until the connection ends: no service starts in the middle.
    if !database.dialect.claim(&mut connection).await.map_err(LedgerError::read)? {
        return Err(LedgerError::InService);
    }
    let work =
        async |session: &mut Session<'_>| retention::erase(session, interaction, profile, &mut Change::default()).await;
    let erased = alone(database.dialect, &mut connection, work).await.map_err(unwritable)?;
    if let Err(error) = database.dialect.write_anew(&mut connection).await {
        tracing::warn!(%error, "the rows are erased, and copies of them may stand in unused parts of the file: {ANEW}");
    }
    wipe(database.dialect, &mut connection).await;
    Ok(erased)
}

/// Takes what was erased out of the ledger's log; says so where that has to wait.
pub(crate) async fn wipe(dialect: Dialect, connection: &mut AnyConnection) {
    match dialect.wipe(connection).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("{UNWIPED}"),
        Err(error) => tracing::warn!(%error, "{UNWIPED}"),
    }
}

/// A transaction of its own.
async fn alone<T>(
    dialect: Dialect,
    connection: &mut AnyConnection,
    work: impl AsyncFnOnce(&mut Session<'_>) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    dialect.begin(Sync::Process, connection).await?;
    let done = work(&mut Session { dialect, connection }).await;
    if done.is_ok() {
        connection.execute("COMMIT").await?;
    } else {
        // SQLite has rolled back by itself where the disk was full; why the work failed is what counts.
        let _ = connection.execute("ROLLBACK").await;
    }
    done
}

#[allow(clippy::needless_pass_by_value, reason = "stands in map_err")]
fn unwritable(error: sqlx::Error) -> LedgerError {
    LedgerError::Unavailable(error.to_string().into())
}

/// Writes a copy of the ledger as it is at this instant into a file that is not there yet; whoever writes goes on meanwhile.
pub async fn backup(url: &str, file: &Path) -> Result<(), LedgerError> {
    let database = Database::named(url)?;
    let copy = database.dialect.copy().ok_or(LedgerError::BackupElsewhere)?;
    let refused = |reason: String| LedgerError::Open { ledger: file.display().to_string(), reason };
    if file.exists() {
        return Err(refused("it is there already; name another file".to_owned()));
    }
    let name = file.to_str().ok_or_else(|| refused("its path is not UTF-8; name another".to_owned()))?;
    let mut connection = opening::reader(&database).await?;
    let copied = sqlx::query(copy).bind(name.to_owned()).execute(&mut connection).await;
    copied.map_err(|error| refused(error.to_string()))?;
    // It only read.
    let _ = connection.close().await;
    Ok(())
}
