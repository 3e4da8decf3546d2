//! Which texts go through the model together.
//!
//! Texts of one batch are padded to its longest, so texts of like length belong together, and a
//! long batch makes whoever comes next wait. Pure: lengths in, groups of positions out.

/// Bulk texts in one batch at most.
pub(crate) const BULK_MAX_TEXTS: usize = 8;

/// Padded word pieces in one bulk batch at most, unless one text alone is longer. A live text
/// waits for half a layer of it, so small batches keep that wait far below a live text's own time.
pub(crate) const BULK_MAX_PADDED_PIECES: usize = 128;

/// Padded word pieces in one live batch at most: eight utterances of usual length. Two texts of 256
/// pieces took a quarter longer together than one after the other.
pub(crate) const LIVE_MAX_PADDED_PIECES: usize = 288;

/// Groups positions of `lengths`, shortest texts first, so that no group has more than
/// `max_texts` texts, nor more than `max_padded` pieces after padding unless it is a single text.
pub(crate) fn plan(lengths: &[usize], max_texts: usize, max_padded: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&position| lengths[position]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for position in order {
        match batches.last_mut() {
            Some(batch) if batch.len() < max_texts && (batch.len() + 1) * lengths[position] <= max_padded => {
                batch.push(position);
            }
            _ => batches.push(vec![position]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        type Case<'a> = (&'a [usize], usize, usize, &'a [&'a [usize]]);
        let cases: [Case<'_>; 6] = [
            (&[], 8, 128, &[]),
            (&[5], 8, 128, &[&[0]]),
            (&[30, 3, 31, 4], 8, 64, &[&[1, 3], &[0, 2]]),
            (&[4, 4, 4, 4, 4], 2, 128, &[&[0, 1], &[2, 3], &[4]]),
            (&[256, 256, 10], 8, 128, &[&[2], &[0], &[1]]),
            (&[32, 32, 32, 32, 32], 8, 128, &[&[0, 1, 2, 3], &[4]]),
        ];
        for (lengths, max_texts, max_padded, expected) in cases {
            assert_eq!(plan(lengths, max_texts, max_padded), expected, "{lengths:?}");
        }
    }
}
