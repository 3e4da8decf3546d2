//! Settings of the encoder: where the model is looked for, which numbers it multiplies, how many threads.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::EncoderError;

/// How the encoder is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Directory with `config.json`, `model.safetensors` and `tokenizer.json`.
    /// Default: [`default_model_dir`].
    pub model_dir: PathBuf,
    /// Default: [`Precision::Int8`] where this processor can, else [`Precision::F32`].
    pub precision: Precision,
    /// Threads of the encoder's own, one torch thread each. Default: the cores of this machine, less one for everything
    /// else.
    pub threads: usize,
    /// Live texts that may wait before [`EncoderError::QueueFull`]. Default: 256, which one core
    /// works off in about a second, well inside a stream's deadline of 4 s.
    pub live_capacity: usize,
    /// Live texts that one thread takes together. Default: 8, beyond which a batch costs all its
    /// callers latency and saves no time per text.
    pub max_batch: usize,
    /// A thread that has something in hand and shows no sign of life for so long hangs. Default: 3 s, hundreds of times
    /// what a thread takes from one sign of life to the next on a busy machine, and less than a card is awaited for: the
    /// questions that the thread had in hand still get one that is found by words alone.
    pub hang_timeout: Duration,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self {
            model_dir: default_model_dir(),
            precision: Precision::default(),
            threads: thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            live_capacity: 256,
            max_batch: 8,
            hang_timeout: Duration::from_secs(3),
        }
    }
}

impl EncoderSettings {
    pub(crate) fn check(&self) -> Result<(), EncoderError> {
        let counts = [("threads", self.threads), ("live_capacity", self.live_capacity), ("max_batch", self.max_batch)];
        if let Some((name, _)) = counts.into_iter().find(|(_, value)| *value == 0) {
            return Err(EncoderError::Setting { name, reason: "must be at least 1".to_owned() });
        }
        self.precision.check()
    }
}

/// The model's directory below that of a package, or of set-up's cache.
const MODEL: &str = "models/all-MiniLM-L6-v2";

/// What can be made again is kept here: `CUECARD_CACHE`, else `cuecard` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn cache_dir() -> PathBuf {
    cache_dir_from(|name| env::var_os(name))
}

/// `CUECARD_MODEL_DIR`; else the model of the package that this program was unpacked with; else where set-up puts it, below
/// [`cache_dir`].
pub fn default_model_dir() -> PathBuf {
    // A program whose own place can't be told was not unpacked from a package.
    model_dir_from(|name| env::var_os(name), env::current_exe().ok().as_deref())
}

fn cache_dir_from(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = |name| path_in(&variable, name);
    path("CUECARD_CACHE").unwrap_or_else(|| {
        path("XDG_CACHE_HOME").unwrap_or_else(|| path("HOME").unwrap_or_default().join(".cache")).join("cuecard")
    })
}

fn model_dir_from(variable: impl Fn(&str) -> Option<OsString>, program: Option<&Path>) -> PathBuf {
    path_in(&variable, "CUECARD_MODEL_DIR")
        .or_else(|| packaged_model(program?))
        .unwrap_or_else(|| cache_dir_from(variable).join(MODEL))
}

/// As in `scripts/env`, an empty variable counts as unset.
fn path_in(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A package holds `bin/cuecard` and the model side by side.
fn packaged_model(program: &Path) -> Option<PathBuf> {
    let model = program.parent()?.parent()?.join(MODEL);
    model.is_dir().then_some(model)
}

/// The number format of the linear layers; everything between them is f32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = EncoderError, parse_err_fn = unknown_precision)]
pub enum Precision {
    /// As the model was published.
    F32,
    /// Weights and inputs of 8 bits: twice the texts per second and more. Needs an x86 processor with AVX2.
    Int8,
}

impl Precision {
    /// Whether this processor can.
    pub fn is_supported(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Int8 => has_avx2(),
        }
    }

    pub(crate) fn check(self) -> Result<(), EncoderError> {
        if self.is_supported() {
            return Ok(());
        }
        let reason = format!("{self} needs an x86 processor with AVX2; use f32");
        Err(EncoderError::Setting { name: "precision", reason })
    }
}

fn unknown_precision(name: &str) -> EncoderError {
    EncoderError::Setting { name: "precision", reason: format!("{name:?} is neither f32 nor int8") }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Int8 where this processor can, else f32.
impl Default for Precision {
    fn default() -> Self {
        if Self::Int8.is_supported() { Self::Int8 } else { Self::F32 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn model_dir_follows_the_environment() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("CUECARD_MODEL_DIR", "/m"), ("CUECARD_CACHE", "/c"), ("HOME", "/h")], "/m"),
            (&[("CUECARD_CACHE", "/c"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], "/c/models/all-MiniLM-L6-v2"),
            (&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], "/x/cuecard/models/all-MiniLM-L6-v2"),
            (&[("HOME", "/h")], "/h/.cache/cuecard/models/all-MiniLM-L6-v2"),
            (
                &[("CUECARD_MODEL_DIR", ""), ("CUECARD_CACHE", ""), ("HOME", "/h")],
                "/h/.cache/cuecard/models/all-MiniLM-L6-v2",
            ),
            (&[], ".cache/cuecard/models/all-MiniLM-L6-v2"),
        ];
        for (variables, expected) in cases {
            let lookup =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
            assert_eq!(model_dir_from(lookup, None), PathBuf::from(expected), "{variables:?}");
        }
    }

    #[test]
    fn a_package_has_its_model_beside_the_program() {
        let package = tempfile::tempdir().unwrap();
        let (program, model) = (package.path().join("bin/cuecard"), package.path().join(MODEL));
        let found = |model_dir: Option<&str>| {
            let variables = [("CUECARD_MODEL_DIR", model_dir), ("CUECARD_CACHE", Some("/c"))];
            let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name)?.1.map(OsString::from);
            model_dir_from(lookup, Some(&program))
        };
        assert_eq!(found(None), Path::new("/c").join(MODEL), "no package");
        std::fs::create_dir_all(&model).unwrap();
        assert_eq!(found(None), model);
        assert_eq!(found(Some("/m")), Path::new("/m"), "what is said comes first");
    }

    #[test]
    fn a_zero_is_refused_by_name() {
        let settings = EncoderSettings { live_capacity: 0, ..EncoderSettings::default() };
        let error = settings.check().unwrap_err();
        assert_eq!(error.to_string(), "encoder setting live_capacity: must be at least 1");
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for precision in [Precision::F32, Precision::Int8] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
    }

    #[test]
    fn another_name_is_refused_with_those_that_exist() {
        for name in ["", "INT8", "f16", "int8 "] {
            let error = name.parse::<Precision>().err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(error, format!("encoder setting precision: {name:?} is neither f32 nor int8"));
        }
    }
}
