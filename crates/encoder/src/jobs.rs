//! What callers put into the lanes and threads take out.

use std::sync::mpsc;

use crate::{EncoderError, encoding::LiveReply, lanes::Lanes};

/// A text from a conversation.
pub(crate) struct LiveJob {
    pub(crate) text: String,
    /// Its beginning was left out already.
    pub(crate) cut: bool,
    pub(crate) reply: LiveReply,
}

/// A batch of texts to embed.
pub(crate) struct BulkJob {
    pub(crate) texts: Vec<Vec<i64>>,
    /// What the answer is labelled with: the first text's place in the caller's list.
    pub(crate) first: usize,
    pub(crate) reply: mpsc::Sender<BulkAnswer>,
}

pub(crate) type BulkAnswer = (usize, Result<Vec<Vec<f32>>, EncoderError>);

pub(crate) type EncoderLanes = Lanes<LiveJob, BulkJob>;
