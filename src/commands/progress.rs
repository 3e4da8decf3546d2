//! How far a command is, on stderr, for whoever waits at a terminal; nothing is drawn where nobody looks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use cuecard_actors::engine::knowledge::{BuildPhase, BuildProgress};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// How often what has no number moves.
const TICK: Duration = Duration::from_millis(100);

/// A line that tells what is done and how far it is, until it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    /// What comes after what is done now, each with its steps.
    to_come: Mutex<VecDeque<(&'static str, usize)>>,
}

impl Progress {
    /// Something of which nobody knows how long it takes.
    pub(super) fn waiting(what: &'static str) -> Self {
        let progress = Self { bar: ProgressBar::new_spinner(), to_come: Mutex::default() };
        progress.bar.enable_steady_tick(TICK);
        progress.begin(what);
        progress
    }

    /// One thing after another, each with so many steps. A step of the one may take much longer than one of the other, so that
    /// each has an estimate of its own.
    pub(super) fn counting(parts: impl IntoIterator<Item = (&'static str, usize)>) -> Self {
        let mut progress = Self::waiting("");
        progress.to_come = Mutex::new(parts.into_iter().collect());
        progress.next_part();
        progress
    }

    fn next_part(&self) {
        let next = self.to_come.lock().ok().and_then(|mut to_come| to_come.pop_front());
        if let Some((what, steps)) = next {
            self.begin(what);
            self.at(0, steps);
        }
    }

    /// From now on something else is done.
    pub(super) fn begin(&self, what: &'static str) {
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_style(ProgressStyle::default_spinner());
        self.bar.set_message(what);
    }

    /// A step is done; after the last of a part the next one begins.
    pub(super) fn step(&self) {
        self.bar.inc(1);
        if self.bar.length().is_some_and(|steps| self.bar.position() >= steps) {
            self.next_part();
        }
    }

    /// So many of all are done.
    pub(super) fn at(&self, done: usize, total: usize) {
        if self.bar.length() != Some(total as u64) {
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len}{pace}") {
                self.bar.set_style(style.with_key("pace", pace));
            }
            self.bar.set_length(total as u64);
        }
        self.bar.set_position(done as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl BuildProgress for Progress {
    fn phase(&self, phase: BuildPhase) {
        self.begin(match phase {
            BuildPhase::Comparing => "comparing with the index",
            BuildPhase::Cutting => "cutting articles into passages",
            BuildPhase::Embedding => "embedding",
            BuildPhase::Sentences => "embedding sentences",
            BuildPhase::Names => "embedding names",
            BuildPhase::Titles => "embedding titles",
            BuildPhase::Lexical => "indexing words",
            BuildPhase::Vectors => "writing vectors and articles",
            BuildPhase::Neighbours => "building the nearest-neighbour graph",
            BuildPhase::Publishing => "putting the new generation in service",
        });
    }

    fn done(&self, done: usize, total: usize) {
        self.at(done, total);
    }
}

fn pace(state: &ProgressState, shown: &mut dyn fmt::Write) {
    // What draws the bar has no use for an error.
    let _ = shown.write_str(&pace_of(state.pos(), state.len(), state.elapsed()));
}

/// How fast it goes and how long it will take, by all that was done so far: the library's own figures look at the last seconds,
/// and begin at nothing. Nothing is said before anything is done.
fn pace_of(done: u64, all: Option<u64>, elapsed: Duration) -> String {
    let (Some(all), true) = (all.filter(|all| *all > 0), done > 0) else { return String::new() };
    let per_second = done as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    let left = Duration::from_secs((all.saturating_sub(done) as f64 / per_second).ceil() as u64);
    let rate = if per_second < 10.0 { format!("{per_second:.1}/s") } else { format!("{per_second:.0}/s") };
    format!(", {rate}, {} left", humantime::format_duration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_begins_at_nothing_when_the_one_before_is_done() {
        let progress = Progress::counting([("asking", 2), ("judging", 3)]);
        let is_at = || (progress.bar.message(), progress.bar.position(), progress.bar.length());
        assert_eq!(is_at(), ("asking".to_owned(), 0, Some(2)));
        progress.step();
        assert_eq!(is_at(), ("asking".to_owned(), 1, Some(2)));
        progress.step();
        assert_eq!(is_at(), ("judging".to_owned(), 0, Some(3)));
        (0..3).for_each(|_| progress.step());
        assert_eq!(is_at(), ("judging".to_owned(), 3, Some(3)));
    }

    #[test]
    fn the_first_figure_is_what_was_measured_and_nothing_is_said_before() {
        // (done, of all, after seconds) → what is said
        for (done, all, seconds, said) in [
            (0, Some(1000), 1.9, ""),
            (64, Some(1000), 2.0, ", 32/s, 30s left"),
            (500, Some(1000), 10.0, ", 50/s, 10s left"),
            (1, Some(3), 2.0, ", 0.5/s, 4s left"),
            (1000, Some(1000), 20.0, ", 50/s, 0s left"),
            (5, None, 1.0, ""),
            (0, Some(0), 1.0, ""),
        ] {
            assert_eq!(pace_of(done, all, Duration::from_secs_f64(seconds)), said, "{done} of {all:?}");
        }
    }
}
