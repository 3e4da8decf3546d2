//! The one writer: it takes writes from a bounded queue and answers each after its commit is kept, and between them writes what
//! was left behind somebody's back.
//!
//! Group commit: whatever came in while the last commit was being synced goes into the next one together, so that the price of
//! a sync is shared. A full queue makes callers wait. A write that breaks a rule of the schema fails alone. Where nothing can
//! be written (a full disk, a lock, a server that is gone), whoever waits is told so at once, what is written behind waits in
//! memory, and a write a second finds out when that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cuecard_failure_points::failure_point;
use sqlx::{AnyConnection, Executor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use crate::LedgerError;
use crate::behind::Behind;
use crate::database::{Access, Database};
use crate::dialect::{Meaning, Sync};
use crate::health::Health;
use crate::opening;
use crate::retention::Rows;
use crate::statement::Session;
use crate::totals::{Change, Figures, Totals};
use crate::upkeep;
use crate::writes::{Alone, Write, apply};

/// Holds several commits' worth, so that the writer never waits for its callers to be scheduled.
const QUEUE_CAPACITY: usize = 1024;
/// Bounds the wait of the next commit's callers.
const MAX_WRITES_PER_COMMIT: usize = 256;
/// How often it is tried whether the ledger can be written again.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a server still keeps the ledger for this service: a session that ended gave it up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A server that has not answered by then is taken for gone; a file is done, or locked, before.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Request {
    Write(Box<Job>),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Job {
    write: Write,
    /// None where nobody waits.
    reply: Option<oneshot::Sender<Result<Rows, LedgerError>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    is_closed: Arc<AtomicBool>,
}

/// What the writer's task works with.
pub(crate) struct WriterParts {
    pub(crate) database: Database,
    pub(crate) connection: AnyConnection,
    pub(crate) totals: Totals,
    pub(crate) behind: Behind,
    pub(crate) health: Health,
    /// How sure what agents do must be before it is acknowledged.
    pub(crate) durable: Sync,
}

impl Writer {
    pub(crate) fn spawn(parts: WriterParts) -> Self {
        let (requests, received) = mpsc::channel(QUEUE_CAPACITY);
        let WriterParts { database, connection, totals, behind, health, durable } = parts;
        let now = Instant::now();
        let task = WriterTask {
            database,
            connection: Some(connection),
            totals,
            is_in_doubt: false,
            behind,
            health,
            durable,
            next_try: now,
            next_look: now + LOOK_EVERY,
        };
        tokio::spawn(task.run(received));
        Self { requests, is_closed: Arc::default() }
    }

    /// Returns when the write is kept. A caller that stops waiting does not take its write back.
    pub(crate) async fn write(&self, write: Write) -> Result<Rows, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Write(Box::new(Job { write, reply: Some(reply) }));
        self.requests.send(request).await.map_err(|_| self.absent())?;
        answer.await.map_err(|_| self.absent())?
    }

    /// Why there is nobody to write.
    fn absent(&self) -> LedgerError {
        if self.is_closed() { LedgerError::Closed } else { LedgerError::WriterGone }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Waits until the writer is gone without having been closed.
    pub(crate) async fn gone(&self) {
        self.requests.closed().await;
        if self.is_closed() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) async fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        let (reply, closed) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // An error says that the writer is gone, which is what was asked for.
            let _ = closed.await;
        }
    }
}

struct WriterTask {
    database: Database,
    /// None after a connection was lost.
    connection: Option<AnyConnection>,
    totals: Totals,
    /// Whether a commit may have been kept that the totals lack, because its answer was lost.
    is_in_doubt: bool,
    behind: Behind,
    health: Health,
    durable: Sync,
    /// When to find out whether the ledger can be written again.
    next_try: Instant,
    /// When to look whether it is still this service's.
    next_look: Instant,
}

/// What a transaction came to.
struct Committed {
    rows: Rows,
    change: Change,
    /// The figures before it, where they were asked for.
    figures: Option<Figures>,
}

impl WriterTask {
    /// Ends when every handle is dropped, or closed and everything written that can be.
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let (mut batch, mut closing) = (Vec::with_capacity(MAX_WRITES_PER_COMMIT), Vec::new());
        loop {
            self.wait(&mut requests, &mut batch).await;
            let mut jobs = Vec::with_capacity(batch.len());
            for request in batch.drain(..) {
                match request {
                    Request::Write(job) => jobs.push(*job),
                    Request::Close(reply) => {
                        requests.close();
                        closing.push(reply);
                    }
                }
            }
            if let Some(refusal) = self.health.refusal() {
                for job in jobs {
                    answer(job, Err(refusal.clone()));
                }
            } else {
                let left = MAX_WRITES_PER_COMMIT.saturating_sub(jobs.len());
                let behind = self.behind.take(left).into_iter().map(|write| Job { write, reply: None });
                let (alone, together) = behind.chain(jobs).partition(|job| matches!(job.write, Write::Alone(_)));
                self.settle(together).await;
                self.one_by_one(Vec::into_iter(alone)).await;
            }
            let is_done = self.behind.total() == 0 || self.health.refusal().is_some();
            if requests.is_closed() && requests.is_empty() && is_done {
                break;
            }
        }
        self.end().await;
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// Waits for something to write, or for the time to look, or while nothing can be written to try.
    async fn wait(&mut self, requests: &mut mpsc::Receiver<Request>, batch: &mut Vec<Request>) {
        let is_failing = self.health.refusal().is_some();
        tokio::select! {
            biased;
            () = sleep_until(self.next_try), if is_failing => {
                self.try_again().await;
                self.next_try = Instant::now() + TRY_EVERY;
            }
            () = sleep_until(self.next_look), if !is_failing => self.look().await,
            _ = requests.recv_many(batch, MAX_WRITES_PER_COMMIT) => {}
            () = self.behind.came(), if !is_failing => {}
        }
    }

    /// Writes what waits, or else one row, to find out whether anything can be written.
    async fn try_again(&mut self) {
        let mut jobs: Vec<Job> =
            self.behind.take(MAX_WRITES_PER_COMMIT).into_iter().map(|write| Job { write, reply: None }).collect();
        if jobs.is_empty() {
            jobs.push(Job { write: Write::Alone(Alone::Probe), reply: None });
        }
        self.settle(jobs).await;
    }

    /// Sees whether the session is still there, and whether the ledger is its own.
    async fn look(&mut self) {
        self.next_look = Instant::now() + LOOK_EVERY;
        if let Some(mut connection) = self.connection.take()
            && self.claim(&mut connection).await.is_ok()
        {
            self.connection = Some(connection);
        }
        if self.connection.is_none() || self.is_in_doubt {
            self.try_again().await;
        }
    }

    async fn settle(&mut self, mut jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let sync = jobs.iter().map(|job| job.write.sync(self.durable)).max().unwrap_or(Sync::Process);
        match self.commit(sync, &jobs).await {
            Ok(rows) => {
                self.health.wrote();
                // Whoever asked for an erasure is answered when the bytes are gone, too.
                if let Some(connection) = &mut self.connection
                    && jobs.iter().any(|job| job.write.is_erasure())
                {
                    upkeep::wipe(self.database.dialect, connection).await;
                }
                for job in jobs {
                    self.behind_done(&job);
                    answer(job, Ok(rows.clone()));
                }
            }
            Err(error) if self.is_refusal(&error) => {
                let error = LedgerError::Refused(Arc::new(error));
                match jobs.pop() {
                    Some(job) if jobs.is_empty() => self.refuse(job, &error),
                    last => self.one_by_one(jobs.into_iter().chain(last)).await,
                }
            }
            Err(error) => self.unavailable(jobs, &error),
        }
    }

    /// A write among them breaks a rule: the others need not suffer for it.
    async fn one_by_one(&mut self, jobs: impl Iterator<Item = Job>) {
        for job in jobs {
            Box::pin(self.settle(vec![job])).await;
        }
    }

    fn refuse(&self, job: Job, error: &LedgerError) {
        self.behind_done(&job);
        if job.reply.is_none() {
            self.health.refused(job.write.behind_kind(), error);
        }
        answer(job, Err(error.clone()));
    }

    fn unavailable(&self, jobs: Vec<Job>, error: &sqlx::Error) {
        let (waiting, behind): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.reply.is_some());
        // What is of no kind only tried whether anything can be written.
        let writes: Vec<_> =
            behind.into_iter().map(|job| job.write).filter(|write| write.behind_kind().is_some()).collect();
        self.behind.put_back(writes);
        let error = self.health.failed(error, || self.behind.total());
        for job in waiting {
            answer(job, Err(error.clone()));
        }
    }

    fn behind_done(&self, job: &Job) {
        if job.reply.is_none() {
            self.behind.done(&job.write);
        }
    }

    fn is_refusal(&self, error: &sqlx::Error) -> bool {
        let meaning = error.as_database_error().map(|error| self.database.dialect.meaning(error));
        meaning == Some(Meaning::Refused)
    }

    /// One transaction over all jobs.
    async fn commit(&mut self, sync: Sync, jobs: &[Job]) -> sqlx::Result<Rows> {
        let mut connection = self.connection().await?;
        let dialect = self.database.dialect;
        let writes: Vec<&Write> = jobs.iter().map(|job| &job.write).collect();
        let mut session = Session { dialect, connection: &mut connection };
        let transaction = timeout(COMMIT_TIMEOUT, transaction(&mut session, sync, &writes, self.is_in_doubt)).await;
        let result = transaction.unwrap_or_else(|_| Err(silence()));
        match &result {
            Ok(_) => {}
            // What a server still does for a connection that was given up is its own; it is closed behind our back.
            Err(error) if error.as_database_error().is_none() => return result.map(|committed| committed.rows),
            Err(_) => {
                let rolled_back = timeout(COMMIT_TIMEOUT, connection.execute("ROLLBACK")).await;
                if !matches!(rolled_back, Ok(Ok(_))) && !dialect.rolls_back_by_itself() {
                    return result.map(|committed| committed.rows);
                }
            }
        }
        self.connection = Some(connection);
        let Committed { rows, change, figures } = result?;
        if let Some(figures) = figures {
            self.totals.correct(figures);
            self.is_in_doubt = false;
        }
        self.totals.apply(&change);
        Ok(rows)
    }

    /// The connection, or a new one where the last was lost.
    async fn connection(&mut self) -> sqlx::Result<AnyConnection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.database.connect(Access::Create).await?;
        // Nobody knows whether the server kept what the lost one was told last.
        self.is_in_doubt = true;
        self.claim(&mut connection).await?;
        Ok(connection)
    }

    /// Takes the ledger for a session. One that can't have it writes all the same: what agents do is not lost over a session
    /// that a network cut off and the server does not miss yet.
    async fn claim(&mut self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let claim = timeout(COMMIT_TIMEOUT, self.database.dialect.claim(connection)).await;
        let is_ours = claim.unwrap_or_else(|_| Err(silence()))?;
        // A session of this service that is gone only now may have committed something until now.
        self.is_in_doubt |= self.health.claimed(is_ours);
        self.next_look = Instant::now() + if is_ours { LOOK_EVERY } else { TRY_EVERY };
        Ok(())
    }

    async fn end(&mut self) {
        let waiting = self.behind.total();
        if waiting > 0 {
            tracing::error!(waiting, "the ledger can't be written; what waited for it is lost");
        }
        if let Some(connection) = self.connection.take() {
            opening::close(connection).await;
        }
    }
}

async fn transaction(
    session: &mut Session<'_>,
    sync: Sync,
    writes: &[&Write],
    counts_anew: bool,
) -> sqlx::Result<Committed> {
    let mut change = Change::default();
    session.dialect.begin(sync, session.connection).await?;
    let figures = if counts_anew { Some(Figures::read(session.connection).await?) } else { None };
    let rows = apply(session, writes, &mut change).await?;
    failure_point!(LedgerCommit, "");
    session.connection.execute("COMMIT").await?;
    Ok(Committed { rows, change, figures })
}

fn silence() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not answer for 10 s").into()
}

fn answer(job: Job, result: Result<Rows, LedgerError>) {
    // A caller that no longer waits has nothing to be told.
    if let Some(reply) = job.reply {
        let _ = reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_writer_that_is_gone_is_told_from_one_that_was_closed() {
        let (requests, received) = mpsc::channel(1);
        let gone = Writer { requests, is_closed: Arc::default() };
        assert!(gone.gone().now_or_never().is_none(), "it is there");
        // As it goes when the writer's task panics.
        drop(received);
        assert!(matches!(gone.write(Write::Alone(Alone::Probe)).await, Err(LedgerError::WriterGone)));
        assert!(gone.gone().now_or_never().is_some());
        gone.is_closed.store(true, Ordering::Release);
        assert!(matches!(gone.write(Write::Alone(Alone::Probe)).await, Err(LedgerError::Closed)));
        assert!(gone.gone().now_or_never().is_none());
    }
}
