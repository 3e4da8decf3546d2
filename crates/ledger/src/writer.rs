//! The one writer: it takes writes from a bounded queue and answers each after its commit is on disk.
//!
//! Group commit: whatever came in while the last commit was being synced goes into the next one together,
//! so that the price of a sync is shared. A full queue makes callers wait. A write that breaks a rule of the
//! schema fails alone; an error of the file itself (disk full, locked) fails the whole commit.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection, SqliteConnection, error::ErrorKind};
use tokio::sync::{mpsc, oneshot};

use crate::LedgerError;
use crate::deliveries::DeliveryRecord;
use crate::feedback::FeedbackWrite;
use crate::operator_actions::OperatorAction;
use crate::rankings::{RankingBatch, RankingWrite};
use crate::totals::{Change, Totals};

/// Holds several commits' worth, so that the writer never waits for its callers to be scheduled.
const QUEUE_CAPACITY: usize = 1024;

/// A write takes some 70 µs: this keeps a commit, and the wait of the next one's callers, near 20 ms.
const MAX_WRITES_PER_COMMIT: usize = 256;

#[derive(Debug)]
pub(crate) enum Write {
    Feedback(FeedbackWrite),
    Delivery(DeliveryRecord),
    Ranking(RankingWrite),
    OperatorAction(OperatorAction),
}

#[derive(Debug)]
enum Request {
    Write(Job),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Job {
    write: Write,
    reply: oneshot::Sender<Result<i64, LedgerError>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    is_closed: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) fn spawn(connection: SqliteConnection, totals: Totals) -> Self {
        let (requests, received) = mpsc::channel(QUEUE_CAPACITY);
        tokio::spawn(run(connection, totals, received));
        Self { requests, is_closed: Arc::default() }
    }

    /// Returns when the write is durable. A caller that stops waiting does not take its write back.
    pub(crate) async fn write(&self, write: Write) -> Result<i64, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Write(Job { write, reply });
        self.requests.send(request).await.map_err(|_| self.absent())?;
        answer.await.map_err(|_| self.absent())?
    }

    /// Why there is nobody to write.
    fn absent(&self) -> LedgerError {
        if self.is_closed.load(Ordering::Acquire) { LedgerError::Closed } else { LedgerError::WriterGone }
    }

    /// Waits until the writer is gone without having been closed.
    pub(crate) async fn gone(&self) {
        self.requests.closed().await;
        if self.is_closed.load(Ordering::Acquire) {
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

/// Ends when every handle is dropped, or closed and the queue empty.
async fn run(mut connection: SqliteConnection, totals: Totals, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::with_capacity(MAX_WRITES_PER_COMMIT);
    let mut closing = Vec::new();
    while requests.recv_many(&mut batch, MAX_WRITES_PER_COMMIT).await > 0 {
        let mut jobs = Vec::with_capacity(batch.len());
        for request in batch.drain(..) {
            match request {
                Request::Write(job) => jobs.push(job),
                Request::Close(reply) => {
                    requests.close();
                    closing.push(reply);
                }
            }
        }
        if !jobs.is_empty() {
            settle(&mut connection, &totals, jobs).await;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the ledger's log was not folded into its file; the next start does it");
    }
    for reply in closing {
        let _ = reply.send(());
    }
}

async fn settle(connection: &mut SqliteConnection, totals: &Totals, jobs: Vec<Job>) {
    match commit(connection, totals, &jobs).await {
        Ok(rows) => jobs.into_iter().zip(rows).for_each(|(job, row)| answer(job, Ok(row))),
        Err(error) if jobs.len() > 1 && breaks_a_rule(&error) => {
            for job in jobs {
                let result = commit(connection, totals, slice::from_ref(&job)).await;
                answer(job, result.map(|rows| rows[0]).map_err(write_error));
            }
        }
        Err(error) => {
            let error = write_error(error);
            for job in jobs {
                answer(job, Err(error.clone()));
            }
        }
    }
}

/// One transaction over all jobs. Its statements are plain ones: after some errors SQLite rolls back by
/// itself, and sqlx's own transaction would then count one level too many for ever.
async fn commit(connection: &mut SqliteConnection, totals: &Totals, jobs: &[Job]) -> sqlx::Result<Vec<i64>> {
    let mut change = Change::default();
    let result = apply_all(connection, &mut change, jobs).await;
    match &result {
        Ok(_) => totals.apply(&change),
        Err(_) => drop(sqlx::query("ROLLBACK").execute(connection).await),
    }
    result
}

/// The row of each job, or 0 where no caller asks for it. Rankings, which come by the thousand, are gathered
/// and written together; the order between the kinds means nothing.
async fn apply_all(connection: &mut SqliteConnection, change: &mut Change, jobs: &[Job]) -> sqlx::Result<Vec<i64>> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut rows = vec![0; jobs.len()];
    let mut rankings = RankingBatch::default();
    for (place, job) in jobs.iter().enumerate() {
        match &job.write {
            Write::Feedback(write) => rows[place] = write.apply(change, connection).await?,
            Write::Delivery(delivery) => delivery.insert(change, connection).await?,
            Write::Ranking(write) => rankings.add(place, write),
            Write::OperatorAction(action) => action.insert(connection).await?,
        }
    }
    for (place, id) in rankings.apply(connection).await? {
        rows[place] = id;
    }
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(rows)
}

fn breaks_a_rule(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| !matches!(error.kind(), ErrorKind::Other))
}

fn write_error(error: sqlx::Error) -> LedgerError {
    let is_refusal = breaks_a_rule(&error);
    let error = Arc::new(error);
    if is_refusal { LedgerError::Refused(error) } else { LedgerError::Write(error) }
}

fn answer(job: Job, result: Result<i64, LedgerError>) {
    // A caller that no longer waits has nothing to be told.
    let _ = job.reply.send(result);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::deliveries::Impression;
    use crate::feedback::NewFeedback;

    /// A writer on a file of its own, and the count of its commits.
    async fn counted_writer(directory: &tempfile::TempDir) -> (Writer, Arc<AtomicUsize>) {
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let (mut connection, _) = crate::opening::open(&url).await.unwrap();
        let commits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&commits);
        connection.lock_handle().await.unwrap().set_commit_hook(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            true
        });
        (spawn(connection).await, commits)
    }

    async fn spawn(mut connection: SqliteConnection) -> Writer {
        let totals = Totals::open(&mut connection).await.unwrap();
        Writer::spawn(connection, totals)
    }

    fn event(number: usize) -> Write {
        Write::Feedback(FeedbackWrite::Store(NewFeedback {
            profile: "main".into(),
            interaction: format!("call-{number}"),
            insight: "article".into(),
            action: "ACCEPTED".into(),
            accepted: true,
            heard_at: Timestamp::UNIX_EPOCH,
        }))
    }

    /// The same article twice breaks a rule of the schema.
    fn impossible_delivery() -> Write {
        let card = Impression { article_id: "article".into(), rank: 1, ..Impression::default() };
        Write::Delivery(DeliveryRecord {
            id: Uuid::from_u128(1),
            decision: Uuid::from_u128(2),
            profile: "main".into(),
            interaction: "call-1".into(),
            utterance: 1,
            impressions: vec![card.clone(), card],
            question: None,
            delivered_at: Timestamp::UNIX_EPOCH,
            cxone_id: None,
            latency_ms: 12,
        })
    }

    #[tokio::test]
    async fn two_hundred_waiting_stores_share_a_few_commits() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, commits) = counted_writer(&directory).await;
        let results = join_all((0..200).map(|number| writer.write(event(number)))).await;
        let mut ids: Vec<i64> = results.into_iter().map(Result::unwrap).collect();
        ids.dedup();
        assert_eq!(ids.len(), 200);
        let commits = commits.load(Ordering::SeqCst);
        assert!((1..=4).contains(&commits), "{commits} commits");
    }

    #[tokio::test]
    async fn a_write_that_breaks_a_rule_fails_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, _) = counted_writer(&directory).await;
        let together = [event(1), impossible_delivery(), event(2)];
        let results = join_all(together.map(|write| writer.write(write))).await;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        assert!(matches!(&results[1], Err(error @ LedgerError::Refused(_)) if error.is_final()), "{results:?}");
    }

    #[tokio::test]
    async fn every_commit_is_synced() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let (mut connection, _) = crate::opening::open(&url).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await.unwrap();
        assert_eq!(synchronous, 2, "2 is FULL");
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_is_told_from_one_that_was_closed() {
        let (requests, received) = mpsc::channel(1);
        let gone = Writer { requests, is_closed: Arc::default() };
        assert!(gone.gone().now_or_never().is_none(), "it is there");
        // As it goes when the writer's task panics.
        drop(received);
        assert!(matches!(gone.write(event(1)).await, Err(LedgerError::WriterGone)));
        assert!(gone.gone().now_or_never().is_some());

        let directory = tempfile::tempdir().unwrap();
        let (writer, _) = counted_writer(&directory).await;
        writer.close().await;
        assert!(matches!(writer.write(event(1)).await, Err(LedgerError::Closed)));
        assert!(writer.gone().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_lock_held_elsewhere_fails_every_write_of_the_commit() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let (mut impatient, _) = crate::opening::open(&url).await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut impatient).await.unwrap();
        let (mut other, _) = crate::opening::open(&url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

        let writer = spawn(impatient).await;
        let results = join_all([event(1), event(2)].map(|write| writer.write(write))).await;
        assert!(results.iter().all(|result| matches!(result, Err(LedgerError::Write(_)))), "{results:?}");

        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        assert!(writer.write(event(3)).await.is_ok());
    }
}
