//! Which texts go through the model together.
//!
//! A batch shares the weights that it pulls into the processor's cache, and makes whoever comes next
//! wait. Pure: lengths in, ranges of positions out.

use std::ops::Range;

/// Bulk texts in one batch at most.
pub(crate) const BULK_MAX_TEXTS: usize = 8;

/// Word pieces in one bulk batch at most, unless one text alone is longer. A live text waits for
/// half a layer of it, so small batches keep that wait below a live text's own time.
pub(crate) const BULK_MAX_PIECES: usize = 128;

/// Word pieces in one live batch at most, unless one text alone is longer: eight utterances of usual
/// length. Longer texts gain nothing from each other's company.
pub(crate) const LIVE_MAX_PIECES: usize = 288;

/// Cuts `lengths` into runs of at most `max_texts` texts and, unless it is a single text,
/// `max_pieces` pieces.
pub(crate) fn plan(lengths: &[usize], max_texts: usize, max_pieces: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut pieces = 0;
    for (position, &length) in lengths.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if batch.len() < max_texts && pieces + length <= max_pieces => {
                batch.end += 1;
                pieces += length;
            }
            _ => {
                batches.push(position..position + 1);
                pieces = length;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)]
    use super::*;

    #[test]
    fn plans() {
        type Case<'a> = (&'a [usize], usize, usize, &'a [Range<usize>]);
        let cases: [Case<'_>; 6] = [
            (&[], 8, 128, &[]),
            (&[5], 8, 128, &[0..1]),
            (&[30, 3, 31, 4], 8, 64, &[0..3, 3..4]),
            (&[4, 4, 4, 4, 4], 2, 128, &[0..2, 2..4, 4..5]),
            (&[256, 256, 10], 8, 128, &[0..1, 1..2, 2..3]),
            (&[32, 32, 32, 32, 32], 8, 128, &[0..4, 4..5]),
        ];
        for (lengths, max_texts, max_pieces, expected) in cases {
            assert_eq!(plan(lengths, max_texts, max_pieces), expected, "{lengths:?}");
        }
    }
}
