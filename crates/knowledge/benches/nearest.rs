//! Where the graph overtakes the exact scan: the nearest 20 of articles with one passage each, 384 dimensions.
//!
//! `cargo bench --profile release -p cuecard-knowledge --bench nearest`

mod drawn;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use cuecard_knowledge::{Article, ArticleFilter, BuildSettings, Completeness, Index, Update, build_with};
use drawn::{Drawn, direction, unit};
use rand::SeedableRng;
use rand::rngs::StdRng;

const THEMES: usize = 500;

/// Of the text `n`, near that of its theme, as a sentence encoder's is.
fn vector(text: &str) -> Vec<f32> {
    let number: u64 = text.trim().parse().unwrap_or_default();
    let theme = direction(StdRng::seed_from_u64(number % THEMES as u64));
    let own = direction(StdRng::seed_from_u64(number + THEMES as u64));
    unit(theme.iter().zip(&own).map(|(theme, own)| theme + 0.8 * own).collect())
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
            build_with(directory.path(), update, &Drawn(vector), &settings, &()).expect("an index");
            let index = Index::open(directory.path(), None).expect("an index");
            let mut query = num_articles;
            group.bench_function(BenchmarkId::new(how, num_articles), |bencher| {
                bencher.iter(|| {
                    query += 1;
                    black_box(index.nearest(&vector(&query.to_string()), 20, &ArticleFilter::default()))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, nearest);
criterion_main!(benches);
