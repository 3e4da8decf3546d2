//! The encoder's threads: each tries the model, then takes work from the queue, runs the model and answers, until the
//! queue is closed.
//!
//! Input: live texts and bulk batches. Output: one answer per text or batch, on the channel that came with it. An error or
//! a panic inside the model answers the callers of that batch; the thread goes on.

use std::{
    collections::VecDeque,
    panic,
    path::PathBuf,
    sync::{
        Arc, Once,
        atomic::{AtomicI32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use crate::{
    EncoderError, EncoderSettings,
    bert::{BertForward, Forward},
    encoding::{Encoding, LiveReply, key_phrases},
    error::guarded,
    linear::Yield,
    model_files::{ModelFiles, PROBE},
    word_pieces::{Excerpt, Keep, Pieces, WordPieces},
    work_queue::{BulkJob, EncoderQueue, LIVE_MAX_PIECES, LiveJob, Share, Work, batches},
};

/// The threads; dropped, it closes the queue and waits for what each has in hand.
pub(crate) struct Threads {
    queue: Arc<EncoderQueue>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Returns when every thread has tried the model.
    pub(crate) fn start(
        files: &ModelFiles,
        settings: &EncoderSettings,
        queue: &Arc<EncoderQueue>,
    ) -> Result<Self, EncoderError> {
        let (ready, readiness) = mpsc::channel();
        let mut threads = Self { queue: Arc::clone(queue), running: Vec::with_capacity(settings.threads) };
        for number in 0..settings.threads {
            let start = WorkerStart {
                forward: files.forward.clone(),
                weights_path: files.weights_path.clone(),
                queue: Arc::clone(queue),
                word_pieces: Arc::clone(&files.word_pieces),
                max_batch: settings.max_batch,
                ready: ready.clone(),
            };
            let thread = thread::Builder::new().name(format!("encoder-{number}")).spawn(move || start.run());
            threads.running.push(thread.map_err(|error| EncoderError::Thread(error.to_string()))?);
        }
        drop(ready);
        readiness.iter().collect::<Result<(), EncoderError>>()?;
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.running.drain(..) {
            // A worker catches its panics; one that died all the same has nothing left to say.
            let _ = thread.join();
        }
    }
}

/// What a thread is started with.
struct WorkerStart {
    forward: BertForward,
    weights_path: PathBuf,
    queue: Arc<EncoderQueue>,
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
        // `Threads::start` waits until every sender is gone.
        drop(self.ready);
        let (forward, max_batch) = (self.forward, self.max_batch);
        Worker { queue: self.queue, word_pieces: self.word_pieces, forward, max_batch }.run();
    }

    /// Runs the model once: weights that give no finite number are found now, and the first
    /// customer does not pay for torch's first allocations.
    fn try_model(&self) -> Result<(), EncoderError> {
        guarded(|| {
            let probe = self.word_pieces.ids(Excerpt::of(PROBE, Keep::Start), Keep::Start)?;
            self.forward.run(&[&probe], &mut || ())
        })
        .map(drop)
        .map_err(|error| EncoderError::BrokenFile { path: self.weights_path.clone(), reason: error.to_string() })
    }
}

/// Torch's name for messages that are errors.
const ERROR: i32 = 2;

#[allow(unsafe_code)]
unsafe extern "C" {
    /// The least level that torch writes to stderr.
    #[link_name = "FLAGS_caffe2_log_level"]
    safe static LOG_LEVEL: AtomicI32;
}

/// Gives this thread one torch thread: itself. Returns the guard under which nothing is recorded
/// for gradients.
pub(crate) fn become_torch_thread() -> tch::NoGradGuard {
    static PROCESS: Once = Once::new();
    PROCESS.call_once(|| {
        // On every start it would warn that the int8 products may go in some later version.
        LOG_LEVEL.store(ERROR, Ordering::Relaxed);
        // Torch allows this once per process; somebody else's choice stays, and harms nobody here.
        if tch::get_num_interop_threads() != 1 {
            let _ = panic::catch_unwind(|| tch::set_num_interop_threads(1));
        }
    });
    tch::set_num_threads(1);
    tch::no_grad_guard()
}

struct Worker<F> {
    queue: Arc<EncoderQueue>,
    word_pieces: Arc<WordPieces>,
    forward: F,
    max_batch: usize,
}

impl<F: Forward> Worker<F> {
    /// Works until the queue is closed.
    fn run(&self) {
        while let Some(work) = self.queue.next() {
            match work {
                Work::Live(share) => self.serve_share(share),
                Work::Bulk(job) => self.serve_bulk(&job),
            }
        }
    }

    /// Texts of one lane let a text of each other lane in between, once: who sends one does not wait for the many of another.
    fn serve_share(&self, share: Share<LiveJob>) {
        let Share { jobs, lane } = share;
        let mut others = lane.filter(|_| jobs.len() > 1);
        let mut yield_now = || {
            let waiting = others.and_then(|lane| self.queue.take_others(lane));
            if let Some(share) = waiting {
                others = None;
                self.serve_live(share.jobs, &mut || ());
            }
        };
        self.serve_live(jobs, &mut yield_now);
    }

    fn serve_live(&self, jobs: Vec<LiveJob>, yield_now: Yield<'_>) {
        let mut ready: VecDeque<(Pieces, LiveReply)> = VecDeque::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| !job.reply.is_closed()) {
            let excerpt = Excerpt { text: &job.text, cut: job.cut };
            match guarded(|| self.word_pieces.pieces(excerpt, Keep::End)) {
                Ok(pieces) => ready.push_back((pieces, job.reply)),
                Err(error) => answer(job.reply, Err(error)),
            }
        }
        let lengths: Vec<usize> = ready.iter().map(|(pieces, _)| pieces.ids.len()).collect();
        for batch in batches(&lengths, self.max_batch, LIVE_MAX_PIECES) {
            self.encode_batch(ready.drain(..batch.len()).collect(), yield_now);
        }
    }

    fn encode_batch(&self, batch: Vec<(Pieces, LiveReply)>, yield_now: Yield<'_>) {
        let texts: Vec<&[i64]> = batch.iter().map(|(pieces, _)| pieces.ids.as_slice()).collect();
        match guarded(|| self.forward.run(&texts, yield_now)) {
            Ok(outputs) => {
                let outputs = outputs.embeddings.into_iter().zip(outputs.attention);
                for ((pieces, reply), (embedding, attention)) in batch.into_iter().zip(outputs) {
                    answer(reply, Ok(encoding(pieces, embedding, &attention)));
                }
            }
            Err(error) => batch.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone()))),
        }
    }

    fn serve_bulk(&self, job: &BulkJob) {
        let texts: Vec<&[i64]> = job.texts.iter().map(Vec::as_slice).collect();
        let mut yield_now = || {
            while let Some(share) = self.queue.take_live() {
                self.serve_live(share.jobs, &mut || ());
            }
        };
        let embeddings = guarded(|| self.forward.run(&texts, &mut yield_now)).map(|outputs| outputs.embeddings);
        // A caller that has given up after another batch's error no longer listens.
        let _ = job.reply.send((job.first, embeddings));
    }
}

fn encoding(pieces: Pieces, embedding: Vec<f32>, attention: &[f32]) -> Encoding {
    Encoding {
        embedding,
        word_pieces: pieces.ids.len(),
        truncated: pieces.truncated,
        key_phrases: key_phrases(pieces.words, attention),
    }
}

/// A caller that dropped its future meanwhile wants no answer.
fn answer(reply: LiveReply, encoding: Result<Encoding, EncoderError>) {
    let _ = reply.send(encoding);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        sync::{Mutex, mpsc},
        thread,
    };

    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        DIMENSIONS,
        bert::Outputs,
        testing,
        turns::Lane,
        work_queue::{BulkAnswer, Limits, WorkQueue},
    };

    /// Writes down what runs; `disturb` is called in the middle of bulk work; the id 666 panics.
    struct Scripted<'a> {
        events: &'a Mutex<Vec<String>>,
        disturb: &'a (dyn Fn() + Sync),
    }

    const PANICS: i64 = 666;
    /// What a live text begins with, and none of the bulk texts here.
    const CLS: i64 = 101;

    impl Forward for Scripted<'_> {
        fn run(&self, batch: &[&[i64]], yield_now: Yield<'_>) -> Result<Outputs, EncoderError> {
            let live = batch.iter().all(|text| text.starts_with(&[CLS]));
            let kind = if live { "live" } else { "bulk" };
            let note = |what: &str| self.events.lock().unwrap().push(format!("{kind} {what}"));
            note(&format!("{} starts", batch.len()));
            assert!(!batch.iter().any(|text| text.contains(&PANICS)), "scripted panic");
            if !live {
                (self.disturb)();
            }
            yield_now();
            note("ends");
            let attention = batch.iter().map(|text| vec![0.1; text.len()]).collect();
            Ok(Outputs { embeddings: vec![vec![0.0; DIMENSIONS]; batch.len()], attention })
        }
    }

    fn queue() -> Arc<EncoderQueue> {
        Arc::new(WorkQueue::new(Limits { live_capacity: 8, bulk_capacity: 8, max_batch: 8, threads: 1 }))
    }

    /// Runs one worker while `test` lasts; returns what the model did.
    fn with_worker(queue: &Arc<EncoderQueue>, disturb: &(dyn Fn() + Sync), test: impl FnOnce()) -> Vec<String> {
        let events = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let (queue, events) = (Arc::clone(queue), &events);
            let worker_queue = Arc::clone(&queue);
            scope.spawn(move || {
                let forward = Scripted { events, disturb };
                Worker { queue: worker_queue, word_pieces: testing::word_pieces(), forward, max_batch: 8 }.run();
            });
            test();
            queue.close();
        });
        events.into_inner().unwrap()
    }

    fn live(text: &str) -> (LiveJob, oneshot::Receiver<Result<Encoding, EncoderError>>) {
        let (reply, answer) = oneshot::channel();
        (LiveJob { text: text.to_owned(), cut: false, reply }, answer)
    }

    fn bulk(texts: &[&[i64]]) -> (BulkJob, mpsc::Receiver<BulkAnswer>) {
        let (reply, answer) = mpsc::channel();
        (BulkJob { first: 7, texts: texts.iter().map(|text| text.to_vec()).collect(), reply }, answer)
    }

    #[test]
    fn bulk_work_yields_in_the_middle_and_between_batches() {
        let queue = queue();
        let (first, first_answer) = bulk(&[&[1, 2]]);
        let (second, second_answer) = bulk(&[&[3, 4]]);
        assert!(queue.push_bulk(first) && queue.push_bulk(second));
        let answers = Mutex::new(Vec::new());
        let disturb = || {
            let lane = Lane::own();
            for text in ["where is my parcel", "cancel it"] {
                let (job, answer) = live(text);
                queue.try_push_live(lane, job).unwrap();
                answers.lock().unwrap().push(answer);
            }
        };
        let events = with_worker(&queue, &disturb, || {
            first_answer.recv().unwrap().1.unwrap();
            second_answer.recv().unwrap().1.unwrap();
        });
        let once = ["bulk 1 starts", "live 2 starts", "live ends", "bulk ends"];
        assert_eq!(events, [once, once].concat());
        for answer in answers.into_inner().unwrap() {
            assert!(answer.blocking_recv().unwrap().is_ok());
        }
    }

    #[test]
    fn a_panic_answers_its_batch_and_the_thread_goes_on() {
        let queue = queue();
        let events = with_worker(&queue, &|| (), || {
            let (broken, answer) = bulk(&[&[1], &[PANICS]]);
            assert!(queue.push_bulk(broken));
            let (first, outcome) = answer.recv().unwrap();
            assert_eq!(first, 7);
            let told = outcome.unwrap_err().to_string();
            assert!(told.contains("panicked") && !told.contains("scripted"), "its words may be a customer's: {told}");

            let (job, answer) = live("still there?");
            assert!(queue.push_live(Lane::own(), job));
            assert!(answer.blocking_recv().unwrap().is_ok());
        });
        assert_eq!(events, ["bulk 2 starts", "live 1 starts", "live ends"]);
    }

    #[test]
    fn an_answer_nobody_waits_for_is_not_computed() {
        let (queue, lane) = (queue(), Lane::own());
        let (abandoned, answer) = live("never mind");
        drop(answer);
        queue.try_push_live(lane, abandoned).unwrap();
        let (wanted, answer) = live("refund");
        queue.try_push_live(lane, wanted).unwrap();
        let events = with_worker(&queue, &|| (), || assert!(answer.blocking_recv().unwrap().is_ok()));
        assert_eq!(events, ["live 1 starts", "live ends"]);
    }
}
