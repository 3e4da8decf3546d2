//! The real model for unit tests, in both precisions: read once per test binary. And one that fails as it is told to.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    DIMENSIONS, EncoderError, Precision,
    bert::{BertForward, Forward, Outputs},
    linear::Yield,
    model_files::ModelFiles,
    settings::default_model_dir,
    torch_thread::become_torch_thread,
    word_pieces::WordPieces,
};

struct TestModel {
    word_pieces: Arc<WordPieces>,
    f32: Mutex<BertForward>,
    int8: Mutex<BertForward>,
}

static MODEL: LazyLock<TestModel> = LazyLock::new(|| {
    let read = |precision| {
        let _no_grad = become_torch_thread();
        ModelFiles::read(&default_model_dir(), precision).unwrap_or_else(|error| panic!("{error}"))
    };
    let (f32, int8) = (read(Precision::F32), read(Precision::Int8));
    TestModel { word_pieces: f32.word_pieces, f32: Mutex::new(f32.forward), int8: Mutex::new(int8.forward) }
});

pub(crate) fn word_pieces() -> Arc<WordPieces> {
    Arc::clone(&MODEL.word_pieces)
}

/// Runs `call` with the model, on this thread as torch thread.
pub(crate) fn with_forward<T>(precision: Precision, call: impl FnOnce(&BertForward) -> T) -> T {
    let forward = match precision {
        Precision::F32 => &MODEL.f32,
        Precision::Int8 => &MODEL.int8,
    };
    let forward = forward.lock().unwrap_or_else(PoisonError::into_inner);
    let _no_grad = become_torch_thread();
    call(&forward)
}

/// What sentence-transformers gives, from the data beside the repository; `None` where there is none.
pub(crate) fn reference_rows() -> Option<Vec<serde_json::Value>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/encoder_reference.json");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let mut reference: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    Some(serde_json::from_value(reference["rows"].take()).unwrap())
}

/// A model that answers at once, but panics on texts with the id [`PANICS`] and hangs on those with [`HANGS`] for as long as
/// the test holds the gate.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) gate: Arc<Mutex<()>>,
}

pub(crate) const PANICS: i64 = 666;
pub(crate) const HANGS: i64 = 777;

impl Forward for Scripted {
    fn run(&self, batch: &[&[i64]], yield_now: Yield<'_>) -> Result<Outputs, EncoderError> {
        let has = |id: i64| batch.iter().any(|text| text.contains(&id));
        assert!(!has(PANICS), "scripted panic");
        yield_now();
        if has(HANGS) {
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let attention = batch.iter().map(|text| vec![0.1; text.len()]).collect();
        Ok(Outputs { embeddings: vec![vec![0.0; DIMENSIONS]; batch.len()], attention })
    }
}

/// Patience with what must come, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until it holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came about: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
