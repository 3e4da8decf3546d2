//! What one thread of the encoder does: takes work from the queue, runs the model and answers, until the queue is closed.
//!
//! Input: live texts and bulk batches. Output: one answer per text or batch, on the way back that came with it. An error or
//! a panic inside the model answers the callers of that batch and no others; a thread on which something panicked finishes
//! what it has in hand and leaves, so that another one begins in its place.

use std::{cell::Cell, collections::VecDeque, sync::Arc};

use cuecard_failure_points::failure_point;

use crate::{
    EncoderError,
    bert::{Forward, Outputs},
    encoding::{Encoding, key_phrases},
    error::guarded,
    hand::{BulkReply, Hand, LiveReply, Owed},
    linear::Yield,
    word_pieces::{Excerpt, Keep, Pieces, WordPieces},
    work_queue::{BulkJob, EncoderQueue, LIVE_MAX_PIECES, LiveJob, Share, Work, batches},
};

/// Why a thread stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// The queue was closed.
    Closed,
    /// Something panicked on it. Whatever that left behind in torch goes with the thread.
    Panicked,
    /// It was given up, and another one has its place.
    Abandoned,
}

/// What a thread does.
pub(crate) struct Worker<F> {
    pub(crate) queue: Arc<EncoderQueue>,
    pub(crate) word_pieces: Arc<WordPieces>,
    pub(crate) forward: F,
    pub(crate) max_batch: usize,
    pub(crate) hand: Arc<Hand>,
    pub(crate) has_panicked: Cell<bool>,
}

impl<F: Forward> Worker<F> {
    /// Works until the queue is closed, something panics, or the watch has given the thread up.
    pub(crate) fn run(&self) -> Leaving {
        while let Some(work) = self.queue.next() {
            match work {
                Work::Live(share) => self.serve_share(share),
                Work::Bulk(job) => self.serve_bulk(job),
            }
            if self.hand.is_abandoned() {
                return Leaving::Abandoned;
            }
            if self.has_panicked.get() {
                return Leaving::Panicked;
            }
        }
        Leaving::Closed
    }

    /// Turns a panic into an error, and remembers that there was one.
    fn guarded<T>(&self, call: impl FnOnce() -> Result<T, EncoderError>) -> Result<T, EncoderError> {
        let outcome = guarded(call);
        if matches!(outcome, Err(EncoderError::Panicked)) {
            self.has_panicked.set(true);
        }
        outcome
    }

    /// Texts of one lane let a text of each other lane in between, once: who sends one does not wait for the many of another.
    fn serve_share(&self, share: Share<LiveJob>) {
        let Share { jobs, lane } = share;
        let mut others = lane.filter(|_| jobs.len() > 1);
        let mut yield_now = || {
            let waiting = others.filter(|_| !self.hand.is_abandoned()).and_then(|lane| self.queue.take_others(lane));
            if let Some(share) = waiting {
                others = None;
                self.serve_live(share.jobs, &mut || ());
            }
        };
        self.serve_live(jobs, &mut yield_now);
    }

    fn serve_live(&self, jobs: Vec<LiveJob>, yield_now: Yield<'_>) {
        let owed = jobs.iter().map(|job| Arc::clone(&job.reply) as Arc<dyn Owed>);
        let _in_hand = self.hand.take_up(owed);
        failure_point!(EncoderThread, jobs.first().map_or("", |job| job.text.as_str()));
        let mut ready: VecDeque<(Pieces, Arc<LiveReply>)> = VecDeque::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| !job.reply.is_closed()) {
            match self.guarded(|| self.pieces(&job)) {
                Ok(pieces) => ready.push_back((pieces, job.reply)),
                Err(error) => job.reply.fail(error),
            }
        }
        let lengths: Vec<usize> = ready.iter().map(|(pieces, _)| pieces.ids.len()).collect();
        for batch in batches(&lengths, self.max_batch, LIVE_MAX_PIECES) {
            self.encode_batch(ready.drain(..batch.len()).collect(), yield_now);
        }
    }

    fn pieces(&self, job: &LiveJob) -> Result<Pieces, EncoderError> {
        failure_point!(Encoder, &job.text);
        self.word_pieces.pieces(Excerpt { text: &job.text, cut: job.cut }, Keep::End)
    }

    fn encode_batch(&self, batch: Vec<(Pieces, Arc<LiveReply>)>, yield_now: Yield<'_>) {
        let texts: Vec<&[i64]> = batch.iter().map(|(pieces, _)| pieces.ids.as_slice()).collect();
        match self.forward(&texts, yield_now) {
            Ok(outputs) => {
                let outputs = outputs.embeddings.into_iter().zip(outputs.attention);
                for ((pieces, reply), (embedding, attention)) in batch.into_iter().zip(outputs) {
                    reply.answer(Ok(encoding(pieces, embedding, &attention)));
                }
            }
            Err(error) => batch.into_iter().for_each(|(_, reply)| reply.fail(error.clone())),
        }
    }

    fn serve_bulk(&self, job: BulkJob) {
        let reply = BulkReply::new(job.first, job.reply);
        let _in_hand = self.hand.take_up([Arc::clone(&reply) as Arc<dyn Owed>]);
        let texts: Vec<&[i64]> = job.texts.iter().map(Vec::as_slice).collect();
        let mut yield_now = || {
            failure_point!(EncoderBulk, "");
            while let Some(share) = self.take_live() {
                self.serve_live(share.jobs, &mut || ());
            }
        };
        reply.answer(self.forward(&texts, &mut yield_now).map(|outputs| outputs.embeddings));
    }

    /// Live work to let in between; a thread that was given up takes none.
    fn take_live(&self) -> Option<Share<LiveJob>> {
        if self.hand.is_abandoned() { None } else { self.queue.take_live() }
    }

    /// Runs the model; each product is a sign of life.
    fn forward(&self, texts: &[&[i64]], yield_now: Yield<'_>) -> Result<Outputs, EncoderError> {
        let mut alive = || {
            self.hand.show_life();
            yield_now();
        };
        self.guarded(|| self.forward.run(texts, &mut alive))
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
                let worker = || Worker {
                    queue: Arc::clone(&worker_queue),
                    word_pieces: testing::word_pieces(),
                    forward: Scripted { events, disturb },
                    max_batch: 8,
                    hand: Arc::default(),
                    has_panicked: Cell::new(false),
                };
                // Another one takes its place.
                while worker().run() == Leaving::Panicked {}
            });
            test();
            queue.close();
        });
        events.into_inner().unwrap()
    }

    fn live(text: &str) -> (LiveJob, oneshot::Receiver<Result<Encoding, EncoderError>>) {
        let (reply, answer) = oneshot::channel();
        (LiveJob { text: text.to_owned(), cut: false, reply: LiveReply::new(reply) }, answer)
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
    fn a_panic_answers_its_batch_and_the_next_thread_goes_on() {
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
