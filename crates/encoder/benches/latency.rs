//! How long the encoder takes, and what an index build beside it costs live texts.
//!
//! `cargo bench -p cuecard-encoder` prints tables; nothing passes or fails here, because a time
//! says as much about the machine as about the encoder.

#![allow(clippy::unwrap_used)]

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use cuecard_encoder::{Encoder, EncoderSettings};

/// 34 word pieces with `[CLS]` and `[SEP]`.
const SENTENCE: &str = "My order arrived yesterday with the wrong size and a broken zip, so can I swap it \
    for another new one today without paying for the shipping once again please?";
/// 14 word pieces.
const SHORT: &str = "Does this hotel have free parking for a very small van?";

/// One live text every 50 ms: a conversation's turns never come faster, so none waits for another.
const PACE: Duration = Duration::from_millis(50);
const LIVE_TEXTS: usize = 300;

fn main() {
    let long = SENTENCE.repeat(8);
    println!("one text after the other, and eight at once, on one thread");
    println!(
        "{:>8} {:>12} {:>12} {:>18} {:>16}",
        "pieces", "live 1 ms", "live 8 ms", "live 8 ms per text", "bulk ms per text"
    );
    let started = Instant::now();
    let encoder = load(1);
    let load_time = started.elapsed();
    for text in [SHORT, SENTENCE, &long] {
        let pieces = encoder.encode_blocking(text).unwrap().word_pieces;
        let one = median(30, || drop(encoder.encode_blocking(text).unwrap()));
        let eight = median(10, || eight_at_once(&encoder, text));
        let bulk_texts = vec![text.to_owned(); 48];
        let bulk = median(3, || drop(encoder.embed_bulk(&bulk_texts).unwrap()));
        println!("{pieces:>8} {one:>12.2} {eight:>12.2} {:>18.2} {:>16.2}", eight / 8.0, bulk / 48.0);
    }
    let megabyte = SENTENCE.repeat((1 << 20) / SENTENCE.len());
    println!("load {load_time:.2?}");
    println!("1 MB of text, live: {:.2} ms", median(5, || drop(encoder.encode_blocking(&megabyte).unwrap())));
    println!("1 MB of text, cut into chunks: {:.0} ms", median(3, || drop(encoder.chunks(&megabyte, 0))));
    drop(encoder);

    println!("\nlive texts of 34 pieces, one every {PACE:?}, without and with a bulk embedding beside them");
    println!(
        "{:>8} {:<28} {:>8} {:>8} {:>8} {:>14}",
        "threads", "beside", "p50 ms", "p99 ms", "max ms", "bulk texts / s"
    );
    for threads in [1, 2] {
        let encoder = load(threads);
        report(threads, "nothing", &live_times(&encoder), None);
        for (name, text) in [("articles of 34 pieces", SENTENCE), ("articles of 256 pieces", &long)] {
            let (times, per_second) = beside_bulk(&encoder, text);
            report(threads, name, &times, Some(per_second));
        }
    }
}

fn load(threads: usize) -> Encoder {
    Encoder::load(&EncoderSettings { threads, ..EncoderSettings::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn eight_at_once(encoder: &Encoder, text: &str) {
    let pending: Vec<_> = (0..8).map(|_| encoder.encode(text).unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for encoding in pending {
            encoding.await.unwrap();
        }
    });
}

fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..runs).map(|_| milliseconds(&mut run)).collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

fn milliseconds(mut run: impl FnMut()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64() * 1e3
}

/// Sorted times of paced live texts.
fn live_times(encoder: &Encoder) -> Vec<f64> {
    let started = Instant::now();
    let mut times = Vec::with_capacity(LIVE_TEXTS);
    for number in 1..=LIVE_TEXTS {
        times.push(milliseconds(|| drop(encoder.encode_blocking(SENTENCE).unwrap())));
        thread::sleep((PACE * number as u32).saturating_sub(started.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    times
}

fn beside_bulk(encoder: &Encoder, text: &str) -> (Vec<f64>, f64) {
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
        let times = live_times(encoder);
        let per_second = (embedded.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        (times, per_second)
    })
}

fn report(threads: usize, beside: &str, times: &[f64], bulk_per_second: Option<f64>) {
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    let bulk = bulk_per_second.map_or_else(String::new, |rate| format!("{rate:.0}"));
    println!("{threads:>8} {beside:<28} {:>8.1} {:>8.1} {:>8.1} {bulk:>14}", at(0.5), at(0.99), at(1.0));
}
