//! How far a replay is, on stderr, for whoever waits at a terminal; nothing is drawn where nobody looks.

use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::listen::tell;
use crate::serve::files::Conversation;
use crate::serve::simulator::RunningSimulator;

/// How often it is looked, and drawn.
const LOOK: Duration = Duration::from_millis(200);

/// What ends a replay.
enum Goal {
    /// It lasts so long.
    Time(Duration),
    /// So many turns are to be said.
    Turns(u64),
}

/// A line that tells how far a replay is, until it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    goal: Goal,
}

impl Progress {
    /// Of a replay of these conversations, or one that lasts so long.
    pub(super) fn of(conversations: &[Conversation], duration: Option<Duration>) -> Self {
        let turns = conversations.iter().flat_map(|conversation| &conversation.turns);
        let num_turns = turns.filter(|turn| turn.is_customer() && turn.has_words()).count();
        let bar = ProgressBar::new_spinner().with_message("waiting for the service");
        bar.enable_steady_tick(LOOK);
        Self { bar, goal: duration.map_or(Goal::Turns(num_turns as u64), Goal::Time) }
    }

    /// A line for people, above it.
    pub(super) fn tell(&self, line: &str) {
        self.bar.suspend(|| tell(line));
    }

    /// Shows what was said, from the first turn on.
    pub(super) async fn follow(&self, simulator: &RunningSimulator) -> Infallible {
        while simulator.num_turns() == 0 {
            tokio::time::sleep(LOOK).await;
        }
        let began = Instant::now();
        let (template, length) = match self.goal {
            Goal::Time(duration) => ("{msg} {bar:40} {pos} of {len} s", duration.as_secs()),
            Goal::Turns(number) => ("{msg} {bar:40} {pos} of {len} turns{left}", number),
        };
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.with_key("left", left));
        }
        self.bar.set_message("playing");
        self.bar.set_length(length);
        loop {
            let done = match self.goal {
                Goal::Time(_) => began.elapsed().as_secs(),
                Goal::Turns(_) => simulator.num_turns(),
            };
            self.bar.set_position(done.min(length));
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn left(state: &ProgressState, shown: &mut dyn fmt::Write) {
    // What draws the bar has no use for an error.
    let _ = shown.write_str(&left_of(state.pos(), state.len(), state.elapsed()));
}

/// How long it will take, by all that was said so far; nothing before anything was.
fn left_of(done: u64, all: Option<u64>, elapsed: Duration) -> String {
    let (Some(all), true) = (all, done > 0) else { return String::new() };
    let left = elapsed.as_secs_f64() * all.saturating_sub(done) as f64 / done as f64;
    format!(", {} s left", left.ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_estimate_is_by_what_was_measured() {
        // (turns, of all, after seconds) → what is said
        for (done, all, seconds, said) in [
            (0, Some(100), 3.0, ""),
            (1, Some(100), 2.0, ", 198 s left"),
            (50, Some(100), 10.0, ", 10 s left"),
            (100, Some(100), 20.0, ", 0 s left"),
            (3, None, 1.0, ""),
        ] {
            assert_eq!(left_of(done, all, Duration::from_secs_f64(seconds)), said, "{done} of {all:?}");
        }
    }
}
