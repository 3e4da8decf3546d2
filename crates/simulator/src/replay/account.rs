//! The account of a replay while it runs and at its end.
//!
//! Input: the simulator's tally, the service's own counters, what HTTP callers were answered. Output: the [`Report`],
//! once every turn has its card or its explanation.

use std::time::{Duration, Instant};

use super::admin::{Admin, Outcome, Outcomes, Scrape};
use super::ask::Answers;
use super::loops::Spoken;
use super::report::{Report, Seen, Throughput};
use super::speaker::Speakers;
use crate::serve::simulator::RunningSimulator;
use crate::serve::tally::Tally;

/// Seconds left out of the rate while the service warms up.
const WARM_UP_SECONDS: usize = 2;

/// How often the service's own account is read while answers are outstanding.
const OUTCOME_POLL: Duration = Duration::from_millis(250);
/// After the last expected card, time for one too many to show itself.
const DUPLICATE_WATCH: Duration = Duration::from_millis(500);
/// An HTTP answer that takes longer is not waited for.
const HTTP_PATIENCE: Duration = Duration::from_secs(20);

/// What was there before, and where to look.
pub(super) struct Account<'a> {
    simulator: &'a RunningSimulator,
    admin: Admin,
    before: Option<Outcomes>,
    surplus: u64,
    violations: u64,
}

impl<'a> Account<'a> {
    /// Begins to count.
    pub(super) async fn open(simulator: &'a RunningSimulator, admin: Admin, tell: &mut dyn FnMut(&str)) -> Self {
        let before = match admin.scrape().await {
            Ok(Scrape { outcomes, num_profiles }) => {
                if num_profiles > 1 {
                    tell(&format!(
                        "the service counts for {num_profiles} profiles, and all of them explain turns without a card: \
                         name the one that is replayed with --profile"
                    ));
                }
                Some(outcomes)
            }
            Err(reason) => {
                let url = admin.url();
                tell(&format!(
                    "no account from {url} ({reason}): a turn without a card that nothing else explains counts as lost"
                ));
                None
            }
        };
        let surplus = num_surplus(simulator);
        simulator.hub().change_quietly(|state| state.tally = Some(Tally::begin(Instant::now())));
        Self { simulator, admin, before, surplus, violations: simulator.num_violations() }
    }

    /// Waits for what is outstanding, at most `patience`, and gives the account. Of a closed loop it tells the cards per
    /// second. Turns that were not said are turns without a card like any other.
    pub(super) async fn close(
        self,
        speakers: &Speakers<'_>,
        spoken: Spoken,
        is_closed_loop: bool,
        patience: Duration,
        tell: &mut dyn FnMut(&str),
    ) -> Report {
        await_callers(speakers).await;
        let explained = self.await_explanations(speakers, patience).await;
        tokio::time::sleep(DUPLICATE_WATCH).await;
        if let Some(answers) = speakers.answers() {
            tell_failed(&answers, tell);
        }
        tell_unexplained(&explained, tell);
        let tally = self.simulator.hub().change_quietly(|state| state.tally.take());
        let of_tally = |read: fn(&Tally) -> u64| tally.as_ref().map_or(0, read);
        let seen = Seen {
            turns: of_tally(Tally::num_turns) + spoken.num_unsaid as u64,
            cards: of_tally(Tally::num_cards),
            duplicates: num_surplus(self.simulator) - self.surplus,
            violations: self.simulator.num_violations() - self.violations,
            percentiles_ms: [50, 95, 99].map(|percent| tally.as_ref()?.percentile_ms(percent)),
        };
        tell_surplus(&seen, &explained.outcomes, tell);
        let throughput = is_closed_loop.then(|| Throughput {
            cards_per_second: tally.and_then(|tally| tally.cards_per_second(spoken.lasted, WARM_UP_SECONDS)),
        });
        Report::new(&seen, &explained.outcomes, throughput)
    }

    /// Waits until every turn has its card or its explanation.
    async fn await_explanations(&self, speakers: &Speakers<'_>, patience: Duration) -> Known {
        let deadline = Instant::now() + patience;
        loop {
            let known = self.known(speakers).await;
            let (turns, cards) = progress_of(self.simulator);
            let left = deadline.saturating_duration_since(Instant::now());
            if turns - cards <= known.outcomes.chosen() || left.is_zero() {
                return known;
            }
            let more = |simulator: &RunningSimulator| progress_of(simulator).1 > cards;
            self.simulator.until(OUTCOME_POLL.min(left), more).await;
        }
    }

    /// What explains turns without a card by now.
    async fn known(&self, speakers: &Speakers<'_>) -> Known {
        let counted = match &self.before {
            Some(before) => self.admin.scrape().await.ok().map(|after| after.outcomes.since(before)),
            None => None,
        };
        let is_gone = self.before.is_some() && counted.is_none();
        let counted = counted.unwrap_or_default();
        let outcomes = speakers.answers().map_or_else(|| counted.clone(), |answers| answers.explain(&counted));
        Known { outcomes, counted, is_gone }
    }
}

/// What the service says of itself, and what follows from it.
struct Known {
    outcomes: Outcomes,
    counted: Outcomes,
    /// The admin port answered before and does not any more.
    is_gone: bool,
}

/// Turns that have ended and cards that have come since the replay began.
pub(super) fn progress_of(simulator: &RunningSimulator) -> (u64, u64) {
    let of = |tally: &Tally| (tally.num_turns(), tally.num_cards());
    simulator.hub().read(|state| state.tally.as_ref().map_or((0, 0), of))
}

/// Pushes that no turn waited for.
fn num_surplus(simulator: &RunningSimulator) -> u64 {
    simulator.num_duplicates() + simulator.num_unprompted()
}

/// Waits until every HTTP caller has its answer.
async fn await_callers(speakers: &Speakers<'_>) {
    let Speakers::Ask(asker) = speakers else {
        return;
    };
    let deadline = Instant::now() + HTTP_PATIENCE;
    while asker.num_open() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn tell_failed(answers: &Answers, tell: &mut dyn FnMut(&str)) {
    for (what, count) in &answers.failed {
        tell(&format!("{count} questions ended with: {what}"));
    }
    if answers.unavailable > 0 {
        tell(&format!(
            "{} questions were answered 503, lost unless the service counts as many shed",
            answers.unavailable
        ));
    }
}

/// What is explained twice may stand for a turn that nothing explains.
fn tell_surplus(seen: &Seen, explained: &Outcomes, tell: &mut dyn FnMut(&str)) {
    let surplus = (seen.cards + explained.chosen()).saturating_sub(seen.turns);
    if surplus > 0 {
        tell(&format!(
            "{surplus} more turns have a card or an explanation than there were: as many lost ones may not be counted"
        ));
    }
}

fn tell_unexplained(known: &Known, tell: &mut dyn FnMut(&str)) {
    if known.is_gone {
        tell("the admin port answers no more: every turn without a card that nothing else explains counts as lost");
    }
    let notes = [
        (Outcome::Shed, "explain as many turns without a card"),
        (Outcome::Refused, "explain nothing: the hub's answers are in the violations"),
        (Outcome::Failed, "explain nothing: these turns count as lost"),
    ];
    for (outcome, meaning) in notes {
        let count = known.counted.count(outcome);
        if count > 0 {
            tell(&format!("the service counted {count} {outcome}, which {meaning}"));
        }
    }
}
