//! E-mail addresses, written, or said word by word.
//!
//! Input: tokens. Output: the finds in their order. Around each "at" there must be a domain that ends in a known
//! country or kind, and before it a name. People also say "I looked at example dot com"; so an address that is said has
//! to be one by its form ("j dot smith", spelled letters, a number), by its provider ("gmail"), or by what is said
//! before it ("my email is").

mod announcement;
mod domain;
mod name;

use super::{Found, Kind, tokens::Tokens};
use domain::Domain;

pub(super) fn find(tokens: &Tokens) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut floor = 0;
    for place in 0..tokens.len() {
        if place >= floor
            && let Some(address) = address(tokens, place, floor)
        {
            floor = address.end;
            found.push(Found { kind: Kind::Email, tokens: address });
        }
    }
    found
}

/// The sign between name and domain.
struct At {
    tokens: std::ops::Range<usize>,
    /// Whether it is written as in an address, and so can be nothing else.
    written: bool,
}

impl At {
    fn read(tokens: &Tokens, place: usize) -> Option<Self> {
        if tokens.mark(place) != Some('@') {
            return None;
        }
        if let Some(bracketed) = bracketed(tokens, place) {
            return Some(Self { tokens: bracketed, written: true });
        }
        let written = tokens.symbol(place) == Some('@') && tokens.glued(place) && tokens.glued(place + 1);
        Some(Self { tokens: place..place + 1, written })
    }
}

/// The brackets around a word, as people write it who hide an address from machines: `(at)`.
fn bracketed(tokens: &Tokens, place: usize) -> Option<std::ops::Range<usize>> {
    let open = place.checked_sub(1)?;
    let pair = (tokens.symbol(open)?, tokens.symbol(place + 1)?);
    matches!(pair, ('(', ')') | ('[', ']') | ('{', '}')).then_some(open..place + 2)
}

/// The address around an "at"; no token before the floor belongs to it.
fn address(tokens: &Tokens, place: usize, floor: usize) -> Option<std::ops::Range<usize>> {
    let at = At::read(tokens, place)?;
    let domain = Domain::read(tokens, at.tokens.end, at.written)?;
    let start = name::start(tokens, at.tokens.start, floor, &domain, at.written)?;
    Some(start..domain.end)
}
