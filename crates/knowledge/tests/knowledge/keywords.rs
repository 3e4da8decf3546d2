//! Which keywords of a graph a question means, and that a restart embeds nothing again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::fake_encoder::FakeEncoder;
use cuecard_knowledge::graph::KeywordCatalog;
use cuecard_knowledge::{IndexError, MatchedBy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const KEYWORDS: [&str; 9] = [
    "reset password",
    "Reset password!",
    "password",
    "wifi router blinks red",
    "router",
    "blinks red",
    "Zahlung fehlgeschlagen",
    "???",
    "パスワード",
];

fn catalog(encoder: &FakeEncoder) -> KeywordCatalog {
    KeywordCatalog::build(KEYWORDS.map(str::to_owned), encoder, None).unwrap()
}

fn resolved(catalog: &KeywordCatalog, text: &str, phrases: &[&str], vector: Option<&[f32]>) -> Vec<String> {
    let found = catalog.resolve(text, phrases, vector, 0.7);
    found.into_iter().map(|(matched_by, keyword)| format!("{matched_by:?} {keyword}")).collect()
}

#[test]
fn the_surest_way_comes_first_and_each_keyword_once() {
    let encoder = FakeEncoder::new();
    let catalog = catalog(&encoder);
    for (text, phrases, expected) in [
        ("reset password", &[][..], &["Exact reset password", "Normalised Reset password!", "Phrase password"][..]),
        ("RESET  password?", &[], &["Normalised Reset password!", "Normalised reset password", "Phrase password"]),
        ("password", &[], &["Exact password"]),
        // Longest first, then in the order of the question.
        (
            "my wifi router blinks red since i had to reset password",
            &[],
            &[
                "Phrase wifi router blinks red",
                "Phrase blinks red",
                "Phrase Reset password!",
                "Phrase reset password",
                "Phrase router",
                "Phrase password",
            ],
        ),
        ("the router: it blinks. red", &["Password"], &["Phrase blinks red", "Phrase router", "Phrase password"]),
        ("nothing of it", &["blinks  RED", "passwords", ""], &["Phrase blinks red"]),
        ("passwords and routers", &[], &[]),
        ("zahlung fehlgeschlagen", &[], &["Normalised Zahlung fehlgeschlagen"]),
        ("???", &[], &["Exact ???"]),
        ("!!!", &[], &[]),
        ("", &[], &[]),
        ("パスワード", &["パスワード"], &["Exact パスワード"]),
    ] {
        assert_eq!(resolved(&catalog, text, phrases, None), expected, "{text} {phrases:?}");
    }
}

#[test]
fn the_nearest_come_last_and_only_where_they_are_near_enough() {
    let encoder = FakeEncoder::new();
    let catalog = catalog(&encoder);
    let near = |text: &str, least| {
        let found = catalog.resolve("no keyword at all", &[], Some(&encoder.vector(text)), least);
        assert!(found.iter().all(|(matched_by, _)| *matched_by == MatchedBy::Nearest));
        found.into_iter().map(|(_, keyword)| keyword).collect::<Vec<_>>()
    };
    assert_eq!(near("router wifi red blinks", 0.99), ["wifi router blinks red"]);
    let three = near("wifi router blinks red", 0.3);
    assert_eq!(three[0], "wifi router blinks red");
    assert_eq!(three.len(), 3, "{three:?}");
    assert!(near("something else", 0.9).is_empty());
    let mixed = resolved(&catalog, "blinks red", &[], Some(&encoder.vector("blinks red")));
    assert_eq!(mixed[0], "Exact blinks red");
    assert!(mixed[1..].iter().all(|found| found.starts_with("Nearest") && found != "Nearest blinks red"), "{mixed:?}");
    assert!(catalog.resolve("x", &[], Some(&[1.0]), -1.0).is_empty(), "a vector of another length is near nothing");
}

#[test]
fn the_nearest_are_those_that_comparing_all_gives() {
    let encoder = FakeEncoder::new();
    let mut random = StdRng::seed_from_u64(3);
    let mut word = || format!("w{}", random.random_range(0..40));
    let keywords: Vec<String> = (0..400).map(|_| [word(), word(), word()].join(" ")).collect();
    let catalog = KeywordCatalog::build(keywords.clone(), &encoder, None).unwrap();
    let all: BTreeSet<&String> = keywords.iter().collect();
    for n in 0..200 {
        let vector = encoder.vector(&format!("w{} w{} w{}", n % 40, n / 5, n % 7));
        let cosine = |keyword: &str| dot(&encoder.vector(keyword), &vector);
        for least in [-1.0, 0.4, 0.8] {
            let found = catalog.resolve("", &[], Some(&vector), least);
            let found: Vec<f32> = found.iter().map(|(_, keyword)| cosine(keyword)).collect();
            let mut expected: Vec<f32> =
                all.iter().map(|keyword| cosine(keyword)).filter(|cosine| *cosine >= least).collect();
            expected.sort_by(|one, two| two.total_cmp(one));
            expected.truncate(3);
            // Which of two with one cosine comes is not the point, and rounding differs between two ways of summing.
            let is_same = |(one, two): (&f32, &f32)| (one - two).abs() < 1e-5;
            assert!(
                found.len() == expected.len() && found.iter().zip(&expected).all(is_same),
                "{found:?} {expected:?}"
            );
        }
    }
}

fn dot(one: &[f32], two: &[f32]) -> f32 {
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

#[test]
fn a_restart_embeds_only_what_is_new_and_never_by_another_model() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("keywords");
    let keywords = |range: std::ops::Range<u32>| range.map(|n| format!("keyword {n}")).collect::<Vec<_>>();
    let encoder = FakeEncoder::new();
    let build = |range, encoder: &FakeEncoder| {
        let catalog = KeywordCatalog::build(keywords(range), encoder, Some(&cache)).unwrap();
        (catalog, encoder.asked().len())
    };
    assert_eq!(build(0..1_200, &encoder).1, 1_200);
    let (again, asked) = build(0..1_203, &encoder);
    assert_eq!((again.len(), asked), (1_203, 3));
    let found = again.resolve("", &[], Some(&encoder.vector("keyword 7")), 0.999);
    assert_eq!(found, [(MatchedBy::Nearest, "keyword 7".to_owned())]);
    assert_eq!(build(0..1_203, &FakeEncoder::other("fake-2", 64)).1, 1_203);
    assert_eq!(build(0..1_203, &encoder).1, 0);
}

#[test]
fn a_keyword_that_comes_twice_is_one_and_no_keywords_are_none() {
    let encoder = FakeEncoder::new();
    let twice = KeywordCatalog::build(["a".to_owned(), "a".to_owned()], &encoder, None).unwrap();
    assert_eq!((twice.len(), encoder.asked().len()), (1, 1));
    let empty = KeywordCatalog::build([], &encoder, None).unwrap();
    assert!(empty.is_empty() && empty.resolve("a", &["a"], Some(&encoder.vector("a")), -1.0).is_empty());
}

#[test]
fn what_was_embedded_before_the_encoder_failed_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("keywords");
    let keywords: Vec<String> = (0..1_300).map(|n| format!("keyword {n}")).collect();
    let encoder = FakeEncoder::new();
    encoder.fails_after.store(1_100, Ordering::Relaxed);
    let failed = KeywordCatalog::build(keywords.clone(), &encoder, Some(&cache));
    assert!(matches!(failed.err().unwrap(), IndexError::Encoder(_)));
    assert_eq!(encoder.asked().len(), 1_088);
    encoder.fails_after.store(usize::MAX, Ordering::Relaxed);
    KeywordCatalog::build(keywords, &encoder, Some(&cache)).unwrap();
    assert_eq!(encoder.asked().len(), 1_300 - 1_088);
}

#[test]
fn a_cache_that_cannot_be_used_is_done_without() {
    let directory = tempfile::tempdir().unwrap();
    let encoder = FakeEncoder::new();
    let build = |cache: &Path| KeywordCatalog::build(KEYWORDS.map(str::to_owned), &encoder, Some(cache)).unwrap().len();
    assert_eq!(build(directory.path()), KEYWORDS.len());
    assert_eq!(build(&directory.path().join("no/such/directory/keywords")), KEYWORDS.len());
    let damaged = directory.path().join("damaged");
    fs::write(&damaged, "no cache at all ".repeat(1_000)).unwrap();
    assert_eq!(build(&damaged), KEYWORDS.len());
}
