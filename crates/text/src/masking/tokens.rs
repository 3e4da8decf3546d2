//! A text as words, digits and symbols, each with its place in the text.
//!
//! Input: a text. Output: its tokens. A character that has no width is in a token only where it stands inside one, and
//! parts nothing. A placeholder of an earlier masking is one token.

use std::ops::Range;

use super::{
    Found, Kind,
    characters::{Class, class},
    vocabulary::{self, Meaning},
};

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters, and apostrophes between them.
    Word,
    Digits,
    /// Letters and digits without a gap, as in `ax3000`.
    Code,
    Symbol(char),
    /// A placeholder, or a find that one stands for.
    Masked(Kind),
}

#[derive(Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub meaning: Meaning,
    /// Whether the token before ends where this one begins.
    pub glued: bool,
    /// In bytes of the text that was read.
    source: Range<usize>,
    /// In bytes of [`Tokens::text`].
    text: Range<usize>,
}

impl Token {
    fn masked(self, kind: Kind) -> Self {
        Self { kind: TokenKind::Masked(kind), meaning: Meaning::Other, text: 0..0, ..self }
    }
}

/// The tokens of one text.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    list: Vec<Token>,
    /// What the tokens say: lower case, ASCII digits, nothing without width.
    text: String,
}

/// So many digits before an "x" make it the sign of an extension, as in `555-0132x204`. Fewer are a size or a count.
const MIN_DIGITS_BEFORE_EXTENSION: usize = 4;

impl Tokens {
    pub fn read(source: &str) -> Self {
        Reader::default().read(source)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, place: usize) -> Option<&Token> {
        self.list.get(place)
    }

    /// What the token says in lower case; nothing where there is no token.
    pub fn text(&self, place: usize) -> &str {
        self.get(place).map_or("", |token| &self.text[token.text.clone()])
    }

    pub fn kind(&self, place: usize) -> Option<TokenKind> {
        self.get(place).map(|token| token.kind)
    }

    pub fn is_word(&self, place: usize) -> bool {
        self.kind(place) == Some(TokenKind::Word)
    }

    pub fn meaning(&self, place: usize) -> Meaning {
        self.get(place).map_or(Meaning::Other, |token| token.meaning)
    }

    /// The symbol that is written there.
    pub fn symbol(&self, place: usize) -> Option<char> {
        match self.kind(place)? {
            TokenKind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// The symbol that is written or said there.
    pub fn mark(&self, place: usize) -> Option<char> {
        match self.meaning(place) {
            Meaning::Symbol(symbol) => Some(symbol),
            _ => self.symbol(place),
        }
    }

    /// Whether the token touches the one before.
    pub fn glued(&self, place: usize) -> bool {
        self.get(place).is_some_and(|token| token.glued)
    }

    /// Whether digits are written or said there.
    pub fn is_number(&self, place: usize) -> bool {
        let of_number = matches!(
            self.meaning(place),
            Meaning::Digit(_)
                | Meaning::Pair(_)
                | Meaning::Tens(_)
                | Meaning::Hundred
                | Meaning::Thousand
                | Meaning::Times(_)
        );
        of_number || self.kind(place) == Some(TokenKind::Digits)
    }

    /// The word that is said there; nothing where it belongs to a number, which a placeholder may stand for.
    pub fn word(&self, place: usize) -> &str {
        if self.is_word(place) && !self.is_number(place) { self.text(place) } else { "" }
    }

    /// The letter that is said there.
    pub fn letter(&self, place: usize) -> Option<char> {
        if self.is_word(place) { vocabulary::letter(self.text(place)) } else { None }
    }

    /// Where tokens stand in the text that was read.
    pub fn source(&self, tokens: &Range<usize>) -> Range<usize> {
        match (self.get(tokens.start), tokens.end.checked_sub(1).and_then(|last| self.get(last))) {
            (Some(first), Some(last)) => first.source.start..last.source.end,
            _ => 0..0,
        }
    }

    /// Makes one token of each find, as if its placeholder had been read. They come in the order of the text and don't
    /// overlap.
    pub fn put_placeholders(&mut self, found: &[Found]) {
        if found.is_empty() {
            return;
        }
        let mut tokens = std::mem::take(&mut self.list).into_iter();
        let mut place = 0;
        for find in found {
            self.list.extend(tokens.by_ref().take(find.tokens.start.saturating_sub(place)));
            let covered = tokens.by_ref().take(find.tokens.len());
            let masked = covered.reduce(|mut first, last| {
                first.source.end = last.source.end;
                first
            });
            self.list.extend(masked.map(|token| token.masked(find.kind)));
            place = find.tokens.end;
        }
        self.list.extend(tokens);
    }
}

/// The state of reading.
#[derive(Default)]
struct Reader {
    tokens: Tokens,
    /// The token that may grow.
    open: Option<TokenKind>,
    /// Whether there was white space since the last token.
    spaced: bool,
}

impl Reader {
    fn read(mut self, source: &str) -> Tokens {
        let mut place = 0;
        while let Some(character) = source[place..].chars().next() {
            if let Some(kind) = placeholder(&source[place..]) {
                let end = place + kind.placeholder().len();
                self.close();
                self.begin(TokenKind::Masked(kind), place..end, "");
                self.open = None;
                place = end;
                continue;
            }
            let end = place + character.len_utf8();
            self.take(place..end, class(character), &source[end..]);
            place = end;
        }
        self.close();
        self.tokens
    }

    fn take(&mut self, source: Range<usize>, class: Class, rest: &str) {
        let mut buffer = [0; 4];
        match class {
            Class::Nothing => {}
            Class::Space => {
                self.close();
                self.spaced = true;
            }
            Class::Digit(digit) => self.grow(TokenKind::Digits, true, source, digit.encode_utf8(&mut buffer)),
            Class::Letter { letter: 'x', .. } if self.extension_follows(rest) => {
                self.close();
                self.begin(TokenKind::Word, source, "x");
                self.close();
            }
            Class::Letter { letter, cased } => {
                self.grow(TokenKind::Word, cased, source, letter.encode_utf8(&mut buffer));
            }
            Class::Symbol('\'') if self.open == Some(TokenKind::Word) && starts_with_letter(rest) => {
                self.grow(TokenKind::Word, true, source, "'");
            }
            Class::Symbol(symbol) => {
                self.close();
                self.begin(TokenKind::Symbol(symbol), source, "");
                self.open = None;
            }
        }
    }

    /// Adds to the open token, or begins another.
    fn grow(&mut self, kind: TokenKind, cased: bool, source: Range<usize>, text: &str) {
        let grown = match self.open {
            Some(open) if open == kind => Some(kind),
            // A script without cases puts no spaces between words: what touches its letters is no code.
            Some(TokenKind::Word | TokenKind::Digits | TokenKind::Code) if cased && self.open_is_cased() => {
                Some(TokenKind::Code)
            }
            _ => None,
        };
        let Some(kind) = grown else {
            self.close();
            self.begin(kind, source, text);
            return;
        };
        self.open = Some(kind);
        self.tokens.text.push_str(text);
        if let Some(token) = self.tokens.list.last_mut() {
            token.kind = kind;
            token.source.end = source.end;
            token.text.end = self.tokens.text.len();
        }
    }

    fn begin(&mut self, kind: TokenKind, source: Range<usize>, text: &str) {
        let start = self.tokens.text.len();
        self.tokens.text.push_str(text);
        let glued = !self.spaced && !self.tokens.list.is_empty();
        let text = start..self.tokens.text.len();
        self.tokens.list.push(Token { kind, meaning: Meaning::Other, glued, source, text });
        self.open = Some(kind);
        self.spaced = false;
    }

    /// Nothing is added to the open token any more.
    fn close(&mut self) {
        if self.open.take() == Some(TokenKind::Word)
            && let Some(token) = self.tokens.list.last_mut()
        {
            token.meaning = vocabulary::meaning(&self.tokens.text[token.text.clone()]);
        }
    }

    fn open_text(&self) -> &str {
        self.tokens.list.last().map_or("", |token| &self.tokens.text[token.text.clone()])
    }

    fn open_is_cased(&self) -> bool {
        self.open_text()
            .chars()
            .next_back()
            .is_some_and(|last| last.is_ascii() || last.is_lowercase() || last.is_uppercase())
    }

    fn extension_follows(&self, rest: &str) -> bool {
        // A placeholder stands for the number.
        let behind_placeholder = || {
            let last = self.tokens.list.last();
            !self.spaced && last.is_some_and(|token| matches!(token.kind, TokenKind::Masked(_)))
        };
        let behind_number = self.open.map_or_else(behind_placeholder, |open| {
            open == TokenKind::Digits && self.open_text().len() >= MIN_DIGITS_BEFORE_EXTENSION
        });
        let is_digit = |next| matches!(class(next), Class::Digit(_));
        behind_number && (rest.chars().next().is_some_and(is_digit) || placeholder(rest).is_some())
    }
}

fn placeholder(text: &str) -> Option<Kind> {
    if !text.starts_with('[') {
        return None;
    }
    Kind::ALL.into_iter().find(|kind| text.starts_with(kind.placeholder()))
}

fn starts_with_letter(text: &str) -> bool {
    text.chars().next().is_some_and(|next| matches!(class(next), Class::Letter { .. }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn texts(source: &str) -> Vec<String> {
        let tokens = Tokens::read(source);
        (0..tokens.len())
            .map(|place| match tokens.kind(place).unwrap() {
                TokenKind::Symbol(symbol) => symbol.to_string(),
                TokenKind::Masked(kind) => kind.placeholder().to_owned(),
                _ => tokens.text(place).to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_text_is_read_as_words_digits_and_symbols() {
        // (text, what its tokens say)
        for (source, expected) in [
            ("It's AX3000, ok?", vec!["it's", "ax3000", ",", "ok", "?"]),
            ("41\u{200b}5–５５５", vec!["415", "-", "555"]),
            ("555-0132x204", vec!["555", "-", "0132", "x", "204"]),
            ("3x4", vec!["3x4"]),
            ("[phone]x204", vec!["[phone]", "x", "204"]),
            ("電話4155電", vec!["電話", "4155", "電"]),
            ("to [national id][x]", vec!["to", "[national id]", "[", "x", "]"]),
            ("'a' b'", vec!["'", "a", "'", "b", "'"]),
            ("", vec![]),
        ] {
            assert_eq!(texts(source), expected, "{source}");
        }
    }

    #[test]
    fn tokens_know_their_place_and_whether_they_touch() {
        let source = "ä\u{200b}b 12-3";
        let tokens = Tokens::read(source);
        let places: Vec<&str> = (0..4).map(|place| &source[tokens.source(&(place..place + 1))]).collect();
        assert_eq!(places, ["ä\u{200b}b", "12", "-", "3"]);
        assert_eq!([0, 1, 2, 3].map(|place| tokens.glued(place)), [false, false, true, true]);
    }
}
