//! The encoder's threads: each tries the model, then works until the lanes are closed.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use crate::{
    EncoderError, EncoderSettings,
    bert::BertForward,
    forward::Forward,
    jobs::EncoderLanes,
    model_files::{ModelFiles, PROBE},
    panics::guarded,
    torch_thread::become_torch_thread,
    word_pieces::{Excerpt, Keep, WordPieces},
    worker::Worker,
};

/// The threads; dropped, it closes the lanes and waits for what each has in hand.
pub(crate) struct Threads {
    lanes: Arc<EncoderLanes>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Returns when every thread has tried the model.
    pub(crate) fn start(
        files: &ModelFiles,
        settings: &EncoderSettings,
        lanes: &Arc<EncoderLanes>,
    ) -> Result<Self, EncoderError> {
        let (ready, readiness) = mpsc::channel();
        let mut threads = Self { lanes: Arc::clone(lanes), running: Vec::with_capacity(settings.threads) };
        for number in 0..settings.threads {
            let start = WorkerStart {
                forward: files.forward.share(),
                weights_path: files.weights_path.clone(),
                lanes: Arc::clone(lanes),
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
        self.lanes.close();
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
        // `Threads::start` waits until every sender is gone.
        drop(self.ready);
        let (forward, max_batch) = (self.forward, self.max_batch);
        Worker { lanes: self.lanes, word_pieces: self.word_pieces, forward, max_batch }.run();
    }

    /// Runs the model once: weights that give no finite number are found now, and the first
    /// customer does not pay for torch's first allocations.
    fn try_model(&self) -> Result<(), EncoderError> {
        guarded(|| {
            let probe = self.word_pieces.ids(Excerpt::of(PROBE, Keep::Start), Keep::Start)?;
            self.forward.run(&[&probe], true, &mut || ())
        })
        .map(drop)
        .map_err(|error| EncoderError::BrokenFile { path: self.weights_path.clone(), reason: error.to_string() })
    }
}
