//! Which keywords a question means: `cargo bench --profile release -p cuecard-knowledge --bench keywords`.
//!
//! 100,000 keywords of 3 to 12 words from a vocabulary in which, as in a language, few words are frequent; vectors of
//! 384 dimensions.
#![allow(clippy::unwrap_used, clippy::panic)]

mod drawn;

use criterion::{Criterion, criterion_group, criterion_main};
use cuecard_knowledge::graph::KeywordCatalog;
use drawn::{Drawn, direction, unit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const KEYWORDS: usize = 100_000;
/// As in the service's settings.
const MIN_COSINE: f32 = 0.7;
const VOCABULARY: f64 = 20_000.0;

/// Drawn from the text's hash.
fn vector(text: &str) -> Vec<f32> {
    unit(direction(StdRng::from_seed(*blake3::hash(text.as_bytes()).as_bytes())))
}

/// The rank of each word is the vocabulary's size to a random power, so that word n has a share of about 1/n.
fn text(random: &mut StdRng, num_words: usize) -> String {
    let mut word = || format!("word{}", VOCABULARY.powf(random.random_range(0.0..1.0)) as u32);
    (0..num_words).map(|_| word()).collect::<Vec<_>>().join(" ")
}

fn resolving(criterion: &mut Criterion) {
    let mut random = StdRng::seed_from_u64(1);
    let keywords: Vec<String> = (0..KEYWORDS)
        .map(|_| {
            let num_words = random.random_range(3..=12);
            text(&mut random, num_words)
        })
        .collect();
    let catalog = KeywordCatalog::build(keywords, &Drawn(vector), None).unwrap();
    let phrases = ["word1", "word17", "word300", "word4000", "word19000"];
    for (what, num_words) in [("11 words", 11), ("1,000 words", 1_000)] {
        let question = text(&mut random, num_words);
        let vector = vector(&question);
        criterion.bench_function(&format!("resolve, 100,000 keywords, {what}"), |bencher| {
            bencher.iter(|| catalog.resolve(&question, &phrases, Some(&vector), MIN_COSINE));
        });
        criterion.bench_function(&format!("resolve, 100,000 keywords, {what}, without a vector"), |bencher| {
            bencher.iter(|| catalog.resolve(&question, &phrases, None, MIN_COSINE));
        });
    }
}

criterion_group!(benches, resolving);
criterion_main!(benches);
