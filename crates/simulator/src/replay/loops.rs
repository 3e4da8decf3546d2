//! How turns follow each other: at a given rate, or from conversations side by side.
//!
//! Input: a script, who says it, and a rate or a number. Output: at a rate every planned turn is said at its time, whatever
//! becomes of it; time without a connected client moves the rest of the timetable back, so that turns never bunch up. Side
//! by side each next turn is said when the one before has its card: all turns, or as many as fit into the duration, for
//! which the conversations begin anew under other ids. A client that does not come back ends both: the turns that could
//! not be said are counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::plan::{self, Script, Tempo};
use super::speaker::Speakers;

/// Two customer turns of one conversation are never closer at a rate: people need to breathe, and a newer turn replaces
/// the older.
const TURN_SPACING: Duration = Duration::from_secs(1);
/// Nobody waits longer for the next turn, and any timetable of such turns is one that the clock can hold.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// From one turn to the next; nothing for a rate that is of no use.
pub(super) fn interval(rate: f64) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
    (!interval.is_zero() && interval <= LONGEST_INTERVAL).then_some(interval)
}

/// When a replay ends whatever becomes of its turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// No turn begins later.
    pub(super) duration: Option<Duration>,
    /// Conversations begin anew at a rate, too.
    pub(super) repeats: bool,
    /// A client that stays away for longer is gone for good.
    pub(super) patience: Duration,
}

impl Limits {
    /// How long a client that is away is waited for when the turns have been spoken for so long. What a reconnecting
    /// client needs is waited even at the end of the duration.
    fn wait_after(&self, lasted: Duration) -> Duration {
        let left = |duration: Duration| duration.saturating_sub(lasted).max(TURN_SPACING);
        self.duration.map_or(self.patience, |duration| left(duration).min(self.patience))
    }
}

/// What became of the turns to be said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    /// How long they were spoken.
    pub(super) lasted: Duration,
    /// Turns that could not be said, because the client did not come back.
    pub(super) num_unsaid: usize,
}

fn tell_unsaid(num_unsaid: usize, tell: &mut dyn FnMut(&str)) {
    if num_unsaid > 0 {
        tell(&format!("the client did not come back: {num_unsaid} turns that were not said count as lost"));
    }
}

/// Says the turns at a rate.
pub(super) async fn at_rate(
    script: &Script<'_>,
    speakers: &Speakers<'_>,
    rate: f64,
    limits: Limits,
    tell: &mut dyn FnMut(&str),
) -> Spoken {
    let interval = interval(rate).unwrap_or(TURN_SPACING);
    let tempo = Tempo { interval, spacing: TURN_SPACING, duration: limits.duration, repeats: limits.repeats };
    let timetable = plan::plan(&script.customer_turns, tempo);
    let mut speaking = HashMap::new();
    let began = Instant::now();
    let mut start = began;
    let mut num_unsaid = 0;
    for (number, planned) in timetable.iter().enumerate() {
        tokio::time::sleep_until(start + planned.due).await;
        let due = Instant::now();
        if !speakers.is_heard() {
            tell("the client is gone, waiting for it to come back");
        }
        let (conversation, pass) = (planned.conversation, planned.pass);
        let speaker =
            speaking.entry((conversation, pass)).or_insert_with(|| speakers.speaker(&script.id(conversation, pass)));
        let limit = limits.wait_after(began.elapsed());
        if speaker.say(script.turns(conversation, &planned.turns), limit).await.is_err() {
            num_unsaid = timetable.len() - number;
            break;
        }
        if planned.is_last {
            speaking.remove(&(conversation, pass));
        }
        let took = due.elapsed();
        if took > TURN_SPACING {
            start += took;
        }
    }
    tell_unsaid(num_unsaid, tell);
    Spoken { lasted: began.elapsed(), num_unsaid }
}

struct Loop<'a> {
    script: &'a Script<'a>,
    speakers: &'a Speakers<'a>,
    began: Instant,
    /// Without a duration every conversation is played once.
    limits: Limits,
    next: Cell<usize>,
    num_said: Cell<usize>,
    /// Turns begun for which no client came back.
    num_given_up: Cell<usize>,
}

/// Says the turns of so many conversations at once.
pub(super) async fn side_by_side(
    script: &Script<'_>,
    speakers: &Speakers<'_>,
    number: usize,
    limits: Limits,
    tell: &mut dyn FnMut(&str),
) -> Spoken {
    let began = Instant::now();
    let [next, num_said, num_given_up] = [const { Cell::new(0) }; 3];
    let turns = Loop { script, speakers, began, limits, next, num_said, num_given_up };
    join_all((0..number).map(|_| turns.work())).await;
    let num_unsaid = turns.num_unsaid();
    tell_unsaid(num_unsaid, tell);
    Spoken { lasted: began.elapsed(), num_unsaid }
}

impl Loop<'_> {
    /// One conversation after another.
    async fn work(&self) {
        let num_conversations = self.script.customer_turns.len();
        loop {
            let number = self.next.replace(self.next.get() + 1);
            let (pass, conversation) = (number / num_conversations, number % num_conversations);
            if self.is_over() || (pass > 0 && self.limits.duration.is_none()) {
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
            let limit = self.limits.wait_after(self.began.elapsed());
            let said = speaker.say_and_wait(self.script.turns(conversation, range), limit).await;
            let count = if said.is_ok() { &self.num_said } else { &self.num_given_up };
            count.set(count.get() + 1);
        }
    }

    fn is_over(&self) -> bool {
        let is_late = |duration| self.began.elapsed() >= duration;
        self.num_given_up.get() > 0 || self.limits.duration.is_some_and(is_late)
    }

    /// All that is left of the script; with a duration, which has no last turn, those that were begun.
    fn num_unsaid(&self) -> usize {
        match (self.num_given_up.get(), self.limits.duration) {
            (0, _) => 0,
            (given_up, Some(_)) => given_up,
            (_, None) => self.script.num_turns().saturating_sub(self.num_said.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_away_is_waited_for_no_longer_than_the_replay_lasts() {
        let table = [
            (None, 0, 60),
            (None, 1000, 60),
            (Some(120), 0, 60),
            (Some(120), 90, 30),
            (Some(120), 119, 1),
            (Some(120), 200, 1),
        ];
        for (duration, lasted, wait) in table {
            let duration = duration.map(Duration::from_secs);
            let limits = Limits { duration, repeats: false, patience: Duration::from_mins(1) };
            let wait = Duration::from_secs(wait);
            assert_eq!(limits.wait_after(Duration::from_secs(lasted)), wait, "{duration:?} {lasted}");
        }
    }
}
