//! What a model directory that is not right is answered with: the file, the reason, what to run.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::Path,
};

use cuecard_encoder::{Encoder, EncoderError, EncoderSettings, default_model_dir};
use tempfile::TempDir;

const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// A directory with the real model's files, without those named.
fn model_without(names: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in FILES.iter().filter(|name| !names.contains(name)) {
        let file = default_model_dir().join(name);
        assert!(file.exists(), "{} is missing: run `make build`", file.display());
        symlink(file, directory.path().join(name)).unwrap();
    }
    directory
}

fn load(directory: &Path) -> EncoderError {
    let settings = EncoderSettings { model_dir: directory.to_owned(), threads: 2, ..EncoderSettings::default() };
    Encoder::load(&settings).err().expect("the model was loaded")
}

/// The error for a model in which one file has other contents.
fn load_with(name: &'static str, contents: &[u8]) -> String {
    let directory = model_without(&[name]);
    fs::write(directory.path().join(name), contents).unwrap();
    broken(load(directory.path()), name)
}

/// The reason, if the error names the file and what to run.
fn broken(error: EncoderError, name: &str) -> String {
    assert!(error.to_string().contains(name) && error.to_string().contains("make build"), "{error}");
    match error {
        EncoderError::BrokenFile { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_files_are_named_together_with_the_command() {
    let directory = model_without(&["model.safetensors", "tokenizer.json"]);
    let error = load(directory.path());
    let expected = EncoderError::MissingFiles {
        directory: directory.path().to_owned(),
        names: vec!["model.safetensors", "tokenizer.json"],
    };
    assert_eq!(error, expected);
    let message = error.to_string();
    for part in ["model.safetensors, tokenizer.json", "make build", "scripts/setup", "CUECARD_MODEL_DIR"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_directory_that_is_not_there_misses_all_three() {
    let error = load(Path::new("/nonexistent/model"));
    assert!(matches!(error, EncoderError::MissingFiles { names, .. } if names == FILES));
}

#[test]
fn a_broken_configuration_is_named() {
    assert!(load_with("config.json", b"{").contains("EOF"));
    assert!(load_with("config.json", b"{}").contains("missing field"));
    let config = fs::read_to_string(default_model_dir().join("config.json")).unwrap();
    let reason = load_with("config.json", config.replace("384", "768").as_bytes());
    assert!(reason.contains("hidden_size is 768"), "{reason}");
    // Each file alone is well formed; together they do not fit.
    let directory = model_without(&["config.json"]);
    fs::write(directory.path().join("config.json"), config.replace("1536", "1552")).unwrap();
    let reason = broken(load(directory.path()), "model.safetensors");
    assert!(reason.contains("has the shape"), "{reason}");
}

#[test]
fn a_broken_tokenizer_is_named() {
    assert!(!load_with("tokenizer.json", b"{\"version\":\"1.0\"").is_empty());
    assert!(!load_with("tokenizer.json", &[0xff, 0xfe, 0x00]).is_empty());
    let tokenizer = fs::read_to_string(default_model_dir().join("tokenizer.json")).unwrap();
    assert!(load_with("tokenizer.json", tokenizer.replace("[SEP]", "[END]").as_bytes()).contains("it has no [SEP]"));
}

#[test]
fn broken_weights_are_named() {
    let weights = fs::read(default_model_dir().join("model.safetensors")).unwrap();
    for contents in [&b""[..], b"short", &[0xff; 64], &weights[..weights.len() / 2], &weights[..100]] {
        assert!(!load_with("model.safetensors", contents).is_empty());
    }
    let mut renamed = weights;
    let name = b"encoder.layer.3.output.dense.bias";
    let place = renamed.windows(name.len()).position(|window| window == name).unwrap();
    renamed[place] = b'E';
    let reason = load_with("model.safetensors", &renamed);
    assert!(reason.contains("encoder.layer.3.output.dense.bias is missing"), "{reason}");
}

#[test]
fn weights_that_are_no_number_are_found_at_once_though_it_be_one() {
    let directory = model_without(&["model.safetensors"]);
    let path = directory.path().join("model.safetensors");
    fs::copy(default_model_dir().join("model.safetensors"), &path).unwrap();
    for bytes in [4, 40_000_000] {
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::End(-40_000_000)).unwrap();
        // All bits set is a NaN in f32.
        file.write_all(&vec![0xff; bytes]).unwrap();
        drop(file);
        let reason = broken(load(directory.path()), "model.safetensors");
        assert!(reason.starts_with("the tensor ") && reason.ends_with("infinite or none"), "{reason}");
    }
}
