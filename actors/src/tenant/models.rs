//! Learned models of a profile: the one in service, and the one before it.
//!
//! A model is promoted from a file into the data directory, from where the running service takes it up; a rollback puts
//! the one before back. The settings may name a file in its stead. By either way one that is not proven to be better than what
//! runs is refused, unless somebody insists, which is written down. For a service that starts what ran last is kept beside them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cuecard_engine::ranking::{Model, ModelError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::NamedModel;
use crate::messages::ProfileName;

/// Why a model can't be put in service.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no model for this deployment.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// It is not proven to be better.
    #[error("the model is not proven to be better than what runs: {}", reasons.join("; "))]
    Unproven {
        /// One for each part that is not.
        reasons: Vec<String>,
    },
    /// The settings name it, and it is not proven to be better.
    #[error(
        "{}: the model is not proven to be better than what ran before: {}; unproven_model = \"on\" takes it all the same",
        path.display(),
        reasons.join("; ")
    )]
    NamedUnproven {
        /// The file.
        path: PathBuf,
        /// One for each part that is not.
        reasons: Vec<String>,
    },
    /// There is nothing to go back to.
    #[error("profile `{profile}` has no promoted model, and none that was promoted before")]
    NothingBefore {
        /// The profile.
        profile: String,
    },
}

/// The models of one profile in the data directory.
#[derive(Debug, Clone)]
pub struct ModelShelf {
    profile: ProfileName,
    directory: PathBuf,
}

/// A file as it was when it was last read.
pub type FileState = Option<(SystemTime, u64)>;

/// What a file is now; `None` where there is none.
pub fn file_state(path: &Path) -> FileState {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads a model for this encoder.
pub fn read_model(path: &Path, encoder: &str) -> Result<Model, PromotionError> {
    let text = fs::read(path).map_err(|source| PromotionError::File { path: path.to_owned(), source })?;
    Model::read(&text, encoder).map_err(|source| PromotionError::Model { path: path.to_owned(), source })
}

impl NamedModel {
    /// Reads the model, which is to take the place of the one of this version, or of the formula; one that runs already was
    /// proven against what ran before it.
    pub(super) fn read(
        &self,
        profile: &ProfileName,
        encoder: &str,
        running: Option<&str>,
    ) -> Result<Model, PromotionError> {
        let model = read_model(&self.file, encoder)?;
        let runs_already = running == Some(model.version.as_str());
        let before = if runs_already { model.trained.compared_with.as_deref() } else { running };
        let reasons = model.unproven_against(before);
        if reasons.is_empty() {
            return Ok(model);
        }
        if !self.may_be_unproven {
            return Err(PromotionError::NamedUnproven { path: self.file.clone(), reasons });
        }
        tracing::warn!(%profile, model = model.version, reasons = reasons.join("; "), "an unproven model");
        Ok(model)
    }
}

/// The one field of a model that every format has.
#[derive(Deserialize)]
struct Versioned {
    version: String,
}

/// The version that a file names, also where this program can't use the model; `None` where there is none to be read.
fn version_in(path: &Path) -> Option<String> {
    let Versioned { version } = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(version)
}

/// What answers: a model, or the formula alone.
#[derive(Serialize, Deserialize)]
struct InService {
    version: Option<String>,
}

impl ModelShelf {
    /// The shelf of a profile.
    pub fn new(data_dir: &Path, profile: &ProfileName) -> Self {
        Self { profile: profile.clone(), directory: data_dir.join("models").join(profile.to_string()) }
    }

    /// Where the model in service is, if one was promoted.
    pub fn current(&self) -> PathBuf {
        self.directory.join("current.json")
    }

    fn previous(&self) -> PathBuf {
        self.directory.join("previous.json")
    }

    fn in_service(&self) -> PathBuf {
        self.directory.join("in_service.json")
    }

    /// The version of the model that ran last, or that was promoted where none is known to have run; none for the formula.
    pub(super) fn ran_last(&self) -> Option<String> {
        let kept = fs::read(self.in_service()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        kept.map_or_else(|| version_in(&self.current()), |InService { version }| version)
    }

    /// Keeps for the next start what runs now. Where no model ever ran there is nothing to keep.
    pub(super) fn keep_running(&self, version: Option<String>) -> Result<(), PromotionError> {
        let path = self.in_service();
        if version.is_none() && file_state(&path).is_none() {
            return Ok(());
        }
        // A command may promote a model while the service keeps which one runs.
        let unfinished = self.directory.join(format!("in_service.{}", std::process::id()));
        let written = fs::create_dir_all(&self.directory)
            .and_then(|()| fs::write(&unfinished, json!(InService { version }).to_string()))
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|source| PromotionError::File { path, source })
    }

    /// Puts a model in service. `insists` takes one that is not proven to be better; that is written down.
    pub fn promote(&self, file: &Path, encoder: &str, insists: bool) -> Result<Model, PromotionError> {
        let model = read_model(file, encoder)?;
        let running = match file_state(&self.current()) {
            Some(_) => Some(read_model(&self.current(), encoder)?.version),
            None => None,
        };
        let reasons = model.unproven_against(running.as_deref());
        if !reasons.is_empty() && !insists {
            return Err(PromotionError::Unproven { reasons });
        }
        let on = |path: &Path| {
            let path = path.to_owned();
            move |source| PromotionError::File { path, source }
        };
        fs::create_dir_all(&self.directory).map_err(on(&self.directory))?;
        let unfinished = self.directory.join("next.json");
        fs::copy(file, &unfinished).map_err(on(&unfinished))?;
        if running.is_some() {
            fs::rename(self.current(), self.previous()).map_err(on(&self.previous()))?;
        }
        fs::rename(&unfinished, self.current()).map_err(on(&self.current()))?;
        self.keep_running(Some(model.version.clone()))?;
        self.note(&json!({"promoted": model.version, "in_place_of": running, "insisted_although": reasons}))?;
        Ok(model)
    }

    /// Puts back what was in service before: the model before, or the formula. A second rollback undoes the first.
    pub fn roll_back(&self) -> Result<(), PromotionError> {
        let (current, previous, aside) = (self.current(), self.previous(), self.directory.join("aside.json"));
        if file_state(&current).is_none() && file_state(&previous).is_none() {
            return Err(PromotionError::NothingBefore { profile: self.profile.to_string() });
        }
        let rename = |from: &Path, to: &Path| match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|source| PromotionError::File { path: from.to_owned(), source }),
        };
        rename(&current, &aside)?;
        rename(&previous, &current)?;
        rename(&aside, &previous)?;
        let (taken_out, put_back) = (version_in(&previous), version_in(&current));
        self.keep_running(put_back.clone())?;
        self.note(&json!({"rolled_back": taken_out, "put_back": put_back}))
    }

    /// What was done, a line each: who looks back after a bad week must find when it began.
    fn note(&self, what: &serde_json::Value) -> Result<(), PromotionError> {
        let path = self.directory.join("promotions.jsonl");
        let line = json!({"at": Timestamp::now(), "what": what});
        let written = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(|source| PromotionError::File { path, source })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_engine::ranking::model::{Adapter, MeasuredGain, Trained};

    use super::*;

    fn model(version: &str, compared_with: Option<&str>, gain: f64) -> Model {
        let gain = MeasuredGain {
            measure: "mrr_at_5".into(),
            before: 0.5,
            after: 0.5 + gain,
            interval: [gain - 0.01, gain + 0.01],
            less_is_better: false,
        };
        let compared_with = compared_with.map(str::to_owned);
        let trained = Trained { compared_with, gains: vec![gain], ..Trained::default() };
        Model {
            version: version.into(),
            adapter: Some(Adapter { rows: vec![vec![1.0]] }),
            ..Model::untrained("encoder", 1, trained)
        }
    }

    struct Fixture {
        directory: tempfile::TempDir,
        shelf: ModelShelf,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let shelf = ModelShelf::new(directory.path(), &ProfileName::new("acme"));
            Self { directory, shelf }
        }

        fn promote(&self, model: &Model, insists: bool) -> Result<Model, PromotionError> {
            let file = self.directory.path().join("trained.json");
            fs::write(&file, serde_json::to_vec(model).unwrap()).unwrap();
            self.shelf.promote(&file, "encoder", insists)
        }

        fn notes(&self) -> Vec<serde_json::Value> {
            let notes = fs::read_to_string(self.shelf.directory.join("promotions.jsonl")).unwrap();
            notes.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        fn in_service(&self) -> Option<String> {
            file_state(&self.shelf.current()).map(|_| read_model(&self.shelf.current(), "encoder").unwrap().version)
        }
    }

    #[test]
    fn a_better_model_goes_live_and_a_rollback_puts_the_one_before_back() {
        let fixture = Fixture::new();
        fixture.promote(&model("one", None, 0.05), false).unwrap();
        fixture.promote(&model("two", Some("one"), 0.05), false).unwrap();
        assert_eq!(fixture.in_service().as_deref(), Some("two"));
        fixture.shelf.roll_back().unwrap();
        assert_eq!(fixture.in_service().as_deref(), Some("one"));
        let noted = fixture.notes().pop().unwrap()["what"].clone();
        assert_eq!(noted, json!({"rolled_back": "two", "put_back": "one"}));
        fixture.shelf.roll_back().unwrap();
        assert_eq!(fixture.in_service().as_deref(), Some("two"));
    }

    #[test]
    fn a_model_that_this_program_can_not_read_is_rolled_back_by_name() {
        let fixture = Fixture::new();
        fixture.promote(&model("one", None, 0.05), false).unwrap();
        fs::write(fixture.shelf.current(), r#"{"format": 1, "version": "old"}"#).unwrap();
        fixture.shelf.roll_back().unwrap();
        let noted = fixture.notes().pop().unwrap()["what"].clone();
        assert_eq!(noted, json!({"rolled_back": "old", "put_back": null}));
    }

    #[test]
    fn a_named_model_is_held_against_what_runs_or_ran_last() {
        let fixture = Fixture::new();
        let file = fixture.directory.path().join("named.json");
        let named = |may_be_unproven| NamedModel { file: file.clone(), may_be_unproven };
        let read = |model: &Model, running: Option<&str>, may_be_unproven| {
            fs::write(&file, serde_json::to_vec(model).unwrap()).unwrap();
            named(may_be_unproven).read(&ProfileName::new("acme"), "encoder", running)
        };
        let of_another = model("two", Some("zero"), 0.05);
        for running in [None, Some("one")] {
            let refused = read(&of_another, running, false).unwrap_err().to_string();
            assert!(refused.contains("compared with model zero") && refused.contains("named.json"), "{refused}");
            read(&of_another, running, true).unwrap();
        }
        read(&of_another, Some("zero"), false).unwrap();
        read(&of_another, Some("two"), false).unwrap();
        assert!(
            read(&model("one", None, 0.05), Some("zero"), false).unwrap_err().to_string().contains("model zero runs")
        );
        assert!(read(&model("one", None, 0.005), Some("one"), false).is_err(), "that it runs proves nothing");
    }

    #[test]
    fn what_ran_last_is_known_at_the_next_start_whoever_put_it_in_service() {
        let fixture = Fixture::new();
        let ran_last = || fixture.shelf.ran_last();
        fixture.shelf.keep_running(None).unwrap();
        assert!(ran_last().is_none() && !fixture.shelf.directory.exists(), "without models nothing is kept");
        fixture.promote(&model("one", None, 0.05), false).unwrap();
        assert_eq!(ran_last().as_deref(), Some("one"));
        fixture.shelf.keep_running(Some("named".into())).unwrap();
        assert_eq!(ran_last().as_deref(), Some("named"));
        fixture.shelf.keep_running(None).unwrap();
        assert_eq!(ran_last(), None);
        fs::remove_file(fixture.shelf.in_service()).unwrap();
        assert_eq!(ran_last().as_deref(), Some("one"), "a shelf of before that was kept");
        fixture.shelf.roll_back().unwrap();
        assert_eq!(ran_last(), None);
    }

    #[test]
    fn a_first_model_is_rolled_back_to_the_formula() {
        let fixture = Fixture::new();
        assert!(matches!(fixture.shelf.roll_back(), Err(PromotionError::NothingBefore { .. })));
        fixture.promote(&model("one", None, 0.05), false).unwrap();
        fixture.shelf.roll_back().unwrap();
        assert_eq!(fixture.in_service(), None);
    }

    #[test]
    fn one_that_is_not_proven_better_than_what_runs_is_refused_unless_somebody_insists() {
        let fixture = Fixture::new();
        let refused = |model: &Model| fixture.promote(model, false).unwrap_err().to_string();
        assert!(refused(&model("one", None, 0.005)).contains("mrr_at_5"));
        assert!(refused(&model("one", Some("zero"), 0.05)).contains("zero"));
        assert_eq!(fixture.in_service(), None);
        fixture.promote(&model("one", None, 0.005), true).unwrap();
        let notes = fs::read_to_string(fixture.shelf.directory.join("promotions.jsonl")).unwrap();
        assert!(notes.contains("mrr_at_5") && notes.lines().count() == 1, "{notes}");
    }
}
