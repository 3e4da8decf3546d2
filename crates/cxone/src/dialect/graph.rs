//! Contract 002's push.

use serde::Serialize;

use super::{Card, MatchedBy, first_of_each};

const DESCRIPTION_CHARACTERS: usize = 200;
const FROM_GRAPH: &str = "neo4j_knowledge_graph";
const FROM_ELSEWHERE: &str = "cuecard";

#[derive(Clone, PartialEq, Serialize)]
pub struct GraphPush {
    content: Vec<Article>,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Article {
    title: String,
    url: String,
    description: String,
    #[serde(rename = "type")]
    kind: &'static str,
    display_type: &'static str,
    metadata: Metadata,
}

/// What is not known is left out.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_by: Option<MatchedBy>,
}

impl GraphPush {
    pub(super) fn new(cards: &[Card]) -> Self {
        Self { content: first_of_each(cards).map(Article::new).collect() }
    }

    pub(super) fn num_articles(&self) -> usize {
        self.content.len()
    }
}

impl Article {
    fn new(card: &Card) -> Self {
        Self {
            title: card.shown_title().to_owned(),
            url: card.url.clone().unwrap_or_default(),
            description: description(card),
            kind: "article",
            display_type: "card",
            metadata: Metadata {
                source: if card.from_graph { FROM_GRAPH } else { FROM_ELSEWHERE },
                priority: card.priority,
                last_updated: card.updated.clone(),
                matched_by: card.matched_by,
            },
        }
    }
}

/// A node of the graph without a summary has none; any other article has its beginning.
fn description(card: &Card) -> String {
    match &card.summary {
        Some(summary) => summary.clone(),
        None if card.from_graph => String::new(),
        None => card.shown_text(DESCRIPTION_CHARACTERS, "…"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::{Dialect, PushContent, PushTarget};
    use super::*;

    fn push(cards: Vec<Card>) -> String {
        let to = PushTarget { interaction: &"c-1".parse().unwrap(), agent_id: "a-9" };
        Dialect::Graph.body(&to, &PushContent::Cards(cards)).to_json().unwrap()
    }

    fn article(card: Card) -> Value {
        serde_json::from_str::<Value>(&push(vec![card])).unwrap()["content"][0].clone()
    }

    fn node() -> Card {
        Card {
            article_id: "vp-1024".into(),
            title: "Resetting a gateway".into(),
            url: Some("https://kb.example/vp-1024".into()),
            summary: Some("Clear the cache.".into()),
            body: "A long article.".into(),
            priority: Some(9),
            updated: Some("2026-01-15T08:30:00Z".into()),
            matched_by: Some(MatchedBy::Exact),
            from_graph: true,
            ..Card::default()
        }
    }

    #[test]
    fn the_body_is_the_documents_to_the_byte() {
        let other = Card { article_id: "b".into(), title: "B".into(), from_graph: true, ..Card::default() };
        assert_eq!(
            push(vec![node(), other, node()]),
            concat!(
                r#"{"content":[{"title":"Resetting a gateway","url":"https://kb.example/vp-1024","#,
                r#""description":"Clear the cache.","type":"article","displayType":"card","#,
                r#""metadata":{"source":"neo4j_knowledge_graph","priority":9,"#,
                r#""lastUpdated":"2026-01-15T08:30:00Z","matchedBy":"exact"}},"#,
                r#"{"title":"B","url":"","description":"","type":"article","displayType":"card","#,
                r#""metadata":{"source":"neo4j_knowledge_graph"}}]}"#,
            )
        );
    }

    #[test]
    fn an_article_from_elsewhere_says_so_and_shows_its_beginning() {
        let card = Card { from_graph: false, summary: None, matched_by: None, body: "é".repeat(300), ..node() };
        let article = article(Card { url: None, priority: None, updated: None, ..card });
        assert_eq!(article["description"], "é".repeat(200));
        assert_eq!((&article["url"], &article["metadata"]), (&json!(""), &json!({"source": "cuecard"})));
    }

    #[test]
    fn an_article_without_a_title_says_so() {
        for title in ["", " "] {
            assert_eq!(article(Card { title: title.into(), ..node() })["title"], "Unknown");
        }
    }

    #[test]
    fn a_summary_beats_the_body_wherever_it_comes_from() {
        let description = |card| article(card)["description"].clone();
        assert_eq!(description(Card { from_graph: false, ..node() }), "Clear the cache.");
        assert_eq!(description(Card { summary: Some(String::new()), ..node() }), "");
        assert_eq!(description(Card { summary: None, ..node() }), "", "a node without a summary");
    }

    #[test]
    fn each_way_to_match_has_its_word() {
        for (matched_by, expected) in [
            (MatchedBy::Exact, "exact"),
            (MatchedBy::Normalised, "normalised"),
            (MatchedBy::Phrase, "phrase"),
            (MatchedBy::Nearest, "nearest"),
        ] {
            let article = article(Card { matched_by: Some(matched_by), ..node() });
            assert_eq!(article["metadata"]["matchedBy"], expected);
        }
    }
}
