//! Reads labelled conversations: JSON Lines, plain or gzip-compressed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuecard_knowledge::{Row, Rows, json_flaw};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use crate::conversation::{FlushReason, Fragment, Speaker, Utterance, Window, WindowLimits};

/// A conversation; what is asked for is the card after its last customer turn, and after each turn that says what it wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(expecting = "an object with id and turns")]
pub struct Conversation {
    /// Its id.
    pub id: String,
    turns: Vec<SpokenTurn>,
    /// Articles that answer the last customer turn; none where no card should be shown.
    #[serde(default)]
    pub gold: Vec<String>,
    /// Articles that are just as right.
    #[serde(default)]
    pub gold_alt: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(expecting = "an object with speaker and text")]
struct SpokenTurn {
    #[serde(deserialize_with = "speaker")]
    speaker: Speaker,
    text: String,
    #[serde(default)]
    gold: Option<Vec<String>>,
}

/// What is asked at one customer turn, and what would be right to show.
pub struct Asked<'a> {
    /// The turn and those before it.
    pub utterance: Utterance,
    /// When the turn ends, from the start of the conversation, at the pace of speech.
    pub ends: Duration,
    /// Articles that answer it, none where no card is wanted; `None` where nobody said.
    pub gold: Option<Gold<'a>>,
}

/// The articles that answer a turn.
#[derive(Debug, Clone, Copy)]
pub struct Gold<'a>(&'a [String], &'a [String]);

impl<'a> Gold<'a> {
    pub(super) fn new(articles: &'a [String], alternatives: &'a [String]) -> Self {
        Self(articles, alternatives)
    }

    /// Whether this article answers it.
    pub fn has(self, article_id: &str) -> bool {
        self.0.iter().chain(self.1).any(|right| right == article_id)
    }

    /// Whether no card is wanted.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// People say some 150 words a minute on the phone.
const WORDS_PER_SECOND: f64 = 2.5;
/// Between two turns.
const PAUSE: Duration = Duration::from_secs(1);

impl SpokenTurn {
    fn takes(&self) -> Duration {
        PAUSE + Duration::from_secs_f64(self.text.split_whitespace().count() as f64 / WORDS_PER_SECOND)
    }
}

/// As on the streams, an unknown participant counts as customer.
fn speaker<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Speaker, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(if name == "agent" { Speaker::Agent } else { Speaker::Customer })
}

impl Conversation {
    fn texts(&self) -> Vec<&str> {
        self.turns.iter().map(|turn| turn.text.as_str()).collect()
    }

    /// The utterance that asks; `None` if no customer spoke.
    pub fn utterance(&self, limits: &WindowLimits) -> Option<Utterance> {
        self.asked(limits).last().map(|asked| asked.utterance)
    }

    /// What is asked at each customer turn, in their order, made by the window that the live Buffer uses.
    pub fn asked(&self, limits: &WindowLimits) -> impl Iterator<Item = Asked<'_>> {
        let mut window = Window::default();
        let (arrived, mut ends) = (Instant::now(), Duration::ZERO);
        let last = self.turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
        self.turns.iter().enumerate().filter_map(move |(position, turn)| {
            ends += turn.takes();
            window.hear(Fragment { speaker: turn.speaker, text: turn.text.as_str().into(), arrived });
            let utterance = window.flush(FlushReason::State, Vec::new(), limits)?;
            let alternatives = if Some(position) == last { self.gold_alt.as_slice() } else { &[] };
            let gold = turn.gold.as_ref().map(|gold| Gold::new(gold, alternatives));
            Some(Asked { utterance, ends, gold })
        })
    }

    /// All articles that are named as an answer.
    pub fn named_articles(&self) -> impl Iterator<Item = &str> {
        let of_turns = self.turns.iter().filter_map(|turn| turn.gold.as_ref()).flatten();
        self.gold.iter().chain(&self.gold_alt).chain(of_turns).map(String::as_str)
    }

    /// Whether the article answers the last customer turn.
    pub fn is_right(&self, article_id: &str) -> bool {
        self.gold.iter().chain(&self.gold_alt).any(|right| right == article_id)
    }
}

/// For each conversation the place of the one that it goes on from, its own where it goes on from none: a file may hold a
/// call several times, each time one question longer, and what was learned from one would be judged on the other.
pub fn beginnings(conversations: &[&Conversation]) -> Vec<usize> {
    let mut whole: HashMap<Vec<&str>, usize> = HashMap::new();
    for (place, conversation) in conversations.iter().enumerate() {
        whole.entry(conversation.texts()).or_insert(place);
    }
    let beginning = |(place, conversation): (usize, &&Conversation)| {
        let texts = conversation.texts();
        (1..=texts.len()).find_map(|length| whole.get(&texts[..length])).copied().unwrap_or(place)
    };
    conversations.iter().enumerate().map(beginning).collect()
}

/// A conversation file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The file can't be opened or read to its end.
    #[error("can't read the conversations in {}: {source}; name JSON Lines, plain or .gz, that this user may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no conversation.
    #[error("{}:{line}: not a conversation: {reason}; it has an id, and turns with speaker and text", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// There is nothing in it.
    #[error("there is no conversation in {}; write one on each line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a conversation file; a line that is none is an error, since figures over a part would mislead.
pub fn read_conversations(path: &Path) -> Result<Vec<Conversation>, ConversationError> {
    let read_error = |source| ConversationError::Read { path: path.to_owned(), source };
    let mut rows = Rows::open(path).map_err(read_error)?;
    let mut conversations = Vec::new();
    while let Some(Row { line, content }) = rows.next_row().map_err(read_error)? {
        let row_error = |reason| ConversationError::Row { path: path.to_owned(), line, reason };
        let row = content.map_err(|error| row_error(error.to_string()))?;
        conversations.push(serde_json::from_slice(row).map_err(|error| row_error(json_flaw(&error)))?);
    }
    if conversations.is_empty() {
        return Err(ConversationError::Empty { path: path.to_owned() });
    }
    Ok(conversations)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;
    use crate::conversation::TurnWindow;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn the_last_customer_turn_asks_and_an_unknown_speaker_counts_as_customer() {
        let file = written(
            r#"{"id":"a","turns":[{"speaker":"agent","text":"hi"},{"speaker":"caller","text":"my bill"},{"speaker":"agent","text":"yes?"}],"gold":["x"],"gold_alt":["y"],"source":"own"}"#,
        );
        let conversation = read_conversations(file.path()).unwrap().remove(0);
        let utterance = conversation.utterance(&WindowLimits::default()).unwrap();
        assert_eq!(utterance.window_text(TurnWindow::All).verbatim(), "hi my bill");
        assert!(conversation.is_right("x") && conversation.is_right("y") && !conversation.is_right("z"));
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_number() {
        let file = written("{\"id\":\"a\",\"turns\":[]}\n\n{\"id\":3}\n");
        let error = read_conversations(file.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{}:3: not a conversation", file.path().display())), "{error}");
        assert!(matches!(read_conversations(written("\n").path()), Err(ConversationError::Empty { .. })));
        assert!(matches!(read_conversations(Path::new("none")), Err(ConversationError::Read { .. })));
    }
}
