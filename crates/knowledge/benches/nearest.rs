//! Where the graph overtakes the exact scan: the nearest 20 of articles with one passage each, 384 dimensions.
//!
//! `cargo bench --profile release -p cuecard-knowledge --bench nearest`

use std::error::Error;
use std::hint::black_box;
use std::ops::Range;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use cuecard_knowledge::{Article, BuildSettings, Completeness, Index, TextEncoder, Update, build_with};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMENSIONS: usize = 384;
const THEMES: usize = 500;

/// Gives the text `n` a vector near that of its theme, as a sentence encoder does.
struct Themes;

impl Themes {
    fn vector(text: &str) -> Vec<f32> {
        let number: u64 = text.trim().parse().unwrap_or_default();
        let theme = direction(number % THEMES as u64);
        let own = direction(number + THEMES as u64);
        let sum: Vec<f32> = theme.iter().zip(&own).map(|(theme, own)| theme + 0.8 * own).collect();
        let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        sum.into_iter().map(|value| value / norm).collect()
    }
}

fn direction(seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect()
}

impl TextEncoder for Themes {
    fn model(&self) -> &'static str {
        "themes"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        std::iter::once(0..text.len()).collect()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
}

fn nearest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nearest 20");
    for num_articles in [3_000_u64, 12_000, 48_000] {
        let articles: Vec<Article> = (0..num_articles)
            .map(|n| Article { id: n.to_string(), title: n.to_string(), ..Article::default() })
            .collect();
        for (how, exact_below) in [("scan", usize::MAX), ("graph", 0)] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let update =
                Update { source: "bench".into(), articles: articles.clone(), completeness: Completeness::Full };
            let settings = BuildSettings { exact_below, ..BuildSettings::default() };
            build_with(directory.path(), update, &Themes, &settings, &()).expect("an index");
            let index = Index::open(directory.path(), None).expect("an index");
            let mut query = num_articles;
            group.bench_function(BenchmarkId::new(how, num_articles), |bencher| {
                bencher.iter(|| {
                    query += 1;
                    black_box(index.nearest(&Themes::vector(&query.to_string()), 20))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, nearest);
criterion_main!(benches);
