//! Where decisions go when they end: the metrics, and a bounded tap behind which a second ranker is watched, each decision is
//! logged, and the newest are kept.
//!
//! Takes a [`Decision`] from each ticket that ends. What reads decisions behind the tap never holds a question up: where it
//! falls behind, decisions are dropped and counted.

mod ending;
mod kept;
mod recent;
mod records;
mod shadow;

use std::borrow::Cow;
use std::fmt;

use async_channel::{Receiver, Sender};
use tokio::sync::oneshot;

pub use ending::ending;
pub use kept::{KeptDecision, Said};
pub use recent::{DecisionFilter, RecentDecisions};
pub use records::DecisionRecords;
pub use shadow::{Shadow, Shadows};

use crate::messages::{Decision, InteractionKey, Outcome};
use crate::telemetry::{ActorDropped, DropReason, Metrics, milliseconds};

/// Decisions on their way to whoever keeps them: some seconds of the busiest service.
const TAP: usize = 4096;

/// Of a reason in words; what CXone says, or the backends, may be of any length.
const FREE_TEXT_BYTES: usize = 120;

/// What goes through the tap.
#[derive(Debug)]
pub enum Tapped {
    /// A question ended.
    Ended(Box<Decision>),
    /// Somebody wants to be told when all before it is written down.
    Awaited(oneshot::Sender<()>),
}

/// Takes note of how questions end. Cheap to clone.
#[derive(Clone)]
pub struct Decisions {
    metrics: Metrics,
    tap: Sender<Tapped>,
}

impl Decisions {
    /// Counts in these metrics; the receiver is for whoever keeps decisions.
    pub fn new(metrics: Metrics) -> (Self, Receiver<Tapped>) {
        let (tap, kept) = async_channel::bounded(TAP);
        (Self { metrics, tap }, kept)
    }

    /// A question was heard in a conversation, or asked by somebody.
    pub fn opened(&self, key: &InteractionKey, has_caller: bool) {
        self.metrics.count_utterance(&key.profile);
        if !has_caller {
            self.metrics.conversation_heard(key);
        }
    }

    /// A question named a profile that nobody knows.
    pub fn unknown_profile(&self, key: &InteractionKey) {
        let (reason, detail) = (DropReason::UnknownProfile, key.to_string());
        ActorDropped { reason, count: 1, detail: &detail }.emit(&self.metrics);
    }

    /// A question ended; called exactly once for each.
    pub fn ended(&self, decision: Box<Decision>) {
        self.metrics.count_decision(&decision);
        if self.tap.try_send(Tapped::Ended(decision)).is_err() {
            self.metrics.count_decision_dropped(DropReason::TapFull);
        }
    }

    /// Waits until every decision that has ended by now is where the newest are kept and on its way into the ledger; `false`
    /// where nobody writes any down any more.
    pub async fn written_down(&self) -> bool {
        let (told, written) = oneshot::channel();
        self.tap.send(Tapped::Awaited(told)).await.is_ok() && written.await.is_ok()
    }

    /// Nothing more comes; what is in the tap is still read.
    pub fn close(&self) {
        self.tap.close();
    }
}

/// One line with everything that finds a decision again. It is written behind the tap, where no span says the same twice.
fn log(decision: &Decision) {
    let Decision { id, profile, interaction, utterance_number: utterance, outcome, .. } = decision;
    let (latency_ms, label, why) = (milliseconds(decision.latency), outcome.label(), Why(outcome));
    match outcome {
        Outcome::Failed(_) => {
            tracing::error!(%id, %profile, %interaction, utterance, latency_ms, %why, "{label}");
        }
        Outcome::Refused(_) => {
            tracing::warn!(%id, %profile, %interaction, utterance, latency_ms, %why, "{label}");
        }
        Outcome::Silent(_) | Outcome::Expired(_) | Outcome::HeldOff(_) => {
            tracing::info!(%id, %profile, %interaction, utterance, latency_ms, %why, "{label}");
        }
        Outcome::Delivered(_) | Outcome::Withheld | Outcome::Replaced | Outcome::Shed => {
            tracing::info!(%id, %profile, %interaction, utterance, latency_ms, "{label}");
        }
    }
}

/// Why a question ended as it did; empty where the outcome says all.
pub(crate) fn why(outcome: &Outcome) -> String {
    Why(outcome).to_string()
}

/// Why a question ended as it did, in a word or a sentence without any of a customer's.
struct Why<'a>(&'a Outcome);

impl fmt::Display for Why<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Failed(failure) => formatter.write_str(&beginning(&failure.to_string())),
            Outcome::Refused(refusal) | Outcome::HeldOff(refusal) => formatter.write_str(&beginning(&refusal.reason)),
            Outcome::Silent(reason) => formatter.write_str(reason.name()),
            Outcome::Expired(stage) => formatter.write_str(stage.name()),
            Outcome::Delivered(_) | Outcome::Withheld | Outcome::Replaced | Outcome::Shed => Ok(()),
        }
    }
}

/// As much of a text as a log line has room for, by what it takes there. The admin port shows all of it.
fn beginning(text: &str) -> Cow<'_, str> {
    let mut length = 0;
    let end = text.char_indices().find(|(_, character)| {
        length += match character {
            '"' | '\\' => 2,
            character if character.is_control() => 6,
            character => character.len_utf8(),
        };
        length > FREE_TEXT_BYTES
    });
    match end {
        Some((end, _)) => Cow::Owned(format!("{}\u{2026}", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
