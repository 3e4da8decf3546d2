//! Where a long text is cut so that every part fits into the model.
//!
//! Pure: where the word pieces of a text start, in; overlapping byte ranges out.

use std::ops::Range;

/// Word pieces that a chunk shares with the one before, at most: a sentence or two, so that what
/// is said across a cut is whole in one of them.
const OVERLAP_PIECES: usize = 32;

/// Where a word piece starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PieceStart {
    /// Byte in the text.
    pub(crate) byte: usize,
    pub(crate) begins_word: bool,
}

/// Byte ranges that cover `0..text_bytes`, each with at most `limit` pieces, cut between words: the tokeniser gives up on
/// a word at 100 characters, so with a limit above that there is a cut.
pub(crate) fn chunk_ranges(text_bytes: usize, pieces: &[PieceStart], limit: usize) -> Vec<Range<usize>> {
    let byte = |piece: usize| if piece == 0 { 0 } else { pieces[piece].byte };
    let mut ranges = Vec::new();
    let mut first = 0;
    while pieces.len() - first > limit {
        let furthest = first + limit;
        let cut = (first + 1..=furthest).rev().find(|&piece| pieces[piece].begins_word).unwrap_or(furthest);
        ranges.push(byte(first)..byte(cut));
        let earliest = cut.saturating_sub(OVERLAP_PIECES).max(first + 1);
        first = (earliest..=cut).find(|&piece| pieces[piece].begins_word).unwrap_or(cut);
    }
    ranges.push(byte(first)..text_bytes);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of two bytes each; a word begins at every `word`-th.
    fn pieces(count: usize, word: usize) -> Vec<PieceStart> {
        (0..count).map(|piece| PieceStart { byte: piece * 2, begins_word: piece % word == 0 }).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_chunk() {
        for count in [0, 1, 127, 128] {
            let ranges = chunk_ranges(1000, &pieces(count, 1), 128);
            assert!(matches!(ranges.as_slice(), [whole] if *whole == (0..1000)), "{count}: {ranges:?}");
        }
    }

    #[test]
    fn neighbours_overlap_by_32_pieces() {
        assert_eq!(chunk_ranges(600, &pieces(300, 1), 128), [0..256, 192..448, 384..600]);
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(chunk_ranges(400, &pieces(200, 10), 128), [0..240, 180..400]);
    }
}
