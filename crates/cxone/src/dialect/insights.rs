//! Contract 003's push.

use serde::Serialize;

use super::{Card, first_of_each};
use crate::interaction_id::InteractionId;
use crate::rounding::or_zero;

const SNIPPET_CHARACTERS: usize = 150;

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightsPush {
    insights: Vec<Insight>,
    display_type: &'static str,
    auto_dismiss: bool,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Insight {
    id: String,
    title: String,
    priority: usize,
    score: f64,
    citation: String,
    snippet: String,
    interaction_id: InteractionId,
}

impl InsightsPush {
    pub(super) fn new(interaction: &InteractionId, cards: &[Card]) -> Self {
        let insights =
            first_of_each(cards).zip(1..).map(|(card, priority)| Insight::new(interaction, card, priority)).collect();
        Self { insights, display_type: "CARD", auto_dismiss: true }
    }

    pub(super) fn num_insights(&self) -> usize {
        self.insights.len()
    }
}

impl Insight {
    fn new(interaction: &InteractionId, card: &Card, priority: usize) -> Self {
        Self {
            id: card.article_id.clone(),
            title: card.title.clone(),
            priority,
            score: or_zero(card.score),
            citation: card.url.clone().unwrap_or_default(),
            snippet: card.shown_text(SNIPPET_CHARACTERS, "…"),
            interaction_id: interaction.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::{Card, Dialect, PushContent, PushTarget};

    fn card(id: &str, body: &str, score: f64) -> Card {
        Card { article_id: id.into(), title: format!("About {id}"), body: body.into(), score, ..Card::default() }
    }

    fn push(cards: &[Card]) -> String {
        let to = PushTarget { interaction: &"c-1".parse().unwrap(), agent_id: "a-9" };
        Dialect::Insights.body(&to, &PushContent::Cards(cards.to_vec())).to_json().unwrap()
    }

    fn insight(body: &str, index: usize) -> Value {
        serde_json::from_str::<Value>(body).unwrap()["insights"][index].clone()
    }

    #[test]
    fn the_body_is_the_documents_to_the_byte() {
        let refund =
            Card { url: Some("https://kb.example/refund".into()), ..card("refund", "Refunds take 5 days.", 0.75) };
        assert_eq!(
            push(&[refund, card("fees", "No fees.", 0.5)]),
            concat!(
                r#"{"insights":["#,
                r#"{"id":"refund","title":"About refund","priority":1,"score":0.75,"#,
                r#""citation":"https://kb.example/refund","snippet":"Refunds take 5 days.","interactionId":"c-1"},"#,
                r#"{"id":"fees","title":"About fees","priority":2,"score":0.5,"#,
                r#""citation":"","snippet":"No fees.","interactionId":"c-1"}"#,
                r#"],"displayType":"CARD","autoDismiss":true}"#,
            )
        );
    }

    #[test]
    fn each_article_appears_once_at_its_best_place() {
        let body = push(&[card("a", "best", 0.9), card("b", "b", 0.8), card("a", "worse", 0.7), card("c", "c", 0.6)]);
        let places: Vec<Value> = (0..4).map(|index| insight(&body, index)).collect();
        assert_eq!(places[0]["snippet"], "best");
        let order: Vec<_> = places.iter().map(|place| (place["id"].as_str(), place["priority"].as_u64())).collect();
        assert_eq!(order, [(Some("a"), Some(1)), (Some("b"), Some(2)), (Some("c"), Some(3)), (None, None)]);
    }

    #[test]
    fn an_answer_is_cut_at_a_word() {
        let shown = |answer: &str| {
            let card = Card { answer: Some(answer.to_owned()), ..card("a", "The start of the body.", 1.0) };
            insight(&push(&[card]), 0)["snippet"].as_str().unwrap().to_owned()
        };
        assert_eq!(shown("Five\n days."), "Five days.");
        let long = shown(&"Refunds take five days, ".repeat(9));
        assert!(long.chars().count() <= 150 && long.ends_with("take five days…"), "{long}");
        assert_eq!(shown(&"é".repeat(400)), format!("{}…", "é".repeat(149)));
        assert_eq!(shown(&"- ".repeat(100)).chars().count(), 150, "signs alone");
        assert_eq!(shown(&"x".repeat(150)), "x".repeat(150));
    }

    #[test]
    fn a_snippet_is_cut_by_characters() {
        for (body, expected) in [
            ("é".repeat(151), "é".repeat(150)),
            ("🙂".repeat(400), "🙂".repeat(150)),
            ("x".repeat(150), "x".repeat(150)),
            (String::new(), String::new()),
        ] {
            assert_eq!(insight(&push(&[card("a", &body, 1.0)]), 0)["snippet"], expected);
        }
    }

    #[test]
    fn odd_text_stays_text_and_odd_scores_become_zero() {
        let odd = "</script><b>\u{0}\u{7}\n\"\\\u{2028}";
        let body = push(&[Card { title: odd.into(), url: Some(odd.into()), ..card(odd, odd, f64::NAN) }]);
        let first = insight(&body, 0);
        for field in ["id", "title", "citation", "snippet"] {
            assert_eq!(first[field], odd, "{field}");
        }
        assert!(!body.bytes().any(|byte| byte < 0x20));
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(insight(&push(&[card("a", "a", score)]), 0)["score"], json!(0.0));
        }
    }
}
