//! Who says a turn, whatever the contract: a teller on the stream or a caller over HTTP.
//!
//! Input: the turns of one conversation in order. Output: the moment when the last of them ended is in the interactions; a
//! caller knows its answer when it is done, a teller does not. A teller whose client stays away for too long gives up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::ask::{Answers, Asker};
use crate::serve::files::Turn;
use crate::serve::hub::{Hub, NotConnected};
use crate::serve::play::Teller;
use crate::serve::player::{self, Pace};
use crate::serve::simulator::RunningSimulator;
use crate::serve::streams::Audience;

/// A card that takes longer does not hold its conversation up.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a speaker for each conversation.
pub(super) enum Speakers<'a> {
    Tell { hub: &'a Hub, audience: Audience },
    Ask(Rc<Asker>),
}

/// Speaks in one conversation.
pub(super) enum Speaker<'a> {
    Tells { teller: Teller<'a>, hub: &'a Hub, client: String, id: String },
    Asks { asker: Rc<Asker>, id: String },
}

impl<'a> Speakers<'a> {
    pub(super) fn telling(simulator: &'a RunningSimulator, audience: Audience) -> Self {
        Self::Tell { hub: simulator.hub(), audience }
    }

    pub(super) fn asking(asker: Asker) -> Self {
        Self::Ask(Rc::new(asker))
    }

    /// Who is there, for people.
    pub(super) fn met(&self) -> &'static str {
        match self {
            Self::Tell { .. } => "a client is connected",
            Self::Ask(_) => "the service answers",
        }
    }

    /// Whether somebody is there now.
    pub(super) fn is_heard(&self) -> bool {
        match self {
            Self::Tell { hub, audience } => hub.num_listening(audience) > 0,
            Self::Ask(_) => true,
        }
    }

    /// What HTTP callers were answered; nothing where nobody calls.
    pub(super) fn answers(&self) -> Option<Answers> {
        match self {
            Self::Tell { .. } => None,
            Self::Ask(asker) => Some(asker.answers()),
        }
    }

    pub(super) fn speaker(&self, id: &str) -> Speaker<'a> {
        match self {
            Self::Tell { hub, audience } => Speaker::Tells {
                teller: Teller::new(hub, audience.clone(), id),
                hub,
                client: audience.client_id.clone().unwrap_or_default(),
                id: id.to_owned(),
            },
            Self::Ask(asker) => Speaker::Asks { asker: Rc::clone(asker), id: id.to_owned() },
        }
    }
}

impl Speaker<'_> {
    /// Says turns without pause, for a client that is gone at most `limit` later. A call over HTTP is made by a task of
    /// its own.
    pub(super) async fn say(&mut self, turns: &[Turn], limit: Duration) -> Result<(), NotConnected> {
        match self {
            Self::Tells { teller, .. } => tell(teller, turns, limit).await?,
            Self::Asks { asker, id } => drop(Asker::begin(asker, id, newest(turns)).await),
        }
        Ok(())
    }

    /// The same, waiting for the card of the last turn, at most 5 s.
    pub(super) async fn say_and_wait(&mut self, turns: &[Turn], limit: Duration) -> Result<(), NotConnected> {
        match self {
            Self::Tells { teller, hub, client, id } => {
                let client = client.as_str().into();
                let card = hub.change_quietly(|state| state.tenant(&client).interactions.next_card(id, Instant::now()));
                tell(teller, turns, limit).await?;
                // Without a card in time the conversation goes on as well.
                let _ = timeout(TURN_TIMEOUT, card).await;
            }
            Self::Asks { asker, id } => {
                // The answer comes after the card; a late one is counted when it comes.
                let answer = Asker::begin(asker, id, newest(turns)).await;
                let _ = timeout(TURN_TIMEOUT, answer).await;
            }
        }
        Ok(())
    }
}

async fn tell(teller: &mut Teller<'_>, turns: &[Turn], limit: Duration) -> Result<(), NotConnected> {
    for step in turns.iter().flat_map(|turn| player::steps(turn, &Pace::instant())) {
        teller.say(&step.speech, limit).await?;
    }
    Ok(())
}

/// What the customer said last.
fn newest(turns: &[Turn]) -> &str {
    turns.last().map_or("", |turn| turn.text.as_str())
}
