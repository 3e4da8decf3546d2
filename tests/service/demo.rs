//! The demonstration: that it comes to its end and says what it showed, and that its data hold together.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cuecard_actors::engine::encoder::default_model_dir;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::support::{Caller, cuecard, run};

const ARTICLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/articles.jsonl");
const CONVERSATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/conversations.jsonl");
const QUIET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/quiet.jsonl");

/// A file of calls, by its name within the demo's folder.
fn demo_file(name: &str) -> String {
    format!("{}/demo/{name}.jsonl", env!("CARGO_MANIFEST_DIR"))
}

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

/// A figure of the closing summary.
fn figure(stdout: &str, name: &str) -> u64 {
    let summary = stdout.split_once("stopping\n").unwrap_or_else(|| panic!("{stdout}")).1;
    let value = summary.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {summary}"));
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// That no card and no silence is shown without the turn that it is for.
fn assert_quoted(stdout: &str) {
    let lines: Vec<_> = stdout.lines().collect();
    for pair in lines.windows(2) {
        if ["    card  ", "    silent"].iter().any(|start| pair[1].starts_with(start)) {
            assert!(["    said  ", "    not taken  "].iter().any(|start| pair[0].starts_with(start)), "{pair:?}");
        }
    }
}

/// That silence names what an earlier turn brought, where it names anything: without pauses cards come late, and which call
/// still has one is open.
fn assert_screen_is_told(stdout: &str) {
    let mut cards = String::new();
    for line in stdout.lines() {
        if line.starts_with("    card  ") {
            cards += line;
        } else if let Some(title) = line.strip_prefix("    silent  on the screen is still: ") {
            assert!(cards.contains(title), "{line}");
        }
    }
}

/// Writes a file with a call of one turn, and returns its path.
fn write_call(folder: &Path, asks: &str) -> String {
    let file = folder.join("calls.jsonl");
    let call = json!({"id": "moving", "turns": [{"speaker": "customer", "text": asks}]});
    std::fs::write(&file, call.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn one_round_ends_with_code_0_and_says_what_was_shown() {
    // Without pauses: what is said, and what comes of it, are the same.
    let (cache, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = default_model_dir();
    let [model, cache] = [&model, cache.path()].map(|path| path.to_str().unwrap());
    let places = [("CUECARD_MODEL_DIR", model), ("CUECARD_CACHE", cache)];
    let own = [&places[..], &[("CXONE_BASE_URL", "http://127.0.0.1:1"), ("CUECARD__PROFILE__CARDS", "2")]].concat();
    let ended = run(&["demo", "--once", "--port", "0", "--speed", "0"], &own);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let (articles, asking, quiet) = (rows(ARTICLES), rows(CONVERSATIONS), rows(QUIET));
    for part in [
        &format!("{} articles in", articles.len()),
        "agent's desktop     http://127.0.0.1:",
        "/console/\n",
        "/_sim/faults\n",
        "/metrics\n",
        "brings its own settings: CUECARD__PROFILE__CARDS, CXONE_BASE_URL\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let num_calls = asking.len() + quiet.len();
    for conversation in asking.iter().chain(&quiet) {
        let call = format!("/{num_calls}  {}\n", conversation["id"].as_str().unwrap());
        assert!(ended.stdout.contains(&call), "{call}: {}", ended.stdout);
    }
    assert_quoted(&ended.stdout);
    assert_screen_is_told(&ended.stdout);
    let silent = ended.stdout.lines().filter(|line| line.starts_with("    silent")).count();
    assert!(silent >= quiet.len() / 2, "{silent} of {} quiet calls: {}", quiet.len(), ended.stdout);
    let shown = ended.stdout.lines().filter(|line| line.starts_with("    card  ")).count() as u64;
    // Most questions have an article.
    assert!(shown >= asking.len() as u64 / 2, "{shown} were printed: {}", ended.stdout);
    let figures = ["calls played", "cards shown", "calls ended in silence", "violations"];
    let expected = [num_calls as u64, shown, silent as u64, 0];
    assert_eq!(figures.map(|name| figure(&ended.stdout, name)), expected, "{}", ended.stdout);
    assert!(figure(&ended.stdout, "median, turn to card") > 0, "{}", ended.stdout);
    let call = write_call(folder.path(), "Can I take my router along when I move house?");
    let again = run(&["demo", "--once", "--port", "0", "--speed", "0", "--conversations", &call], &places);
    assert_eq!((again.code, figure(&again.stdout, "cards shown")), (Some(0), 1), "{}{}", again.stdout, again.stderr);
    assert!(ended.stdout.contains(" s, embedded\n"), "{}", ended.stdout);
    assert!(again.stdout.contains(" s, embedded before\n"), "{}", again.stdout);
}

#[test]
fn a_port_in_use_is_said_before_anything_is_embedded() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = run(&["demo", "--port", &held.local_addr().unwrap().port().to_string()], &[]);
    assert!(ended.code == Some(1) && ended.stdout.is_empty(), "{}", ended.stdout);
    assert_eq!(ended.stderr.matches("in use").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_file_without_a_call_is_refused() {
    let empty = NamedTempFile::new().unwrap();
    let ended = run(&["demo", "--port", "0", "--conversations", empty.path().to_str().unwrap()], &[]);
    assert!(ended.code == Some(1) && ended.stderr.contains("holds no conversations"), "{}", ended.stderr);
}

#[actix_rt::test]
async fn a_push_that_is_not_taken_is_one_line_and_told_to_stop_it_ends_with_the_figures() {
    let folder = TempDir::new().unwrap();
    let asks = "Can I take my router along when I move house?";
    let calls = write_call(folder.path(), asks);
    // No index can be kept where a file lies.
    let cache = folder.path().join("cache");
    std::fs::write(&cache, "").unwrap();
    let (model, cache) = (default_model_dir(), cache.to_str().unwrap());
    let places = [("CUECARD_MODEL_DIR", model.to_str().unwrap()), ("CUECARD_CACHE", cache)];
    let mut command = cuecard(&["demo", "--port", "0", "--conversations", &calls], &places);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let page = lines.find_map(|line| line.strip_prefix("  make faults         http://").map(str::to_owned)).unwrap();
    let address = page.split_once('/').unwrap().0.parse().unwrap();
    let order = json!({"route": "insights", "times": 2, "fault": {"kind": "answer", "status": 503}});
    assert_eq!(Caller::new(address).post("/_sim/faults", &order).await.status, 204);
    let is_of_call = |line: &String| !line.starts_with("call ");
    lines.by_ref().find(|line| line.starts_with("call ")).unwrap();
    let first: Vec<String> = lines.by_ref().take_while(is_of_call).collect();
    let second: Vec<String> = lines.by_ref().take_while(is_of_call).collect();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    let ended = child.wait_with_output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{rest:?}{log}");
    let said = format!("    said  {asks}");
    assert_eq!(first[0], said);
    assert!(first[1].starts_with("    not taken  answered 503, tried again"), "{first:?}");
    assert!(first[2].starts_with("    card  ") && first.len() == 4, "{first:?}");
    assert!(second[0] == said && second[1].starts_with("    card  ") && second.len() == 3, "{second:?}");
    let rest = rest.join("\n");
    assert_eq!(["calls played", "cards shown", "violations"].map(|name| figure(&rest, name)), [2, 2, 0]);
    let unkept = "the demo's index can't be kept for the next time: ";
    assert!(log.starts_with(unkept) && log.lines().count() == 1, "nothing else is logged, a stop is no warning: {log}");
}

#[test]
fn every_gold_article_is_in_the_knowledge_base() {
    let articles = rows(ARTICLES);
    let known = ids(&articles);
    assert!(known.len() == articles.len() && articles.len() >= 80, "{} articles, {} ids", articles.len(), known.len());
    let halves = ["conversations", "heldback/conversations"].map(|name| rows(&demo_file(name)));
    let quiet = ["quiet", "heldback/quiet"].map(|name| rows(&demo_file(name)));
    let whole = ["whole_calls", "heldback/whole_calls"].map(|name| rows(&demo_file(name)));
    for conversation in halves.iter().flatten() {
        assert!(!gold(conversation).is_empty(), "{}", conversation["id"]);
    }
    assert!(quiet.iter().flatten().all(|conversation| gold(conversation).is_empty()));
    let all: Vec<&Value> = halves.iter().chain(&quiet).chain(&whole).flatten().collect();
    let ids_of_all: HashSet<_> = all.iter().map(|conversation| &conversation["id"]).map(Value::to_string).collect();
    assert_eq!(ids_of_all.len(), all.len(), "every conversation has an id of its own");
    for conversation in &all {
        let turns = conversation["turns"].as_array().unwrap();
        let (of_customer, of_agent): (Vec<&Value>, Vec<_>) =
            turns.iter().partition(|turn| turn["speaker"] == "customer");
        assert!(of_agent.iter().all(|turn| turn["gold"].is_null()), "{}", conversation["id"]);
        for id in of_customer.iter().flat_map(|turn| gold(turn)) {
            assert!(known.contains(id), "{}: {id}", conversation["id"]);
        }
    }
    for conversation in halves.iter().chain(&quiet).flatten() {
        let last = conversation["turns"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["speaker"], gold(last)), (&json!("customer"), gold(conversation)), "{}", conversation["id"]);
    }
    for conversation in whole.iter().flatten() {
        let wanted = |turn: &&Value| !turn["gold"].is_null() && !gold(turn).is_empty();
        let last_wanted = conversation["turns"].as_array().unwrap().iter().rfind(wanted);
        assert_eq!(last_wanted.map(gold).unwrap_or_default(), gold(conversation), "{}", conversation["id"]);
    }
}
