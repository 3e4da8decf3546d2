//! Conversations side by side, each next turn when the one before has its card.
//!
//! Input: a script and how many conversations run at once. Output: all turns said, or as many as fit into the duration,
//! for which the conversations begin anew under other ids.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, interval_at};

use super::speaker::Speakers;
use super::{PROGRESS_INTERVAL, Script};

struct Loop<'a> {
    script: &'a Script<'a>,
    speakers: &'a Speakers<'a>,
    began: Instant,
    /// No turn begins later; without it every conversation is played once.
    duration: Option<Duration>,
    next: Cell<usize>,
    num_said: Cell<usize>,
}

/// How long the turns were spoken.
pub(super) async fn run(
    script: &Script<'_>,
    speakers: &Speakers<'_>,
    number: usize,
    duration: Option<Duration>,
    tell: &mut dyn FnMut(&str),
) -> Duration {
    let began = Instant::now();
    let turns = Loop { script, speakers, began, duration, next: Cell::new(0), num_said: Cell::new(0) };
    let workers = join_all((0..number).map(|_| turns.work()));
    tokio::pin!(workers);
    let mut progress = interval_at(began + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            _ = &mut workers => return began.elapsed(),
            _ = progress.tick() => tell(&format!("{} turns", turns.num_said.get())),
        }
    }
}

impl Loop<'_> {
    /// One conversation after another.
    async fn work(&self) {
        let num_conversations = self.script.customer_turns.len();
        loop {
            let number = self.next.replace(self.next.get() + 1);
            let (pass, conversation) = (number / num_conversations, number % num_conversations);
            if self.is_over() || (pass > 0 && self.duration.is_none()) {
                return;
            }
            self.converse(conversation, pass).await;
        }
    }

    async fn converse(&self, conversation: usize, pass: usize) {
        let mut speaker = self.speakers.speaker(&self.script.id(conversation, pass));
        for range in &self.script.customer_turns[conversation] {
            if self.is_over() {
                return;
            }
            speaker.say_and_wait(self.script.turns(conversation, range)).await;
            self.num_said.set(self.num_said.get() + 1);
        }
    }

    fn is_over(&self) -> bool {
        self.duration.is_some_and(|duration| self.began.elapsed() >= duration)
    }
}
