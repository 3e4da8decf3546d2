//! The targets of fuzzing in the ordinary tests: each takes the inputs in `seeds`, those that once were findings among
//! them, and some that chance made of these.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use cuecard_fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

/// Inputs of chance for each target, where `PROPTEST_CASES` asks for no other number. Settings take a hundred times as long to
/// read as anything else.
const CASES: u32 = 1_000;
const CASES_OF_SETTINGS: u32 = 50;

/// What parsers look at twice.
const PIECES: [&str; 20] = [
    "{", "}", "[", "]", "\"", "\\", "\\ud800", "null", "NaN", "-1", "1e999", ":", ",", "\n", " ", "\u{feff}", "é",
    "<li>", "&", ".",
];

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "seeds", target].iter().collect()
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    fs::read_dir(folder(target)).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A change to an input at some place.
#[derive(Debug, Clone)]
enum Change {
    Replace(u8),
    Insert(&'static str),
    Remove(u8),
    Repeat(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Replace),
        select(&PIECES[..]).prop_map(Change::Insert),
        any::<u8>().prop_map(Change::Remove),
        any::<u8>().prop_map(Change::Repeat),
    ]
}

fn changed(mut input: Vec<u8>, changes: &[(Index, Change)]) -> Vec<u8> {
    for (place, change) in changes {
        let place = place.index(input.len() + 1);
        let end = |length: &u8| (place + usize::from(*length)).min(input.len());
        match change {
            Change::Replace(byte) => input.get_mut(place).into_iter().for_each(|old| *old = *byte),
            Change::Insert(piece) => drop(input.splice(place..place, piece.bytes())),
            Change::Remove(length) => drop(input.drain(place..end(length))),
            Change::Repeat(length) => {
                let piece = input[place..end(length)].to_vec();
                input.splice(place..place, piece);
            }
        }
    }
    input
}

fn run(&(name, target): &Target) {
    let seeds = seeds(name);
    for seed in &seeds {
        target(seed);
    }
    let changes = prop::collection::vec((any::<Index>(), change()), 1..8);
    let inputs = (select(seeds), changes).prop_map(|(seed, changes)| changed(seed, &changes));
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if name == "settings" { CASES_OF_SETTINGS } else { CASES };
    }
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        target(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

#[test]
fn every_target_takes_its_seeds_and_what_chance_makes_of_them() {
    std::thread::scope(|scope| {
        let running: Vec<_> = TARGETS.iter().map(|target| scope.spawn(move || run(target))).collect();
        for target in running {
            target.join().unwrap();
        }
    });
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let of_folder = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(of_folder("fuzz_targets"), names);
    assert_eq!(of_folder("seeds"), names);
    for name in names {
        assert!(!seeds(&name).is_empty(), "{name}");
        let program = fs::read_to_string(folder("").with_file_name("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("cuecard_fuzz::{name}(input)")), "{program}");
    }
}
