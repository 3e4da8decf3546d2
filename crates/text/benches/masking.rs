//! How much text is masked in a second.
//!
//! `cargo bench -p cuecard-text --bench masking` prints it for what is said in calls, with and without anything to mask,
//! and for texts that are made to be slow; nothing passes or fails here. Each text is measured in two lengths: where the
//! work grows with the length alone, the throughput differs by no more than the processor's caches make of it.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cuecard_text::masking::{finds, mask};

const TABLE: &str = include_str!("../tests/masking/table.tsv");

/// The longest text that is taken in, and one that is sixteen times as long.
const LENGTHS: [(&str, usize); 2] = [("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];

/// The table's lines without their marks.
fn lines() -> Vec<String> {
    let lines = TABLE.lines().filter_map(|line| line.split_once('\t'));
    let unmarked = |(_, line): (&str, &str)| {
        let pieces = line.split('{').map(|piece| piece.split_once('|').map_or(piece, |(_, words)| words));
        pieces.collect::<String>().replace('}', "")
    };
    lines.map(unmarked).collect()
}

fn repeated(pieces: &[String], num_bytes: usize) -> String {
    let mut text = String::with_capacity(num_bytes + 256);
    for piece in pieces.iter().cycle() {
        text.push_str(piece);
        text.push(' ');
        if text.len() >= num_bytes {
            break;
        }
    }
    text
}

fn texts() -> Vec<(&'static str, Vec<String>)> {
    let all = lines();
    let plain = all.iter().filter(|line| finds(line).is_empty() && line.is_ascii()).cloned().collect();
    let chat = "thanks for calling how can i help you today well i bought a jacket last week and the zip is broken so \
        i would like to send it back";
    let one = |piece: &str| vec![piece.to_owned()];
    vec![
        ("talk without numbers", one(chat)),
        ("lines with nothing to mask", plain),
        ("all lines", all),
        ("digits", one("4 1 5")),
        ("digit words", one("four one five double")),
        ("phone numbers", one("415 555 0132")),
        ("ats", one("at dot @ . com")),
        ("countries", one("de 12 gb 34")),
        ("signs", one("1-2.3/4,5:6")),
    ]
}

fn masking(criterion: &mut Criterion) {
    for (length, num_bytes) in LENGTHS {
        let mut group = criterion.benchmark_group(length);
        group.sample_size(10);
        for (name, pieces) in texts() {
            let text = repeated(&pieces, num_bytes);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(name, |bencher| bencher.iter(|| mask(black_box(&text)).len()));
        }
        group.finish();
    }
}

criterion_group!(benches, masking);
criterion_main!(benches);
