//! `StreamListener`, one per stream: from WebSocket frames to what was heard.
//!
//! A task of its own holds the socket, reconnects, and puts frames into the actor's inbox; the actor reads each frame
//! by its contract's codec and hands fragments and states to the Buffer, accepts and rejects to the `FeedbackLogger`.
//! A frame that can't be read is counted and dropped. A Buffer that is behind slows the reading down.

mod connect_failure;
mod connection;
mod reconnect;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, StreamHandler, Supervised};
use async_channel::{Sender, TrySendError};
use cuecard_cxone::stream::{Decoded, FrameError, Participant, StreamCodec, StreamEvent};
use cuecard_cxone::websocket::Frame;
use cuecard_engine::conversation::Speaker;
use jiff::Timestamp;
use tokio::time::Instant;

pub use connect_failure::ConnectFailure;
pub use connection::{Connect, FrameSource, Listening, Received, listen};

use crate::inbox::Inbox;
use crate::messages::{Heard, HeardFeedback, ProfileName, StreamWord};
use crate::telemetry::{FeedbackReached, FeedbackStage, FrameCounted, FrameFate, Metrics};

/// What a `StreamListener` works with.
pub struct StreamListenerDeps {
    /// The stream's profile.
    pub profile: ProfileName,
    /// Reads the contract's frames; remembers what it has to of those before.
    pub codec: Box<dyn StreamCodec>,
    /// Frames from the socket's task.
    pub inbox: Inbox<Received>,
    /// Where fragments and states go.
    pub buffer: Sender<Heard>,
    /// Where accepts and rejects go.
    pub feedback: Sender<HeardFeedback>,
    /// Where frames are counted.
    pub metrics: Metrics,
}

/// See the module.
pub struct StreamListener {
    deps: StreamListenerDeps,
}

impl StreamListener {
    /// A listener; the task that feeds its inbox is started with [`listen`].
    pub fn new(deps: StreamListenerDeps) -> Self {
        Self { deps }
    }

    fn read(&mut self, text: &str, received: Instant, context: &mut Context<Self>) {
        match self.deps.codec.decode(text) {
            Ok(Decoded::Event(event)) => {
                self.count(FrameFate::Used, "");
                self.hand_on(event, received, context);
            }
            Ok(Decoded::Ignored(reason)) => self.count(FrameFate::Ignored, reason.label()),
            Err(error @ FrameError::BadId(_)) => self.count(FrameFate::BadId, &error.to_string()),
            Err(error) => self.count(FrameFate::Malformed, &error.to_string()),
        }
    }

    fn hand_on(&self, event: StreamEvent, received: Instant, context: &mut Context<Self>) {
        let profile = self.deps.profile.clone();
        let word = match event {
            StreamEvent::Fragment { interaction, participant, text, .. } => {
                StreamWord::Fragment { interaction, speaker: speaker(participant), text }
            }
            StreamEvent::Utterance { interaction, text } => StreamWord::Utterance { interaction, text },
            StreamEvent::DialogState { interaction, .. } => StreamWord::TurnEnded { interaction },
            StreamEvent::InteractionEnded { interaction } => StreamWord::InteractionEnded { interaction },
            StreamEvent::Feedback { interaction, insight, action, accepted } => {
                let stage = FeedbackStage::Heard;
                FeedbackReached { profile: profile.as_str(), accepted, stage, detail: "" }.emit(&self.deps.metrics);
                let heard_at = Timestamp::now();
                let feedback = HeardFeedback { profile, interaction, insight, action, accepted, heard_at };
                return send(&self.deps.feedback, feedback, context);
            }
        };
        send(&self.deps.buffer, Heard { profile, received, word }, context);
    }

    fn count(&self, fate: FrameFate, detail: &str) {
        FrameCounted { profile: &self.deps.profile, fate, detail }.emit(&self.deps.metrics);
    }
}

/// Sends, and where the receiver is behind reads no further frame until there is room.
fn send<M: 'static>(sender: &Sender<M>, message: M, context: &mut Context<StreamListener>) {
    match sender.try_send(message) {
        Ok(()) => {}
        Err(TrySendError::Full(message)) => {
            let sender = sender.clone();
            let sending = async move {
                if sender.send(message).await.is_err() {
                    tracing::warn!("heard something while shutting down");
                }
            };
            context.wait(wrap_future::<_, StreamListener>(sending));
        }
        Err(TrySendError::Closed(_)) => tracing::warn!("heard something while shutting down"),
    }
}

fn speaker(participant: Participant) -> Speaker {
    match participant {
        Participant::Customer => Speaker::Customer,
        Participant::Agent => Speaker::Agent,
    }
}

impl Actor for StreamListener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
    }
}

impl Supervised for StreamListener {}

impl StreamHandler<Received> for StreamListener {
    fn handle(&mut self, Received { frame, at }: Received, context: &mut Self::Context) {
        match frame {
            Frame::Text(text) => self.read(&text, at, context),
            Frame::Binary(bytes) => self.count(FrameFate::Binary, &format!("{bytes} bytes")),
            Frame::InvalidUtf8(bytes) => self.count(FrameFate::Malformed, &format!("{bytes} bytes are not UTF-8")),
        }
    }
}

#[cfg(test)]
mod tests;
