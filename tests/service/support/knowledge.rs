//! The articles of a ferry company that does not exist, and the index of them, built once for all tests.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::run;

/// Twenty articles, one topic each.
pub const ARTICLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/articles.jsonl");
/// Labelled conversations about some of them.
pub const CONVERSATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/conversations.jsonl");
/// Conversations that need no card.
pub const QUIET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/quiet.jsonl");

/// The index of [`ARTICLES`].
pub fn index() -> &'static Path {
    static INDEX: OnceLock<PathBuf> = OnceLock::new();
    INDEX.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_those_of_ended_processes(place);
        let index = place.join(format!("index-{}", std::process::id()));
        build_index(ARTICLES.as_ref(), &index);
        index
    })
}

/// Nothing runs at the end of a test process, so the next one clears up.
fn remove_those_of_ended_processes(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix("index-"));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another test process may be clearing up as well.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Brings an index up to date as an engineer would.
pub fn build_index(articles: &Path, index: &Path) -> Value {
    let (articles, index) = (articles.to_str().unwrap(), index.to_str().unwrap());
    let ended = run(&["index", "--articles", articles, "--index", index, "--json"], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// What the customer asks in each labelled conversation, with the article that answers it.
pub fn questions() -> Vec<(String, String)> {
    let conversations = rows(CONVERSATIONS);
    let question = |conversation: &Value| {
        let asked = conversation["turns"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap();
        (asked.to_owned(), conversation["gold"][0].as_str().unwrap().to_owned())
    };
    conversations.iter().map(question).collect()
}

/// An article as it stands in the file.
pub fn body_of(article: &str) -> Value {
    rows(ARTICLES).into_iter().find(|row| row["id"] == article).unwrap()
}

fn rows(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
