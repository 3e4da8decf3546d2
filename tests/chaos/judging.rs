//! What a night is judged by: what was in the ledger when a process ended, what came again to a screen, and whether everything
//! comes right in the morning.

use std::time::{Duration, Instant};

use crate::account::Kept;
use crate::night::Night;
use crate::people::ShownAgain;
use crate::support::{LOOK, PATIENCE, Process, Scrape};
use crate::trouble::{End, Kind};

/// What is written at once is in the ledger by then, so a card that was shown so long before a kill is known after it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

impl Night {
    /// After a process has ended.
    pub async fn note_committed(&mut self, round: u32) {
        match Kept::read(&self.around.store.url()).await {
            Ok(kept) => self.account.note(kept),
            // Before the first start that came so far there is none.
            Err(error) if self.tally.starts.is_empty() => println!("round {round}: no ledger yet ({error})"),
            Err(error) => self.account.breaks(format!("round {round}: the ledger can't be read: {error}")),
        }
        self.judge_shown_again();
    }

    /// What stands on a screen may come again only where it was shown too late to be written before the process ended, or
    /// where something broke the memory of it.
    fn judge_shown_again(&mut self) {
        let again = std::mem::take(&mut self.people.told.borrow_mut().shown_again);
        let has_other_troubles = self.kinds.iter().any(|kind| *kind != Kind::Kill);
        for ShownAgain { first, again, interaction } in again {
            let after = again - first;
            // The process that showed it first, if another one showed it again.
            match self.kills.iter().copied().find(|kill| (first..again).contains(kill)) {
                _ if has_other_troubles => self.tally.shown_again += 1,
                Some(kill) if kill - first < WRITTEN_WITHIN => self.tally.shown_again += 1,
                Some(kill) => {
                    let before = kill - first;
                    let told =
                        format!("{interaction} saw its card again {after:?} later, shown {before:?} before a kill");
                    self.account.breaks(told);
                }
                None => {
                    self.account.breaks(format!("{interaction} saw its card again {after:?} later, without a kill"));
                }
            }
        }
    }

    /// A night in which something did not happen says nothing about it.
    fn judge_what_happened(&mut self) {
        let told = self.people.told.borrow();
        let mut happened = vec![
            ("cards", told.cards),
            ("verdicts", told.arrived.len() as u64),
            ("rankings", told.ranked.len() as u64),
            ("clicks", told.clicked.len() as u64),
        ];
        drop(told);
        for kind in &self.kinds {
            let times = match kind {
                Kind::Kill => u64::from(self.tally.kills),
                Kind::Points => self.tally.panics,
                others => self.tally.effects.get(others).copied().unwrap_or_default(),
            };
            happened.push((kind.into(), times));
        }
        for (what, _) in happened.into_iter().filter(|(_, times)| *times == 0) {
            self.account.breaks(format!("nothing of {what} took effect: the night was too short, or it never came"));
        }
    }

    /// The last round: without trouble everything comes right.
    pub async fn morning(&mut self) {
        let begun = Instant::now();
        self.mend().await;
        self.end(End::Terminate).await;
        self.start("").await;
        self.people.fall_silent();
        let Some(mut service) = self.service.take() else { return };
        let url = self.around.store.url();
        for waited in [as_many_ends_as_questions(&mut service).await, nothing_waits(&url).await] {
            if let Err(why) = waited {
                self.account.breaks(why);
            }
        }
        self.tally.mended_after = begun.elapsed();
        service.terminate();
        self.ended(service).await;
        self.people.look();
        self.judge_what_happened();
        match Kept::read(&self.around.store.url()).await {
            Ok(kept) => self.account.close(&self.people.told.borrow(), &kept),
            Err(error) => self.account.breaks(format!("the ledger can't be read: {error}")),
        }
        let (violations, duplicates) = (self.around.simulator.violations(), self.around.simulator.num_duplicates());
        if let Some(first) = violations.first() {
            self.account.breaks(format!("{} violations of a contract, for example {first:?}", violations.len()));
        }
        if duplicates > 0 {
            self.account.breaks(format!("{duplicates} cards came that no turn waited for"));
        }
    }
}

/// Waits until it is so.
async fn until(service: &mut Process, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = service.has_ended() {
            return Err(format!("it ended with {status} before there were {what}"));
        }
        if is_so(&service.admin.metrics().await) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("never {what}"))
}

pub async fn as_many_ends_as_questions(service: &mut Process) -> Result<(), String> {
    until(service, "as many ends as questions", |metrics| {
        metrics.sum("cuecard_utterances_total", &[]) == metrics.sum("cuecard_cards_total", &[])
    })
    .await
}

/// Asks the ledger, since what a metric says at the start may not have been counted yet.
async fn nothing_waits(url: &str) -> Result<(), String> {
    let begun = Instant::now();
    let mut waiting = 0;
    while begun.elapsed() < PATIENCE {
        waiting = Kept::read(url).await.map_err(|error| format!("the ledger can't be read: {error}"))?.waiting;
        if waiting == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{waiting} feedback events never arrived"))
}
