//! Attention within one text, and how much of it each word piece received.

use tch::{Kind, TchError, Tensor};

use crate::forward::GiveWay;

/// From query, key and value side by side, `[length, 3 * hidden]`, to the context, `[length, hidden]`, and the shares of
/// attention, `[heads, key, query]`, which for each query add up to 1.
pub(crate) fn attend(joined: &Tensor, heads: i64, give_way: GiveWay<'_>) -> Result<(Tensor, Tensor), TchError> {
    let (length, width) = joined.size2()?;
    // [length, 3, heads, size] -> [3, heads, length, size]
    let parts = joined.f_view([length, 3, heads, width / 3 / heads])?.f_permute([1, 2, 0, 3])?.f_unbind(0)?;
    let [query, key, value] = parts.as_slice() else {
        return Err(TchError::Shape(format!("attention in {} parts instead of 3", parts.len())));
    };
    // Keys stand in rows: torch's softmax over a column takes a third of the time of that over a row whose length is
    // no multiple of 16.
    give_way();
    let scores = key.f_bmm(&query.f_transpose(1, 2)?)?;
    give_way();
    let shares = scores.f_softmax(1, Kind::Float)?;
    give_way();
    let context = shares.f_transpose(1, 2)?.f_bmm(value)?;
    Ok((context.f_transpose(0, 1)?.f_reshape([length, width / 3])?, shares))
}

/// Attention received so far, for each text of a batch.
pub(crate) struct Received {
    texts: Vec<Vec<f32>>,
    /// Heads of all layers together.
    heads: f32,
}

impl Received {
    pub(crate) fn new(batch: &[&[i64]], heads: f32) -> Self {
        Self { texts: batch.iter().map(|text| vec![0.0; text.len()]).collect(), heads }
    }

    /// Adds a layer's `[heads, key, query]` of a text.
    pub(crate) fn add(&mut self, text: usize, shares: &Tensor) -> Result<(), TchError> {
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
    pub(crate) fn averages(self) -> Vec<Vec<f32>> {
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
