//! The JSON of a decision, compressed.
//!
//! All decisions have the same names in them, and most are too short to repeat one. So they are compressed with a dictionary, in
//! which those names stand: it takes a third of the bytes off, and half of the time.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::LazyLock;

use flate2::read::DeflateDecoder;
use zstd::bulk::Compressor;
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

/// What decisions commonly say, the commonest last. Whatever lies in a ledger was compressed with exactly these bytes, so they
/// never change.
const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");

/// The fastest that still counts how often a byte comes; the higher ones gain nothing on texts as short as these.
const LEVEL: i32 = 1;

/// How a zstd frame begins. Nothing that is deflated begins so: it would be a stored block that contradicts its own length.
const ZSTD_MAGIC: [u8; 4] = zstd::zstd_safe::MAGICNUMBER.to_le_bytes();

/// No decision is longer; what a damaged file says is not believed.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

static ENCODER_DICTIONARY: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));

static DECODER_DICTIONARY: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    /// A compressor's tables take longer to set up than a decision to compress. None before the first decision.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// An error where zstd has no memory left.
pub(super) fn compressed(json: &str) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(compressor()?),
        };
        compressor.compress(json.as_bytes())
    })
}

/// The JSON again; an error where the ledger is damaged.
pub(super) fn json(body: &[u8]) -> io::Result<String> {
    if body.starts_with(&ZSTD_MAGIC) {
        read(zstd::Decoder::with_prepared_dictionary(body, &DECODER_DICTIONARY)?)
    } else {
        // As programs before this one compressed.
        read(DeflateDecoder::new(body))
    }
}

fn read(decoder: impl Read) -> io::Result<String> {
    let mut json = String::new();
    let bytes = decoder.take(MAX_BYTES + 1).read_to_string(&mut json)? as u64;
    if bytes > MAX_BYTES {
        return Err(io::Error::other(format!("a decision of more than {MAX_BYTES} bytes")));
    }
    Ok(json)
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER_DICTIONARY)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// The dictionary, compressed when it was first used: with it in hand these are a few bytes, whose checksum fails with any other.
    const KEPT: &str = "28b52ffd64891365000000020068c448a707cd881008ddf1ddb5";

    const KEPT_JSON: &str = r#"{"id":"kb-7","outcome":{"kind":"silent","detail":"not_asked"},"buffered_ms":12.5}"#;

    #[test]
    fn a_decision_is_read_back_and_takes_little() {
        let json = r#"{"effort":"full","outcome":{"kind":"delivered","detail":{"cxone_id":"Grüße","count":5}},"latency_ms":0.98}"#;
        for json in [json, "", "{}", &json.repeat(100)] {
            assert_eq!(super::json(&compressed(json).unwrap()).unwrap(), json);
        }
        let bytes = compressed(json).unwrap().len();
        assert!(bytes * 2 < json.len(), "{bytes} of {}", json.len());
    }

    #[test]
    fn what_lies_in_a_ledger_is_read_by_every_later_program() {
        let dictionary = std::str::from_utf8(DICTIONARY).unwrap();
        assert_eq!(json(&hex::decode(KEPT).unwrap()).unwrap(), dictionary, "make a second one instead of changing it");
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
        deflated.write_all(KEPT_JSON.as_bytes()).unwrap();
        assert_eq!(json(&deflated.finish().unwrap()).unwrap(), KEPT_JSON);
    }

    #[test]
    fn what_is_damaged_is_an_error_and_no_other_decision() {
        let whole = compressed(KEPT_JSON).unwrap();
        for place in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            // One bit of the frame's header means nothing.
            assert!(json(&damaged).is_err() || place == 4, "place {place}");
        }
        assert!(json(&whole[..whole.len() - 5]).is_err());
        assert!(json(&[]).is_err());
        let too_long = "x".repeat(MAX_BYTES as usize + 1);
        assert!(json(&compressed(&too_long).unwrap()).is_err());
    }
}
