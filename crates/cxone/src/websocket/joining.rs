//! Continuation frames become one message.
//!
//! Input: the parts in order; awc has checked that a first part comes first. Output: the message with its last part.
//! On failure [`TooLarge`] as soon as the parts together exceed the limit.

use actix_http::ws::Item;
use bytes::{Bytes, BytesMut};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Text(Bytes),
    Binary(Bytes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

#[derive(Debug)]
pub(super) struct Joiner {
    limit_bytes: usize,
    is_text: bool,
    parts: BytesMut,
}

impl Joiner {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, is_text: false, parts: BytesMut::new() }
    }

    pub(super) fn push(&mut self, item: Item) -> Result<Option<Joined>, TooLarge> {
        let (part, is_last) = match item {
            Item::FirstText(part) => (self.start(part, true), false),
            Item::FirstBinary(part) => (self.start(part, false), false),
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        if self.parts.len() + part.len() > self.limit_bytes {
            self.parts = BytesMut::new();
            return Err(TooLarge);
        }
        self.parts.extend_from_slice(&part);
        Ok(is_last.then(|| {
            let whole = std::mem::take(&mut self.parts).freeze();
            if self.is_text { Joined::Text(whole) } else { Joined::Binary(whole) }
        }))
    }

    fn start(&mut self, part: Bytes, is_text: bool) -> Bytes {
        self.parts.clear();
        self.is_text = is_text;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn parts_are_joined_in_order_and_the_next_message_starts_anew() {
        let mut joiner = Joiner::new(8);
        assert_eq!(joiner.push(Item::FirstText(part("ab"))), Ok(None));
        assert_eq!(joiner.push(Item::Continue(part(""))), Ok(None));
        assert_eq!(joiner.push(Item::Continue(part("cdef"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("gh"))), Ok(Some(Joined::Text(part("abcdefgh")))));
        assert_eq!(joiner.push(Item::FirstBinary(part("1"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("2"))), Ok(Some(Joined::Binary(part("12")))));
    }

    #[test]
    fn the_limit_counts_what_is_joined() {
        let mut joiner = Joiner::new(8);
        assert_eq!(joiner.push(Item::FirstText(part("abcdef"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("ghi"))), Err(TooLarge));
    }
}
