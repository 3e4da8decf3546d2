//! The encoder as its users see it, on the real model.

#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::LazyLock, thread};

use cuecard_encoder::{Encoder, EncoderError, EncoderSettings, Encoding};

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| load(2, 64));

fn load(threads: usize, live_capacity: usize) -> Encoder {
    let settings = EncoderSettings { threads, live_capacity, ..EncoderSettings::default() };
    Encoder::load(&settings).unwrap_or_else(|error| panic!("{error}"))
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!((left.len(), right.len()), (384, 384));
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn phrases(encoding: &Encoding) -> Vec<&str> {
    encoding.key_phrases.iter().map(|phrase| phrase.text.as_str()).collect()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/encoder_reference.json");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    let reference: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let rows = reference["rows"].as_array().unwrap();
    let texts: Vec<String> = rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    let bulk = ENCODER.embed_bulk(&texts).unwrap();
    let mut worst = 1.0_f32;
    for ((row, text), embedding) in rows.iter().zip(&texts).zip(&bulk) {
        let expected: Vec<f32> = serde_json::from_value(row["embedding"].clone()).unwrap();
        let live = ENCODER.encode_blocking(text).unwrap();
        assert_eq!(live.word_pieces, row["tokens"].as_array().unwrap().len(), "{text}");
        // The reference cuts a long text's end off, a live text keeps it.
        let compared = if live.truncated { vec![embedding] } else { vec![embedding, &live.embedding] };
        for embedding in compared {
            let cosine = cosine(embedding, &expected);
            assert!(cosine >= 0.9999, "cosine {cosine} for {text}");
            worst = worst.min(cosine);
        }
    }
    println!("lowest cosine {worst} over {} sentences", rows.len());
}

#[test]
fn key_phrases_are_words_of_the_text() {
    let encoding = ENCODER
        .encode_blocking(
            "The warranty covers manufacturing defects for two years, um, but not the BATTERY, the battery?",
        )
        .unwrap();
    let phrases = phrases(&encoding);
    assert_eq!(phrases.len(), 5);
    for phrase in ["warranty", "battery"] {
        assert_eq!(phrases.iter().filter(|found| **found == phrase).count(), 1, "{phrases:?}");
    }
    for phrase in ["the", "for", "but", "not", "um", ",", "?"] {
        assert!(!phrases.contains(&phrase), "{phrases:?}");
    }
    assert!(encoding.key_phrases.windows(2).all(|pair| pair[0].attention >= pair[1].attention));
}

#[test]
fn a_crowd_gets_what_each_gets_alone() {
    let texts: Vec<String> = (1..=24)
        .map(|count| format!("{} my router blinks red after update {count}", "please help ".repeat(count)))
        .collect();
    let alone: Vec<Encoding> = texts.iter().map(|text| ENCODER.encode_blocking(text).unwrap()).collect();
    let pending: Vec<_> = texts.iter().map(|text| ENCODER.encode(text).unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let together: Vec<Encoding> =
        runtime.block_on(async { futures_in_order(pending).await }).into_iter().map(Result::unwrap).collect();
    let bulk = ENCODER.embed_bulk(&texts).unwrap();
    for ((alone, together), bulk) in alone.iter().zip(&together).zip(&bulk) {
        assert!(cosine(&alone.embedding, &together.embedding) >= 0.99999);
        assert!(cosine(&alone.embedding, bulk) >= 0.99999);
        assert_eq!(phrases(alone), phrases(together));
    }
}

async fn futures_in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs = Vec::new();
    for future in futures {
        outputs.push(future.await);
    }
    outputs
}

#[test]
fn waiting_inside_a_runtime_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(async { ENCODER.encode_blocking("refund") }).is_ok());
}

#[test]
fn a_full_lane_answers_with_an_error_and_loses_nothing() {
    let encoder = load(1, 2);
    let long = "reset the device and pair it again ".repeat(60);
    let mut accepted = Vec::new();
    let refused = loop {
        match encoder.encode(&long) {
            Ok(pending) => accepted.push(pending),
            Err(error) => break error,
        }
        assert!(accepted.len() < 1000, "a thousand texts went into a lane of two");
    };
    assert_eq!(refused, EncoderError::QueueFull { capacity: 2 });
    assert!(encoder.live_queue().waiting <= 2);
    let waits = thread::scope(|scope| scope.spawn(|| encoder.encode_blocking("refund")).join().unwrap());
    assert_eq!(waits.unwrap().word_pieces, 4);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(futures_in_order(accepted)).iter().all(Result::is_ok));
    assert_eq!(encoder.live_queue().waiting, 0);
}

#[test]
fn live_text_keeps_its_end_and_bulk_text_its_beginning() {
    // One piece a word, so this is exactly what fits beside the two special pieces.
    let fits = format!("{}order now", "the order is late ".repeat(63));
    let alone = ENCODER.encode_blocking(&fits).unwrap();
    assert_eq!((alone.word_pieces, alone.truncated), (256, false));
    let other = "a story about the weather in some other town ".repeat(300);
    let at_end = ENCODER.encode_blocking(&format!("{other} {fits}")).unwrap();
    assert_eq!((at_end.word_pieces, at_end.truncated), (256, true));
    assert!(cosine(&at_end.embedding, &alone.embedding) >= 0.99999);
    assert_eq!(phrases(&at_end), phrases(&alone));
    let bulk = ENCODER.embed_bulk(&[format!("{fits} {other}"), format!("{other} {fits}")]).unwrap();
    assert!(cosine(&bulk[0], &alone.embedding) >= 0.99999);
    assert!(cosine(&bulk[1], &alone.embedding) < 0.9);
}

#[test]
fn any_text_is_encoded() {
    let mega = 1 << 20;
    let texts = [
        String::new(),
        " \n\t ".to_owned(),
        "\u{0}\u{1}\u{2}\u{1b}[31m\u{7f}\u{feff}".to_owned(),
        "🙂🙂 👩‍👩‍👧‍👦 thanks!!".to_owned(),
        "[CLS] [SEP] [PAD] [MASK]".to_owned(),
        "e\u{301}\u{301}\u{301}".repeat(2000),
        "word ".repeat(mega / 5),
        "x".repeat(mega),
        "\u{0}".repeat(mega),
        " ".repeat(mega),
        "价".repeat(mega / 3),
        "🙂".repeat(mega / 4),
        "?!".repeat(mega / 2),
    ];
    let bulk = ENCODER.embed_bulk(&texts).unwrap();
    for (text, embedding) in texts.iter().zip(&bulk) {
        let start: String = text.chars().take(12).collect();
        let encoding = ENCODER.encode_blocking(text).unwrap();
        for embedding in [embedding, &encoding.embedding] {
            assert!((cosine(embedding, embedding) - 1.0).abs() < 1e-4, "{start:?}");
        }
        assert!((2..=256).contains(&encoding.word_pieces), "{start:?}");
        let chunks = ENCODER.chunks(text, 30);
        assert_eq!((chunks[0].start, chunks[chunks.len() - 1].end), (0, text.len()), "{start:?}");
        assert!(chunks.iter().all(|range| text.get(range.clone()).is_some()), "{start:?}");
    }
    assert!(ENCODER.embed_bulk(&[]).unwrap().is_empty());
}

#[test]
fn bulk_vectors_come_in_the_order_of_their_texts() {
    let texts: Vec<String> = (0..40)
        .map(|number| format!("article {number} {}", "about parcels and refunds ".repeat((number * 7) % 13)))
        .collect();
    let together = ENCODER.embed_bulk(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, embedding) in texts.iter().zip(&together) {
        let alone = ENCODER.embed_bulk(std::slice::from_ref(text)).unwrap();
        assert!(cosine(&alone[0], embedding) >= 0.99999, "{text}");
    }
}

#[test]
fn chunks_of_a_long_article_are_not_truncated() {
    let article = "Reset the device, wait ten seconds, and pair it again with the app. ".repeat(80);
    let chunks = ENCODER.chunks(&article, 20);
    let encodings: Vec<Encoding> = chunks
        .into_iter()
        .map(|range| ENCODER.encode_blocking(&format!("Pairing a device with the app: {}", &article[range])).unwrap())
        .collect();
    let (last, full) = encodings.split_last().unwrap();
    assert!(full.len() > 3 && !last.truncated);
    assert!(full.iter().all(|encoding| !encoding.truncated && encoding.word_pieces > 230), "{full:?}");
}

#[test]
fn the_model_tells_who_it_is() {
    let model = ENCODER.model();
    assert_eq!((model.name, model.dimensions, model.max_word_pieces), ("all-MiniLM-L6-v2", 384, 256));
    assert_eq!(model.fingerprint.len(), 64);
}
