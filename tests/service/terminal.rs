//! What is for people alone: how far a command is, and colours. Both come on a terminal, here a pseudo-terminal, and neither
//! where nobody looks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{ARTICLES, CONVERSATIONS, QUIET, index, run, run_in_terminal};

/// Every command whose work grows with what it is given, or that waits for somebody else, each with what it says meanwhile.
const LONG: [(&str, &str); 16] = [
    ("index --articles ARTICLES --index PLACE/index", "reading the articles"),
    ("index --articles ARTICLES --index PLACE/another", "embedding"),
    ("index --index PLACE/index --remove-source file:articles.jsonl", "building the index"),
    ("ask voucher --index INDEX", "asking"),
    ("eval --index INDEX --conversations CONVERSATIONS --quiet QUIET", "judging"),
    ("train --index INDEX --conversations CONVERSATIONS --quiet QUIET --out PLACE/model", "learning"),
    ("model promote PLACE/model --force", "loading the model"),
    ("check --offline", "loading models and indexes"),
    ("why --interaction call-1 --admin 127.0.0.1:9", "asking the service"),
    ("health --admin 127.0.0.1:9", "asking the service"),
    ("ledger stats", "counting"),
    ("ledger purge", "taking away what is too old"),
    ("ledger erase --interaction call-1", "erasing"),
    ("ledger backup PLACE/copy.db", "copying"),
    ("graph load GRAPH --timeout 1s", "loading the graph"),
    (
        "demo --once --port 0 --speed 0 --articles ARTICLES --conversations CONVERSATIONS",
        "loading the model into the service",
    ),
];

/// The other commands, each with the reason.
const SHORT: [(&str, &str); 6] = [
    ("serve", "has its log"),
    ("key", "draws some bytes"),
    ("completions", "writes what it holds"),
    ("man", "writes what it holds"),
    ("model rollback", "loads the model as `model promote` does, and exchanges two files"),
    ("model show", "loads the model as `model promote` does"),
];

const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");

/// What moves the cursor, clears a line or sets a colour begins with it.
const ESCAPE: char = '\u{1b}';

/// Whether a text sets a colour, or makes letters bold.
fn is_coloured(text: &str) -> bool {
    regex::Regex::new("\u{1b}\\[[0-9;]+m").unwrap().is_match(text)
}

fn tenant(place: &Path) -> Vec<(&str, &str)> {
    let place = place.to_str().unwrap();
    vec![
        ("CUECARD_DATA_DIR", place),
        ("CXONE_CONTRACT", "insights"),
        ("CXONE_CLIENT_ID", "client"),
        ("CXONE_CLIENT_SECRET", "opensesame"),
        ("CUECARD_INDEX", index().to_str().unwrap()),
    ]
}

/// The words of a command line, with files in the place of their names.
fn words(line: &str, place: &Path) -> Vec<String> {
    let files = [
        ("ARTICLES", ARTICLES),
        ("CONVERSATIONS", CONVERSATIONS),
        ("QUIET", QUIET),
        ("GRAPH", GRAPH),
        ("INDEX", index().to_str().unwrap()),
        ("PLACE", place.to_str().unwrap()),
    ];
    let word = |word: &str| files.iter().fold(word.to_owned(), |word, (name, file)| word.replace(name, file));
    line.split(' ').map(word).collect()
}

#[test]
fn whatever_may_take_a_while_says_what_it_does_on_a_terminal_and_nowhere_else() {
    let (seen, piped) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (line, expected) in LONG {
        let [on_terminal, in_pipe] = [&seen, &piped].map(|place| words(line, place.path()));
        let on_terminal: Vec<&str> = on_terminal.iter().map(String::as_str).collect();
        let in_pipe: Vec<&str> = in_pipe.iter().map(String::as_str).collect();
        // Nobody answers there.
        let database: &[(&str, &str)] =
            if line.starts_with("graph") { &[("NEO4J_URI", "bolt://127.0.0.1:9")] } else { &[] };
        let shown = run_in_terminal(&on_terminal, &[&tenant(seen.path()), database].concat());
        let drawn = shown.split(ESCAPE).any(|drawn| drawn.contains(expected));
        assert!(drawn && shown.contains(ESCAPE), "{line}: {expected}: {shown:?}");
        let ended = run(&in_pipe, &[&tenant(piped.path()), database].concat());
        let written = ended.stdout + &ended.stderr;
        assert!(!written.contains(ESCAPE) && !written.contains(expected), "{line}: {written:?}");
    }
}

/// The commands below this one that have none below them.
fn leaves(command: &clap::Command, before: &str) -> BTreeSet<String> {
    let below = command.get_subcommands();
    let named = |sub: &clap::Command| format!("{before} {}", sub.get_name()).trim().to_owned();
    below
        .flat_map(|sub| if sub.has_subcommands() { leaves(sub, &named(sub)) } else { BTreeSet::from([named(sub)]) })
        .collect()
}

#[test]
fn every_command_says_what_it_does_or_is_known_to_be_short() {
    let all = leaves(&cuecard::cli::Cli::command(), "");
    let short = |command: &str| SHORT.iter().any(|(known, _)| *known == command);
    let long = |command: &str| LONG.iter().any(|(line, _)| format!("{line} ").starts_with(&format!("{command} ")));
    let wrong: Vec<_> = all.iter().filter(|command| short(command) == long(command)).collect();
    assert!(all.len() > 15 && wrong.is_empty(), "in none of the lists, or in both: {wrong:?}");
    assert!(SHORT.iter().all(|(command, _)| all.contains(*command)), "a command that is gone: {all:?}");
}

/// Conversations that take a second at least.
const MANY: usize = 400;

fn question(number: usize) -> Value {
    json!({"speaker": "customer", "text": format!("Does dog number {number} need a cabin of its own on board?")})
}

/// By what was measured: nothing is said before something is done, and a bar that counts says how long it will take.
#[test]
fn what_can_be_counted_has_an_estimate_that_begins_when_something_is_done() {
    let place = TempDir::new().unwrap();
    // Each is another question, so that all of them take longer than what is drawn at once.
    let many: String = (0..MANY)
        .map(|number| {
            json!({"id": number.to_string(), "gold": ["pets"], "turns": [question(number)]}).to_string() + "\n"
        })
        .collect();
    fs::write(place.path().join("many.jsonl"), many).unwrap();
    let line = words("eval --index INDEX --conversations PLACE/many.jsonl --quiet QUIET", place.path());
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let shown = run_in_terminal(&line, &[]);
    let bars = regex::Regex::new(r"(asking|judging) [^\d]*(\d+)/(\d+)([^\u{1b}\r]*)").unwrap();
    let bars: Vec<_> = bars.captures_iter(&shown).map(|found| [1, 2, 4].map(|part| found[part].to_owned())).collect();
    for [what, done, said] in &bars {
        let is_estimated = said.contains("/s, ") && said.contains(" left");
        assert_eq!(done != "0", is_estimated, "{what} {done}{said}");
    }
    assert!(bars.iter().any(|[what, done, _]| what == "asking" && done != "0"), "{bars:?}: {shown:?}");
}

/// Help, a command line that can't be understood, and a warning in the log.
#[test]
fn colours_come_on_a_terminal_alone_and_no_color_switches_them_off() {
    let place = TempDir::new().unwrap();
    let wrong_level = ("RUST_LOG", "a=b=c");
    for (arguments, said) in
        [(&["--help"][..], "Usage"), (&["nonsense"], "nonsense"), (&["ledger", "stats"], "RUST_LOG can't be read")]
    {
        let variables = |more: &[(&'static str, &'static str)]| {
            let own = [("CUECARD_DATA_DIR", place.path().to_str().unwrap()), wrong_level];
            own.into_iter().chain(more.iter().copied()).collect::<Vec<_>>()
        };
        let shown = run_in_terminal(arguments, &variables(&[]));
        assert!(is_coloured(&shown) && shown.contains(said), "{arguments:?}: {shown:?}");
        let shown = run_in_terminal(arguments, &variables(&[("NO_COLOR", "1")]));
        assert!(!is_coloured(&shown) && shown.contains(said), "{arguments:?}: {shown:?}");
        let ended = run(arguments, &variables(&[]));
        let written = ended.stdout + &ended.stderr;
        assert!(!written.contains(ESCAPE) && written.contains(said), "{arguments:?}: {written:?}");
    }
}
