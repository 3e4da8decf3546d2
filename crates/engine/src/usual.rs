//! Keeps what closeness is usual for a deployment while its turns are heard.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cuecard_ranking::{Baseline, Usual};

/// Turns between two baselines: one that changed with every turn could not be named, and few turns change little.
const RENEWED_AFTER: u64 = 100;

/// Turns go in, and now and then a new baseline comes out.
pub struct UsualCloseness {
    baseline: ArcSwap<Baseline>,
    /// None where nothing that is heard changes the baseline.
    usual: Mutex<Option<Usual>>,
}

impl Default for UsualCloseness {
    fn default() -> Self {
        Self { baseline: ArcSwap::default(), usual: Mutex::new(Some(Usual::default())) }
    }
}

impl UsualCloseness {
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

    /// Takes the closeness of a turn in, where it has one.
    pub(crate) fn hear(&self, closeness: Option<f32>) {
        let mut usual = self.usual.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(closeness), Some(usual)) = (closeness, usual.as_mut()) else { return };
        usual.hear(closeness);
        let current = self.baseline.load();
        if usual.turns() >= current.turns + RENEWED_AFTER {
            self.baseline.store(Arc::new(usual.snapshot(current.version + 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_renewed_now_and_then_and_goes_on_where_it_was_left() {
        let usual = UsualCloseness::default();
        (1..RENEWED_AFTER).for_each(|_| usual.hear(Some(0.8)));
        usual.hear(None);
        assert_eq!(usual.baseline().version, 0);
        usual.hear(Some(0.8));
        let first = *usual.baseline();
        assert_eq!((first.version, first.turns), (1, RENEWED_AFTER));
        let again = UsualCloseness::default();
        again.go_on_from(first);
        (0..RENEWED_AFTER).for_each(|_| again.hear(Some(0.8)));
        assert_eq!((again.baseline().version, again.baseline().turns), (2, 2 * RENEWED_AFTER));
        assert!(again.baseline().mean > first.mean);
        again.fix(first);
        (0..RENEWED_AFTER).for_each(|_| again.hear(Some(0.8)));
        assert_eq!(*again.baseline(), first);
    }
}
