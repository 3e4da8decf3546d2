//! Cuts an article into the texts that are embedded.
//!
//! Input is an article and an encoder that knows what fits its model. Output is one passage for a short article; a long
//! one is cut into overlapping pieces of its body, each with the heading in front, each of a hundred words or so and within
//! the model's limit.
//! What customers say when they need the article stands beside its passages, each phrase by itself with the entity in
//! front; whoever is led to the article by one is shown its first passage.
//! A heading that alone fills a piece is left out of all of them. Whatever ranges the encoder answers, every byte
//! of the body is in a passage and the cutting ends.

use std::ops::Range;

use crate::article::{Article, join_heading};
use crate::encoder::TextEncoder;

/// How much text the encoder is asked to cut at a time: several pieces of any model in use, so that a long article is
/// not tokenised again and again to its end.
const WINDOW_BYTES: usize = 8 * 1024;

/// A longer passage says too many things for one vector to be near to a question about one of them.
const LONGEST_WORDS: usize = 110;
/// How many words after it the next one starts: what answers stands whole in one of them.
const STEP_WORDS: usize = 80;

/// A piece of an article and the text that stands for it in the vector space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where it lies in the article's body, or what is shown for it; empty when the body is.
    pub body: Range<usize>,
    pub text: String,
}

/// The passages of `article`, at least one, in the order of the body.
pub fn passages(article: &Article, encoder: &dyn TextEncoder) -> Vec<Passage> {
    let heading = article.heading();
    let mut passages = cut(&heading, &article.body, encoder)
        .or_else(|| cut("", &article.body, encoder))
        .unwrap_or_else(|| vec![Passage { body: 0..article.body.len(), text: article.text() }]);
    let shown = passages[0].body.clone();
    passages.extend(article.phrases().map(|phrase| Passage { body: shown.clone(), text: article.asked(phrase) }));
    passages
}

/// `None` when the heading leaves no room for the body.
fn cut(heading: &str, body: &str, encoder: &dyn TextEncoder) -> Option<Vec<Passage>> {
    let mut passages = Vec::new();
    let mut start = 0;
    loop {
        let piece = first_piece(heading, &body[start..], encoder)?;
        let range = start..start + piece.end;
        passages.push(Passage { text: join_heading(heading, &body[range.clone()]), body: range });
        match piece.next {
            Some(next) => start += next,
            None => return Some(passages),
        }
    }
}

/// The first piece of `rest`: where it ends, and where the one after it starts.
struct Piece {
    end: usize,
    next: Option<usize>,
}

fn first_piece(heading: &str, rest: &str, encoder: &dyn TextEncoder) -> Option<Piece> {
    let longest = longest_piece(rest);
    // A page may have a mebibyte of white space behind its last word.
    let words_end = rest[..longest.end].trim_end().len();
    let mut window_bytes = WINDOW_BYTES;
    loop {
        let window = &rest[..rest.floor_char_boundary(window_bytes.min(words_end))];
        let text = join_heading(heading, window);
        let in_front = text.len() - window.len();
        match encoder.chunks(&text).as_slice() {
            [first, second, ..] => return piece_between(rest, in_front, first, second),
            _ if window.len() == words_end => return Some(longest),
            _ => window_bytes *= 2,
        }
    }
}

/// A piece of as many words as one may have.
fn longest_piece(rest: &str) -> Piece {
    let mut words = rest.split_whitespace().map(|word| word.as_ptr() as usize - rest.as_ptr() as usize);
    let (next, beyond) = (words.nth(STEP_WORDS), words.nth(LONGEST_WORDS - STEP_WORDS - 1));
    match beyond {
        Some(beyond) => Piece { end: rest[..beyond].trim_end().len(), next },
        None => Piece { end: rest.len(), next: None },
    }
}

fn piece_between(rest: &str, in_front: usize, first: &Range<usize>, second: &Range<usize>) -> Option<Piece> {
    let end = rest.floor_char_boundary(first.end.saturating_sub(in_front));
    if end == 0 {
        return None;
    }
    let overlap_start = rest.floor_char_boundary(second.start.saturating_sub(in_front));
    // An overlap that reaches back to the start would never end; the pieces then follow each other without one.
    let next = if overlap_start == 0 { end } else { overlap_start.min(end) };
    Some(Piece { end, next: (end < rest.len()).then_some(next) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;

    /// Cuts after `length` words, each piece starting `overlap` words before the end of the one before.
    struct Words {
        length: usize,
        overlap: usize,
    }

    impl TextEncoder for Words {
        fn model(&self) -> &'static str {
            "words"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn chunks(&self, text: &str) -> Vec<Range<usize>> {
            let starts: Vec<usize> =
                text.split_whitespace().map(|word| word.as_ptr() as usize - text.as_ptr() as usize).collect();
            let end_of = |word: usize| starts.get(word).copied().unwrap_or(text.len());
            let mut ranges = Vec::new();
            let mut first = 0;
            loop {
                ranges.push(end_of(first).min(text.len())..end_of(first + self.length));
                if first + self.length >= starts.len() {
                    return ranges;
                }
                first += self.length - self.overlap;
            }
        }

        fn embed(&self, _: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
            Err("not used".into())
        }
    }

    fn article(title: &str, body: &str) -> Article {
        Article { id: "a".into(), title: title.into(), body: body.into(), ..Article::default() }
    }

    fn texts(title: &str, body: &str) -> Vec<String> {
        let encoder = Words { length: 5, overlap: 2 };
        passages(&article(title, body), &encoder).into_iter().map(|passage| passage.text).collect()
    }

    #[test]
    fn a_short_article_is_one_text() {
        assert_eq!(texts("Two words", "one two three"), ["Two words\none two three"]);
        assert_eq!(texts("Two words", ""), ["Two words"]);
        assert_eq!(texts("", "one two"), ["one two"]);
    }

    #[test]
    fn every_piece_of_a_long_one_has_the_heading_in_front_and_fits() {
        assert_eq!(texts("T", "a b c d e f g h"), ["T\na b c d ", "T\nc d e f ", "T\ne f g h"]);
    }

    #[test]
    fn a_heading_that_fills_a_piece_is_left_out() {
        assert_eq!(texts("t t t t t t", "a b c d e f"), ["a b c d e ", "d e f"]);
    }

    #[test]
    fn a_body_far_longer_than_the_window_is_covered() {
        let body = "wordwordword".repeat(3 * WINDOW_BYTES);
        let passages = passages(&article("T", &body), &Words { length: 5_000, overlap: 100 });
        assert_eq!(passages.last().unwrap().body, 0..body.len());
    }

    #[test]
    fn a_passage_has_so_many_words_at_most_and_the_next_one_starts_within_it() {
        let body = (0..250).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let passages = passages(&article("", &body), &Words { length: 5_000, overlap: 100 });
        let ends: Vec<_> = passages
            .iter()
            .map(|passage| {
                let mut words = passage.text.split_whitespace();
                (words.next().unwrap().to_owned(), words.next_back().unwrap().to_owned())
            })
            .collect();
        let expected = [("0", "109"), ("80", "189"), ("160", "249")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(ends, expected);
    }

    /// Answers whatever it was told.
    struct Careless(Vec<Range<usize>>);

    impl TextEncoder for Careless {
        fn model(&self) -> &'static str {
            "careless"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn chunks(&self, _: &str) -> Vec<Range<usize>> {
            self.0.clone()
        }

        fn embed(&self, _: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
            Err("not used".into())
        }
    }

    proptest! {
        #[test]
        fn any_ranges_cover_the_body_and_end(
            title in ".{0,10}",
            body in ".{0,60}",
            ends in prop::collection::vec((0_usize..80, 0_usize..80), 0..4),
        ) {
            let ranges = ends.into_iter().map(|(start, end)| start..end).collect();
            let passages = passages(&article(&title, &body), &Careless(ranges));
            let mut covered = 0;
            for passage in &passages {
                prop_assert!(passage.body.start <= covered);
                covered = covered.max(passage.body.end);
            }
            prop_assert_eq!(covered, body.len());
        }
    }
}
