//! One encoder thread: takes work from the lanes, runs the model, answers.
//!
//! Input: live texts and bulk batches. Output: one answer per text or batch, on the channel that
//! came with it. An error or a panic inside the model answers the callers of that batch; the
//! thread goes on.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    EncoderError,
    batches::{self, LIVE_MAX_PIECES},
    encoding::{Encoding, LiveReply},
    forward::Forward,
    jobs::{BulkJob, EncoderLanes, LiveJob},
    lanes::Work,
    panics::guarded,
    phrases::key_phrases,
    word_pieces::{Excerpt, Keep, Pieces, WordPieces},
};

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
                Work::Bulk(job) => self.serve_bulk(&job),
            }
        }
    }

    fn serve_live(&self, jobs: Vec<LiveJob>) {
        let mut ready: VecDeque<(Pieces, LiveReply)> = VecDeque::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| !job.reply.is_closed()) {
            let excerpt = Excerpt { text: &job.text, cut: job.cut };
            match guarded(|| self.word_pieces.pieces(excerpt, Keep::End)) {
                Ok(pieces) => ready.push_back((pieces, job.reply)),
                Err(error) => answer(job.reply, Err(error)),
            }
        }
        let lengths: Vec<usize> = ready.iter().map(|(pieces, _)| pieces.ids.len()).collect();
        for batch in batches::plan(&lengths, self.max_batch, LIVE_MAX_PIECES) {
            self.encode_batch(ready.drain(..batch.len()).collect());
        }
    }

    fn encode_batch(&self, batch: Vec<(Pieces, LiveReply)>) {
        let texts: Vec<&[i64]> = batch.iter().map(|(pieces, _)| pieces.ids.as_slice()).collect();
        match guarded(|| self.forward.run(&texts, true, &mut || ())) {
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
        let mut give_way = || {
            while let Some(jobs) = self.lanes.take_live() {
                self.serve_live(jobs);
            }
        };
        let embeddings = guarded(|| self.forward.run(&texts, false, &mut give_way)).map(|outputs| outputs.embeddings);
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
        forward::{GiveWay, Outputs},
        jobs::BulkAnswer,
        lanes::{Lanes, Limits},
        testing,
    };

    /// Writes down what runs; `disturb` is called in the middle of bulk work; the id 666 panics.
    struct Scripted<'a> {
        events: &'a Mutex<Vec<String>>,
        disturb: &'a (dyn Fn() + Sync),
    }

    const PANICS: i64 = 666;

    impl Forward for Scripted<'_> {
        fn run(&self, batch: &[&[i64]], attention: bool, give_way: GiveWay<'_>) -> Result<Outputs, EncoderError> {
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
        (BulkJob { first: 7, texts: texts.iter().map(|text| text.to_vec()).collect(), reply }, answer)
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
            let (first, outcome) = answer.recv().unwrap();
            assert_eq!(first, 7);
            let told = outcome.unwrap_err().to_string();
            assert!(told.contains("panicked") && !told.contains("scripted"), "its words may be a customer's: {told}");

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
