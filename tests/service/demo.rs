//! The demonstration: that it comes to its end and says what it showed, and that its data hold together.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::run;

const ARTICLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/articles.jsonl");
const CONVERSATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/conversations.jsonl");
const QUIET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/quiet.jsonl");

fn rows(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}"))).collect()
}

fn ids(rows: &[Value]) -> HashSet<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn gold(conversation: &Value) -> Vec<&str> {
    conversation["gold"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

/// The number before `word` in a line like `67 turns, 60 cards`.
fn counted(line: &str, word: &str) -> u64 {
    let words: Vec<_> = line.split([' ', ',']).collect();
    let place = words.iter().position(|found| *found == word).unwrap_or_else(|| panic!("no {word} in {line}"));
    words[place - 1].parse().unwrap()
}

#[test]
fn one_round_ends_with_code_0_and_says_what_was_shown() {
    // Without pauses: what is said, and what comes of it, are the same.
    let ended = run(&["demo", "--once", "--port", "0", "--speed", "0"], &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let (articles, asking, quiet) = (rows(ARTICLES), rows(CONVERSATIONS), rows(QUIET));
    for part in [&format!("{} articles in", articles.len()), "agent's desktop   http://127.0.0.1:", "/metrics"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let num_calls = asking.len() + quiet.len();
    for conversation in asking.iter().chain(&quiet) {
        let call = format!("/{num_calls}  {}\n", conversation["id"].as_str().unwrap());
        assert!(ended.stdout.contains(&call), "{call}: {}", ended.stdout);
    }
    let silent = ended.stdout.lines().filter(|line| *line == "    silent").count();
    assert!(silent >= quiet.len() / 2, "{silent} of {} quiet calls: {}", quiet.len(), ended.stdout);
    let shown = ended.stdout.lines().filter(|line| line.starts_with("    card  ")).count() as u64;
    let summary =
        ended.stdout.lines().find(|line| line.ends_with(" cards")).unwrap_or_else(|| panic!("{}", ended.stdout));
    let (turns, cards) = (counted(summary, "turns"), counted(summary, "cards"));
    assert!(turns > num_calls as u64, "{summary}");
    // Most questions have an article; a push may still be printed while the last is counted.
    assert!(cards >= asking.len() as u64 / 2 && cards <= turns, "{summary}");
    assert!(shown >= asking.len() as u64 / 2, "{shown} were printed: {}", ended.stdout);
    assert!(!ended.stdout.contains("push refused"), "{}", ended.stdout);
}

#[test]
fn every_gold_article_is_in_the_knowledge_base() {
    let (articles, conversations, quiet) = (rows(ARTICLES), rows(CONVERSATIONS), rows(QUIET));
    let known = ids(&articles);
    assert!(known.len() == articles.len() && articles.len() >= 80, "{} articles, {} ids", articles.len(), known.len());
    assert!(conversations.len() >= 20, "{}", conversations.len());
    for conversation in &conversations {
        let gold = gold(conversation);
        let unknown: Vec<_> = gold.iter().filter(|id| !known.contains(*id)).collect();
        assert!(!gold.is_empty() && unknown.is_empty(), "{}: {unknown:?}", conversation["id"]);
    }
    assert!(!quiet.is_empty() && quiet.iter().all(|conversation| gold(conversation).is_empty()));
    let all: Vec<Value> = conversations.into_iter().chain(quiet).collect();
    assert_eq!(ids(&all).len(), all.len(), "every conversation has an id of its own");
    for conversation in &all {
        let turns = conversation["turns"].as_array().unwrap();
        assert_eq!(turns.last().unwrap()["speaker"], "customer", "{}", conversation["id"]);
    }
}
