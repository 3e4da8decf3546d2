//! Figures on real articles: `cargo test --release -p cuecard-knowledge --test measuring -- --nocapture --ignored`.
//!
//! The articles lie beside the repository; without them the test says so and skips. Times are printed, never judged.
#![allow(clippy::unwrap_used)]

mod fake_encoder;

use std::path::{Path, PathBuf};
use std::time::Instant;

use cuecard_knowledge::{Article, BuildReport, BuildSettings, Completeness, Index, Update, build_with, read_articles};
use fake_encoder::FakeEncoder;

/// The length of MiniLM's vectors.
const DIMENSIONS: usize = 384;

fn data(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn measure(file: &str, exact_below: usize) {
    let Some(path) = data(file) else { return };
    let directory = tempfile::tempdir().unwrap();
    let encoder = FakeEncoder { words_per_chunk: 180, ..FakeEncoder::other("fake-384", DIMENSIONS) };
    let settings = BuildSettings { exact_below, ..BuildSettings::default() };
    let build = |what: &str, articles: Vec<Article>| -> BuildReport {
        let update = Update { source: "file:kb".into(), articles, completeness: Completeness::Full };
        let report = build_with(directory.path(), update, &encoder, &settings, &()).unwrap();
        println!(
            "{what}: {:.0} ms, {} chunks, {} embedded; {}",
            report.duration_seconds * 1e3,
            report.chunks,
            report.embedded,
            memory()
        );
        encoder.asked();
        report
    };
    let started = Instant::now();
    let mut articles = read_articles(&path).unwrap().articles;
    println!("{file}: read {} articles in {:.0} ms; {}", articles.len(), milliseconds(started), memory());
    build("first build", articles.clone());
    build("nothing changed", articles.clone());
    for round in 0..3 {
        articles[round].body.push_str(" Changed.");
        let report = build("one article changed", articles.clone());
        assert!(report.published && report.embedded <= report.chunks);
    }
    let started = Instant::now();
    let index = Index::open(directory.path(), None).unwrap();
    println!("open: {:.0} ms; {}", milliseconds(started), memory());
    let questions: Vec<&str> =
        articles.iter().step_by(articles.len() / 500).map(|article| article.title.as_str()).collect();
    let vectors: Vec<Vec<f32>> = questions.iter().map(|question| encoder.vector(question)).collect();
    let started = Instant::now();
    let hits: usize = vectors.iter().map(|vector| index.nearest(vector, 20).len()).sum();
    assert_eq!(hits, 20 * vectors.len());
    println!("nearest 20: {:.3} ms each", milliseconds(started) / vectors.len() as f64);
    let started = Instant::now();
    let hits: usize = questions.iter().map(|question| index.lexical(question, 20).len()).sum();
    println!("lexical 20: {:.3} ms each, {hits} hits", milliseconds(started) / questions.len() as f64);
    let windows: Vec<String> = articles
        .chunks(500)
        .take(50)
        .map(|some| some.iter().take(4).map(|article| article.body.as_str()).collect())
        .collect();
    let started = Instant::now();
    let words: usize = windows.iter().map(|window| window.split_whitespace().count()).sum();
    let hits: usize = windows.iter().map(|window| index.lexical(window, 20).len()).sum();
    let each = milliseconds(started) / windows.len() as f64;
    println!("lexical 20 for {} words: {each:.3} ms each, {hits} hits", words / windows.len());
}

#[test]
#[ignore = "measures for people"]
fn twelve_thousand_short_articles() {
    measure("dstc9/kb.jsonl.gz", usize::MAX);
}

#[test]
#[ignore = "measures for people"]
fn thirty_seven_thousand_long_articles() {
    measure("bigkb/articles.jsonl.gz", BuildSettings::default().exact_below);
}
