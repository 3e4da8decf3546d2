//! The real model for unit tests: read once per test binary.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
};

use crate::{
    forward::BertForward, model_files::ModelFiles, settings::default_model_dir, word_pieces::WordPieces,
    worker::become_torch_thread,
};

struct TestModel {
    word_pieces: Arc<WordPieces>,
    forward: Mutex<BertForward>,
}

static MODEL: LazyLock<TestModel> = LazyLock::new(|| {
    let files = ModelFiles::read(&default_model_dir()).unwrap_or_else(|error| panic!("{error}"));
    TestModel { word_pieces: files.word_pieces, forward: Mutex::new(files.forward) }
});

pub(crate) fn word_pieces() -> Arc<WordPieces> {
    Arc::clone(&MODEL.word_pieces)
}

/// Runs `call` with the model, on this thread as torch thread.
pub(crate) fn with_forward<T>(call: impl FnOnce(&BertForward) -> T) -> T {
    let forward = MODEL.forward.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
