//! Playing conversations on the streams.
//!
//! Input: conversations, a pace, an audience. Output: the same conversation on every kind of stream that is connected, in
//! the frames of each. While nobody is connected it waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;
use tokio::sync::watch;

use super::files::{self, Conversation};
use super::hub::{Hub, NotConnected};
use super::player::{self, Frames, Pace, Speech};
use super::streams::{Audience, Frame};
use crate::base::contracts::StreamKind;

/// A conversation that nobody hears goes on when somebody comes, however late.
const FOR_EVER: Duration = Duration::MAX;

/// Plays conversations one after another to an audience, waiting while nobody is there.
pub(crate) fn play(
    hub: &Arc<Hub>,
    on: &ArbiterHandle,
    audience: Audience,
    conversations: Vec<Conversation>,
    pace: Pace,
) -> Playing {
    let ids = interaction_ids(hub, &conversations);
    let interaction_ids = ids.clone();
    let (report, progress) = watch::channel(0);
    let hub = Arc::clone(hub);
    on.spawn(async move {
        for (conversation, id) in conversations.iter().zip(ids) {
            // It waits for ever, so that it is told to its end.
            let _ = play_conversation(&hub, &audience, conversation, &id, &pace).await;
            // Nothing more is said, but a card may still come.
            hub.update(|state| state.show_ended(&audience, &id));
            report.send_modify(|played| *played += 1);
            end_later(&hub, audience.clone(), id, pace.linger);
            tokio::time::sleep(pace.between_conversations).await;
            if report.is_closed() {
                return;
            }
        }
    });
    Playing { progress, interaction_ids }
}

/// Names under which conversations can be told, none of which anybody has heard of.
pub(crate) fn interaction_ids(hub: &Hub, conversations: &[Conversation]) -> Vec<String> {
    files::interaction_ids(conversations, &|id| hub.read(|state| state.is_known(id)))
}

/// Conversations under way; dropping it ends the playing after the current one.
#[must_use = "dropping it ends the playing after the current conversation"]
pub struct Playing {
    progress: watch::Receiver<usize>,
    interaction_ids: Vec<String>,
}

impl Playing {
    /// Conversations played to their end so far.
    pub fn num_played(&self) -> usize {
        *self.progress.borrow()
    }

    /// Under which interaction each conversation is told.
    pub fn interaction_ids(&self) -> &[String] {
        &self.interaction_ids
    }

    /// Waits until all are played.
    pub async fn finished(mut self) {
        while self.progress.changed().await.is_ok() {}
    }
}

/// Tells one interaction to an audience.
pub(crate) struct Teller<'a> {
    hub: &'a Hub,
    audience: Audience,
    frames: Frames,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(hub: &'a Hub, audience: Audience, interaction_id: &str) -> Self {
        let frames = Frames::new(interaction_id, hub.settings.transcripts);
        Self { hub, audience, frames }
    }

    /// Says something, stamped now, as soon as anybody listens, for which it waits at most `limit`. A kind of stream on
    /// which nobody listens is left out.
    pub(crate) async fn say(&mut self, speech: &Speech, limit: Duration) -> Result<(), NotConnected> {
        self.hub.wait_for_client(&self.audience, limit).await?;
        let timestamp = jiff::Timestamp::now().to_string();
        for (kind, frame) in self.frames.tell(speech, &timestamp) {
            if let Some(audience) = narrowed(&self.audience, kind)
                && self.hub.num_listening(&audience) > 0
            {
                self.hub.send_when_connected(&audience, Frame::Text(frame.to_string()), limit).await?;
            }
        }
        Ok(())
    }
}

/// The audience on one kind of stream; nothing when it wants the other.
fn narrowed(audience: &Audience, kind: StreamKind) -> Option<Audience> {
    let wanted = audience.kind.is_none_or(|wanted| wanted == kind);
    wanted.then(|| Audience { kind: Some(kind), client_id: audience.client_id.clone() })
}

async fn play_conversation(
    hub: &Hub,
    audience: &Audience,
    conversation: &Conversation,
    id: &str,
    pace: &Pace,
) -> Result<(), NotConnected> {
    if let Some(title) = &conversation.title {
        hub.change_quietly(|state| state.desk.name(id, title));
    }
    let mut teller = Teller::new(hub, audience.clone(), id);
    for turn in &conversation.turns {
        for step in player::steps(turn, pace) {
            tokio::time::sleep(step.pause).await;
            teller.say(&step.speech, FOR_EVER).await?;
        }
        tokio::time::sleep(pace.between_turns).await;
    }
    Ok(())
}

/// Ends an interaction some time from now; contract 001 has a frame that says so.
fn end_later(hub: &Arc<Hub>, audience: Audience, id: String, linger: Duration) {
    let hub = Arc::clone(hub);
    actix_rt::spawn(async move {
        tokio::time::sleep(linger).await;
        if let Some(audience) = narrowed(&audience, StreamKind::Snippets) {
            // Nobody may be connected any more, and nobody need hear it.
            let _ = hub.send(&audience, Frame::Text(player::end_event(&id).to_string())).await;
        }
        hub.update(|state| state.end_interaction(&audience, &id, Instant::now()));
    });
}
