//! Frames within their bound, and messages joined from them.
//!
//! Input: bytes off the wire. Output: awc's frames, and of those that continue each other one message with its last part;
//! awc has checked that a first part comes first. On failure [`FrameFault::TooLarge`] or [`TooLarge`] as soon as the limit
//! is exceeded: awc notices that only when the whole frame has been read into memory; here the frame's own header is
//! looked at first, so that a frame over the limit costs nothing but its announcement.

use std::io;

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Item, Message, ProtocolError};
use bytes::{Bytes, BytesMut};

#[derive(Debug)]
pub(super) enum FrameFault {
    TooLarge,
    Protocol(ProtocolError),
}

impl From<io::Error> for FrameFault {
    fn from(error: io::Error) -> Self {
        Self::Protocol(ProtocolError::Io(error))
    }
}

pub(super) struct BoundedCodec {
    codec: Codec,
    limit_bytes: u64,
}

impl BoundedCodec {
    pub(super) fn new(codec: Codec, limit_bytes: usize) -> Self {
        Self { codec, limit_bytes: limit_bytes as u64 }
    }
}

impl Decoder for BoundedCodec {
    type Item = Frame;
    type Error = FrameFault;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, FrameFault> {
        if announced_bytes(source).is_some_and(|bytes| bytes > self.limit_bytes) {
            return Err(FrameFault::TooLarge);
        }
        self.codec.decode(source).map_err(|error| match error {
            ProtocolError::Overflow => FrameFault::TooLarge,
            other => FrameFault::Protocol(other),
        })
    }

    /// What is left when the connection ends is half a frame, which nobody waits for any more.
    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, FrameFault> {
        self.decode(source)
    }
}

impl Encoder<Message> for BoundedCodec {
    type Error = FrameFault;

    fn encode(&mut self, message: Message, target: &mut BytesMut) -> Result<(), FrameFault> {
        self.codec.encode(message, target).map_err(FrameFault::Protocol)
    }
}

/// The payload's length as the frame's header gives it (RFC 6455, section 5.2); none while the header is incomplete.
fn announced_bytes(source: &[u8]) -> Option<u64> {
    match source.get(1)? & 0x7f {
        126 => Some(u64::from(u16::from_be_bytes(source.get(2..4)?.try_into().ok()?))),
        127 => Some(u64::from_be_bytes(source.get(2..10)?.try_into().ok()?)),
        short => Some(u64::from(short)),
    }
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

    pub(super) fn push(&mut self, item: Item) -> Result<Option<super::Frame>, TooLarge> {
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
            if self.is_text { super::Frame::Text(whole) } else { super::Frame::Binary(whole) }
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
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::websocket::Frame as Whole;

    #[test]
    fn the_header_alone_refuses_a_frame_over_the_limit() {
        let decode = |bytes: &[u8]| BoundedCodec::new(Codec::new().client_mode(), 1000).decode(&mut bytes.into());
        assert!(matches!(decode(&[0x81, 126, 0x03, 0xe8]), Ok(None)), "1000 bytes announced");
        assert!(matches!(decode(&[0x81, 126, 0x03, 0xe9]), Err(FrameFault::TooLarge)), "1001 bytes announced");
        assert!(matches!(decode(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0x03, 0xe9]), Err(FrameFault::TooLarge)));
        assert!(matches!(decode(&[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]), Err(FrameFault::TooLarge)));
        assert!(matches!(decode(&[0x81, 127, 0, 0]), Ok(None)), "the header is not complete");
        assert!(matches!(decode(&[]), Ok(None)));
        let frame = decode(&[0x81, 2, b'h', b'i']).unwrap().unwrap();
        assert_eq!(frame, Frame::Text("hi".into()));
    }

    fn part(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn parts_are_joined_in_order_and_the_next_message_starts_anew() {
        let mut joiner = Joiner::new(8);
        assert_eq!(joiner.push(Item::FirstText(part("ab"))), Ok(None));
        assert_eq!(joiner.push(Item::Continue(part(""))), Ok(None));
        assert_eq!(joiner.push(Item::Continue(part("cdef"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("gh"))), Ok(Some(Whole::Text(part("abcdefgh")))));
        assert_eq!(joiner.push(Item::FirstBinary(part("1"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("2"))), Ok(Some(Whole::Binary(part("12")))));
    }

    #[test]
    fn the_limit_counts_what_is_joined() {
        let mut joiner = Joiner::new(8);
        assert_eq!(joiner.push(Item::FirstText(part("abcdef"))), Ok(None));
        assert_eq!(joiner.push(Item::Last(part("ghi"))), Err(TooLarge));
    }
}
