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
    /// A compressor's tables take longer to set up than a decision to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor().ok());
}

/// Empty where zstd has no memory left.
pub(super) fn compressed(json: &str) -> Vec<u8> {
    let compress = |compressor: &mut Compressor<'_>| compressor.compress(json.as_bytes()).ok();
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut().and_then(compress)).unwrap_or_default()
}

/// The JSON again; an error where the ledger is damaged.
pub(super) fn json(body: &[u8]) -> io::Result<String> {
    let mut json = String::new();
    if body.starts_with(&ZSTD_MAGIC) {
        let decoder = zstd::Decoder::with_prepared_dictionary(body, &DECODER_DICTIONARY)?;
        decoder.take(MAX_BYTES).read_to_string(&mut json)?;
    } else {
        // As programs before this one compressed.
        DeflateDecoder::new(body).take(MAX_BYTES).read_to_string(&mut json)?;
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

    /// Compressed when this dictionary was first used.
    const KEPT: &str = "28b52ffd2451fd0000486b622d3731322e357d0600cfeb80988184740a01728e0b4ce47c4a440681d0069950";

    const KEPT_JSON: &str = r#"{"id":"kb-7","outcome":{"kind":"silent","detail":"not_asked"},"buffered_ms":12.5}"#;

    #[test]
    fn a_decision_is_read_back_and_takes_little() {
        let json = r#"{"effort":"full","outcome":{"kind":"delivered","detail":{"cxone_id":"Grüße","count":5}},"latency_ms":0.98}"#;
        for json in [json, "", "{}", &json.repeat(100)] {
            let compressed = compressed(json);
            assert_eq!(super::json(&compressed).unwrap(), json);
        }
        assert!(compressed(json).len() * 2 < json.len(), "{} of {}", compressed(json).len(), json.len());
    }

    #[test]
    fn what_lies_in_a_ledger_is_read_by_every_later_program() {
        assert_eq!(json(&hex::decode(KEPT).unwrap()).unwrap(), KEPT_JSON, "the dictionary must not change");
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
        deflated.write_all(KEPT_JSON.as_bytes()).unwrap();
        assert_eq!(json(&deflated.finish().unwrap()).unwrap(), KEPT_JSON);
    }

    #[test]
    fn what_is_damaged_is_an_error_and_no_other_decision() {
        let whole = compressed(KEPT_JSON);
        for place in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            // One bit of the frame's header means nothing.
            assert!(json(&damaged).is_err() || place == 4, "place {place}");
        }
        assert!(json(&whole[..whole.len() - 5]).is_err());
        assert!(json(&[]).is_err());
    }
}
