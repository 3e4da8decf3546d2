//! The model's three files: checked, read, and told apart by the hash of the weights.
//!
//! Libraries behind this panic on a file that is missing or is not what it says, so everything
//! they rely on is checked before they see it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use rust_bert::{Activation, bert::BertConfig};

use crate::{
    DIMENSIONS, EncoderError, MAX_WORD_PIECES, Precision,
    bert::BertForward,
    error::{caught, guarded},
    layers::NamedTensors,
    simd::LANES,
    word_pieces::WordPieces,
};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// Any text does, with any words.
pub(crate) const PROBE: &str = "where is my order";

/// Which model made a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    pub name: &'static str,
    /// BLAKE3 of the weights file, lower-case hex. Vectors of two models are comparable only when
    /// it is equal. The precision has no part in it: vectors of both are comparable.
    pub fingerprint: String,
    pub precision: Precision,
    /// Length of a vector.
    pub dimensions: usize,
}

impl ModelInfo {
    /// Names the model wherever its vectors are kept.
    pub fn identity(&self) -> String {
        format!("{}@{}", self.name, self.fingerprint)
    }
}

/// All that is read from disk.
pub(crate) struct ModelFiles {
    pub(crate) weights_path: PathBuf,
    pub(crate) forward: BertForward,
    pub(crate) word_pieces: Arc<WordPieces>,
    pub(crate) info: ModelInfo,
}

impl ModelFiles {
    pub(crate) fn read(directory: &Path, precision: Precision) -> Result<Self, EncoderError> {
        check_present(directory)?;
        let config = checked(directory.join(CONFIG), read_config)?;
        let vocabulary = config.vocab_size as usize;
        let word_pieces = checked(directory.join(TOKENIZER), |path| WordPieces::from_file(path, vocabulary))?;
        let weights_path = directory.join(WEIGHTS);
        let forward = checked(weights_path.clone(), |path| BertForward::new(&config, &NamedTensors::read(path)?))?;
        let forward = match precision {
            Precision::F32 => forward,
            Precision::Int8 => quantised(&forward)?,
        };
        let fingerprint = checked(weights_path.clone(), fingerprint)?;
        let info = ModelInfo { name: "all-MiniLM-L6-v2", fingerprint, precision, dimensions: DIMENSIONS };
        Ok(Self { weights_path, forward, word_pieces: Arc::new(word_pieces), info })
    }
}

/// What is wrong with the weights shows when they are first used, so an error here is this machine's.
fn quantised(forward: &BertForward) -> Result<BertForward, EncoderError> {
    guarded(|| Ok(forward.quantised()?)).map_err(|error| EncoderError::Setting {
        name: "precision",
        reason: format!("int8 does not work on this machine ({error}); use f32"),
    })
}

fn check_present(directory: &Path) -> Result<(), EncoderError> {
    let missing = |name: &&'static str| !directory.join(name).try_exists().unwrap_or(true);
    let names: Vec<&'static str> = [CONFIG, WEIGHTS, TOKENIZER].into_iter().filter(missing).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(EncoderError::MissingFiles { directory: directory.to_owned(), names })
}

/// Reads a file with a library that may panic on what is in it.
fn checked<T>(path: PathBuf, read: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, EncoderError> {
    let reason = match caught(|| read(&path)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(reason)) | Err(reason) => reason,
    };
    Err(EncoderError::BrokenFile { path, reason })
}

fn read_config(path: &Path) -> Result<BertConfig, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let config: BertConfig = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    check_config(&config)?;
    Ok(config)
}

fn check_config(config: &BertConfig) -> Result<(), String> {
    let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
    if hidden as usize != DIMENSIONS {
        return Err(format!("hidden_size is {hidden}, this program needs {DIMENSIONS}"));
    }
    let is_lanes = |size: i64| usize::try_from(size).is_ok_and(|size| size.is_multiple_of(LANES));
    if heads < 1 || hidden % heads != 0 || !is_lanes(hidden / heads) {
        return Err(format!("num_attention_heads is {heads}; {hidden} must be a multiple of {LANES} times as many"));
    }
    if !is_lanes(config.intermediate_size) {
        return Err(format!("intermediate_size is {}, no multiple of {LANES}", config.intermediate_size));
    }
    if !matches!(config.hidden_act, Activation::gelu) {
        return Err(format!("hidden_act is {:?}, this program knows gelu", config.hidden_act));
    }
    let positions = config.max_position_embeddings;
    if positions < 1 || (positions as usize) < MAX_WORD_PIECES {
        return Err(format!("max_position_embeddings is {positions}, less than {MAX_WORD_PIECES}"));
    }
    // Far above any model of this family; a wild number would end in an allocation of terabytes.
    let sizes = [
        ("num_hidden_layers", config.num_hidden_layers, 48),
        ("intermediate_size", config.intermediate_size, 16_384),
        ("vocab_size", config.vocab_size, 1_000_000),
        ("type_vocab_size", config.type_vocab_size, 16),
        ("max_position_embeddings", config.max_position_embeddings, 65_536),
    ];
    match sizes.into_iter().find(|(_, size, limit)| *size < 1 || size > limit) {
        Some((name, size, limit)) => Err(format!("{name} is {size}, outside 1 to {limit}")),
        None => Ok(()),
    }
}

fn fingerprint(path: &Path) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    hasher.update_reader(file).map_err(|error| error.to_string())?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    type Change = fn(&mut BertConfig);

    fn config(change: impl FnOnce(&mut BertConfig)) -> Result<(), String> {
        let mut config =
            BertConfig { hidden_size: 384, intermediate_size: 1536, num_hidden_layers: 6, ..BertConfig::default() };
        change(&mut config);
        check_config(&config)
    }

    #[test]
    fn sizes_that_would_panic_later_are_refused_by_name() {
        assert_eq!(config(|_| ()), Ok(()));
        let cases: [(Change, &str); 9] = [
            (|config| config.hidden_act = Activation::relu, "hidden_act is relu"),
            (|config| config.hidden_size = 768, "hidden_size is 768"),
            (|config| config.num_attention_heads = 0, "num_attention_heads is 0"),
            (|config| config.num_attention_heads = 7, "num_attention_heads is 7"),
            (|config| config.num_attention_heads = 48, "num_attention_heads is 48"),
            (|config| config.intermediate_size = 1530, "intermediate_size is 1530"),
            (|config| config.max_position_embeddings = 128, "max_position_embeddings is 128"),
            (|config| config.num_hidden_layers = -1, "num_hidden_layers is -1"),
            (|config| config.vocab_size = i64::MAX, "vocab_size is"),
        ];
        for (change, expected) in cases {
            let reason = config(change).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
