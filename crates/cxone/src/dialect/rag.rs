//! Contract 000's push.

use serde::Serialize;

use super::{Card, PushTarget};
use crate::interaction_id::InteractionId;

const TITLE: &str = "RAG Knowledge Suggestion";
const HEADING: &str = "Reference Context:\n";
/// Of a passage that nothing is known of.
const UNKNOWN_SOURCE: &str = "unknown";

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RagPush {
    conversation_id: InteractionId,
    agent_id: String,
    title: &'static str,
    content: [Content; 1],
    #[serde(skip)]
    num_passages: usize,
}

#[derive(Clone, PartialEq, Serialize)]
struct Content {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Data,
}

#[derive(Clone, PartialEq, Serialize)]
struct Data {
    text: String,
}

impl RagPush {
    /// Two passages of one article are two passages.
    pub(super) fn new(to: &PushTarget<'_>, cards: &[Card]) -> Self {
        let passages: Vec<String> = cards.iter().map(passage).collect();
        let text = format!("{HEADING}{}", passages.join("\n\n"));
        Self {
            conversation_id: to.interaction.clone(),
            agent_id: to.agent_id.to_owned(),
            title: TITLE,
            content: [Content { kind: "text", data: Data { text } }],
            num_passages: passages.len(),
        }
    }

    pub(super) fn num_passages(&self) -> usize {
        self.num_passages
    }
}

fn passage(card: &Card) -> String {
    let text = if card.passage.trim().is_empty() { &card.body } else { &card.passage };
    format!("[{}] {text}", source(card))
}

fn source(card: &Card) -> &str {
    let names = [card.source.as_str(), card.url.as_deref().unwrap_or_default(), &card.article_id];
    names.into_iter().find(|name| !name.trim().is_empty()).unwrap_or(UNKNOWN_SOURCE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::super::{Dialect, PushContent};
    use super::*;

    fn push(cards: Vec<Card>) -> String {
        let to = PushTarget { interaction: &"c-1".parse().unwrap(), agent_id: "a-9" };
        Dialect::Rag.body(&to, &PushContent::Cards(cards)).to_json().unwrap()
    }

    fn text(card: Card) -> String {
        let body: Value = serde_json::from_str(&push(vec![card])).unwrap();
        body["content"][0]["data"]["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_body_is_the_documents_to_the_byte() {
        let refund = Card {
            article_id: "refund".into(),
            passage: "Refunds take 5 days.".into(),
            body: "A long article. Refunds take 5 days.".into(),
            source: "refunds.md".into(),
            ..Card::default()
        };
        let again = Card { passage: "Ask the desk.".into(), ..refund.clone() };
        assert_eq!(
            push(vec![refund, again]),
            concat!(
                r#"{"conversationId":"c-1","agentId":"a-9","title":"RAG Knowledge Suggestion","#,
                r#""content":[{"type":"text","data":{"text":"#,
                r#""Reference Context:\n[refunds.md] Refunds take 5 days.\n\n[refunds.md] Ask the desk."}}]}"#,
            )
        );
    }

    #[test]
    fn a_passage_names_the_best_source_that_is_known() {
        let card = |source: &str, url: Option<&str>, article_id: &str| Card {
            article_id: article_id.into(),
            url: url.map(str::to_owned),
            source: source.into(),
            body: "Text".into(),
            ..Card::default()
        };
        for (card, expected) in [
            (card("manual", Some("https://kb/1"), "1"), "[manual] Text"),
            (card("", Some("https://kb/1"), "1"), "[https://kb/1] Text"),
            (card(" ", Some(""), "1"), "[1] Text"),
            (card("", None, ""), "[unknown] Text"),
        ] {
            assert_eq!(text(card), format!("Reference Context:\n{expected}"));
        }
    }

    #[test]
    fn the_passage_comes_before_the_body() {
        let card = |passage: &str| Card { passage: passage.into(), body: "whole".into(), ..Card::default() };
        assert_eq!(text(card("part")), "Reference Context:\n[unknown] part");
        assert_eq!(text(card(" \n")), "Reference Context:\n[unknown] whole");
    }
}
