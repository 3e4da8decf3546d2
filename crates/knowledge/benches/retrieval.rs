//! Retrieval alone in 100,000 passages: how long the nearest 10 take, and how many of the exact 10 the graph finds.
//!
//! The vectors are those of an index's passages, each moved a little, as often as it takes; so are the questions.
//!
//! `taskset -c 1 cargo bench --profile release -p cuecard-knowledge --bench retrieval -- INDEX`

mod drawn;

use std::error::Error;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use cuecard_knowledge::{Article, ArticleFilter, BuildSettings, Completeness, Index, Update, VectorHit, build_with};
use drawn::{Drawn, direction, unit};
use rand::SeedableRng;
use rand::rngs::StdRng;

const PASSAGES: usize = 100_000;
const QUESTIONS: usize = 1_000;
const K: usize = 10;

/// How far a vector is moved, beside its own length: the cosine with what it was is about .86.
const MOVED: f32 = 0.6;

static REAL: OnceLock<Vec<Vec<f32>>> = OnceLock::new();

/// Of the text `n`: the real vector of that number, moved.
fn vector(text: &str) -> Vec<f32> {
    let number: usize = text.trim().parse().unwrap_or_default();
    let real = REAL.get().map(Vec::as_slice).unwrap_or_default();
    let moved = unit(direction(StdRng::seed_from_u64(number as u64)));
    unit(real[number % real.len()].iter().zip(moved).map(|(real, moved)| real + MOVED * moved).collect())
}

fn passages(index: &Index) -> Vec<Vec<f32>> {
    let of_article = |article| (0..).map_while(move |chunk| index.embedding(article, chunk).map(<[f32]>::to_vec));
    (0..index.len()).flat_map(of_article).collect()
}

fn built(exact_below: usize) -> Result<Index, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let article = |n: usize| Article { id: n.to_string(), title: n.to_string(), ..Article::default() };
    let articles = (0..PASSAGES).map(article).collect();
    let update = Update { source: "bench".into(), articles, completeness: Completeness::Full };
    let settings = BuildSettings { exact_below, ..BuildSettings::default() };
    build_with(directory.path(), update, &Drawn(vector), &settings, &())?;
    Ok(Index::open(directory.path(), None)?)
}

/// What is found of each question, and the times in milliseconds, sorted.
fn asked(index: &Index, questions: &[Vec<f32>]) -> (Vec<Vec<VectorHit>>, Vec<f64>) {
    let ask = |question: &Vec<f32>| {
        let start = Instant::now();
        let found = index.nearest(question, K, &ArticleFilter::default());
        (found, start.elapsed().as_secs_f64() * 1e3)
    };
    let (found, mut times): (Vec<_>, Vec<_>) = questions.iter().map(ask).unzip();
    times.sort_by(f64::total_cmp);
    (found, times)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let [_, index] = arguments.as_slice() else { return Err("give INDEX".into()) };
    let real = passages(&Index::open(Path::new(index), None)?);
    println!("{} real passages", REAL.get_or_init(|| real).len());
    let (graph, scan) = (built(0)?, built(usize::MAX)?);
    // Numbers beyond those of the passages: moved otherwise.
    let questions: Vec<_> = (PASSAGES..PASSAGES + QUESTIONS).map(|number| vector(&number.to_string())).collect();
    let ((exact, scanned), (near, searched)) = (asked(&scan, &questions), asked(&graph, &questions));
    println!("<!-- retrieval -->\n| | p50 ms | p95 ms | recall at {K} |\n|---|---|---|---|");
    let is_exact = |(near, exact): (&Vec<VectorHit>, &Vec<VectorHit>)| {
        near.iter().filter(|hit| exact.iter().any(|exact| exact.article == hit.article)).count()
    };
    let recall = near.iter().zip(&exact).map(is_exact).sum::<usize>() as f64 / (K * QUESTIONS) as f64;
    let at = |times: &[f64], percent: usize| times[times.len() * percent / 100];
    for (what, times, recall) in [("the graph", &searched, recall), ("the exact scan", &scanned, 1.0)] {
        println!("| {what} | {:.2} | {:.2} | {recall:.3} |", at(times, 50), at(times, 95));
    }
    Ok(())
}
