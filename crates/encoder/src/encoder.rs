//! The handle that the rest of the program holds.
//!
//! Cheap to clone; the last one dropped ends the threads. It waits for what they have in hand
//! (torch must not run while the process exits), and texts that still wait end as
//! [`EncoderError::Closed`].

use std::{
    fmt,
    future::Future,
    ops::Range,
    path::PathBuf,
    pin::{Pin, pin},
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle, Thread},
};

use tokio::sync::oneshot;

use crate::{
    EncoderError,
    batches::{self, BULK_MAX_PADDED_PIECES, BULK_MAX_TEXTS},
    chunks,
    forward::{BertForward, Forward},
    lanes::{Lanes, Limits, LiveQueue, Refused},
    model_files::{ModelFiles, ModelInfo},
    phrases::KeyPhrase,
    settings::EncoderSettings,
    word_pieces::{Excerpt, Keep, MAX_TEXT_PIECES, WordPieces},
    worker::{BulkAnswer, BulkJob, EncoderLanes, LiveJob, Worker, become_torch_thread, guarded},
};

/// What one forward pass says about a text.
#[derive(Clone, PartialEq)]
pub struct Encoding {
    /// Mean over the text's word pieces, L2-normalised: `[384]`.
    pub embedding: Vec<f32>,
    /// At most 5, most attention first, no repeats.
    pub key_phrases: Vec<KeyPhrase>,
    /// Word pieces that the model saw, `[CLS]` and `[SEP]` included: 2 to 256.
    pub word_pieces: usize,
    /// The text was longer and only its end was seen.
    pub truncated: bool,
}

/// Prints sizes, never what a customer said.
impl fmt::Debug for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoding")
            .field("dimensions", &self.embedding.len())
            .field("key_phrases", &self.key_phrases.len())
            .field("word_pieces", &self.word_pieces)
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// The model on its threads.
#[derive(Clone)]
pub struct Encoder {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Arc<EncoderLanes>,
    word_pieces: Arc<WordPieces>,
    info: ModelInfo,
    live_capacity: usize,
    threads: Vec<JoinHandle<()>>,
}

/// The answer to come; a future for any runtime. Dropped, it takes its text out of the queue.
#[derive(Debug)]
pub struct PendingEncoding {
    answer: oneshot::Receiver<Result<Encoding, EncoderError>>,
}

impl Encoder {
    /// Reads the model and starts the threads; takes under a second. Blocks.
    pub fn load(settings: &EncoderSettings) -> Result<Self, EncoderError> {
        settings.check()?;
        let no_grad = become_torch_thread();
        let files = ModelFiles::read(&settings.model_dir)?;
        drop(no_grad);
        let lanes = Arc::new(Lanes::new(Limits {
            live_capacity: settings.live_capacity,
            bulk_capacity: settings.threads + 1,
            max_batch: settings.max_batch,
            threads: settings.threads,
        }));
        let mut shared = Shared {
            lanes: Arc::clone(&lanes),
            word_pieces: Arc::clone(&files.word_pieces),
            info: files.info,
            live_capacity: settings.live_capacity,
            threads: Vec::with_capacity(settings.threads),
        };
        let (ready, readiness) = mpsc::channel();
        for number in 0..settings.threads {
            let start = WorkerStart {
                forward: files.forward.share(),
                weights_path: files.weights_path.clone(),
                lanes: Arc::clone(&lanes),
                word_pieces: Arc::clone(&files.word_pieces),
                max_batch: settings.max_batch,
                ready: ready.clone(),
            };
            let thread = thread::Builder::new().name(format!("encoder-{number}")).spawn(move || start.run());
            shared.threads.push(thread.map_err(|error| EncoderError::Thread(error.to_string()))?);
        }
        drop(ready);
        readiness.iter().collect::<Result<(), EncoderError>>()?;
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn model(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// Queues a live text; refuses at once with [`EncoderError::QueueFull`]. Of a text that is too
    /// long the end is encoded.
    pub fn encode(&self, text: &str) -> Result<PendingEncoding, EncoderError> {
        let (job, pending) = live_job(text);
        match self.shared.lanes.try_push_live(job) {
            Ok(()) => Ok(pending),
            Err(Refused::Full) => Err(EncoderError::QueueFull { capacity: self.shared.live_capacity }),
            Err(Refused::Closed) => Err(EncoderError::Closed),
        }
    }

    /// Like [`Encoder::encode`] for command lines and evaluation: waits for its place and for the
    /// answer.
    pub fn encode_blocking(&self, text: &str) -> Result<Encoding, EncoderError> {
        let (job, pending) = live_job(text);
        if self.shared.lanes.push_live(job) { pending.wait() } else { Err(EncoderError::Closed) }
    }

    /// Embeds many texts: `[texts.len(), 384]`, in their order, L2-normalised. Blocks, and gives way
    /// to live work. Of a text that is too long the beginning counts: see [`Encoder::chunks`].
    pub fn embed_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let mut inputs = texts
            .iter()
            .map(|text| guarded(|| self.shared.word_pieces.pieces(Excerpt::of(text, Keep::Start), Keep::Start)))
            .map(|pieces| pieces.map(|pieces| pieces.ids))
            .collect::<Result<Vec<Vec<i64>>, EncoderError>>()?;
        let lengths: Vec<usize> = inputs.iter().map(Vec::len).collect();
        let (reply, answers) = mpsc::channel();
        for positions in batches::plan(&lengths, BULK_MAX_TEXTS, BULK_MAX_PADDED_PIECES) {
            let texts = positions.iter().map(|&position| std::mem::take(&mut inputs[position])).collect();
            if !self.shared.lanes.push_bulk(BulkJob { texts, positions, reply: reply.clone() }) {
                return Err(EncoderError::Closed);
            }
        }
        drop(reply);
        in_order(texts.len(), answers)
    }

    /// Byte ranges of a long text that each fit into the model beside `reserved_pieces` word pieces
    /// (of a title put in front), cut between words. They cover the text; neighbours share up to 32
    /// word pieces. A short text is one range. At most 126 pieces can be reserved: a chunk never has
    /// fewer than 128 to itself.
    pub fn chunks(&self, text: &str, reserved_pieces: usize) -> Vec<Range<usize>> {
        let limit = chunks::chunk_pieces(MAX_TEXT_PIECES, reserved_pieces);
        match guarded(|| self.shared.word_pieces.piece_starts(text)) {
            Ok(pieces) => chunks::chunk_ranges(text.len(), &pieces, limit),
            Err(error) => {
                tracing::error!(%error, "a text could not be split and stays one chunk");
                std::iter::once(0..text.len()).collect()
            }
        }
    }

    /// How many live texts wait and how long; asks no thread.
    pub fn live_queue(&self) -> LiveQueue {
        self.shared.lanes.live_queue()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.lanes.close();
        for thread in self.threads.drain(..) {
            // A worker catches its panics; one that died all the same has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Future for PendingEncoding {
    type Output = Result<Encoding, EncoderError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(EncoderError::Closed)))
    }
}

impl PendingEncoding {
    /// Waits with the thread parked. Unlike a channel's blocking receive it does not panic where
    /// somebody calls it inside a runtime.
    fn wait(self) -> Result<Encoding, EncoderError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut pending = pin!(self);
        loop {
            match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

/// What a thread is started with.
struct WorkerStart {
    forward: BertForward,
    weights_path: PathBuf,
    lanes: Arc<EncoderLanes>,
    word_pieces: Arc<WordPieces>,
    max_batch: usize,
    ready: mpsc::Sender<Result<(), EncoderError>>,
}

impl WorkerStart {
    fn run(self) {
        let _no_grad = become_torch_thread();
        if let Err(error) = self.try_model() {
            let _ = self.ready.send(Err(error));
            return;
        }
        // `load` waits until every sender is gone.
        drop(self.ready);
        let (forward, max_batch) = (self.forward, self.max_batch);
        Worker { lanes: self.lanes, word_pieces: self.word_pieces, forward, max_batch }.run();
    }

    /// Runs the model once: weights that give no finite number are found now, and the first
    /// customer does not pay for torch's first allocations.
    fn try_model(&self) -> Result<(), EncoderError> {
        let text = Excerpt::of("where is my order", Keep::End);
        guarded(|| {
            let probe = self.word_pieces.pieces(text, Keep::End)?;
            self.forward.run(&[&probe.ids], true, &mut || ())
        })
        .map(drop)
        .map_err(|error| EncoderError::BrokenFile { path: self.weights_path.clone(), reason: error.to_string() })
    }
}

fn live_job(text: &str) -> (LiveJob, PendingEncoding) {
    let (reply, answer) = oneshot::channel();
    let Excerpt { text, cut } = Excerpt::of(text, Keep::End);
    (LiveJob { text: text.to_owned(), cut, reply }, PendingEncoding { answer })
}

/// Puts the answers of all batches where their texts were.
fn in_order(count: usize, answers: mpsc::Receiver<BulkAnswer>) -> Result<Vec<Vec<f32>>, EncoderError> {
    let mut embeddings = vec![Vec::new(); count];
    let mut missing = count;
    for (positions, batch) in answers {
        for (position, embedding) in positions.into_iter().zip(batch?) {
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

    #[test]
    fn the_last_handle_ends_the_threads() {
        let encoder = Encoder::load(&EncoderSettings { threads: 2, ..EncoderSettings::default() })
            .unwrap_or_else(|error| panic!("{error}"));
        let held_by_threads = Arc::downgrade(&encoder.shared.lanes);
        let other = encoder.clone();
        drop(encoder);
        assert_eq!(other.encode_blocking("refund").unwrap().embedding.len(), 384);
        let waiting: Vec<PendingEncoding> = (0..20).map(|_| other.encode("refund").unwrap()).collect();
        drop(other);
        assert!(held_by_threads.upgrade().is_none());
        let outcomes: Vec<_> = waiting.into_iter().map(PendingEncoding::wait).collect();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(EncoderError::Closed))));
        assert!(outcomes.contains(&Err(EncoderError::Closed)));
    }
}
