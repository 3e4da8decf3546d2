//! Contract 001's push.

use serde::Serialize;

use super::{Card, first_of_each};
use crate::rounding::to_four_places;

const BODY_CHARACTERS: usize = 200;

#[derive(Clone, PartialEq, Serialize)]
pub struct SnippetsPush {
    messages: Vec<Message>,
}

#[derive(Clone, PartialEq, Serialize)]
struct Message {
    #[serde(rename = "type")]
    kind: &'static str,
    content: Content,
}

#[derive(Clone, PartialEq, Serialize)]
struct Content {
    title: String,
    body: String,
    score: f64,
}

impl SnippetsPush {
    pub(super) fn new(cards: &[Card]) -> Self {
        Self { messages: first_of_each(cards).zip(1..).map(|(card, place)| Message::new(card, place)).collect() }
    }

    pub(super) fn num_messages(&self) -> usize {
        self.messages.len()
    }
}

impl Message {
    fn new(card: &Card, place: usize) -> Self {
        let content = Content {
            title: format!("KB Result {place}"),
            body: format!("**{}**\n{}...", card.shown_title(), card.shown_text(BODY_CHARACTERS, "")),
            score: to_four_places(card.score),
        };
        Self { kind: "card", content }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::{Dialect, PushContent, PushTarget};
    use super::*;

    fn card(id: &str, title: &str, body: &str, score: f64) -> Card {
        Card { article_id: id.into(), title: title.into(), body: body.into(), score, ..Card::default() }
    }

    fn push(cards: Vec<Card>) -> String {
        let to = PushTarget { interaction: &"c-1".parse().unwrap(), agent_id: "" };
        Dialect::Snippets.body(&to, &PushContent::Cards(cards)).to_json().unwrap()
    }

    fn content(card: Card) -> Value {
        serde_json::from_str::<Value>(&push(vec![card])).unwrap()["messages"][0]["content"].clone()
    }

    #[test]
    fn the_body_is_the_documents_to_the_byte() {
        assert_eq!(
            push(vec![card("a", "Fees", "No fees.", 0.812_34), card("b", "", "é", 1.0), card("a", "Fees", "x", 0.1)]),
            concat!(
                r#"{"messages":[{"type":"card","content":{"title":"KB Result 1","#,
                r#""body":"**Fees**\nNo fees....","score":0.8123}},"#,
                r#"{"type":"card","content":{"title":"KB Result 2","body":"**Unknown**\né...","score":1.0}}]}"#,
            )
        );
    }

    #[test]
    fn a_body_is_cut_by_characters_and_always_ends_in_dots() {
        for (body, expected) in
            [("🙂".repeat(201), "🙂".repeat(200)), ("x".repeat(200), "x".repeat(200)), (String::new(), String::new())]
        {
            assert_eq!(content(card("a", "T", &body, 1.0))["body"], format!("**T**\n{expected}..."));
        }
    }

    #[test]
    fn a_score_has_four_places_and_is_a_number() {
        for (score, expected) in [(0.999_96, 1.0), (0.123_44, 0.1234), (f64::NAN, 0.0), (f64::INFINITY, 0.0)] {
            assert_eq!(content(card("a", "T", "B", score))["score"], json!(expected), "{score}");
        }
    }
}
