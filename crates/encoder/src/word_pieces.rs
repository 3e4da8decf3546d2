//! The tokeniser: text in, the model's input out; and where a long text is cut so that every part fits into the model.
//!
//! Special tokens that stand in a text (`[SEP]`, typed by a customer) are text here, never special.
//! The packaged tokeniser pads everything to 128 and cuts at 128; both are switched off, and
//! cutting is done here, at the end that the caller wants kept.

use std::{ops::Range, path::Path};

use cuecard_text::Spoken;
use tokenizers::{Encoding as Tokens, Tokenizer};

use crate::{EncoderError, MAX_WORD_PIECES};

/// Word pieces of a text beside `[CLS]` and `[SEP]`.
pub(crate) const MAX_TEXT_PIECES: usize = MAX_WORD_PIECES - 2;

/// More of a text is never looked at: 254 pieces of any language are within it, and a text of
/// megabytes can't hold a thread for seconds.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// What is tokenised at first of a longer text; 254 pieces of English take about 1,200 bytes.
const FIRST_WINDOW_BYTES: usize = 4 * 1024;

/// Word pieces that a chunk shares with the one before, at most: a sentence or two, so that what
/// is said across a cut is whole in one of them.
const OVERLAP_PIECES: usize = 32;

/// Which part of a text that is too long goes into the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Articles: their beginning.
    Start,
    /// Conversations: what was said last.
    End,
}

/// The part of a text that the tokeniser may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excerpt<'a> {
    pub(crate) text: &'a str,
    /// Something other than white space was left out.
    pub(crate) cut: bool,
}

/// The model's input for one text.
#[derive(Debug, PartialEq)]
pub(crate) struct Pieces {
    /// `[CLS]`, at most 254 pieces, `[SEP]`.
    pub(crate) ids: Vec<i64>,
    /// The words that are there whole.
    pub(crate) words: Vec<Word>,
    pub(crate) truncated: bool,
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case.
    pub(crate) text: Spoken,
    /// Its word pieces, as positions in the model's input.
    pub(crate) pieces: Range<usize>,
}

/// Where a word piece starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PieceStart {
    /// Byte in the text.
    pub(crate) byte: usize,
    pub(crate) begins_word: bool,
}

/// As much of a text as was tokenised, and what of it goes into the model.
struct Window<'a> {
    excerpt: Excerpt<'a>,
    tokens: Tokens,
    kept: Range<usize>,
}

pub(crate) struct WordPieces {
    tokenizer: Tokenizer,
    start_id: i64,
    end_id: i64,
}

impl WordPieces {
    /// Reads `tokenizer.json`; the error is the reason alone.
    pub(crate) fn from_file(path: &Path, vocabulary: usize) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| error.to_string())?;
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None).set_encode_special_tokens(true);
        let known = tokenizer.get_vocab_size(true);
        if known > vocabulary {
            return Err(format!("it knows {known} word pieces, the model {vocabulary}"));
        }
        let special =
            |token: &str| tokenizer.token_to_id(token).map(i64::from).ok_or_else(|| format!("it has no {token}"));
        let (start_id, end_id) = (special("[CLS]")?, special("[SEP]")?);
        Ok(Self { tokenizer, start_id, end_id })
    }

    /// The model's input for a text, its end or its beginning if it is too long.
    pub(crate) fn pieces(&self, excerpt: Excerpt<'_>, keep: Keep) -> Result<Pieces, EncoderError> {
        let window = self.window(excerpt, keep)?;
        Ok(Pieces {
            ids: self.input(&window),
            truncated: window.excerpt.cut || window.kept.len() < window.tokens.len(),
            words: words(window.excerpt.text, &window.tokens, window.kept),
        })
    }

    /// The same without the words.
    pub(crate) fn ids(&self, excerpt: Excerpt<'_>, keep: Keep) -> Result<Vec<i64>, EncoderError> {
        Ok(self.input(&self.window(excerpt, keep)?))
    }

    fn window<'a>(&self, excerpt: Excerpt<'a>, keep: Keep) -> Result<Window<'a>, EncoderError> {
        let mut window_bytes = FIRST_WINDOW_BYTES;
        loop {
            let window = excerpt.shorten(window_bytes, keep);
            let tokens = self.tokenize(window.text)?;
            let whole = whole_words(&tokens, window.cut, keep);
            if whole.len() >= MAX_TEXT_PIECES || window.text.len() == excerpt.text.len() {
                let kept = match keep {
                    Keep::Start => whole.start..whole.end.min(whole.start + MAX_TEXT_PIECES),
                    Keep::End => whole.end.saturating_sub(MAX_TEXT_PIECES).max(whole.start)..whole.end,
                };
                return Ok(Window { excerpt: window, tokens, kept });
            }
            window_bytes *= 4;
        }
    }

    fn input(&self, window: &Window<'_>) -> Vec<i64> {
        let ids = window.tokens.get_ids()[window.kept.clone()].iter().map(|&id| i64::from(id));
        std::iter::once(self.start_id).chain(ids).chain([self.end_id]).collect()
    }

    /// Where the word pieces of a whole text start.
    pub(crate) fn piece_starts(&self, text: &str) -> Result<Vec<PieceStart>, EncoderError> {
        let tokens = self.tokenize(text)?;
        let mut word_before = None;
        let starts = tokens.get_offsets().iter().zip(tokens.get_word_ids()).map(|(&(byte, _), &word)| {
            let begins_word = word != word_before;
            word_before = word;
            PieceStart { byte: text.floor_char_boundary(byte), begins_word }
        });
        Ok(starts.collect())
    }

    fn tokenize(&self, text: &str) -> Result<Tokens, EncoderError> {
        self.tokenizer.encode(text, false).map_err(|error| EncoderError::Failed(format!("tokeniser: {error}")))
    }
}

impl<'a> Excerpt<'a> {
    /// At most 64 KiB of a text, without white space around it.
    pub(crate) fn of(text: &'a str, keep: Keep) -> Self {
        Excerpt { text: text.trim(), cut: false }.shorten(MAX_TEXT_BYTES, keep)
    }

    fn shorten(self, bytes: usize, keep: Keep) -> Self {
        if self.text.len() <= bytes {
            return self;
        }
        let text = match keep {
            Keep::Start => &self.text[..self.text.floor_char_boundary(bytes)],
            Keep::End => &self.text[self.text.ceil_char_boundary(self.text.len() - bytes)..],
        };
        Excerpt { text, cut: true }
    }
}

/// The tokens of a window without the word that its cut may have split, so that what is left is
/// what the whole text gives. All of them if that word is all there is.
fn whole_words(tokens: &Tokens, cut: bool, keep: Keep) -> Range<usize> {
    let word_ids = tokens.get_word_ids();
    let all = 0..word_ids.len();
    if !cut {
        return all;
    }
    let whole = match keep {
        Keep::Start => 0..word_ids.iter().rposition(|word| Some(word) != word_ids.last()).map_or(0, |last| last + 1),
        Keep::End => word_ids.iter().position(|word| Some(word) != word_ids.first()).unwrap_or(all.end)..all.end,
    };
    if whole.is_empty() { all } else { whole }
}

/// The words whose pieces all lie in `kept`, with positions that count `[CLS]`.
fn words(text: &str, tokens: &Tokens, kept: Range<usize>) -> Vec<Word> {
    let (word_ids, offsets) = (tokens.get_word_ids(), tokens.get_offsets());
    let mut words = Vec::new();
    let mut first = kept.start;
    while first < kept.end {
        let after = (first..word_ids.len()).find(|&piece| word_ids[piece] != word_ids[first]).unwrap_or(word_ids.len());
        let split_before = first > 0 && word_ids[first - 1] == word_ids[first];
        if !split_before && after <= kept.end {
            let (start, end) =
                (text.floor_char_boundary(offsets[first].0), text.ceil_char_boundary(offsets[after - 1].1));
            words.push(Word {
                text: text[start..end].to_lowercase().into(),
                pieces: first - kept.start + 1..after - kept.start + 1,
            });
        }
        first = after;
    }
    words
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
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::testing::word_pieces;

    const CLS: i64 = 101;
    const SEP: i64 = 102;

    fn pieces(text: &str, keep: Keep) -> Pieces {
        word_pieces().pieces(Excerpt::of(text, keep), keep).unwrap()
    }

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.verbatim()).collect()
    }

    #[test]
    fn words_join_their_pieces() {
        let pieces = pieces("The warranty, naïve Café!", Keep::End);
        assert_eq!(texts(&pieces.words), ["the", "warranty", ",", "naïve", "café", "!"]);
        assert_eq!(pieces.words[1].pieces, 2..4);
        assert_eq!(pieces.words[2].pieces, 4..5);
        assert!(!pieces.truncated);
    }

    #[test]
    fn nothing_in_gives_only_the_special_pieces() {
        for text in ["", "   ", "\n\t\u{a0}", "\u{0}\u{1}\u{7f}"] {
            let pieces = pieces(text, Keep::End);
            assert_eq!((pieces.ids, pieces.words.len(), pieces.truncated), (vec![CLS, SEP], 0, false), "{text:?}");
        }
    }

    #[test]
    fn special_tokens_in_a_text_are_text() {
        let pieces = pieces("[SEP] refund [PAD][CLS]", Keep::End);
        let inside = &pieces.ids[1..pieces.ids.len() - 1];
        assert!(inside.iter().all(|id| ![0, CLS, SEP].contains(id)), "{inside:?}");
        assert_eq!(texts(&pieces.words), ["[", "sep", "]", "refund", "[", "pad", "]", "[", "cls", "]"]);
    }

    #[test]
    fn truncation_keeps_the_end_or_the_beginning() {
        let text = format!("alpha {} omega", "word ".repeat(300));
        let (end, start) = (pieces(&text, Keep::End), pieces(&text, Keep::Start));
        for pieces in [&end, &start] {
            assert_eq!((pieces.ids.len(), pieces.ids[0], pieces.ids[255], pieces.truncated), (256, CLS, SEP, true));
        }
        assert_eq!((texts(&end.words)[0], texts(&end.words)[253]), ("word", "omega"));
        assert_eq!((texts(&start.words)[0], texts(&start.words)[253]), ("alpha", "word"));
    }

    #[test]
    fn a_word_cut_by_truncation_is_no_word() {
        let text = format!("0x80070005 {}", "word ".repeat(251));
        let pieces = pieces(&text, Keep::End);
        assert!(pieces.truncated && pieces.ids.len() == 256);
        assert_eq!(texts(&pieces.words), vec!["word"; 251]);
        assert_eq!(pieces.words[0].pieces.start, 4);
    }

    #[test]
    fn exactly_254_pieces_are_not_truncated() {
        assert!(!pieces(&"word ".repeat(254), Keep::End).truncated);
        assert!(pieces(&"word ".repeat(255), Keep::End).truncated);
    }

    #[test]
    fn a_window_without_a_whole_word_is_used_as_it_is() {
        let pieces = pieces(&"x".repeat(1_000_000), Keep::End);
        assert_eq!((pieces.ids.len(), pieces.truncated), (3, true));
    }

    #[test]
    fn a_word_split_by_the_window_never_gets_in() {
        // The gap moves the window's edge through every place in a word, also where the window
        // holds just as many pieces as are kept.
        for gap in 0..64 {
            let text = format!("{}{}order", "word            ".repeat(600), " ".repeat(gap));
            let pieces = pieces(&text, Keep::End);
            assert_eq!(pieces.words.len(), MAX_TEXT_PIECES, "{gap}");
            assert!(pieces.words[..253].iter().all(|word| word.text == "word".into()), "{gap}");
            assert_eq!(pieces.ids[1..254], vec![pieces.ids[1]; 253], "{gap}");
            assert_eq!(pieces.ids[1], word_pieces().tokenizer.token_to_id("word").map(i64::from).unwrap(), "{gap}");
        }
    }

    /// Pieces of two bytes each; a word begins at every `word`-th.
    fn pieces_of(count: usize, word: usize) -> Vec<PieceStart> {
        (0..count).map(|piece| PieceStart { byte: piece * 2, begins_word: piece % word == 0 }).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_chunk() {
        for count in [0, 1, 127, 128] {
            let ranges = chunk_ranges(1000, &pieces_of(count, 1), 128);
            assert!(matches!(ranges.as_slice(), [whole] if *whole == (0..1000)), "{count}: {ranges:?}");
        }
    }

    #[test]
    fn neighbours_overlap_by_32_pieces() {
        assert_eq!(chunk_ranges(600, &pieces_of(300, 1), 128), [0..256, 192..448, 384..600]);
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(chunk_ranges(400, &pieces_of(200, 10), 128), [0..240, 180..400]);
    }

    /// Words, numbers, punctuation, several scripts, marks, controls and long runs.
    fn any_text(max_parts: usize) -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => "[a-zA-Z]{1,14}",
            1 => "[0-9]{1,9}",
            1 => Just("0x80070005".to_owned()),
            1 => "[.,;:!?'/@-]{1,3}",
            1 => "\\PC{1,6}",
            1 => "[\u{4e00}-\u{4e40}\u{ac00}-\u{ac40}\u{600}-\u{640}]{1,8}",
            1 => "[e\u{301}\u{200d}\u{1f642}\u{0}\u{7}]{1,6}",
            1 => "[a-z]{90,130}",
        ];
        let joint = prop_oneof![5 => Just(" "), 1 => Just(""), 1 => Just("\n\t ")];
        proptest::collection::vec((part, joint), 0..max_parts)
            .prop_map(|parts| parts.into_iter().map(|(part, joint)| part + joint).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn chunks_cover_the_text_and_fit(text in any_text(700), limit in 128..=MAX_TEXT_PIECES) {
            let word_pieces = word_pieces();
            let starts = word_pieces.piece_starts(&text).unwrap();
            let ranges = chunk_ranges(text.len(), &starts, limit);
            prop_assert_eq!(ranges[0].start, 0);
            prop_assert_eq!(ranges[ranges.len() - 1].end, text.len());
            prop_assert_eq!(ranges.len() == 1, starts.len() <= limit);
            for neighbours in ranges.windows(2) {
                prop_assert!(neighbours[0].start < neighbours[1].start && neighbours[1].start <= neighbours[0].end);
            }
            for range in ranges {
                let chunk = text.get(range.clone());
                prop_assert!(chunk.is_some(), "{:?} cuts a character", range);
                prop_assert!(word_pieces.piece_starts(chunk.unwrap_or_default()).unwrap().len() <= limit);
            }
        }

        #[test]
        fn looking_at_a_part_gives_what_the_whole_text_gives(text in any_text(1800)) {
            let tokens = word_pieces().tokenize(text.trim()).unwrap();
            let all: Vec<i64> = tokens.get_ids().iter().map(|&id| i64::from(id)).collect();
            let kept = all.len().min(MAX_TEXT_PIECES);
            for (keep, expected) in [(Keep::Start, &all[..kept]), (Keep::End, &all[all.len() - kept..])] {
                let pieces = pieces(&text, keep);
                prop_assert_eq!(&pieces.ids[1..pieces.ids.len() - 1], expected, "{:?}", keep);
                prop_assert_eq!(pieces.truncated, all.len() > MAX_TEXT_PIECES);
                let counted: usize = pieces.words.iter().map(|word| word.pieces.len()).sum();
                prop_assert!(counted <= kept && pieces.words.iter().all(|word| word.pieces.end <= kept + 1));
            }
        }
    }
}
