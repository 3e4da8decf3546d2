//! The model itself: word pieces in, vectors and attention out.
//!
//! [`Forward`] is the boundary: what lies behind it (number format, kernels, device) is nobody
//! else's business. [`BertForward`] is written over tch in f32; rust-bert reads the configuration.
//! Measured in turn with rust-bert's own layers on one core, those took 2 to 6 % longer for one
//! text of 34 word pieces and for short texts, but 14 to 37 % for eight of 34 with attention and 17
//! to 25 % for one of 256; and they panic on every torch error, where this returns it.
//!
//! Not `Sync`, like every tensor: each thread has a `BertForward` of its own over the same weights.

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

use crate::{
    DIMENSIONS, EncoderError,
    weights::{Embeddings, Layer, NamedTensors},
    worker::first_line,
};

/// Added to the attention score of a padded position: its share becomes exactly 0 in f32.
const MASKED: f32 = -10_000.0;

/// [`DIMENSIONS`] as torch counts.
const HIDDEN: i64 = DIMENSIONS.cast_signed() as i64;

/// What a batch gives, one entry per text in the order of the batch.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// L2-normalised, [`DIMENSIONS`] numbers each.
    pub(crate) embeddings: Vec<Vec<f32>>,
    /// Attention that each word piece of the text received, averaged over layers, heads and query
    /// positions (padding left out; adds up to 1). Empty unless asked for.
    pub(crate) attention: Vec<Vec<f32>>,
}

pub(crate) trait Forward {
    /// Runs texts, given as word pieces with `[CLS]` and `[SEP]`, as one batch. `give_way` is
    /// called before each half of a layer and may itself run another batch.
    fn run(&self, batch: &[&[i64]], attention: bool, give_way: &mut dyn FnMut()) -> Result<Outputs, EncoderError>;
}

pub(crate) struct BertForward {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    heads: i64,
}

impl BertForward {
    /// Builds the model; the error says what is wrong with the tensors.
    pub(crate) fn new(config: &BertConfig, tensors: &NamedTensors) -> Result<Self, String> {
        Ok(Self {
            embeddings: tensors.embeddings(config)?,
            layers: (0..config.num_hidden_layers)
                .map(|number| tensors.layer(number, config))
                .collect::<Result<_, _>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// The same weights for another thread.
    pub(crate) fn share(&self) -> Self {
        Self {
            embeddings: self.embeddings.share(),
            layers: self.layers.iter().map(Layer::share).collect(),
            heads: self.heads,
        }
    }

    /// `[batch, longest, hidden]` before the first layer.
    fn embed(&self, input: &Input) -> Result<Tensor, TchError> {
        let mut hidden = Tensor::f_embedding(&self.embeddings.words, &input.ids, -1, false, false)?;
        let positions = self.embeddings.positions.f_narrow(0, 0, input.columns)?;
        let _ = hidden.f_add_(&positions)?;
        self.embeddings.norm.apply(&hidden)
    }

    /// The attention half of a layer, and its weights `[batch, heads, query, key]`.
    fn attend(&self, layer: &Layer, hidden: &Tensor, input: &Input) -> Result<(Tensor, Tensor), TchError> {
        let size = HIDDEN / self.heads;
        let (rows, columns) = (input.rows, input.columns);
        // [batch, position, 3, head, size] -> [3, batch, head, position, size]
        let joined = layer.query_key_value.apply(hidden)?;
        let parts = joined.f_view([rows, columns, 3, self.heads, size])?.f_permute([2, 0, 3, 1, 4])?;
        let (query, key, value) = (parts.f_select(0, 0)?, parts.f_select(0, 1)?, parts.f_select(0, 2)?);
        let mut scores = query.f_matmul(&key.f_transpose(-1, -2)?)?;
        if let Some(mask) = &input.attention_mask {
            let _ = scores.f_add_(mask)?;
        }
        let weights = scores.f_softmax(-1, Kind::Float)?;
        let context = weights.f_matmul(&value)?.f_transpose(1, 2)?.f_reshape([rows, columns, HIDDEN])?;
        let mut output = layer.attention_output.apply(&context)?;
        let _ = output.f_add_(hidden)?;
        Ok((layer.attention_norm.apply(&output)?, weights))
    }

    fn attention_per_text(&self, input: &Input, sum: &Tensor) -> Result<Vec<Vec<f32>>, TchError> {
        let parts = self.layers.len() as f32 * self.heads as f32;
        let flat = flat(sum)?;
        let rows = flat.chunks(input.longest).zip(&input.lengths);
        Ok(rows.map(|(row, &length)| row[..length].iter().map(|weight| weight / parts).collect()).collect())
    }
}

/// The half of a layer that looks at each position alone.
fn feed_forward(layer: &Layer, hidden: &Tensor) -> Result<Tensor, TchError> {
    let wide = layer.intermediate.apply(hidden)?.f_gelu_("none")?;
    let mut output = layer.output.apply(&wide)?;
    let _ = output.f_add_(hidden)?;
    layer.output_norm.apply(&output)
}

impl Forward for BertForward {
    fn run(&self, batch: &[&[i64]], attention: bool, give_way: &mut dyn FnMut()) -> Result<Outputs, EncoderError> {
        let input = Input::new(batch)?;
        let mut hidden = self.embed(&input)?;
        let mut received: Option<Tensor> = None;
        for layer in &self.layers {
            give_way();
            let (attended, weights) = self.attend(layer, &hidden, &input)?;
            if attention {
                // [batch, heads, query, key] -> [batch, query, key] -> [batch, 1, key]
                let heads = weights.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?;
                let of_layer = input.query_shares.f_bmm(&heads)?;
                received = Some(match received {
                    Some(sum) => sum.f_add(&of_layer)?,
                    None => of_layer,
                });
            }
            drop(weights);
            give_way();
            hidden = feed_forward(layer, &attended)?;
        }
        let pooled = input.query_shares.f_bmm(&hidden)?;
        let attention = received.map(|sum| self.attention_per_text(&input, &sum)).transpose()?.unwrap_or_default();
        Ok(Outputs { embeddings: normalised_rows(&pooled)?, attention })
    }
}

/// A batch as tensors.
struct Input {
    /// `[batch, longest]`, padded with 0.
    ids: Tensor,
    /// `[batch, 1, 1, longest]`, `None` where nothing is padded.
    attention_mask: Option<Tensor>,
    /// `[batch, 1, longest]`: 1 / length for a text's positions, 0 for padding. A product with it
    /// is the mean over the text.
    query_shares: Tensor,
    lengths: Vec<usize>,
    longest: usize,
    rows: i64,
    columns: i64,
}

impl Input {
    fn new(batch: &[&[i64]]) -> Result<Self, TchError> {
        let lengths: Vec<usize> = batch.iter().map(|ids| ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let padded = |fill: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            lengths.iter().flat_map(|&length| (0..longest).map(move |position| fill(length, position))).collect()
        };
        let mut ids = Vec::with_capacity(batch.len() * longest);
        for text in batch {
            ids.extend_from_slice(text);
            ids.resize(ids.len() + longest - text.len(), 0);
        }
        let (rows, columns) = (batch.len().cast_signed() as i64, longest.cast_signed() as i64);
        let mask = padded(&|length, position| if position < length { 0.0 } else { MASKED });
        let shares = padded(&|length, position| if position < length { 1.0 / length as f32 } else { 0.0 });
        let attention_mask = if lengths.iter().all(|&length| length == longest) {
            None
        } else {
            Some(Tensor::f_from_slice(&mask)?.f_view([rows, 1, 1, columns])?)
        };
        Ok(Self {
            ids: Tensor::f_from_slice(&ids)?.f_view([rows, columns])?,
            attention_mask,
            query_shares: Tensor::f_from_slice(&shares)?.f_view([rows, 1, columns])?,
            lengths,
            longest,
            rows,
            columns,
        })
    }
}

/// `[batch, 1, DIMENSIONS]` as rows of length 1.
fn normalised_rows(pooled: &Tensor) -> Result<Vec<Vec<f32>>, EncoderError> {
    let mut rows: Vec<Vec<f32>> = flat(pooled)?.chunks(DIMENSIONS).map(<[f32]>::to_vec).collect();
    for row in &mut rows {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return Err(EncoderError::Failed("the model gave a vector without a direction".to_owned()));
        }
        for value in row.iter_mut() {
            *value /= norm;
        }
    }
    Ok(rows)
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::try_from(tensor.f_reshape([-1])?)
}

impl From<TchError> for EncoderError {
    fn from(error: TchError) -> Self {
        Self::Failed(format!("torch: {}", first_line(&error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        testing::{reference_rows, with_forward, word_pieces},
        word_pieces::{Excerpt, Keep},
    };

    fn ids(text: &str) -> Vec<i64> {
        word_pieces().pieces(Excerpt::of(text, Keep::Start), Keep::Start).unwrap().ids
    }

    fn run(texts: &[&[i64]]) -> Outputs {
        with_forward(|forward| forward.run(texts, true, &mut || ()).unwrap())
    }

    fn cosine(left: &[f32], right: &[f32]) -> f32 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    /// Rounded to six places in the reference, computed by another framework.
    const TOLERANCE: f32 = 1e-5;

    #[test]
    fn attention_per_piece_is_that_of_the_reference() {
        let Some(rows) = reference_rows() else { return };
        let mut worst = 0.0_f32;
        for row in &rows {
            let expected: Vec<f32> = serde_json::from_value(row["attention_received"].clone()).unwrap();
            let received = run(&[&ids(row["text"].as_str().unwrap())]).attention.remove(0);
            assert_eq!(received.len(), expected.len(), "{}", row["text"]);
            for (received, expected) in received.iter().zip(&expected) {
                worst = worst.max((received - expected).abs());
                assert!((received - expected).abs() < TOLERANCE, "{received} for {expected} in {}", row["text"]);
            }
        }
        println!("largest difference {worst:e} over {} rows", rows.len());
    }

    #[test]
    fn padding_changes_nothing() {
        let texts = [
            "refund",
            "My order arrived with the wrong size, can I swap it without paying shipping again?",
            "",
            &"Reset the device, wait ten seconds, and pair it again with the app. ".repeat(12),
            "Is breakfast included?",
        ]
        .map(ids);
        let batch: Vec<&[i64]> = texts.iter().map(Vec::as_slice).collect();
        let together = run(&batch);
        for (position, text) in texts.iter().enumerate() {
            let alone = run(&[text]);
            let cosine = cosine(&alone.embeddings[0], &together.embeddings[position]);
            assert!(cosine >= 0.99999, "cosine {cosine} for text {position}");
            let (alone, together) = (&alone.attention[0], &together.attention[position]);
            assert_eq!(alone.len(), text.len());
            assert!((together.iter().sum::<f32>() - 1.0).abs() < TOLERANCE);
            assert!(alone.iter().zip(together).all(|(alone, together)| (alone - together).abs() < TOLERANCE));
        }
    }

    #[test]
    fn what_runs_inside_a_layer_changes_nothing() {
        let (outer, inner) = (ids("Can my dog stay in the room?"), ids("Where is my parcel?"));
        let mut calls = 0;
        let disturbed = with_forward(|forward| {
            let mut between = || {
                calls += 1;
                forward.run(&[&inner], true, &mut || ()).unwrap();
            };
            forward.run(&[&outer], false, &mut between).unwrap()
        });
        assert_eq!(calls, 12);
        assert_eq!(disturbed.embeddings, run(&[&outer]).embeddings);
        assert!(disturbed.attention.is_empty());
    }

    #[test]
    fn an_error_of_torch_is_returned_without_its_stack_trace() {
        let outcome = with_forward(|forward| forward.run(&[&[101, 999_999, 102]], true, &mut || ()));
        let reason = outcome.unwrap_err().to_string();
        assert!(reason.contains("torch: ") && reason.ends_with("index out of range in self"), "{reason}");
    }
}
