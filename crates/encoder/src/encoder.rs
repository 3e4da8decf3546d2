//! The handle that the rest of the program holds.
//!
//! Cheap to clone; the last one dropped ends the threads. It waits for what they have in hand
//! (torch must not run while the process exits), but for none that hangs; texts that still wait end as
//! [`EncoderError::Closed`].

use std::{
    ops::Range,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

use crate::{
    EncoderError,
    encoding::{Encoding, PendingEncoding},
    error::guarded,
    model_files::{ModelFiles, ModelInfo},
    settings::EncoderSettings,
    threads::{ThreadParts, Threads},
    torch_thread::become_torch_thread,
    turns::Lane,
    watch::EncoderHealth,
    word_pieces::{Excerpt, Keep, MAX_TEXT_PIECES, WordPieces, chunk_ranges},
    work_queue::{
        BULK_MAX_PIECES, BULK_MAX_TEXTS, BulkAnswer, BulkJob, EncoderQueue, Limits, LiveJob, Refused, WorkQueue,
        batches,
    },
};

/// Texts of [`Encoder::encode_aside`] that wait at once: enough to fill a batch, and a small part of the queue.
const ASIDE_AT_ONCE: usize = 16;

/// A thread that hangs keeps its core and may hold what others need. One may have met with bad luck; after this many only a
/// new process helps.
const MOST_HUNG: u64 = 2;

/// The model on its threads.
#[derive(Clone)]
pub struct Encoder {
    source: Arc<dyn Source>,
    /// Whose texts this handle's are.
    lane: Lane,
    /// One set for all who share the encoder, however many they are.
    places_aside: Arc<Semaphore>,
}

/// Where encodings come from: the model on its threads or, in tests of other rooms, a script.
pub(crate) trait Source: Send + Sync {
    fn model(&self) -> &ModelInfo;
    fn encode(&self, lane: Lane, text: &str) -> Result<PendingEncoding, EncoderError>;
    fn encode_blocking(&self, lane: Lane, text: &str) -> Result<Encoding, EncoderError>;
    fn embed_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError>;
    fn chunks(&self, text: &str) -> Vec<Range<usize>>;
    fn longest_wait(&self, lane: Lane) -> Duration;
    /// How the threads are, now and from now on; `None` where there are none.
    fn health(&self) -> Option<watch::Receiver<EncoderHealth>>;
}

struct LoadedModel {
    queue: Arc<EncoderQueue>,
    word_pieces: Arc<WordPieces>,
    info: ModelInfo,
    live_capacity: usize,
    /// Ended when the last handle goes.
    threads: Threads,
}

impl Encoder {
    /// Reads the model and starts the threads; takes under a second. Blocks.
    pub fn load(settings: &EncoderSettings) -> Result<Self, EncoderError> {
        LoadedModel::load(settings).map(Self::of)
    }

    pub(crate) fn of(source: impl Source + 'static) -> Self {
        Self { source: Arc::new(source), lane: Lane::own(), places_aside: Arc::new(Semaphore::new(ASIDE_AT_ONCE)) }
    }

    pub fn model(&self) -> &ModelInfo {
        self.source.model()
    }

    /// A handle whose texts wait in a lane of their own: served turn by turn with the others, whatever those send.
    #[must_use]
    pub fn with_own_lane(&self) -> Self {
        Self { lane: Lane::own(), ..self.clone() }
    }

    /// Queues a live text; refuses at once with [`EncoderError::QueueFull`]. Of a text that is too
    /// long the end is encoded.
    pub fn encode(&self, text: &str) -> Result<PendingEncoding, EncoderError> {
        self.source.encode(self.lane, text)
    }

    /// Like [`Encoder::encode`] for what a question can do without, however much of it there is: only 16 such texts of
    /// all who share this encoder are queued at once, the others wait for a place. So the queue is left to the questions.
    pub async fn encode_aside(&self, text: &str) -> Result<Encoding, EncoderError> {
        let _place = self.places_aside.acquire().await.map_err(|_| EncoderError::Closed)?;
        self.encode(text)?.await
    }

    /// Like [`Encoder::encode`] for command lines and evaluation: waits for its place and for the
    /// answer.
    pub fn encode_blocking(&self, text: &str) -> Result<Encoding, EncoderError> {
        self.source.encode_blocking(self.lane, text)
    }

    /// Embeds many texts: `[texts.len(), 384]`, in their order, L2-normalised. Blocks, and yields
    /// to live work. Of a text that is too long the beginning counts: see [`Encoder::chunks`].
    pub fn embed_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        self.source.embed_bulk(texts)
    }

    /// Byte ranges of a long text that each fit into the model, cut between words. They cover the text; neighbours share
    /// up to 32 word pieces. A short text is one range.
    pub fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        self.source.chunks(text)
    }

    /// How long the oldest live text of this handle's lane waits that no thread has taken yet; asks no thread.
    pub fn longest_wait(&self) -> Duration {
        self.source.longest_wait(self.lane)
    }

    /// How the threads are; asks none of them.
    pub fn health(&self) -> EncoderHealth {
        self.source.health().map_or_else(EncoderHealth::default, |health| *health.borrow())
    }

    /// Waits until two threads hang at the same time: then only a new process helps, since a thread can't be ended.
    pub async fn given_up(&self) {
        if let Some(mut health) = self.source.health()
            && health.wait_for(|health| health.away >= MOST_HUNG).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Whether both are handles of the same threads.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }
}

impl LoadedModel {
    fn load(settings: &EncoderSettings) -> Result<Self, EncoderError> {
        settings.check()?;
        let no_grad = become_torch_thread();
        let files = ModelFiles::read(&settings.model_dir, settings.precision)?;
        drop(no_grad);
        let queue = Arc::new(WorkQueue::new(Limits {
            live_capacity: settings.live_capacity,
            bulk_capacity: settings.threads + 1,
            max_batch: settings.max_batch,
            threads: settings.threads,
        }));
        let ModelFiles { weights_path, forward, word_pieces, info } = files;
        let parts =
            ThreadParts { forward, weights_path, word_pieces: Arc::clone(&word_pieces), queue: Arc::clone(&queue) };
        let threads = Threads::start(parts, settings)?;
        Ok(Self { queue, word_pieces, info, live_capacity: settings.live_capacity, threads })
    }
}

impl Source for LoadedModel {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn encode(&self, lane: Lane, text: &str) -> Result<PendingEncoding, EncoderError> {
        let (job, pending) = live_job(text);
        match self.queue.try_push_live(lane, job) {
            Ok(()) => Ok(pending),
            Err(Refused::Full) => Err(EncoderError::QueueFull { capacity: self.live_capacity }),
            Err(Refused::Closed) => Err(EncoderError::Closed),
        }
    }

    fn encode_blocking(&self, lane: Lane, text: &str) -> Result<Encoding, EncoderError> {
        let (job, pending) = live_job(text);
        if self.queue.push_live(lane, job) { pending.wait() } else { Err(EncoderError::Closed) }
    }

    fn embed_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let mut inputs = texts
            .iter()
            .map(|text| guarded(|| self.word_pieces.ids(Excerpt::of(text, Keep::Start), Keep::Start)))
            .collect::<Result<Vec<Vec<i64>>, EncoderError>>()?;
        let lengths: Vec<usize> = inputs.iter().map(Vec::len).collect();
        let (reply, answers) = mpsc::channel();
        for positions in batches(&lengths, BULK_MAX_TEXTS, BULK_MAX_PIECES) {
            let texts = inputs[positions.clone()].iter_mut().map(std::mem::take).collect();
            if !self.queue.push_bulk(BulkJob { texts, first: positions.start, reply: reply.clone() }) {
                return Err(EncoderError::Closed);
            }
        }
        drop(reply);
        in_order(texts.len(), answers)
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        match guarded(|| self.word_pieces.piece_starts(text)) {
            Ok(pieces) => chunk_ranges(text.len(), &pieces, MAX_TEXT_PIECES),
            Err(error) => {
                tracing::error!(%error, "a text could not be split and stays one chunk");
                std::iter::once(0..text.len()).collect()
            }
        }
    }

    fn longest_wait(&self, lane: Lane) -> Duration {
        self.queue.longest_wait(lane)
    }

    fn health(&self) -> Option<watch::Receiver<EncoderHealth>> {
        Some(self.threads.health())
    }
}

fn live_job(text: &str) -> (LiveJob, PendingEncoding) {
    let (reply, pending) = PendingEncoding::new();
    let Excerpt { text, cut } = Excerpt::of(text, Keep::End);
    (LiveJob { text: text.to_owned(), cut, reply }, pending)
}

/// Puts the answers of all batches where their texts were.
fn in_order(count: usize, answers: mpsc::Receiver<BulkAnswer>) -> Result<Vec<Vec<f32>>, EncoderError> {
    let mut embeddings = vec![Vec::new(); count];
    let mut missing = count;
    for (first, batch) in answers {
        for (position, embedding) in (first..).zip(batch?) {
            embeddings[position] = embedding;
            missing -= 1;
        }
    }
    if missing == 0 { Ok(embeddings) } else { Err(EncoderError::Closed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        DIMENSIONS, Precision,
        testing::{self, HANGS, PATIENCE, Scripted, until},
    };

    #[test]
    fn the_last_handle_ends_the_threads() {
        let model = LoadedModel::load(&EncoderSettings { threads: 2, ..EncoderSettings::default() })
            .unwrap_or_else(|error| panic!("{error}"));
        let held_by_threads = Arc::downgrade(&model.queue);
        let encoder = Encoder::of(model);
        let other = encoder.clone();
        drop(encoder);
        assert_eq!(other.encode_blocking("refund").unwrap().embedding.len(), 384);
        // A queue full of long texts is seconds of work, and the drop follows at once.
        let long = "reset the device and pair it again ".repeat(60);
        let waiting: Vec<PendingEncoding> = std::iter::from_fn(|| other.encode(&long).ok()).collect();
        drop(other);
        assert!(held_by_threads.upgrade().is_none());
        let outcomes: Vec<_> = waiting.into_iter().map(PendingEncoding::wait).collect();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(EncoderError::Closed))));
        assert!(outcomes.contains(&Err(EncoderError::Closed)));
    }

    #[test]
    fn an_encoder_is_given_up_when_a_second_thread_has_hung() {
        let model = Scripted::default();
        let gate = Arc::clone(&model.gate);
        let closed = gate.lock().unwrap();
        let queue = Arc::new(WorkQueue::new(Limits { live_capacity: 8, bulk_capacity: 8, max_batch: 8, threads: 1 }));
        let (word_pieces, weights_path) = (testing::word_pieces(), std::path::PathBuf::new());
        let settings =
            EncoderSettings { threads: 1, hang_timeout: Duration::from_millis(50), ..EncoderSettings::default() };
        let parts = ThreadParts {
            forward: model,
            weights_path,
            word_pieces: Arc::clone(&word_pieces),
            queue: Arc::clone(&queue),
        };
        let threads = Threads::start(parts, &settings).unwrap();
        let info = ModelInfo {
            name: "scripted",
            fingerprint: String::new(),
            precision: Precision::F32,
            dimensions: DIMENSIONS,
        };
        let encoder =
            Encoder::of(LoadedModel { queue: Arc::clone(&queue), word_pieces, info, live_capacity: 8, threads });
        let hang = || {
            let (reply, answer) = mpsc::channel();
            assert!(queue.push_bulk(BulkJob { first: 0, texts: vec![vec![HANGS]], reply }));
            assert_eq!(answer.recv_timeout(PATIENCE).unwrap().1, Err(EncoderError::Hung));
        };
        hang();
        assert_eq!(encoder.encode_blocking("still there?").unwrap().word_pieces, 5);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let given_up =
            |within| runtime.block_on(async { tokio::time::timeout(within, encoder.given_up()).await }).is_ok();
        assert!(!given_up(Duration::ZERO), "one may be bad luck");
        hang();
        assert!(given_up(PATIENCE));
        assert_eq!(encoder.health(), EncoderHealth { threads: 1, panicked: 0, hung: 2, away: 2 });
        drop(closed);
        until("both come back", || encoder.health().away == 0);
        assert!(!given_up(Duration::ZERO), "there are as many cores as before");
    }
}
