//! `StreamListener`, one per stream: from WebSocket frames to what was heard.
//!
//! A task of its own ([`Listening`]) holds the socket and reconnects; the actor holds the contract's protocol, tells it of
//! each open socket, each frame and each passed time, has sent what it wants sent, and hands fragments and states to the
//! Buffer, accepts and rejects to the `FeedbackLogger`. A frame that can't be read is counted and dropped. A Buffer that is
//! behind slows the reading down. A panic within the protocol costs the frame in hand and what the protocol remembered.

mod connection;
mod reconnect;

use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Context, StreamHandler, Supervised};
use async_channel::Sender;
use cuecard_cxone::stream::{FrameError, Participant, Step, StreamEvent, StreamProtocol, read_frame};
use cuecard_cxone::websocket::Frame;
use cuecard_engine::conversation::Speaker;
use cuecard_failure_points::failure_point;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use jiff::Timestamp;
use tokio::time::Instant;

pub use connection::{Listening, Received};

use crate::inbox::Inbox;
use crate::messages::{Heard, HeardFeedback, ProfileName, StreamWord};
use crate::supervision::{ActorCell, Timer};
use crate::telemetry::{FeedbackReached, FeedbackStage, FrameCounted, FrameFate, JsonRepaired, JsonSource, Metrics};

/// What a `StreamListener` works with.
pub struct StreamListenerDeps {
    /// The stream's profile.
    pub profile: ProfileName,
    /// Makes what speaks the contract and remembers what it has to of the frames before.
    pub protocol: Box<dyn Fn() -> Box<dyn StreamProtocol>>,
    /// Sockets and their frames, from the socket's task.
    pub inbox: Inbox<Received>,
    /// Where fragments and states go.
    pub buffer: Sender<Heard>,
    /// Where accepts and rejects go.
    pub feedback: Sender<HeardFeedback>,
    /// Where frames are counted.
    pub metrics: Metrics,
    /// What was heard and has not found room yet is in flight, so that no stop passes over it.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct StreamListener {
    deps: StreamListenerDeps,
    protocol: Box<dyn StreamProtocol>,
    /// The protocol has an event in hand: a panic now leaves it half changed.
    is_protocol_at_work: bool,
    /// Takes what is to be sent over the open socket; closed while there is none.
    outgoing: Option<Sender<String>>,
    /// The protocol's timer; gone after a restart.
    timer: Option<Timer>,
    /// What was heard and has not found room yet; a restart goes on with it.
    sending: Option<Shared<LocalBoxFuture<'static, ()>>>,
}

/// What was heard, on its way to whom it concerns.
enum Message {
    Word(Heard),
    Feedback(HeardFeedback),
}

impl StreamListener {
    /// A listener; the task that feeds its inbox is [`Listening::run`].
    pub fn new(deps: StreamListenerDeps) -> Self {
        let protocol = (deps.protocol)();
        Self { deps, protocol, is_protocol_at_work: false, outgoing: None, timer: None, sending: None }
    }

    fn read(&mut self, frame: &Frame, received: Instant, context: &mut Context<Self>) {
        match self.step(frame, received) {
            Ok(step) => {
                match step.ignored {
                    Some(reason) => self.count(FrameFate::Ignored, reason.into()),
                    None => self.count(FrameFate::Used, ""),
                }
                self.take(step, received, context);
            }
            Err(FrameError::NotJson) if matches!(frame, Frame::Binary(_)) => {
                self.count(FrameFate::Binary, &format!("{} bytes", frame.bytes().len()));
            }
            Err(error @ FrameError::BadId(_)) => self.count(FrameFate::BadId, &error.to_string()),
            Err(error) => self.count(FrameFate::Malformed, &error.to_string()),
        }
    }

    fn step(&mut self, frame: &Frame, received: Instant) -> Result<Step, FrameError> {
        failure_point!(StreamListener, self.deps.profile.as_str());
        let read = read_frame(frame.bytes())?;
        JsonRepaired { source: JsonSource::Frame, repairs: read.repairs }.emit(&self.deps.metrics);
        self.tell_protocol(|protocol| protocol.on_frame(&read.value, received))
    }

    fn tell_protocol<R>(&mut self, event: impl FnOnce(&mut dyn StreamProtocol) -> R) -> R {
        self.is_protocol_at_work = true;
        let step = event(self.protocol.as_mut());
        self.is_protocol_at_work = false;
        step
    }

    fn wake(&mut self, context: &mut Context<Self>) {
        self.timer = None;
        // What a protocol says goes nowhere without a socket; it begins anew with the next one.
        if self.is_open() {
            let now = Instant::now();
            let step = self.tell_protocol(|protocol| protocol.on_timer(now));
            self.take(step, now, context);
        }
    }

    fn take(&mut self, step: Step, at: Instant, context: &mut Context<Self>) {
        self.take_after(None, step, at, context);
    }

    /// The same after a word of the listener's own.
    fn take_after(&mut self, first: Option<StreamWord>, step: Step, at: Instant, context: &mut Context<Self>) {
        if let Some(outgoing) = &self.outgoing {
            for text in step.send {
                // Fails only where the socket has gone.
                let _ = outgoing.try_send(text);
            }
        }
        let first = first.map(|word| self.word(word, at));
        let heard = step.heard.into_iter().map(|event| self.message(event, at));
        self.hand_on(first.into_iter().chain(heard).collect(), context);
        self.arm(context);
    }

    /// Makes sure that a timer stands for the time at which the protocol wants to be woken.
    fn arm(&mut self, context: &mut Context<Self>) {
        let next = self.protocol.next_timer().filter(|_| self.is_open());
        let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
        self.timer = wait.map(|wait| Timer::start(wait, context, Self::wake));
    }

    fn is_open(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_closed())
    }

    /// Hands on in the order in which it was heard. Where a receiver is behind, no further frame is read until it has room.
    fn hand_on(&mut self, messages: Vec<Message>, context: &mut Context<Self>) {
        if messages.is_empty() {
            return;
        }
        let (buffer, feedback) = (self.deps.buffer.clone(), self.deps.feedback.clone());
        let in_flight = self.deps.cell.in_flight();
        let sending = async move {
            for message in messages {
                let is_sent = match message {
                    Message::Word(heard) => buffer.send(heard).await.is_ok(),
                    Message::Feedback(event) => feedback.send(event).await.is_ok(),
                };
                if !is_sent {
                    tracing::warn!("heard something while shutting down");
                }
            }
            drop(in_flight);
        };
        let sending = sending.boxed_local().shared();
        if sending.clone().now_or_never().is_none() {
            self.sending = Some(sending);
            self.wait_for_room(context);
        }
    }

    /// Reads nothing more until what was heard has found room.
    fn wait_for_room(&mut self, context: &mut Context<Self>) {
        if let Some(sending) = self.sending.clone() {
            context.wait(wrap_future::<_, Self>(sending).map(|(), listener, _| listener.sending = None));
        }
    }

    fn message(&self, event: StreamEvent, received: Instant) -> Message {
        let word = match event {
            StreamEvent::Fragment { interaction, participant, text } => {
                StreamWord::Fragment { interaction, speaker: speaker(participant), text }
            }
            StreamEvent::Utterance { interaction, text } => StreamWord::Utterance { interaction, text },
            StreamEvent::DialogState { interaction, .. } => StreamWord::TurnEnded { interaction },
            StreamEvent::InteractionEnded { interaction } => StreamWord::InteractionEnded { interaction },
            StreamEvent::Feedback { interaction, insight, action, accepted } => {
                let stage = FeedbackStage::Heard;
                let profile = self.deps.profile.clone();
                FeedbackReached { profile: profile.as_str(), accepted, stage, detail: "" }.emit(&self.deps.metrics);
                let heard_at = Timestamp::now();
                return Message::Feedback(HeardFeedback { profile, interaction, insight, action, accepted, heard_at });
            }
        };
        self.word(word, received)
    }

    fn word(&self, word: StreamWord, received: Instant) -> Message {
        Message::Word(Heard { profile: self.deps.profile.clone(), received, word })
    }

    fn count(&self, fate: FrameFate, detail: &str) {
        FrameCounted { profile: &self.deps.profile, fate, detail }.emit(&self.deps.metrics);
    }
}

/// What neither of the two says is context, as what the agent says: it explains an answer and asks nothing.
fn speaker(participant: Participant) -> Speaker {
    match participant {
        Participant::Customer => Speaker::Customer,
        Participant::Agent | Participant::Context => Speaker::Agent,
    }
}

impl Actor for StreamListener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        self.wait_for_room(context);
        // A protocol that was made anew knows of no socket yet.
        if std::mem::take(&mut self.is_protocol_at_work) && self.is_open() {
            let now = Instant::now();
            let step = self.tell_protocol(|protocol| protocol.on_open(now));
            return self.take(step, now, context);
        }
        self.arm(context);
    }
}

impl Supervised for StreamListener {
    fn restarting(&mut self, _context: &mut Self::Context) {
        // What it remembers may be half of what it was to be.
        if self.is_protocol_at_work {
            self.protocol = (self.deps.protocol)();
        }
    }
}

impl StreamHandler<Received> for StreamListener {
    fn handle(&mut self, received: Received, context: &mut Self::Context) {
        match received {
            Received::Opened { outgoing, at } => {
                self.outgoing = Some(outgoing);
                let step = self.tell_protocol(|protocol| protocol.on_open(at));
                self.take_after(Some(StreamWord::Connected), step, at, context);
            }
            Received::Frame { frame, at } => self.read(&frame, at, context),
        }
    }
}

#[cfg(test)]
mod tests;
