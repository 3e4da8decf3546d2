//! How long a text takes in either precision, and what an index build beside it costs.
//!
//! `cargo bench -p cuecard-encoder --bench latency` prints tables; nothing passes or fails here, because a time
//! says as much about the machine as about the encoder. What stands in one table was measured in turn, so that
//! whatever else the machine did met all of it: compare within a table. `taskset -c 1` in front gives the figures for
//! one core.

#![allow(clippy::unwrap_used)]

mod products;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use cuecard_encoder::{Encoder, EncoderSettings, Precision};

use crate::products::{Products, inputs};

/// 34 word pieces with `[CLS]` and `[SEP]`.
const SENTENCE: &str = "My order arrived yesterday with the wrong size and a broken zip, so can I swap it \
    for another new one today without paying for the shipping once again please?";
/// 14 word pieces: what a customer says at a time, on average.
const SHORT: &str = "Does this hotel have free parking for a very small van?";

const ROUNDS: usize = 9;
/// Texts of one cell in one round.
const TEXTS: usize = 64;
const AT_ONCE: [usize; 4] = [1, 2, 4, 8];

/// One live text every 20 ms: none waits for another.
const PACE: Duration = Duration::from_millis(20);

type Cell = Vec<f64>;

fn main() {
    let encoders = [Precision::F32, Precision::Int8].map(|precision| {
        let started = Instant::now();
        let encoder = load(precision);
        println!("{precision}: loaded in {:.2?}", started.elapsed());
        encoder
    });
    overhead(&encoders[1]);
    at_once(&encoders);
    bulk(&encoders);
    oversized(&encoders[1]);
    beside_bulk(&encoders);
}

fn load(precision: Precision) -> Encoder {
    let settings = EncoderSettings { precision, threads: 1, ..EncoderSettings::default() };
    Encoder::load(&settings).unwrap_or_else(|error| panic!("{error}"))
}

/// What tokenising, attention, all between the products, key phrases and the way to the thread and back add.
fn overhead(encoder: &Encoder) {
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    let products = Products::new();
    println!(
        "\n<!-- encoder overhead -->\n| word pieces | products alone, ms | a text with its key phrases, ms | ratio |\n|---|---|---|---|"
    );
    for (pieces, text) in [(14, SHORT), (34, SENTENCE)] {
        let inputs = inputs(pieces);
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(median(TEXTS, || products.run(&inputs)));
            whole.push(median(TEXTS, || drop(encoder.encode_blocking(text).unwrap())));
        }
        let [bare, whole] = [bare, whole].map(|times| at(&sorted(times), 0.5));
        println!("| {pieces} | {bare:.2} | {whole:.2} | {:.2} |", whole / bare);
    }
}

fn at_once(encoders: &[Encoder; 2]) {
    println!("\nlive texts at once on one thread: ms until the last is answered, p50 / p99");
    println!("<!-- encoder at once -->\n| word pieces | precision | 1 text | 2 | 4 | 8 |\n|---|---|---|---|---|---|");
    for (pieces, text) in [(14, SHORT), (34, SENTENCE)] {
        let cells = AT_ONCE.map(|count| in_turn(encoders, TEXTS / count, |encoder| all_of(encoder, text, count)));
        for (position, encoder) in encoders.iter().enumerate() {
            let [one, two, four, eight] = cells.each_ref().map(|cell| p50_p99(&cell[position]));
            println!("| {pieces} | {} | {one} | {two} | {four} | {eight} |", encoder.model().precision);
        }
        let ratio = |cell: &[Cell; 2]| at(&cell[0], 0.5) / at(&cell[1], 0.5);
        let [one, two, four, eight] = cells.each_ref().map(ratio);
        println!("| {pieces} | f32 ÷ int8 | {one:.1} | {two:.1} | {four:.1} | {eight:.1} |");
    }
}

fn bulk(encoders: &[Encoder; 2]) {
    println!("\nbulk texts a second on one thread\n<!-- encoder bulk -->\n| word pieces | f32 | int8 |\n|---|---|---|");
    let long = SENTENCE.repeat(8);
    for (pieces, text) in [(34, SENTENCE), (256, &long)] {
        let texts = vec![text.to_owned(); 48];
        let cells = in_turn(encoders, 1, |encoder| drop(encoder.embed_bulk(&texts).unwrap()));
        let [f32, int8] = cells.map(|cell| 48e3 / at(&cell, 0.5));
        println!("| {pieces} | {f32:.0} | {int8:.0} |");
    }
}

fn oversized(encoder: &Encoder) {
    let text = SENTENCE.repeat((1 << 20) / SENTENCE.len());
    println!("\n1 MB of text, live: {:.2} ms", median(5, || drop(encoder.encode_blocking(&text).unwrap())));
    println!("1 MB of text, cut into chunks: {:.0} ms", median(3, || drop(encoder.chunks(&text))));
}

fn beside_bulk(encoders: &[Encoder; 2]) {
    println!("\nlive texts of 14 pieces, one every {PACE:?}, while one thread embeds articles: ms, p50 / p99");
    println!(
        "<!-- encoder beside a build -->\n| precision | word pieces of the articles | alone | articles a second | beside the build | \
         ratio of p99 |\n|---|---|---|---|---|---|"
    );
    let long = SENTENCE.repeat(8);
    for encoder in encoders {
        for (pieces, text) in [(34, SENTENCE), (256, &long)] {
            let (mut alone, mut beside, mut embedded) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..ROUNDS {
                alone.extend(paced(encoder));
                let (times, per_second) = paced_beside(encoder, text);
                beside.extend(times);
                embedded += per_second / ROUNDS as f64;
            }
            let (alone, beside) = (sorted(alone), sorted(beside));
            let ratio = at(&beside, 0.99) / at(&alone, 0.99);
            println!(
                "| {} | {pieces} | {} | {embedded:.0} | {} | {ratio:.2} |",
                encoder.model().precision,
                p50_p99(&alone),
                p50_p99(&beside)
            );
        }
    }
}

/// Sorted times of both in ms, measured by turns.
fn in_turn(encoders: &[Encoder; 2], count: usize, run: impl Fn(&Encoder)) -> [Cell; 2] {
    let mut cells = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (encoder, cell) in encoders.iter().zip(&mut cells) {
            run(encoder);
            cell.extend((0..count).map(|_| milliseconds(|| run(encoder))));
        }
    }
    cells.map(sorted)
}

fn all_of(encoder: &Encoder, text: &str, count: usize) {
    if count == 1 {
        return drop(encoder.encode_blocking(text).unwrap());
    }
    let pending: Vec<_> = (0..count).map(|_| encoder.encode(text).unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for encoding in pending {
            encoding.await.unwrap();
        }
    });
}

fn paced(encoder: &Encoder) -> Cell {
    let started = Instant::now();
    let mut times = Vec::with_capacity(TEXTS);
    for number in 1..=TEXTS {
        times.push(milliseconds(|| drop(encoder.encode_blocking(SHORT).unwrap())));
        thread::sleep((PACE * number as u32).saturating_sub(started.elapsed()));
    }
    times
}

/// And how many articles a second were embedded meanwhile.
fn paced_beside(encoder: &Encoder, text: &str) -> (Cell, f64) {
    let (stop, embedded) = (AtomicBool::new(false), AtomicUsize::new(0));
    let texts = vec![text.to_owned(); 16];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                embedded.fetch_add(encoder.embed_bulk(&texts).unwrap().len(), Ordering::Relaxed);
            }
        });
        while embedded.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let (before, started) = (embedded.load(Ordering::Relaxed), Instant::now());
        let times = paced(encoder);
        let per_second = (embedded.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        (times, per_second)
    })
}

fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    at(&sorted((0..runs).map(|_| milliseconds(&mut run)).collect()), 0.5)
}

fn milliseconds(run: impl FnOnce()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64() * 1e3
}

fn sorted(mut times: Cell) -> Cell {
    times.sort_by(f64::total_cmp);
    times
}

fn at(times: &[f64], share: f64) -> f64 {
    times[((times.len() - 1) as f64 * share).round() as usize]
}

fn p50_p99(times: &[f64]) -> String {
    format!("{:.2} / {:.2}", at(times, 0.5), at(times, 0.99))
}
