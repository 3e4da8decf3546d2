//! What is said about a text, and the wait for it.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::sync::oneshot;

use crate::{EncoderError, phrases::KeyPhrase};

/// What one forward pass says about a text.
#[derive(Clone, PartialEq)]
pub struct Encoding {
    /// Mean over the text's word pieces, L2-normalised: `[384]`.
    pub embedding: Vec<f32>,
    /// At most 5, most attention first, no repeats.
    pub key_phrases: Vec<KeyPhrase>,
    /// Word pieces that the model saw, `[CLS]` and `[SEP]` included: 2 to 256.
    pub word_pieces: usize,
    /// The text was longer and only its end was seen.
    pub truncated: bool,
}

/// Prints sizes, never what a customer said.
impl fmt::Debug for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoding")
            .field("dimensions", &self.embedding.len())
            .field("key_phrases", &self.key_phrases.len())
            .field("word_pieces", &self.word_pieces)
            .field("truncated", &self.truncated)
            .finish()
    }
}

pub(crate) type LiveReply = oneshot::Sender<Result<Encoding, EncoderError>>;

/// The answer to come; a future for any runtime. Dropped, it takes its text out of the queue.
#[derive(Debug)]
pub struct PendingEncoding {
    answer: oneshot::Receiver<Result<Encoding, EncoderError>>,
}

impl Future for PendingEncoding {
    type Output = Result<Encoding, EncoderError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(EncoderError::Closed)))
    }
}

impl PendingEncoding {
    pub(crate) fn new() -> (LiveReply, Self) {
        let (reply, answer) = oneshot::channel();
        (reply, Self { answer })
    }

    /// Waits with the thread parked. Unlike a channel's blocking receive it does not panic where
    /// somebody calls it inside a runtime.
    pub(crate) fn wait(self) -> Result<Encoding, EncoderError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut pending = pin!(self);
        loop {
            match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}
