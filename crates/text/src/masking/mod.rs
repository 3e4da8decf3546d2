//! Takes out of a text what names a person or an account: e-mail addresses, phone numbers, payment cards, IBANs and
//! national ids, written or spoken.
//!
//! Input: what was said, as it was typed or as speech recognition wrote it. Output: the same text in which each find is a
//! placeholder of its kind, such as `[phone]`, or the text itself where nothing was found. Nothing fails and nothing
//! panics, whatever the text.
//!
//! | step | file |
//! |---|---|
//! | characters become words, digits and symbols; what has no width is gone, digits of all scripts are ASCII | `characters`, `tokens` |
//! | words get a meaning: "double", "twenty", "oh", "dash", "uh" | `vocabulary` |
//! | addresses, then what begins with letters, become placeholders | `email`, `lettered` |
//! | digits that belong together become runs of items | `runs`, `written_forms` |
//! | the words around a run speak for a kind or against all | `hint` |
//! | in a run, cards, national ids and phone numbers are found at the borders of items | `numbers`, `card`, `national_id`, `phone` |
//!
//! Each step looks from every token at a bounded number of others, so the work grows with the length of the text and no
//! faster. Masking a masked text changes nothing: a placeholder stands for the find in all that is decided beside it.

mod card;
mod characters;
mod email;
mod hint;
mod lettered;
mod national_id;
mod numbers;
mod phone;
mod runs;
mod tokens;
mod vocabulary;
mod words;
mod written_forms;

use std::{borrow::Cow, fmt, ops::Range};

use runs::{Run, Runs};
use tokens::Tokens;

/// What a find is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    NationalId,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Email, Self::Phone, Self::Card, Self::Iban, Self::NationalId];

    /// What stands in a masked text where a find stood.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::Iban => "[iban]",
            Self::NationalId => "[national id]",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.placeholder().trim_matches(['[', ']']))
    }
}

/// A part of a text that names a person or an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    pub kind: Kind,
    /// In bytes of the text, from the first to the last character of the value.
    pub range: Range<usize>,
}

/// A find in tokens.
#[derive(Debug)]
struct Found {
    kind: Kind,
    tokens: Range<usize>,
}

/// The text with a placeholder for each find.
pub fn mask(text: &str) -> Cow<'_, str> {
    let finds = finds(text);
    if finds.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    for find in finds {
        masked.push_str(text.get(kept..find.range.start).unwrap_or_default());
        masked.push_str(find.kind.placeholder());
        kept = find.range.end;
    }
    masked.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(masked)
}

/// The digits of each number that is told, as items that were written or said as one: "E ten forty-two" has `["10", "42"]`. Dates,
/// times and amounts are none.
pub fn numbers_told(text: &str) -> Vec<Vec<String>> {
    let runs = Runs::read(&Tokens::read(text));
    let items = |run: Run<'_>| (0..run.items.len()).map(|item| run.digits(item..item + 1).to_owned()).collect();
    runs.iter().map(items).collect()
}

/// What a masked text leaves out, in the order of the text. No two finds overlap.
pub fn finds(text: &str) -> Vec<Find> {
    let mut tokens = Tokens::read(text);
    let mut finds = Vec::new();
    for step in [email::find, lettered::find, numbers::find] {
        let found = step(&tokens);
        finds.extend(found.iter().map(|found| Find { kind: found.kind, range: tokens.source(&found.tokens) }));
        tokens.put_placeholders(&found);
    }
    finds.sort_by_key(|find| find.range.start);
    finds
}
