//! What a push is about, before any dialect has written it.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::interaction_id::InteractionId;
use crate::ranking::RankingSubmission;

/// The agent's screen that a push is meant for.
#[derive(Clone, Copy, Debug)]
pub struct PushTarget<'a> {
    /// The conversation, interaction or session, as the dialect calls it.
    pub interaction: &'a InteractionId,
    /// Sent by the dialect that names the agent; empty elsewhere.
    pub agent_id: &'a str,
}

#[derive(Clone, PartialEq)]
pub enum PushContent {
    /// In the order of their rank.
    Cards(Vec<Card>),
    /// A caller's own snippets in their new order.
    Ranking(RankingSubmission),
}

/// One article as the agent shall see it.
#[derive(Clone, Default, PartialEq)]
pub struct Card {
    pub article_id: String,
    pub title: String,
    pub url: Option<String>,
    /// The whole article.
    pub body: String,
    /// The part of it that was found; empty stands for the body.
    pub passage: String,
    /// The part of it that answers, where that is shown instead of the start of the body.
    pub answer: Option<String>,
    /// Where the passage comes from, for people; empty stands for the URL, else the id.
    pub source: String,
    pub summary: Option<String>,
    /// The score that ordered the cards.
    pub score: f64,
    /// How much an article matters, the higher the more.
    pub priority: Option<i64>,
    /// When the article was last changed, as its source wrote it.
    pub updated: Option<String>,
    /// How the question led to a keyword of the graph.
    pub matched_by: Option<MatchedBy>,
    /// Found in the knowledge graph rather than in the index.
    pub from_graph: bool,
}

/// How a question led to a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchedBy {
    /// The question is the keyword.
    Exact,
    /// It is, but for case, punctuation and space.
    Normalised,
    /// One of its phrases is.
    Phrase,
    /// Its embedding is near that of the keyword.
    Nearest,
}

/// Of an article without a title.
const UNKNOWN_TITLE: &str = "Unknown";

impl Card {
    /// The title, or that there is none.
    pub(super) fn shown_title(&self) -> &str {
        if self.title.trim().is_empty() { UNKNOWN_TITLE } else { &self.title }
    }

    /// See [`shown_text`].
    pub(super) fn shown_text(&self, most_characters: usize, cut_off: &str) -> String {
        shown_text(self.answer.as_deref(), &self.body, most_characters, cut_off)
    }
}

/// What a card shows of its article: the answer as far as it fits, to the last whole word; where none was chosen the first
/// letters of the body. `cut_off` ends an answer that goes on.
pub fn shown_text(answer: Option<&str>, body: &str, most_characters: usize, cut_off: &str) -> String {
    match answer {
        Some(answer) => shortened(answer, most_characters, cut_off),
        None => body.chars().take(most_characters).collect(),
    }
}

/// At most so many characters of a text on one line, `cut_off` included where that ends it.
fn shortened(text: &str, most_characters: usize, cut_off: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most_characters {
        return text;
    }
    let room = most_characters.saturating_sub(cut_off.chars().count());
    let end = text.char_indices().nth(room).map_or(text.len(), |(end, _)| end);
    let is_word_end = text[end..].starts_with(char::is_whitespace);
    let whole_words = if is_word_end { end } else { text[..end].rfind(char::is_whitespace).unwrap_or(end) };
    let kept = text[..whole_words].trim_end_matches(|character: char| !character.is_alphanumeric());
    format!("{}{cut_off}", if kept.is_empty() { &text[..end] } else { kept })
}

impl PushContent {
    /// The cards; a ranking is shown by its ids, which is all that it knows of its articles.
    pub(super) fn to_cards(&self) -> Cow<'_, [Card]> {
        match self {
            Self::Cards(cards) => cards.into(),
            Self::Ranking(submission) => submission
                .snippets
                .iter()
                .map(|snippet| Card {
                    article_id: snippet.snippet_id.clone(),
                    title: snippet.snippet_id.clone(),
                    score: snippet.relevance_score,
                    ..Card::default()
                })
                .collect(),
        }
    }
}

impl fmt::Debug for PushContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cards(cards) => formatter.debug_list().entries(cards).finish(),
            Self::Ranking(submission) => {
                formatter.debug_struct("Ranking").field("snippets", &submission.snippets.len()).finish_non_exhaustive()
            }
        }
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Card")
            .field("article_id", &self.article_id)
            .field("score", &self.score)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
