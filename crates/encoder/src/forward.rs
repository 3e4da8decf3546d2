//! The boundary between the threads and the model: word pieces in, vectors and attention out.
//!
//! What lies behind it (number format, kernels, device) is nobody else's business.

use tch::TchError;

use crate::{EncoderError, panics::first_line};

/// What a batch gives, one entry per text in the order of the batch.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// L2-normalised, [`crate::DIMENSIONS`] numbers each.
    pub(crate) embeddings: Vec<Vec<f32>>,
    /// Attention that each word piece of the text received, averaged over layers, heads and query
    /// positions (adds up to 1). Empty unless asked for.
    pub(crate) attention: Vec<Vec<f32>>,
}

/// Called before each product, some 20 to 200 times in a batch; may itself run another batch.
pub(crate) type GiveWay<'a> = &'a mut dyn FnMut();

pub(crate) trait Forward {
    /// Runs texts, given as word pieces with `[CLS]` and `[SEP]`, as one batch.
    fn run(&self, batch: &[&[i64]], attention: bool, give_way: GiveWay<'_>) -> Result<Outputs, EncoderError>;
}

impl From<TchError> for EncoderError {
    fn from(error: TchError) -> Self {
        Self::Failed(format!("torch: {}", first_line(&error.to_string())))
    }
}
