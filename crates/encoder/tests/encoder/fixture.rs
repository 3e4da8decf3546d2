//! The encoder against vectors that were written down once: a forward pass that changes is noticed on any machine.
//!
//! `fixture.json` holds three sentences with their word pieces, their key phrases and their vectors in f32. They were
//! taken from this encoder when its vectors agreed with those of sentence-transformers to a cosine of 0.9999 or more.
//! After a change that is meant, `CUECARD_WRITE_FIXTURE=1 cargo test --release -p cuecard-encoder fixture`
//! writes them anew; look at the difference.

use cuecard_encoder::{Encoder, EncoderSettings, Precision};
use serde_json::{Value, json};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/encoder/fixture.json");

const SENTENCES: [&str; 3] = [
    "My ferry was cancelled this morning; can I move the booking to Friday?",
    "Ça coûte 12,50 € – is that per person, or for the whole cabin??",
    "The tablet keeps losing the harbour's Wi-Fi, although I restarted it twice and typed the password again.",
];

fn encoder(precision: Precision) -> Encoder {
    let settings = EncoderSettings { precision, threads: 1, ..EncoderSettings::default() };
    Encoder::load(&settings).unwrap_or_else(|error| panic!("{error}"))
}

/// What the encoder makes of a sentence.
fn row(encoder: &Encoder, sentence: &str) -> Value {
    let encoding = encoder.encode_blocking(sentence).unwrap();
    let phrases: Vec<_> = encoding.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect();
    // Six places are beyond what any comparison here can tell apart.
    let embedding: Vec<f64> =
        encoding.embedding.iter().map(|number| (f64::from(*number) * 1e6).round() / 1e6).collect();
    json!({
        "text": sentence, "word_pieces": encoding.word_pieces, "key_phrases": phrases, "embedding": embedding,
    })
}

fn vector(row: &Value) -> Vec<f64> {
    row["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!((left.len(), right.len()), (384, 384));
    let dot = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn the_forward_pass_is_what_it_was() {
    if std::env::var_os("CUECARD_WRITE_FIXTURE").is_some() {
        let encoder = encoder(Precision::F32);
        let rows = SENTENCES.map(|sentence| row(&encoder, sentence).to_string());
        std::fs::write(FIXTURE, format!("[{}]\n", rows.join(",\n"))).unwrap();
    }
    let fixture: Vec<Value> = serde_json::from_slice(&std::fs::read(FIXTURE).unwrap()).unwrap();
    assert_eq!(fixture.iter().map(|row| row["text"].as_str().unwrap()).collect::<Vec<_>>(), SENTENCES);
    for (precision, bound) in [(Precision::F32, 0.9999), (Precision::Int8, 0.99)] {
        let encoder = encoder(precision);
        for expected in &fixture {
            let found = row(&encoder, expected["text"].as_str().unwrap());
            let cosine = cosine(&vector(&found), &vector(expected));
            assert!(cosine >= bound, "{precision:?}: cosine {cosine} for {}", expected["text"]);
            assert_eq!(found["word_pieces"], expected["word_pieces"], "{}", expected["text"]);
            if precision == Precision::F32 {
                assert_eq!(found["key_phrases"], expected["key_phrases"], "{}", expected["text"]);
            }
        }
    }
}
