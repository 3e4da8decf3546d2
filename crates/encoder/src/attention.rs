//! What each position of a text sees at the others: softmax(query · key) · value, head by head.
//!
//! The products are ndarray's, on views into the rows, so that no head is copied and no text is padded; the softmax between
//! them is our own.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, ShapeError, linalg::general_mat_mul};

use crate::{
    linear::Yield,
    rows::Rows,
    simd::{exp, greater, sum, vectorised},
};

/// The texts of a batch and the heads that look at each of them.
pub(crate) struct Texts<'a> {
    /// Each text's, one text behind the other.
    pub(crate) rows: &'a [Range<usize>],
    pub(crate) heads: usize,
}

/// Makes `contexts` what each position sees, `[word pieces, hidden]`, from query, key and value side by side, `[word
/// pieces, 3 · hidden]`.
///
/// `received` gets, for each word piece, what it got of the attention of all queries and heads together.
pub(crate) fn attend(
    joined: &Rows,
    texts: &Texts<'_>,
    contexts: &mut Rows,
    received: &mut [f32],
    yield_now: Yield<'_>,
) -> Result<(), ShapeError> {
    let hidden = joined.width / 3;
    let mut scores = Vec::new();
    contexts.resize(joined.count(), hidden);
    for rows in texts.rows {
        yield_now();
        let (length, received) = (rows.len(), &mut received[rows.clone()]);
        let (joined, contexts) = (joined.slice(rows.clone()), contexts.slice_mut(rows.clone()));
        let size = hidden / texts.heads;
        let part = |start: usize| ArrayView2::from_shape((length, size).strides((3 * hidden, 1)), &joined[start..]);
        scores.resize(length * length, 0.0);
        for at in (0..hidden).step_by(size) {
            let (query, key, value) = (part(at)?, part(hidden + at)?, part(2 * hidden + at)?);
            let context = (length, size).strides((hidden, 1));
            let mut context = ArrayViewMut2::from_shape(context, &mut contexts[at..])?;
            let mut of_keys = ArrayViewMut2::from_shape((length, length), &mut scores)?;
            general_mat_mul(1.0, &key, &query.t(), 0.0, &mut of_keys);
            softmax(&mut scores, received);
            let shares = ArrayView2::from_shape((length, length), &scores)?;
            general_mat_mul(1.0, &shares.t(), &value, 0.0, &mut context);
        }
    }
    Ok(())
}

vectorised! {
    /// Turns the scores of each query, a column of `[keys, queries]`, into shares that add up to 1, and adds each key's to what
    /// it `received`.
    fn softmax(scores: &mut [f32], received: &mut [f32]) {
        let length = received.len();
        let (mut most, mut sums) = (vec![f32::NEG_INFINITY; length], vec![0.0; length]);
        for of_key in scores.chunks_exact(length) {
            for (most, score) in most.iter_mut().zip(of_key) {
                *most = greater(*most, *score);
            }
        }
        for of_key in scores.chunks_exact_mut(length) {
            for ((score, most), sum) in of_key.iter_mut().zip(&most).zip(&mut sums) {
                *score = exp(*score - most);
                *sum += *score;
            }
        }
        for sum in &mut sums {
            *sum = 1.0 / *sum;
        }
        for (of_key, received) in scores.chunks_exact_mut(length).zip(received) {
            for (score, factor) in of_key.iter_mut().zip(&sums) {
                *score *= factor;
            }
            *received += sum(of_key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tch::{Kind, Tensor};

    use super::*;
    use crate::rows::text_rows;

    const HEADS: usize = 3;
    const SIZE: usize = 32;
    const HIDDEN: usize = HEADS * SIZE;

    fn joined(count: usize) -> Rows {
        let values = (0..count * 3 * HIDDEN).map(|number| (number as f32 * 0.37).sin() * 2.0).collect();
        Rows { values, width: 3 * HIDDEN }
    }

    /// By torch, for one text: its context and what each position received.
    fn by_torch(joined: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let length = joined.len() / 3 / HIDDEN;
        let parts = Tensor::from_slice(joined)
            .view([length, 3, HEADS, SIZE].map(|size| i64::try_from(size).unwrap()))
            .permute([1, 2, 0, 3])
            .unbind(0);
        let shares = parts[0].bmm(&parts[1].transpose(1, 2)).softmax(2, Kind::Float);
        let context = shares.bmm(&parts[2]).transpose(0, 1).reshape([-1]);
        (
            context.try_into().unwrap(),
            shares.sum_dim_intlist([0_i64, 1].as_slice(), false, Kind::Float).try_into().unwrap(),
        )
    }

    #[test]
    fn each_text_of_a_batch_sees_itself_alone_whatever_its_length() {
        let lengths = [2, 3, 7, 8, 9, 15, 16, 17, 33, 256];
        let texts = text_rows(lengths.into_iter());
        let joined = joined(lengths.iter().sum());
        let (mut received, mut yields) = (vec![0.0; joined.count()], 0);
        let (mut contexts, of_batch) = (Rows::default(), Texts { rows: &texts, heads: HEADS });
        attend(&joined, &of_batch, &mut contexts, &mut received, &mut || yields += 1).unwrap();
        assert_eq!(yields, lengths.len());
        for text in texts {
            let (context, shares) = by_torch(joined.slice(text.clone()));
            let same =
                |left: &[f32], right: &[f32]| left.iter().zip(right).all(|(left, right)| (left - right).abs() < 2e-5);
            assert!(same(contexts.slice(text.clone()), &context), "{text:?}");
            assert!(same(&received[text.clone()], &shares), "{text:?}");
            let total: f32 = received[text.clone()].iter().sum();
            assert!((total / (HEADS * text.len()) as f32 - 1.0).abs() < 1e-5, "{text:?}");
        }
    }
}
