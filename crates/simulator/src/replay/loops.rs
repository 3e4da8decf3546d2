//! How turns follow each other: at a given rate, or from conversations side by side.
//!
//! Input: a script, who says it, and a rate or a number. Output: at a rate every planned turn is said at its time, whatever
//! becomes of it; time without a connected client moves the rest of the timetable back, so that turns never bunch up. Side
//! by side each next turn is said when the one before has its card: all turns, or as many as fit into the duration, for
//! which the conversations begin anew under other ids.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, interval_at};

use super::plan::{self, Script, Tempo};
use super::speaker::Speakers;

/// Two customer turns of one conversation are never closer at a rate: people need to breathe, and a newer turn replaces
/// the older.
const TURN_SPACING: Duration = Duration::from_secs(1);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Nobody waits longer for the next turn, and any timetable of such turns is one that the clock can hold.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// From one turn to the next; nothing for a rate that is of no use.
pub(super) fn interval(rate: f64) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
    (!interval.is_zero() && interval <= LONGEST_INTERVAL).then_some(interval)
}

/// Says the turns at a rate; how long they were spoken.
pub(super) async fn at_rate(
    script: &Script<'_>,
    speakers: &Speakers<'_>,
    rate: f64,
    duration: Option<Duration>,
    tell: &mut dyn FnMut(&str),
) -> Duration {
    let tempo = Tempo { interval: interval(rate).unwrap_or(TURN_SPACING), spacing: TURN_SPACING, duration };
    let timetable = plan::plan(&script.customer_turns, tempo);
    let mut speaking = HashMap::new();
    let began = Instant::now();
    let mut start = began;
    let mut told_at = start;
    for (number, planned) in timetable.iter().enumerate() {
        tokio::time::sleep_until(start + planned.due).await;
        let began = Instant::now();
        if !speakers.is_heard() {
            tell("the client is gone, waiting for it to come back");
        }
        let conversation = planned.conversation;
        let speaker = speaking.entry(conversation).or_insert_with(|| speakers.speaker(&script.id(conversation, 0)));
        speaker.say(script.turns(conversation, &planned.turns)).await;
        if planned.is_last {
            speaking.remove(&conversation);
        }
        let took = began.elapsed();
        if took > TURN_SPACING {
            start += took;
        }
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            tell(&format!("{} of {} turns", number + 1, timetable.len()));
        }
    }
    began.elapsed()
}

struct Loop<'a> {
    script: &'a Script<'a>,
    speakers: &'a Speakers<'a>,
    began: Instant,
    /// No turn begins later; without it every conversation is played once.
    duration: Option<Duration>,
    next: Cell<usize>,
    num_said: Cell<usize>,
}

/// Says the turns of so many conversations at once; how long they were spoken.
pub(super) async fn side_by_side(
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
