//! The real model for unit tests, in both precisions: read once per test binary.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use crate::{
    Precision, bert::BertForward, model_files::ModelFiles, settings::default_model_dir, threads::become_torch_thread,
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
