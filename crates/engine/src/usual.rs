//! Keeps what is usual for a deployment while its turns are heard, and over a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cuecard_ranking::{Baseline, MeasuredTurn, Usual};

/// Turns between two baselines: one that changed with every turn could not be named, and few turns change little.
const RENEWED_AFTER: u64 = 100;

/// Turns go in, and now and then a new baseline comes out.
pub struct UsualTurns {
    baseline: ArcSwap<Baseline>,
    /// None where nothing that is heard changes the baseline.
    usual: Mutex<Option<Usual>>,
    /// Where the baseline is kept.
    file: Option<PathBuf>,
}

impl Default for UsualTurns {
    fn default() -> Self {
        Self { baseline: ArcSwap::default(), usual: Mutex::new(Some(Usual::default())), file: None }
    }
}

impl UsualTurns {
    /// Goes on from the baseline in this file, where each new one is kept. A file that is not there, or can't be read, costs
    /// the turns that it was made of: what is usual is learned anew.
    pub fn kept_in(file: PathBuf) -> Self {
        let before = Self::read(&file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "what is usual can't be read and is learned anew");
            None
        });
        let usual = Self { file: Some(file), ..Self::default() };
        if let Some(baseline) = before {
            usual.go_on_from(baseline);
        }
        usual
    }

    /// The baseline in this file; none where there is no file yet.
    pub fn read(file: &Path) -> io::Result<Option<Baseline>> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let baseline: Baseline = serde_json::from_slice(&bytes)?;
        if baseline.is_sane() {
            Ok(Some(baseline))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "not a baseline"))
        }
    }

    /// What turns are judged by now.
    pub fn baseline(&self) -> Arc<Baseline> {
        self.baseline.load_full()
    }

    /// Goes on from a baseline that was made before.
    pub fn go_on_from(&self, baseline: Baseline) {
        self.set(baseline, Some(Usual::from_baseline(&baseline)));
    }

    /// Judges all turns from now on by this baseline, as an evaluation or a replay does.
    pub fn fix(&self, baseline: Baseline) {
        self.set(baseline, None);
    }

    fn set(&self, baseline: Baseline, usual: Option<Usual>) {
        *self.usual.lock().unwrap_or_else(PoisonError::into_inner) = usual;
        self.baseline.store(Arc::new(baseline));
    }

    /// Takes a turn in. Writes a small file now and then.
    pub(crate) fn hear(&self, turn: MeasuredTurn) {
        if let Some(renewed) = self.renewed_by(turn) {
            self.keep(renewed);
        }
    }

    fn renewed_by(&self, turn: MeasuredTurn) -> Option<Baseline> {
        let mut usual = self.usual.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = usual.as_mut()?;
        usual.hear(turn);
        let current = self.baseline.load();
        let is_due = usual.turns() >= current.turns + RENEWED_AFTER;
        is_due.then(|| {
            let renewed = usual.snapshot(current.version + 1);
            self.baseline.store(Arc::new(renewed));
            renewed
        })
    }

    fn keep(&self, baseline: Baseline) {
        let Some(file) = &self.file else { return };
        if let Err(error) = write(file, baseline) {
            tracing::warn!(file = %file.display(), %error, "what is usual can't be kept over a restart");
        }
    }
}

/// A reader sees the old one or the new one.
fn write(file: &Path, baseline: Baseline) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, serde_json::to_vec(&baseline)?)?;
    fs::rename(unfinished, file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Of turns that were all alike, by which no other can be judged.
    const FLAT: &str = r#"{"version":1,"turns":9,"closeness":{"mean":0.5,"deviation":0.0},
        "certainty":{"mean":0.0,"deviation":1.0}}"#;

    fn turn(closeness: f32) -> MeasuredTurn {
        MeasuredTurn::of(Some(closeness), None)
    }

    #[test]
    fn it_is_kept_over_a_restart_and_a_file_that_is_none_is_done_without() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("usual.json");
        let usual = UsualTurns::kept_in(file.clone());
        assert_eq!(usual.baseline().version, 0);
        (0..RENEWED_AFTER + 7).for_each(|_| usual.hear(turn(0.8)));
        assert_eq!(UsualTurns::kept_in(file.clone()).baseline(), usual.baseline());
        for damaged in ["", "{}", FLAT] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(UsualTurns::kept_in(file.clone()).baseline().version, 0, "{damaged}");
        }
    }

    #[test]
    fn a_baseline_is_renewed_now_and_then_and_goes_on_where_it_was_left() {
        let usual = UsualTurns::default();
        (1..RENEWED_AFTER).for_each(|_| usual.hear(turn(0.8)));
        usual.hear(MeasuredTurn::default());
        assert_eq!(usual.baseline().version, 0);
        usual.hear(turn(0.8));
        let first = *usual.baseline();
        assert_eq!((first.version, first.turns), (1, RENEWED_AFTER));
        let again = UsualTurns::default();
        again.go_on_from(first);
        (0..RENEWED_AFTER).for_each(|_| again.hear(turn(0.8)));
        assert_eq!((again.baseline().version, again.baseline().turns), (2, 2 * RENEWED_AFTER));
        assert!(again.baseline().usual.closeness.mean > first.usual.closeness.mean);
        again.fix(first);
        (0..RENEWED_AFTER).for_each(|_| again.hear(turn(0.8)));
        assert_eq!(*again.baseline(), first);
    }
}
