//! The encoder's threads: how they are started and ended.
//!
//! Each tries the model before the encoder is said to be loaded, and then works ([`Worker`]). A thread of its own watches over
//! them and starts others in the place of those that panic or hang ([`Watch`]).

use std::{
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

use crate::{
    EncoderError, EncoderSettings,
    bert::Forward,
    error::guarded,
    hand::Hand,
    model_files::PROBE,
    torch_thread::become_torch_thread,
    watch::{EncoderHealth, LOOKS, Watch},
    word_pieces::{Excerpt, Keep, WordPieces},
    work_queue::EncoderQueue,
    worker::{Leaving, Worker},
};

/// What each thread works with.
pub(crate) struct ThreadParts<F> {
    pub(crate) forward: F,
    pub(crate) weights_path: PathBuf,
    pub(crate) word_pieces: Arc<WordPieces>,
    pub(crate) queue: Arc<EncoderQueue>,
}

/// The threads; dropped, it closes the queue and waits for what each has in hand, but for none that hangs.
pub(crate) struct Threads {
    queue: Arc<EncoderQueue>,
    health: watch::Receiver<EncoderHealth>,
    /// Ends when every thread has ended or was given up.
    watch: Option<JoinHandle<()>>,
}

impl Threads {
    /// Returns when every thread has tried the model.
    pub(crate) fn start<F: Forward + Clone + Send + 'static>(
        parts: ThreadParts<F>,
        settings: &EncoderSettings,
    ) -> Result<Self, EncoderError> {
        let queue = Arc::clone(&parts.queue);
        let (left, leaving) = mpsc::channel();
        let starter = Starter { parts, max_batch: settings.max_batch, left, started: 0 };
        let (told, health) = watch::channel(EncoderHealth::default());
        let pause = settings.hang_timeout / LOOKS;
        let mut watch = Watch::new(starter, leaving, Arc::clone(&queue), pause, told);
        let ready = watch.start_all(settings.threads);
        let watching = thread::Builder::new().name("watch-encoder".to_owned()).spawn(move || watch.run());
        let watching = watching.map_err(|error| {
            queue.close();
            EncoderError::Thread(error.to_string())
        })?;
        // Dropped where anything failed, which ends those that did start.
        let threads = Self { queue, health, watch: Some(watching) };
        ready?.iter().collect::<Result<(), EncoderError>>()?;
        Ok(threads)
    }

    /// How they are, now and from now on.
    pub(crate) fn health(&self) -> watch::Receiver<EncoderHealth> {
        self.health.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(watch) = self.watch.take() {
            // A watch that died all the same has nothing left to say.
            let _ = watch.join();
        }
    }
}

pub(crate) type Ready = mpsc::Sender<Result<(), EncoderError>>;

/// A thread is leaving; said by its hand, since another one may have its place by then.
pub(crate) struct Left {
    pub(crate) hand: Arc<Hand>,
    pub(crate) leaving: Leaving,
}

/// Starts threads, the first ones as well as those that take the place of others.
pub(crate) struct Starter<F> {
    parts: ThreadParts<F>,
    max_batch: usize,
    left: mpsc::Sender<Left>,
    /// So many so far, for their names.
    started: usize,
}

impl<F: Forward + Clone + Send + 'static> Starter<F> {
    /// Starts a thread, which tries the model first where somebody wants to hear how that went.
    pub(crate) fn start(&mut self, ready: Option<Ready>) -> io::Result<(Arc<Hand>, JoinHandle<()>)> {
        let (hand, left) = (Arc::<Hand>::default(), self.left.clone());
        let worker = Worker {
            queue: Arc::clone(&self.parts.queue),
            word_pieces: Arc::clone(&self.parts.word_pieces),
            forward: self.parts.forward.clone(),
            max_batch: self.max_batch,
            hand: Arc::clone(&hand),
            has_panicked: Cell::new(false),
        };
        let (own, weights_path) = (Arc::clone(&hand), self.parts.weights_path.clone());
        let body = move || {
            let _no_grad = become_torch_thread();
            let tried = ready.map_or(Ok(()), |ready| {
                let tried = try_model(&worker, weights_path);
                let is_sound = tried.is_ok();
                // `Threads::start` waits until every sender is gone.
                let _ = ready.send(tried);
                if is_sound { Ok(()) } else { Err(Leaving::Closed) }
            });
            let until_it_ends = |()| catch_unwind(AssertUnwindSafe(|| worker.run())).unwrap_or(Leaving::Panicked);
            let leaving = tried.map_or_else(|leaving| leaving, until_it_ends);
            // Nobody listens where the watch has given this thread up and ended.
            let _ = left.send(Left { hand: own, leaving });
        };
        let thread = thread::Builder::new().name(format!("encoder-{}", self.started)).spawn(body)?;
        self.started += 1;
        Ok((hand, thread))
    }
}

/// Runs the model once: weights that give no finite number are found now, and the first customer does not pay for torch's
/// first allocations.
fn try_model<F: Forward>(worker: &Worker<F>, weights_path: PathBuf) -> Result<(), EncoderError> {
    guarded(|| {
        let probe = worker.word_pieces.ids(Excerpt::of(PROBE, Keep::Start), Keep::Start)?;
        worker.forward.run(&[&probe], &mut || ())
    })
    .map(drop)
    .map_err(|error| EncoderError::BrokenFile { path: weights_path, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use cuecard_failure_points::FailurePoint;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        Encoding,
        hand::LiveReply,
        testing::{self, HANGS, PANICS, PATIENCE, Scripted, until},
        turns::Lane,
        work_queue::{BulkAnswer, BulkJob, Limits, LiveJob, WorkQueue},
    };

    struct Running {
        threads: Threads,
        model: Scripted,
    }

    const SOON: Duration = Duration::from_millis(100);
    /// Longer than a panic takes that is printed with its backtrace.
    const NEVER: Duration = Duration::from_hours(1);

    /// One thread.
    fn running(hang_timeout: Duration) -> Running {
        let queue = Arc::new(WorkQueue::new(Limits { live_capacity: 8, bulk_capacity: 8, max_batch: 8, threads: 1 }));
        let model = Scripted::default();
        let parts = ThreadParts {
            forward: model.clone(),
            weights_path: PathBuf::new(),
            word_pieces: testing::word_pieces(),
            queue,
        };
        let settings = EncoderSettings { threads: 1, hang_timeout, ..EncoderSettings::default() };
        Running { threads: Threads::start(parts, &settings).unwrap(), model }
    }

    impl Running {
        fn bulk(&self, text: &[i64]) -> mpsc::Receiver<BulkAnswer> {
            let (reply, answer) = mpsc::channel();
            assert!(self.threads.queue.push_bulk(BulkJob { first: 0, texts: vec![text.to_vec()], reply }));
            answer
        }

        fn live(&self, text: &str) -> oneshot::Receiver<Result<Encoding, EncoderError>> {
            let (reply, answer) = oneshot::channel();
            let job = LiveJob { text: text.to_owned(), cut: false, reply: LiveReply::new(reply) };
            assert!(self.threads.queue.push_live(Lane::own(), job));
            answer
        }

        fn health(&self) -> EncoderHealth {
            *self.threads.health.borrow()
        }

        fn until_replaced(&self, panicked: u64, hung: u64) {
            let replaced =
                |health: EncoderHealth| (health.threads, health.panicked, health.hung) == (1, panicked, hung);
            until("it is replaced", || replaced(self.health()));
        }
    }

    fn embedding(answer: &mpsc::Receiver<BulkAnswer>) -> Result<Vec<Vec<f32>>, EncoderError> {
        answer.recv_timeout(PATIENCE).unwrap().1
    }

    #[test]
    fn a_thread_that_hangs_is_given_up_its_callers_are_answered_and_another_takes_its_place() {
        let running = running(SOON);
        let model = running.model.clone();
        let closed = model.gate.lock().unwrap();
        let of_one = Arc::strong_count(&running.model.gate);
        assert_eq!(embedding(&running.bulk(&[HANGS])), Err(EncoderError::Hung));
        running.until_replaced(0, 1);
        assert!(running.live("still there?").blocking_recv().unwrap().is_ok());
        assert_eq!(Arc::strong_count(&running.model.gate), of_one + 1, "both threads have the model");
        assert_eq!(running.health().away, 1);
        drop(closed);
        until("the one that hung leaves when it can", || Arc::strong_count(&running.model.gate) == of_one);
        until("it is away no more", || running.health().away == 0);
        assert!(running.live("and now?").blocking_recv().unwrap().is_ok());
        running.until_replaced(0, 1);
    }

    #[test]
    fn a_thread_that_panics_is_replaced_and_only_what_it_had_in_hand_is_answered_with_an_error() {
        let running = running(NEVER);
        assert_eq!(embedding(&running.bulk(&[1, PANICS])), Err(EncoderError::Panicked));
        running.until_replaced(1, 0);
        assert!(embedding(&running.bulk(&[1])).is_ok());
        // Where no guard is, the thread itself goes.
        fail::cfg(FailurePoint::EncoderThread.name(), "return(dead on)").unwrap();
        assert_eq!(running.live("dead on the spot").blocking_recv().unwrap(), Err(EncoderError::Panicked));
        running.until_replaced(2, 0);
        assert!(running.live("still there?").blocking_recv().unwrap().is_ok());
        assert_eq!(running.health().hung, 0);
    }

    #[test]
    fn a_panic_over_one_text_costs_no_other_that_was_taken_with_it() {
        let running = running(NEVER);
        fail::cfg(FailurePoint::Encoder.name(), "return(bad luck)").unwrap();
        let model = running.model.clone();
        let closed = model.gate.lock().unwrap();
        // While the thread is busy these queue up, and are taken together.
        let busy = running.bulk(&[HANGS]);
        let [bad, good] = ["bad luck", "good luck"].map(|text| running.live(text));
        drop(closed);
        assert_eq!(bad.blocking_recv().unwrap(), Err(EncoderError::Panicked));
        assert!(good.blocking_recv().unwrap().is_ok());
        assert!(embedding(&busy).is_ok());
        until("it is replaced", || running.health().panicked == 1);
    }

    #[test]
    fn ending_the_threads_waits_for_none_that_hangs() {
        let running = running(SOON);
        let model = running.model.clone();
        let _closed = model.gate.lock().unwrap();
        let hanging = running.bulk(&[HANGS]);
        let (done, ended) = mpsc::channel();
        thread::spawn(move || {
            drop(running);
            done.send(()).unwrap();
        });
        ended.recv_timeout(PATIENCE).unwrap();
        // It hung before the queue was closed, or was never taken out of it.
        let told = hanging.recv().map(|(_, answer)| answer);
        assert!(matches!(told, Err(_) | Ok(Err(EncoderError::Hung))), "{told:?}");
    }
}
