//! Turns at a given rate, whatever becomes of them.
//!
//! Input: a script and a rate. Output: every planned turn is said at its time. Time without a connected client moves the
//! rest of the timetable back, so that turns never bunch up.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::plan::{self, Tempo};
use super::speaker::Speakers;
use super::{PROGRESS_INTERVAL, Script, TURN_SPACING};

/// Nobody waits longer for the next turn, and any timetable of such turns is one that the clock can hold.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// From one turn to the next; nothing for a rate that is of no use.
pub(super) fn interval(rate: f64) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
    (!interval.is_zero() && interval <= LONGEST_INTERVAL).then_some(interval)
}

/// How long the turns were spoken.
pub(super) async fn run(
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
