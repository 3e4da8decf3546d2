//! What a simulator saw, asked by whoever started it.
//!
//! Input: questions. Output: copies; nothing here changes anything.

use std::time::Duration;

use super::RunningSimulator;
use crate::faults::PendingFault;
use crate::ledger::TurnOutcome;
use crate::record::{Received, Verdict};
use crate::routes::Route;
use crate::state::State;
use crate::streams::Audience;

impl RunningSimulator {
    /// What arrived, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.hub.read(|state| state.record.received(0, |_| true).collect())
    }

    /// What arrived on one route, oldest first.
    pub fn received_on(&self, route: Route) -> Vec<Received> {
        self.hub.read(|state| state.record.received(0, |entry| entry.route == route).collect())
    }

    /// The recorded breaches of the contract.
    pub fn violations(&self) -> Vec<Received> {
        let broken = |verdict: &Verdict| matches!(verdict, Verdict::Violation { .. });
        self.hub.read(|state| state.record.received(0, |entry| broken(&entry.verdict)).collect())
    }

    /// How often the contract was broken, also when the record has let some go.
    pub fn num_violations(&self) -> u64 {
        self.hub.read(|state| state.record.num_violations())
    }

    /// Every ended customer turn and its card, by client and then in the order in which interactions were first
    /// mentioned; interactions that ended long ago are forgotten.
    pub fn turns(&self) -> Vec<TurnOutcome> {
        self.hub.read(State::turns)
    }

    /// Customer turns that have ended.
    pub fn num_turns(&self) -> u64 {
        self.hub.read(|state| state.ledger_counts().turns)
    }

    /// Turns that have their card.
    pub fn num_cards(&self) -> u64 {
        self.hub.read(|state| state.ledger_counts().cards)
    }

    /// Pushes to an interaction in which every turn had its card already.
    pub fn num_duplicates(&self) -> u64 {
        self.hub.read(|state| state.ledger_counts().duplicates)
    }

    /// Pushes to an interaction in which no turn had ended; over HTTP that is every push whose question the simulator
    /// did not ask itself.
    pub fn num_unprompted(&self) -> u64 {
        self.hub.read(|state| state.ledger_counts().unprompted)
    }

    /// Open stream connections that hear something.
    pub fn num_streams(&self) -> usize {
        self.num_streams_of(&Audience::default())
    }

    /// The same of some connections only.
    pub fn num_streams_of(&self, audience: &Audience) -> usize {
        self.hub.num_listening(audience)
    }

    /// Articles that the knowledge endpoints hold.
    pub fn num_articles(&self) -> usize {
        self.hub.articles().len()
    }

    /// The faults still to come.
    pub fn pending_faults(&self) -> Vec<PendingFault> {
        self.hub.read(|state| state.faults.pending())
    }

    /// Waits until `reached` holds, looking again after every change; false when `timeout` came first. Needs a tokio
    /// runtime.
    pub async fn until(&self, timeout: Duration, mut reached: impl FnMut(&Self) -> bool) -> bool {
        self.hub.until(timeout, || reached(self)).await
    }
}
