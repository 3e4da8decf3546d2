//! The model itself: word pieces in, vectors and attention out. The products are torch's, what lies between them is our own,
//! and rust-bert reads the configuration.
//!
//! A batch is one matrix of all its texts' word pieces: nothing is padded, the weights of a product pass the processor
//! once for all of them, and attention looks at each text by itself. In int8 a text's vector is to the last bit the same
//! alone and in a batch.
//!
//! Not `Sync`, like every tensor: each thread has a `BertForward` of its own over the same weights.

use std::ops::Range;

use rust_bert::bert::BertConfig;
use tch::TchError;

use crate::{
    DIMENSIONS, EncoderError,
    attention::Texts,
    layers::{EmbeddingLayer, Layer, NamedTensors, Scratch},
    linear::Yield,
    rows::{Rows, text_rows},
};

/// What a batch gives, one entry per text in the order of the batch.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// L2-normalised, [`crate::DIMENSIONS`] numbers each.
    pub(crate) embeddings: Vec<Vec<f32>>,
    /// Attention that each word piece of the text received, averaged over layers, heads and query
    /// positions (adds up to 1).
    pub(crate) attention: Vec<Vec<f32>>,
}

/// The boundary between the threads and the model: number format, kernels and device are nobody else's business.
pub(crate) trait Forward {
    /// Runs texts, given as word pieces with `[CLS]` and `[SEP]`, as one batch.
    fn run(&self, batch: &[&[i64]], yield_now: Yield<'_>) -> Result<Outputs, EncoderError>;
}

#[derive(Clone)]
pub(crate) struct BertForward {
    embeddings: EmbeddingLayer,
    layers: Vec<Layer>,
    heads: usize,
}

impl BertForward {
    /// Builds the model in f32; the error says what is wrong with the tensors.
    pub(crate) fn new(config: &BertConfig, tensors: &NamedTensors) -> Result<Self, String> {
        Ok(Self {
            embeddings: tensors.embeddings(config)?,
            layers: (0..config.num_hidden_layers)
                .map(|number| tensors.layer(number, config))
                .collect::<Result<_, _>>()?,
            heads: config.num_attention_heads as usize,
        })
    }

    /// The same model with its linear layers in int8.
    pub(crate) fn quantised(&self) -> Result<Self, TchError> {
        let layers = self.layers.iter().map(Layer::quantised).collect::<Result<_, _>>()?;
        Ok(Self { embeddings: self.embeddings.clone(), layers, heads: self.heads })
    }
}

impl Forward for BertForward {
    fn run(&self, batch: &[&[i64]], yield_now: Yield<'_>) -> Result<Outputs, EncoderError> {
        let rows = text_rows(batch.iter().map(|text| text.len()));
        let texts = Texts { rows: &rows, heads: self.heads };
        let mut hidden = self.embeddings.apply(batch)?;
        let (mut received, mut scratch) = (vec![0.0; hidden.count()], Scratch::default());
        for layer in &self.layers {
            layer.apply(&mut hidden, &texts, &mut received, &mut scratch, yield_now)?;
        }
        let heads = (self.layers.len() * self.heads) as f32;
        Ok(Outputs {
            embeddings: rows.iter().map(|text| mean_direction(&hidden, text.clone())).collect::<Result<_, _>>()?,
            attention: rows.into_iter().map(|text| averages(&received[text], heads)).collect(),
        })
    }
}

/// The mean of a text's rows as a vector of length 1: `[DIMENSIONS]`.
fn mean_direction(hidden: &Rows, text: Range<usize>) -> Result<Vec<f32>, EncoderError> {
    let mut mean = vec![0.0_f32; DIMENSIONS];
    for row in hidden.slice(text).chunks_exact(DIMENSIONS) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let norm = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return Err(EncoderError::Failed("the model gave a vector without a direction".to_owned()));
    }
    for value in &mut mean {
        *value /= norm;
    }
    Ok(mean)
}

/// Of what each piece of a text received, over all `heads` and the text's positions.
fn averages(received: &[f32], heads: f32) -> Vec<f32> {
    let count = heads * received.len() as f32;
    received.iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        Precision,
        testing::{reference_rows, with_forward, word_pieces},
        word_pieces::{Excerpt, Keep},
    };

    fn ids(text: &str) -> Vec<i64> {
        word_pieces().ids(Excerpt::of(text, Keep::Start), Keep::Start).unwrap()
    }

    fn run(precision: Precision, texts: &[&[i64]]) -> Outputs {
        with_forward(precision, |forward| forward.run(texts, &mut || ()).unwrap())
    }

    fn cosine(left: &[f32], right: &[f32]) -> f32 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    /// Of many lengths: 3 pieces, 2, 20, 256 and between.
    fn texts() -> [Vec<i64>; 7] {
        [
            "refund",
            "My order arrived with the wrong size, can I swap it without paying shipping again?",
            "",
            &"Reset the device, wait ten seconds, and pair it again with the app. ".repeat(24),
            "Is breakfast included?",
            "um yeah so i i was calling about the uh the internet it keeps dropping",
            "0x80070005 E-1234 £12.50",
        ]
        .map(ids)
    }

    /// Rounded to six places in the reference, computed by another framework.
    const TOLERANCE: f32 = 1e-5;

    #[test]
    fn attention_per_piece_is_that_of_the_reference() {
        let Some(rows) = reference_rows() else { return };
        let mut worst = 0.0_f32;
        for row in &rows {
            let expected: Vec<f32> = serde_json::from_value(row["attention_received"].clone()).unwrap();
            let received = run(Precision::F32, &[&ids(row["text"].as_str().unwrap())]).attention.remove(0);
            assert_eq!(received.len(), expected.len(), "{}", row["text"]);
            for (received, expected) in received.iter().zip(&expected) {
                worst = worst.max((received - expected).abs());
                assert!((received - expected).abs() < TOLERANCE, "{received} for {expected} in {}", row["text"]);
            }
        }
        println!("largest difference {worst:e} over {} rows", rows.len());
    }

    #[test]
    fn in_int8_a_text_is_to_the_last_bit_the_same_alone_and_in_a_batch() {
        let texts = texts();
        let batch: Vec<&[i64]> = texts.iter().map(Vec::as_slice).collect();
        let together = run(Precision::Int8, &batch);
        for (position, text) in texts.iter().enumerate() {
            let alone = run(Precision::Int8, &[text]);
            assert_eq!(alone.embeddings[0], together.embeddings[position], "text {position}");
            assert_eq!(alone.attention[0], together.attention[position], "text {position}");
        }
    }

    #[test]
    fn in_f32_a_batch_changes_nothing_but_the_rounding() {
        let texts = texts();
        let batch: Vec<&[i64]> = texts.iter().map(Vec::as_slice).collect();
        let together = run(Precision::F32, &batch);
        for (position, text) in texts.iter().enumerate() {
            let alone = run(Precision::F32, &[text]);
            let cosine = cosine(&alone.embeddings[0], &together.embeddings[position]);
            assert!(cosine >= 0.999_999, "cosine {cosine} for text {position}");
            let (alone, together) = (&alone.attention[0], &together.attention[position]);
            assert_eq!(alone.len(), text.len());
            assert!((together.iter().sum::<f32>() - 1.0).abs() < TOLERANCE);
            assert!(alone.iter().zip(together).all(|(alone, together)| (alone - together).abs() < TOLERANCE));
        }
    }

    /// Measured with VNNI: 0.9918 for nothing but `[CLS]` and `[SEP]`, 0.9973 and more for words, 0.9976 on average; without it
    /// 0.9935, 0.9972 and 0.9976.
    const LEAST_COSINE: f32 = 0.99;
    const LEAST_MEAN_COSINE: f32 = 0.9965;
    /// Share of the attention that went to other pieces; measured: 0.006.
    const MOST_ATTENTION_MOVED: f32 = 0.02;

    #[test]
    fn int8_stays_close_to_f32() {
        let texts = texts();
        let batch: Vec<&[i64]> = texts.iter().map(Vec::as_slice).collect();
        let (exact, close) = (run(Precision::F32, &batch), run(Precision::Int8, &batch));
        let mut sum = 0.0;
        for position in 0..texts.len() {
            let cosine = cosine(&exact.embeddings[position], &close.embeddings[position]);
            assert!(cosine >= LEAST_COSINE, "cosine {cosine} for text {position}");
            sum += cosine;
            let attention = exact.attention[position].iter().zip(&close.attention[position]);
            let moved: f32 = attention.map(|(exact, close)| (exact - close).abs()).sum::<f32>() / 2.0;
            assert!(moved <= MOST_ATTENTION_MOVED, "{moved} for text {position}");
        }
        assert!(sum / texts.len() as f32 >= LEAST_MEAN_COSINE, "mean {}", sum / texts.len() as f32);
    }

    #[test]
    fn other_work_is_let_in_often_and_changes_nothing() {
        let (outer, inner) = (ids("Can my dog stay in the room?"), ids("Where is my parcel?"));
        for precision in [Precision::F32, Precision::Int8] {
            let mut calls = 0;
            let disturbed = with_forward(precision, |forward| {
                let mut between = || {
                    calls += 1;
                    forward.run(&[&inner], &mut || ()).unwrap();
                };
                forward.run(&[&outer], &mut between).unwrap()
            });
            // Four linear layers and attention in each of six layers.
            assert_eq!(calls, 6 * 5, "{precision}");
            let alone = run(precision, &[&outer]);
            assert_eq!(disturbed.embeddings, alone.embeddings, "{precision}");
            assert_eq!(disturbed.attention, alone.attention, "{precision}");
        }
    }

    #[test]
    fn an_error_of_torch_is_returned_without_its_stack_trace() {
        let outcome = with_forward(Precision::F32, |forward| forward.run(&[&[101, 999_999, 102]], &mut || ()));
        let reason = outcome.unwrap_err().to_string();
        assert!(reason.contains("torch: ") && reason.ends_with("index out of range in self"), "{reason}");
    }
}
