//! The model itself, written over tch: word pieces in, vectors and attention out. rust-bert reads the configuration.
//!
//! Each text is a tensor of its own from beginning to end, so nothing is padded and, in int8, a text's vector is to the
//! last bit the same alone and in a batch. A batch still pays: the weights of one product stay in the processor's cache
//! while all texts pass it. Measured in turn with rust-bert's own layers in f32 on one core, those took 2 to 6 % longer
//! for one text of 34 word pieces, and they panic on every torch error, where this returns it.
//!
//! Not `Sync`, like every tensor: each thread has a `BertForward` of its own over the same weights.

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

use crate::{
    DIMENSIONS, EncoderError,
    layers::{EmbeddingLayer, Layer, NamedTensors},
    linear::Yield,
};

/// What a batch gives, one entry per text in the order of the batch.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// L2-normalised, [`crate::DIMENSIONS`] numbers each.
    pub(crate) embeddings: Vec<Vec<f32>>,
    /// Attention that each word piece of the text received, averaged over layers, heads and query
    /// positions (adds up to 1). Empty unless asked for.
    pub(crate) attention: Vec<Vec<f32>>,
}

/// The boundary between the threads and the model: number format, kernels and device are nobody else's business.
pub(crate) trait Forward {
    /// Runs texts, given as word pieces with `[CLS]` and `[SEP]`, as one batch.
    fn run(&self, batch: &[&[i64]], attention: bool, yield_now: Yield<'_>) -> Result<Outputs, EncoderError>;
}

pub(crate) struct BertForward {
    embeddings: EmbeddingLayer,
    layers: Vec<Layer>,
    heads: i64,
}

impl BertForward {
    /// Builds the model in f32; the error says what is wrong with the tensors.
    pub(crate) fn new(config: &BertConfig, tensors: &NamedTensors) -> Result<Self, String> {
        Ok(Self {
            embeddings: tensors.embeddings(config)?,
            layers: (0..config.num_hidden_layers)
                .map(|number| tensors.layer(number, config))
                .collect::<Result<_, _>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// The same model with its linear layers in int8. Any text does as `probe`: see [`crate::linear`].
    pub(crate) fn quantised(&self, probe: &[i64]) -> Result<Self, TchError> {
        let mut hidden = vec![self.embeddings.apply(probe)?];
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let (quantised, output) = self.quantised_layer(layer, &hidden)?;
            layers.push(quantised);
            hidden = output;
        }
        Ok(Self { embeddings: self.embeddings.share(), layers, heads: self.heads })
    }

    /// And what the layer made of `hidden` in f32.
    fn quantised_layer(&self, layer: &Layer, hidden: &[Tensor]) -> Result<(Layer, Vec<Tensor>), TchError> {
        let nobody = &mut || ();
        let mut contexts = self.contexts(layer, hidden, None, nobody)?;
        let attention_output = layer.attention_output.quantised(&contexts[0])?;
        let attended = layer.attended(hidden, &mut contexts, nobody)?;
        let quantised = Layer {
            query_key_value: layer.query_key_value.quantised(&hidden[0])?,
            attention_output,
            attention_norm: layer.attention_norm.share(),
            intermediate: layer.intermediate.quantised(&attended[0])?,
            output: layer.output.quantised(&layer.widen(&attended, nobody)?[0])?,
            output_norm: layer.output_norm.share(),
        };
        Ok((quantised, layer.feed_forward(&attended, nobody)?))
    }

    /// The same weights for another thread.
    pub(crate) fn share(&self) -> Self {
        Self {
            embeddings: self.embeddings.share(),
            layers: self.layers.iter().map(Layer::share).collect(),
            heads: self.heads,
        }
    }

    /// What each position sees at the others.
    fn contexts(
        &self,
        layer: &Layer,
        hidden: &[Tensor],
        mut received: Option<&mut Received>,
        yield_now: Yield<'_>,
    ) -> Result<Vec<Tensor>, TchError> {
        let joined = layer.query_key_value.apply(hidden, yield_now)?;
        let mut contexts = Vec::with_capacity(joined.len());
        for (text, joined) in joined.iter().enumerate() {
            let (context, shares) = attend(joined, self.heads, yield_now)?;
            contexts.push(context);
            if let Some(received) = received.as_deref_mut() {
                received.add(text, &shares)?;
            }
        }
        Ok(contexts)
    }
}

impl Forward for BertForward {
    fn run(&self, batch: &[&[i64]], attention: bool, yield_now: Yield<'_>) -> Result<Outputs, EncoderError> {
        let mut hidden =
            batch.iter().map(|text| self.embeddings.apply(text)).collect::<Result<Vec<Tensor>, TchError>>()?;
        let heads = self.layers.len() as f32 * self.heads as f32;
        let mut received = attention.then(|| Received::new(batch, heads));
        for layer in &self.layers {
            let mut contexts = self.contexts(layer, &hidden, received.as_mut(), yield_now)?;
            let attended = layer.attended(&hidden, &mut contexts, yield_now)?;
            hidden = layer.feed_forward(&attended, yield_now)?;
        }
        Ok(Outputs {
            embeddings: hidden.iter().map(mean_direction).collect::<Result<_, _>>()?,
            attention: received.map(Received::averages).unwrap_or_default(),
        })
    }
}

/// The mean of `[length, DIMENSIONS]`, as a vector of length 1.
fn mean_direction(hidden: &Tensor) -> Result<Vec<f32>, EncoderError> {
    let mut mean = vec![0.0_f32; DIMENSIONS];
    hidden.f_mean_dim([0_i64].as_slice(), false, Kind::Float)?.f_copy_data(&mut mean, DIMENSIONS)?;
    let norm = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return Err(EncoderError::Failed("the model gave a vector without a direction".to_owned()));
    }
    for value in &mut mean {
        *value /= norm;
    }
    Ok(mean)
}

/// From query, key and value side by side, `[length, 3 * hidden]`, to the context, `[length, hidden]`, and the shares of
/// attention, `[heads, key, query]`, which for each query add up to 1.
fn attend(joined: &Tensor, heads: i64, yield_now: Yield<'_>) -> Result<(Tensor, Tensor), TchError> {
    let (length, width) = joined.size2()?;
    // [length, 3, heads, size] -> [3, heads, length, size]
    let parts = joined.f_view([length, 3, heads, width / 3 / heads])?.f_permute([1, 2, 0, 3])?.f_unbind(0)?;
    let [query, key, value] = parts.as_slice() else {
        return Err(TchError::Shape(format!("attention in {} parts instead of 3", parts.len())));
    };
    // Keys stand in rows: torch's softmax over a column takes a third of the time of that over a row whose length is
    // no multiple of 16.
    yield_now();
    let scores = key.f_bmm(&query.f_transpose(1, 2)?)?;
    yield_now();
    let shares = scores.f_softmax(1, Kind::Float)?;
    yield_now();
    let context = shares.f_transpose(1, 2)?.f_bmm(value)?;
    Ok((context.f_transpose(0, 1)?.f_reshape([length, width / 3])?, shares))
}

/// Attention received so far, for each text of a batch.
struct Received {
    texts: Vec<Vec<f32>>,
    /// Heads of all layers together.
    heads: f32,
}

impl Received {
    fn new(batch: &[&[i64]], heads: f32) -> Self {
        Self { texts: batch.iter().map(|text| vec![0.0; text.len()]).collect(), heads }
    }

    /// Adds a layer's `[heads, key, query]` of a text.
    fn add(&mut self, text: usize, shares: &Tensor) -> Result<(), TchError> {
        let sums = shares.f_sum_dim_intlist([0_i64, 2].as_slice(), false, Kind::Float)?;
        let total = &mut self.texts[text];
        let mut of_layer = vec![0.0_f32; total.len()];
        sums.f_copy_data(&mut of_layer, total.len())?;
        for (total, sum) in total.iter_mut().zip(of_layer) {
            *total += sum;
        }
        Ok(())
    }

    /// Averages over layers, heads and query positions.
    fn averages(self) -> Vec<Vec<f32>> {
        let mut texts = self.texts;
        for total in &mut texts {
            let count = self.heads * total.len() as f32;
            for value in total.iter_mut() {
                *value /= count;
            }
        }
        texts
    }
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
        with_forward(precision, |forward| forward.run(texts, true, &mut || ()).unwrap())
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

    /// Measured here: 0.9957 for nothing but `[CLS]` and `[SEP]`, 0.9981 and more for words, 0.9988 on average.
    /// Where the processor lacks VNNI, 0.9936 and 0.9979 over 790 customer turns.
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
                    forward.run(&[&inner], true, &mut || ()).unwrap();
                };
                forward.run(&[&outer], false, &mut between).unwrap()
            });
            // Four linear layers and three steps of attention in each of six layers.
            assert_eq!(calls, 6 * 7, "{precision}");
            assert_eq!(disturbed.embeddings, run(precision, &[&outer]).embeddings, "{precision}");
            assert!(disturbed.attention.is_empty());
        }
    }

    #[test]
    fn an_error_of_torch_is_returned_without_its_stack_trace() {
        let outcome = with_forward(Precision::F32, |forward| forward.run(&[&[101, 999_999, 102]], true, &mut || ()));
        let reason = outcome.unwrap_err().to_string();
        assert!(reason.contains("torch: ") && reason.ends_with("index out of range in self"), "{reason}");
    }
}
