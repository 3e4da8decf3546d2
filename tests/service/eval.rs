//! What `eval` measures beyond its figures: each turn, models of folds, false pushes at a share of shown cards, less effort, rows
//! for each conversation, and two such files compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{CONVERSATIONS, Ended, QUIET, index, run};

/// A call in which two turns want a card and two want none.
const CALL: &str = r#"{"id": "dog-and-meals", "turns": [
    {"speaker": "customer", "text": "Hello, I have booked the ferry for Saturday.", "gold": []},
    {"speaker": "agent", "text": "Welcome, how can I help?"},
    {"speaker": "customer", "text": "Can I take my dog on board, and does he need a cabin?", "gold": ["pets"]},
    {"speaker": "agent", "text": "Yes, in a pet cabin or in your car."},
    {"speaker": "customer", "text": "Great, thank you.", "gold": []},
    {"speaker": "agent", "text": "You are welcome. Anything else?"},
    {"speaker": "customer", "text": "Are there vegan meals at the buffet?", "gold": ["meals"]}
], "gold": ["meals"]}"#;

fn eval(more: &[&str]) -> Ended {
    run(&[&["eval", "--index", index().to_str().unwrap()], more].concat(), &[])
}

/// Of the labelled conversations.
fn evaluated(more: &[&str]) -> Ended {
    let ended = eval(&[&["--conversations", CONVERSATIONS], more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

fn report(more: &[&str]) -> Value {
    serde_json::from_str(&evaluated(&[more, &["--json"]].concat()).stdout).unwrap()
}

/// A place for rows, and its name on a command line.
struct Rows(PathBuf);

impl Rows {
    fn new(place: &TempDir, name: &str) -> Self {
        Self(place.path().join(name))
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn read(&self) -> Vec<Value> {
        read(&self.0)
    }
}

fn read(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_turn_is_played_with_the_screen_and_counted_once() {
    let place = TempDir::new().unwrap();
    let (calls, rows) = (place.path().join("calls.jsonl"), Rows::new(&place, "rows.jsonl"));
    fs::write(&calls, CALL.replace('\n', " ")).unwrap();
    let arguments = ["--conversations", calls.to_str().unwrap(), "--every-turn", "--out", rows.name()];
    let told = eval(&arguments).stdout;
    let count = |label: &str| -> usize {
        let line = told.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{told}"));
        line.trim_start()[label.len()..].split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(told.contains("every turn of 1 conversations"), "{told}");
    assert_eq!((count("a card was wanted"), count("none was wanted")), (2, 2));
    let wanted = ["right ", "still right", "wrong ", "missed"].map(count);
    assert_eq!((wanted.iter().sum::<usize>(), wanted[0]), (2, 2), "{told}");
    assert_eq!((count("noise"), count("rightly silent")), (0, 2), "{told}");
    let played = &rows.read()[0]["played"];
    let outcomes: Vec<_> = played["turns"].as_array().unwrap().iter().map(|turn| turn["outcome"].clone()).collect();
    assert_eq!(outcomes, ["rightly_silent", "right", "rightly_silent", "right"]);
    assert_eq!(played["turns"][2]["standing"], "pets", "the screen is remembered: {played}");
    let report: Value = serde_json::from_str(&eval(&[&arguments[..], &["--json"]].concat()).stdout).unwrap();
    assert_eq!((&report["every_turn"]["right"], &report["every_turn"]["helpful_share"]), (&2.into(), &1.0.into()));
    assert!(rows.read()[0]["took_ms"].is_number());
}

#[test]
fn folds_judge_each_conversation_once_by_a_model_of_the_others() {
    let place = TempDir::new().unwrap();
    let (by_hand, learned) = (Rows::new(&place, "hand.jsonl"), Rows::new(&place, "learned.jsonl"));
    let quiet = ["--quiet", QUIET, "--out"];
    evaluated(&[&quiet[..], &[by_hand.name()]].concat());
    let folded = evaluated(&[&quiet[..], &[learned.name(), "--folds", "2"]].concat());
    assert!(folded.stdout.contains("recall@1"), "{}", folded.stdout);
    let ids = |rows: &Rows| rows.read().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (hand, folds) = (ids(&by_hand), ids(&learned));
    assert_eq!((hand.len(), folds.len()), (10, 10));
    assert_eq!(hand.iter().collect::<BTreeSet<_>>(), folds.iter().collect::<BTreeSet<_>>());
    let score = |rows: &Rows, id: &str| rows.read().iter().find(|row| row["id"] == id).unwrap()["best_score"].clone();
    assert!(hand.iter().any(|id| score(&by_hand, id) != score(&learned, id)), "the models changed nothing");
    let both = eval(&["--conversations", CONVERSATIONS, "--folds", "2", "--model", "model.json"]);
    assert!(both.code == Some(2) && both.stderr.contains("--model"), "{}", both.stderr);
    assert_eq!(eval(&["--conversations", CONVERSATIONS, "--folds", "1"]).code, Some(2));
}

#[test]
fn false_pushes_are_told_where_so_many_wanted_cards_are_shown() {
    let arguments = ["--quiet", QUIET, "--at-shown", ".9"];
    let at = report(&arguments)["at_shown"].clone();
    assert!(at["shown_rate"].as_f64() >= Some(0.9), "{at}");
    assert_eq!(at["false_push_rate"], 0.0, "thanks and a name want no card");
    let all = report(&["--quiet", QUIET, "--at-shown", "1"])["at_shown"].clone();
    assert_eq!(all["shown_rate"], 1.0);
    let told = evaluated(&arguments).stdout;
    assert!(told.contains("0.0000   of the quiet ones, where "), "{told}");
    for wrong in
        [&["--at-shown", ".9"][..], &["--quiet", QUIET, "--at-shown", "0"], &["--quiet", QUIET, "--at-shown", "90"]]
    {
        let ended = eval(&[&["--conversations", CONVERSATIONS], wrong].concat());
        assert_eq!(ended.code, Some(2), "{wrong:?}: {}", ended.stderr);
    }
}

#[test]
fn less_effort_embeds_less_and_two_evaluations_are_compared() {
    let place = TempDir::new().unwrap();
    let [full, newest, words] = ["full", "newest_turn", "lexical_only"].map(|effort| {
        let rows = Rows::new(&place, &format!("{effort}.jsonl"));
        evaluated(&["--quiet", QUIET, "--effort", effort, "--out", rows.name()]);
        rows
    });
    let scores = |rows: &Rows| rows.read().iter().map(|row| row["best_score"].as_f64().unwrap()).collect::<Vec<_>>();
    assert_ne!(scores(&full), scores(&words), "without vectors");
    assert_ne!(scores(&newest), scores(&words));
    let unknown = eval(&["--conversations", CONVERSATIONS, "--effort", "none"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("lexical_only"), "{}", unknown.stderr);

    let compared = |before: &Rows, after: &Rows| run(&["eval", "--compare", before.name(), after.name()], &[]);
    let comparison = |before: &Rows, after: &Rows| -> Value {
        let ended = run(&["eval", "--compare", before.name(), after.name(), "--json"], &[]);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let told = compared(&full, &words);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stdout.starts_with("10 conversations of 10 dialogues in both, 0 left out\n"), "{}", told.stdout);
    assert!(["mrr_at_5", "false_push_rate_at_90", "95 % of the gain"].iter().all(|part| told.stdout.contains(part)));
    let gained = comparison(&words, &full);
    let gain = |name: &str| {
        let gains = gained["gains"].as_array().unwrap();
        gains.iter().find(|gain| gain["measure"] == name).unwrap_or_else(|| panic!("{name}: {gained}")).clone()
    };
    let [before, after] = ["before", "after"].map(|which| gain("mrr_at_5")[which].as_f64().unwrap());
    assert!(after >= before && after == report(&["--quiet", QUIET])["mrr_at_5"].as_f64().unwrap(), "{gained}");
    let same = comparison(&full, &full);
    assert_eq!(same["gains"][0]["interval"], serde_json::json!([0.0, 0.0]), "{same}");

    let fewer = Rows::new(&place, "fewer.jsonl");
    let text = fs::read_to_string(&full.0).unwrap();
    fs::write(&fewer.0, text.lines().take(3).collect::<Vec<_>>().join("\n")).unwrap();
    assert!(compared(&full, &fewer).stdout.starts_with("3 conversations of 3 dialogues in both, 7 left out\n"));
    let refused = |text: &str| {
        fs::write(&fewer.0, text).unwrap();
        let ended = compared(&full, &fewer);
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        ended.stderr
    };
    let line = text.lines().next().unwrap();
    let broken = refused(&format!("{line}\nno row\n"));
    assert!(
        broken.contains(&format!("{}:2: this is no line that `cuecard eval --out` wrote", fewer.name())),
        "{broken}"
    );
    let other = refused(&line.replace("\"dog\"", "\"another\""));
    assert!(other.contains("no conversation in common"), "{other}");
}
