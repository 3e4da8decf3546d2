#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use strum::VariantArray;

use super::*;
use crate::ranking::{RankedSnippet, RankingSubmission};

fn id(text: &str) -> InteractionId {
    text.parse().unwrap()
}

fn written(dialect: Dialect, content: &PushContent) -> Value {
    let to = PushTarget { interaction: &id("c-1"), agent_id: "a-9" };
    serde_json::from_str(&dialect.body(&to, content).to_json().unwrap()).unwrap()
}

/// All texts in a body, whatever they are called.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn each_dialect_has_its_path_its_scopes_and_its_word_for_a_403() {
    let table = [
        (Dialect::Rag, "/api/v2/assist/agentassists", "Missing agentassists:write scope"),
        (Dialect::Snippets, "/api/v2/interactions/a~b:1/assist", "Missing assist:write scope"),
        (
            Dialect::Graph,
            "/api/v2/agentassist/interactions/a~b:1/content",
            "Missing agentassist:interactions:write scope",
        ),
        (
            Dialect::Insights,
            "/api/v2/agentassist/insights",
            "Missing agentassist:write scope, or the interaction belongs to another client",
        ),
        (
            Dialect::Ranking,
            "/api/v2/agentassist/sessions/a~b:1/snippets/ranking",
            "Missing agentassist:session:write or agentassist:snippet:write scope",
        ),
    ];
    for (dialect, path, reason) in table {
        assert_eq!(dialect.path(&id("a~b:1")), path);
        assert_eq!(dialect.forbidden_reason(), reason);
        assert!(dialect.scopes().iter().any(|scope| reason.contains(scope)), "{dialect}");
    }
}

#[test]
fn only_a_ranking_has_rules_and_a_header_of_its_own() {
    for &dialect in Dialect::VARIANTS {
        let is_ranking = dialect == Dialect::Ranking;
        assert_eq!(dialect.call_kind() == CallKind::Ranking, is_ranking, "{dialect}");
        let version = [("X-CXone-Client-Version", env!("CARGO_PKG_VERSION"))];
        assert_eq!(dialect.extra_headers(), if is_ranking { &version[..] } else { &[] }, "{dialect}");
    }
}

#[test]
fn a_returned_id_is_read_where_there_is_one() {
    for &dialect in Dialect::VARIANTS {
        let (field, other) = if dialect == Dialect::Graph { ("contentId", "id") } else { ("id", "contentId") };
        for (answer, expected) in [
            (format!(r#"{{"{field}":"p-7","status":"delivered"}}"#), Some("p-7")),
            (format!(r#"{{"{field}":7}}"#), Some("7")),
            (format!("\u{feff}{{\"{field}\":\"p-7\",\"latency\":NaN}}"), Some("p-7")),
            (format!(r#"{{"{field}":""}}"#), None),
            (format!(r#"{{"{field}":null}}"#), None),
            (format!(r#"{{"{other}":"p-7"}}"#), None),
            (format!(r#"["{field}"]"#), None),
            ("{}".to_owned(), None),
            ("accepted".to_owned(), None),
            (String::new(), None),
        ] {
            let expected = Ok(expected.map(str::to_owned));
            assert_eq!(dialect.returned_id(answer.as_bytes()), expected, "{dialect} {answer}");
        }
    }
}

#[test]
fn a_returned_id_that_nobody_would_keep_is_told_by_its_length() {
    let answer = |bytes| format!(r#"{{"id":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(Dialect::Rag.returned_id(answer(1024).as_bytes()), Ok(Some("x".repeat(1024))));
    assert_eq!(Dialect::Rag.returned_id(answer(1025).as_bytes()), Err(LongReturnedId { bytes: 1025 }));
}

#[test]
fn without_cards_there_is_nothing_to_push() {
    let to = PushTarget { interaction: &id("c-1"), agent_id: "a-9" };
    for &dialect in Dialect::VARIANTS {
        assert_eq!(dialect.body(&to, &PushContent::Cards(Vec::new())).num_cards(), 0, "{dialect}");
    }
}

#[test]
fn an_article_that_was_found_twice_is_shown_once_but_for_its_passages() {
    let to = PushTarget { interaction: &id("c-1"), agent_id: "a-9" };
    let cards = ["a", "b", "a", "c", "b"].map(|id| Card { article_id: id.into(), ..Card::default() });
    for &dialect in Dialect::VARIANTS {
        let shown = dialect.body(&to, &PushContent::Cards(cards.to_vec())).num_cards();
        assert_eq!(shown, if dialect == Dialect::Rag { 5 } else { 3 }, "{dialect}");
    }
}

#[test]
fn a_ranking_under_another_dialect_shows_its_ids() {
    let snippet = |id: &str, score| RankedSnippet {
        snippet_id: id.into(),
        relevance_score: score,
        boost_factor: 1.0,
        metadata: BTreeMap::new(),
    };
    let snippets = vec![snippet("KB-1", 0.9), snippet("KB-2", 0.5)];
    let content = PushContent::Ranking(RankingSubmission { max_result_window: 10, snippets: snippets.into() });
    for &dialect in Dialect::VARIANTS {
        let body = written(dialect, &content).to_string();
        let (first, second) = (body.find("KB-1").unwrap(), body.find("KB-2").unwrap());
        assert!(first < second, "{dialect}: {body}");
    }
}

#[test]
fn debug_shows_ids_and_sizes_only() {
    let card = Card {
        article_id: "refund".into(),
        title: "private".into(),
        body: "private".into(),
        passage: "private".into(),
        summary: Some("private".into()),
        ..Card::default()
    };
    let content = PushContent::Cards(vec![card]);
    let to = PushTarget { interaction: &id("c-1"), agent_id: "a-9" };
    let bodies: Vec<_> = Dialect::VARIANTS.iter().map(|dialect| dialect.body(&to, &content)).collect();
    let shown = format!("{content:?} {bodies:?}");
    assert!(shown.contains("refund") && shown.contains("Graph(1)") && !shown.contains("private"), "{shown}");
}

proptest! {
    #[test]
    fn whatever_a_card_holds_reaches_cxone_as_text(
        text in any::<String>(),
        score in any::<f64>(),
        priority in any::<Option<i64>>(),
        from_graph in any::<bool>(),
    ) {
        let odd = Some(text.clone());
        let card = Card {
            article_id: text.clone(),
            title: text.clone(),
            url: odd.clone(),
            body: text.clone(),
            answer: odd.clone(),
            passage: text.clone(),
            source: text.clone(),
            summary: odd.clone(),
            updated: odd,
            score,
            priority,
            matched_by: None,
            from_graph,
        };
        for &dialect in Dialect::VARIANTS {
            let body = written(dialect, &PushContent::Cards(vec![card.clone()]));
            let start: String = text.chars().take(150).collect();
            prop_assert!(texts(&body).iter().any(|found| found.contains(&start)), "{dialect} {body}");
        }
    }
}
