//! How far int8 is from f32: vectors, neighbours, key phrases, and the articles found.
//!
//! `cargo bench -p cuecard-encoder --bench accuracy` prints it for the 12,039 articles and 790 conversations of DSTC9
//! in the data beside the repository; it takes some three minutes. A query is the last customer turn, or the last three
//! turns; an article counts by the cosine of its vector alone.

#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, fs::File, io::Read, path::PathBuf};

use cuecard_encoder::{Encoder, EncoderSettings, Encoding, Precision};
use flate2::read::GzDecoder;
use serde_json::Value;

/// Vectors of one kind of text, by precision.
struct Vectors {
    f32: Vec<Vec<f32>>,
    int8: Vec<Vec<f32>>,
}

fn main() {
    let (Some(articles), Some(conversations)) = (rows("kb"), rows("seeking")) else { return };
    let [f32, int8] = [Precision::F32, Precision::Int8].map(load);
    let places: HashMap<&str, usize> =
        articles.iter().enumerate().map(|(place, article)| (text(article, "id"), place)).collect();
    let right: Vec<Vec<usize>> = conversations
        .iter()
        .map(|row| row["gold"].as_array().unwrap().iter().map(|id| places[id.as_str().unwrap()]).collect())
        .collect();
    let texts: Vec<String> = articles.iter().map(article_text).collect();
    let articles = Vectors { f32: f32.embed_bulk(&texts).unwrap(), int8: int8.embed_bulk(&texts).unwrap() };
    print_cosines("articles", &articles);
    for (name, turns) in [("last customer turn", 1), ("last three turns", 3)] {
        let queries: Vec<String> = conversations.iter().map(|row| last_turns(row, turns)).collect();
        let [exact, close] = [&f32, &int8].map(|encoder| live(encoder, &queries));
        print_phrases(name, &exact, &close);
        let [exact, close] = [exact, close].map(|encodings| encodings.into_iter().map(|of| of.embedding).collect());
        let queries = Vectors { f32: exact, int8: close };
        print_cosines(name, &queries);
        print_found(name, &queries, &articles, &right);
    }
}

fn load(precision: Precision) -> Encoder {
    Encoder::load(&EncoderSettings { precision, ..EncoderSettings::default() })
        .unwrap_or_else(|error| panic!("{error}"))
}

fn rows(name: &str) -> Option<Vec<Value>> {
    let file = format!("../../../shared/data/dstc9/{name}.jsonl.gz");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let mut lines = String::new();
    GzDecoder::new(file).read_to_string(&mut lines).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

/// As the index embeds it: the entity unless the title names it, the title, the body.
fn article_text(row: &Value) -> String {
    let (entity, title) = (text(row, "entity"), text(row, "title"));
    let named = title.to_lowercase().contains(&entity.to_lowercase());
    let heading = if named { title.to_owned() } else { format!("{entity}: {title}") };
    format!("{heading}\n{}", text(row, "body"))
}

/// Every conversation here ends with the customer.
fn last_turns(row: &Value, count: usize) -> String {
    let turns = row["turns"].as_array().unwrap();
    let last = &turns[turns.len().saturating_sub(count)..];
    last.iter().map(|turn| text(turn, "text")).collect::<Vec<_>>().join("\n")
}

fn live(encoder: &Encoder, texts: &[String]) -> Vec<Encoding> {
    texts.iter().map(|text| encoder.encode_blocking(text).unwrap()).collect()
}

fn print_cosines(name: &str, vectors: &Vectors) {
    let mut cosines: Vec<f32> =
        vectors.f32.iter().zip(&vectors.int8).map(|(exact, close)| cosine(exact, close)).collect();
    cosines.sort_by(f32::total_cmp);
    let count = cosines.len();
    let mean = cosines.iter().map(|&cosine| f64::from(cosine)).sum::<f64>() / count as f64;
    println!("{name}: cosine of int8 to f32 {mean:.4}, lowest of {count} {:.4}", cosines[0]);
}

fn print_phrases(name: &str, exact: &[Encoding], close: &[Encoding]) {
    let (mut kept, mut all, mut same) = (0, 0, 0);
    for (exact, close) in exact.iter().zip(close) {
        let [exact, close] = [exact, close]
            .map(|encoding| encoding.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect::<Vec<_>>());
        kept += exact.iter().filter(|phrase| close.contains(phrase)).count();
        all += exact.len();
        same += usize::from(exact == close);
    }
    println!(
        "{name}: {:.3} of the key phrases kept, {same} of {} lists unchanged",
        f64::from(kept as u32) / all as f64,
        close.len()
    );
}

fn print_found(name: &str, queries: &Vectors, articles: &Vectors, right: &[Vec<usize>]) {
    let exact = nearest(&queries.f32, &articles.f32);
    let pairs = [
        ("f32", "f32", &queries.f32, &articles.f32),
        ("int8", "f32", &queries.int8, &articles.f32),
        ("f32", "int8", &queries.f32, &articles.int8),
        ("int8", "int8", &queries.int8, &articles.int8),
    ];
    for (of_query, of_article, queries, articles) in pairs {
        let found = nearest(queries, articles);
        let share = |count: usize| count as f64 / found.len() as f64;
        let (mut reciprocal, mut first, mut five, mut shift) = (0.0, 0, 0.0, 0.0);
        for ((found, exact), right) in found.iter().zip(&exact).zip(right) {
            let rank = found.iter().position(|(_, place)| right.contains(place));
            reciprocal += rank.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
            first += usize::from(found[0].1 == exact[0].1);
            let shared = found.iter().filter(|(_, place)| exact.iter().any(|(_, other)| other == place)).count();
            five += shared as f64 / exact.len() as f64;
            shift += f64::from(found[0].0 - exact[0].0);
        }
        println!(
            "{name}: queries {of_query}, articles {of_article}: MRR@5 {:.4}, nearest as in f32 {:.3}, five nearest {:.3}, \
             cosine of the nearest moved by {:+.4}",
            reciprocal / found.len() as f64,
            share(first),
            five / found.len() as f64,
            shift / found.len() as f64
        );
    }
}

/// The five nearest articles of each query, best first.
fn nearest(queries: &[Vec<f32>], articles: &[Vec<f32>]) -> Vec<Vec<(f32, usize)>> {
    let of = |query: &Vec<f32>| {
        let scores = articles.iter().enumerate().map(|(place, article)| (cosine(query, article), place));
        let mut scores: Vec<(f32, usize)> = scores.collect();
        let best_first = |left: &(f32, usize), right: &(f32, usize)| right.0.total_cmp(&left.0);
        scores.select_nth_unstable_by(5, best_first);
        scores.truncate(5);
        scores.sort_by(best_first);
        scores
    };
    queries.iter().map(of).collect()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
