//! One encoder thread: takes work from the lanes, runs the model, answers.
//!
//! Input: live texts and bulk batches. Output: one answer per text or batch, on the channel that
//! came with it. An error or a panic inside the model answers the callers of that batch; the
//! thread goes on.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Once, mpsc},
};

use tokio::sync::oneshot;

use crate::{
    EncoderError,
    batches::{self, LIVE_MAX_PADDED_PIECES},
    encoder::Encoding,
    forward::Forward,
    lanes::{Lanes, Work},
    phrases::key_phrases,
    word_pieces::{Excerpt, Keep, Pieces, WordPieces},
};

/// A text from a conversation.
pub(crate) struct LiveJob {
    pub(crate) text: String,
    /// Its beginning was left out already.
    pub(crate) cut: bool,
    pub(crate) reply: oneshot::Sender<Result<Encoding, EncoderError>>,
}

/// A batch of texts to embed.
pub(crate) struct BulkJob {
    pub(crate) texts: Vec<Vec<i64>>,
    /// What the answer is labelled with: the texts' places in the caller's list.
    pub(crate) positions: Vec<usize>,
    pub(crate) reply: mpsc::Sender<BulkAnswer>,
}

pub(crate) type BulkAnswer = (Vec<usize>, Result<Vec<Vec<f32>>, EncoderError>);

pub(crate) type EncoderLanes = Lanes<LiveJob, BulkJob>;

pub(crate) struct Worker<F> {
    pub(crate) lanes: Arc<EncoderLanes>,
    pub(crate) word_pieces: Arc<WordPieces>,
    pub(crate) forward: F,
    pub(crate) max_batch: usize,
}

impl<F: Forward> Worker<F> {
    /// Works until the lanes are closed.
    pub(crate) fn run(&self) {
        while let Some(work) = self.lanes.next() {
            match work {
                Work::Live(jobs) => self.serve_live(jobs),
                Work::Bulk(job) => self.serve_bulk(job),
            }
        }
    }

    fn serve_live(&self, jobs: Vec<LiveJob>) {
        let mut ready: Vec<(Pieces, oneshot::Sender<_>)> = Vec::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| !job.reply.is_closed()) {
            let excerpt = Excerpt { text: &job.text, cut: job.cut };
            match guarded(|| self.word_pieces.pieces(excerpt, Keep::End)) {
                Ok(pieces) => ready.push((pieces, job.reply)),
                Err(error) => answer(job.reply, Err(error)),
            }
        }
        let lengths: Vec<usize> = ready.iter().map(|(pieces, _)| pieces.ids.len()).collect();
        let mut ready: Vec<Option<_>> = ready.into_iter().map(Some).collect();
        for batch in batches::plan(&lengths, self.max_batch, LIVE_MAX_PADDED_PIECES) {
            self.encode_batch(batch.into_iter().filter_map(|position| ready[position].take()).collect());
        }
    }

    fn encode_batch(&self, batch: Vec<(Pieces, oneshot::Sender<Result<Encoding, EncoderError>>)>) {
        let texts: Vec<&[i64]> = batch.iter().map(|(pieces, _)| pieces.ids.as_slice()).collect();
        match guarded(|| self.forward.run(&texts, true, &mut || ())) {
            Ok(outputs) => {
                let outputs = outputs.embeddings.into_iter().zip(outputs.attention);
                for ((pieces, reply), (embedding, attention)) in batch.into_iter().zip(outputs) {
                    answer(reply, Ok(encoding(&pieces, embedding, &attention)));
                }
            }
            Err(error) => batch.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone()))),
        }
    }

    fn serve_bulk(&self, job: BulkJob) {
        let texts: Vec<&[i64]> = job.texts.iter().map(Vec::as_slice).collect();
        let mut give_way = || {
            while let Some(jobs) = self.lanes.take_live() {
                self.serve_live(jobs);
            }
        };
        let embeddings = guarded(|| self.forward.run(&texts, false, &mut give_way)).map(|outputs| outputs.embeddings);
        // A caller that has given up after another batch's error no longer listens.
        let _ = job.reply.send((job.positions, embeddings));
    }
}

fn encoding(pieces: &Pieces, embedding: Vec<f32>, attention: &[f32]) -> Encoding {
    Encoding {
        embedding,
        key_phrases: key_phrases(&pieces.words, attention),
        word_pieces: pieces.ids.len(),
        truncated: pieces.truncated,
    }
}

/// A caller that dropped its future meanwhile wants no answer.
fn answer(reply: oneshot::Sender<Result<Encoding, EncoderError>>, encoding: Result<Encoding, EncoderError>) {
    let _ = reply.send(encoding);
}

/// Turns a panic into an error. What the call touched is dropped with it or, like the model's
/// weights, is only read, so nothing half changed is used again.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, EncoderError>) -> Result<T, EncoderError> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let reason = first_line(panic_message(payload.as_ref()));
        tracing::error!(reason, "the encoder panicked; its callers get an error");
        Err(EncoderError::Failed(format!("panic: {reason}")))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

/// Torch puts a C++ stack trace behind its message, as lines or, in a panic, as escaped ones.
pub(crate) fn first_line(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split("\\n").next().unwrap_or_default()
}

/// Gives this thread one torch thread: itself. Returns the guard under which nothing is recorded
/// for gradients.
pub(crate) fn become_torch_thread() -> tch::NoGradGuard {
    static INTEROP: Once = Once::new();
    INTEROP.call_once(|| {
        // Torch allows this once per process; somebody else's choice stays, and harms nobody here.
        if tch::get_num_interop_threads() != 1 {
            let _ = panic::catch_unwind(|| tch::set_num_interop_threads(1));
        }
    });
    tch::set_num_threads(1);
    tch::no_grad_guard()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{sync::Mutex, thread};

    use super::*;
    use crate::{DIMENSIONS, forward::Outputs, lanes::Limits, testing};

    /// Writes down what runs; `disturb` is called in the middle of bulk work; the id 666 panics.
    struct Scripted<'a> {
        events: &'a Mutex<Vec<String>>,
        disturb: &'a (dyn Fn() + Sync),
    }

    const PANICS: i64 = 666;

    impl Forward for Scripted<'_> {
        fn run(&self, batch: &[&[i64]], attention: bool, give_way: &mut dyn FnMut()) -> Result<Outputs, EncoderError> {
            let lane = if attention { "live" } else { "bulk" };
            let note = |what: &str| self.events.lock().unwrap().push(format!("{lane} {what}"));
            note(&format!("{} starts", batch.len()));
            assert!(!batch.iter().any(|text| text.contains(&PANICS)), "scripted panic");
            if !attention {
                (self.disturb)();
            }
            give_way();
            note("ends");
            let attention = batch.iter().map(|text| vec![0.1; text.len()]).collect();
            Ok(Outputs { embeddings: vec![vec![0.0; DIMENSIONS]; batch.len()], attention })
        }
    }

    fn lanes() -> Arc<EncoderLanes> {
        Arc::new(Lanes::new(Limits { live_capacity: 8, bulk_capacity: 8, max_batch: 8, threads: 1 }))
    }

    /// Runs one worker while `test` lasts; returns what the model did.
    fn with_worker(lanes: &Arc<EncoderLanes>, disturb: &(dyn Fn() + Sync), test: impl FnOnce()) -> Vec<String> {
        let events = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let (lanes, events) = (Arc::clone(lanes), &events);
            let worker_lanes = Arc::clone(&lanes);
            scope.spawn(move || {
                let forward = Scripted { events, disturb };
                Worker { lanes: worker_lanes, word_pieces: testing::word_pieces(), forward, max_batch: 8 }.run();
            });
            test();
            lanes.close();
        });
        events.into_inner().unwrap()
    }

    fn live(text: &str) -> (LiveJob, oneshot::Receiver<Result<Encoding, EncoderError>>) {
        let (reply, answer) = oneshot::channel();
        (LiveJob { text: text.to_owned(), cut: false, reply }, answer)
    }

    fn bulk(texts: &[&[i64]]) -> (BulkJob, mpsc::Receiver<BulkAnswer>) {
        let (reply, answer) = mpsc::channel();
        let texts: Vec<Vec<i64>> = texts.iter().map(|text| text.to_vec()).collect();
        (BulkJob { positions: (0..texts.len()).collect(), texts, reply }, answer)
    }

    #[test]
    fn bulk_work_gives_way_in_the_middle_and_between_batches() {
        let lanes = lanes();
        let (first, first_answer) = bulk(&[&[1, 2]]);
        let (second, second_answer) = bulk(&[&[3, 4]]);
        assert!(lanes.push_bulk(first) && lanes.push_bulk(second));
        let answers = Mutex::new(Vec::new());
        let disturb = || {
            for text in ["where is my parcel", "cancel it"] {
                let (job, answer) = live(text);
                lanes.try_push_live(job).unwrap();
                answers.lock().unwrap().push(answer);
            }
        };
        let events = with_worker(&lanes, &disturb, || {
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
        let lanes = lanes();
        let events = with_worker(&lanes, &|| (), || {
            let (broken, answer) = bulk(&[&[1], &[PANICS]]);
            assert!(lanes.push_bulk(broken));
            let (positions, outcome) = answer.recv().unwrap();
            assert_eq!(positions, [0, 1]);
            assert_eq!(outcome.unwrap_err(), EncoderError::Failed("panic: scripted panic".to_owned()));

            let (job, answer) = live("still there?");
            assert!(lanes.push_live(job));
            assert!(answer.blocking_recv().unwrap().is_ok());
        });
        assert_eq!(events, ["bulk 2 starts", "live 1 starts", "live ends"]);
    }

    #[test]
    fn an_answer_nobody_waits_for_is_not_computed() {
        let lanes = lanes();
        let (abandoned, answer) = live("never mind");
        drop(answer);
        lanes.try_push_live(abandoned).unwrap();
        let (wanted, answer) = live("refund");
        lanes.try_push_live(wanted).unwrap();
        let events = with_worker(&lanes, &|| (), || assert!(answer.blocking_recv().unwrap().is_ok()));
        assert_eq!(events, ["live 1 starts", "live ends"]);
    }
}
