//! A push as the desktop shows it, whatever the contract.
//!
//! Input: the body of a push that was accepted, as it came. Output: its suggestions in one shape, read only when
//! somebody looks: most pushes of a load test are never looked at.

use std::collections::BTreeMap;

use actix_web::web::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::contracts::Route;
use crate::base::turns::Attribution;
use crate::base::verdict::AgentVerdict;

/// Judged suggestions of one card; a push has a handful.
const MAX_JUDGED: usize = 50;

#[derive(Clone, Debug, Default)]
struct Judged {
    verdict: Option<AgentVerdict>,
    /// The training endpoint heard of it.
    learned: bool,
}

/// A push as it came.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) route: Route,
    pub(crate) body: Bytes,
    /// By which the service under test explains it: its idempotency key, where that is the id of a decision.
    pub(crate) decision: Option<Uuid>,
}

/// One push as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Card {
    index: usize,
    /// Counts over all interactions of the desk.
    number: u64,
    push: Push,
    attribution: Attribution,
    judged: BTreeMap<String, Judged>,
}

impl Card {
    pub(super) fn new(index: usize, number: u64, push: Push, attribution: Attribution) -> Self {
        Self { index, number, push, attribution, judged: BTreeMap::new() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes kept of it.
    pub(super) fn size(&self) -> usize {
        self.push.body.len()
    }

    /// It stays, and no more tells what it suggested.
    pub(super) fn forget(&mut self) {
        self.push.body = Bytes::new();
    }

    fn suggestions(&self) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&self.push.body).unwrap_or_default();
        let mut suggestions = suggestions(self.push.route, &body);
        for suggestion in &mut suggestions {
            let judged = suggestion["id"].as_str().and_then(|id| self.judged.get(id));
            let verdict = judged.and_then(|judged| judged.verdict);
            let word = verdict.map(|verdict| if verdict.is_accepted() { "ACCEPTED" } else { "REJECTED" });
            suggestion["verdict"] = json!(word);
            suggestion["reason"] = json!(verdict.and_then(AgentVerdict::reason));
            suggestion["learned"] = json!(judged.is_some_and(|judged| judged.learned));
        }
        suggestions
    }

    pub(super) fn shows(&self, insight_id: &str) -> bool {
        self.suggestions().iter().any(|suggestion| suggestion["id"] == insight_id)
    }

    /// The agent pressed a button.
    pub(super) fn judge(&mut self, insight_id: &str, verdict: AgentVerdict) {
        self.note(insight_id, |judged| *judged = Judged { verdict: Some(verdict), learned: false });
    }

    pub(super) fn learn(&mut self, insight_id: &str) {
        self.note(insight_id, |judged| judged.learned = true);
    }

    fn note(&mut self, insight_id: &str, change: impl FnOnce(&mut Judged)) {
        if self.judged.len() < MAX_JUDGED || self.judged.contains_key(insight_id) {
            change(self.judged.entry(insight_id.to_owned()).or_default());
        }
    }
}

impl Serialize for Card {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (turn, after_ms) = match self.attribution {
            Attribution::Turn { number, after, .. } => (Some(number), Some(after.as_secs_f64() * 1000.0)),
            Attribution::Duplicate | Attribution::Unprompted => (None, None),
        };
        let shown = json!({
            "index": self.index,
            "dialect": self.push.route,
            "decision": self.push.decision,
            "turn": turn,
            "after_ms": after_ms,
            "duplicate": self.attribution == Attribution::Duplicate,
            "suggestions": self.suggestions(),
        });
        shown.serialize(serializer)
    }
}

/// What a push suggests: `{id, rank, title, text, link, score, article}`, what a contract lacks as null. Only an id that can
/// be accepted or rejected stands as one; `article` says by what the article behind it is found. The one text of contract 000
/// is as many suggestions as it has passages.
fn suggestions(route: Route, body: &Value) -> Vec<Value> {
    let list = match route {
        Route::Insights => &body["insights"],
        Route::Snippets => &body["messages"],
        Route::Ranking => &body["snippets"],
        Route::Rag => return passages(body["content"][0]["data"]["text"].as_str().unwrap_or_default()),
        _ => &body["content"],
    };
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().zip(1..).map(|(part, rank)| suggestion(route, part, rank)).collect()
}

/// Each stands after an empty line, behind its source in brackets.
fn passages(text: &str) -> Vec<Value> {
    let text = text.strip_prefix("Reference Context:\n[").unwrap_or(text);
    let parts = text.split("\n\n[").zip(1..);
    let passage = |(part, rank): (&str, usize)| {
        let (source, text) = part.split_once("] ").unwrap_or(("", part));
        json!({"id": null, "rank": rank, "title": null, "text": text, "link": source, "score": null, "article": {"link": source}})
    };
    parts.map(passage).collect()
}

fn suggestion(route: Route, part: &Value, rank: usize) -> Value {
    let shown = |title: &Value, text: &Value, link: &Value, score: &Value, article: Value| json!({"id": null, "rank": rank, "title": title, "text": text, "link": link, "score": score, "article": article});
    let none = &Value::Null;
    match route {
        Route::Insights => {
            let article = json!({"id": part["id"]});
            let mut shown = shown(&part["title"], &part["snippet"], &part["citation"], &part["score"], article);
            shown["id"] = part["id"].clone();
            shown
        }
        Route::Snippets => {
            let content = &part["content"];
            let (title, text) = titled(content);
            shown(&title, &text, none, &content["score"], json!({"title": title}))
        }
        // Of an order nothing but the id is known.
        Route::Ranking => shown(none, none, none, &part["relevance_score"], json!({"id": part["snippet_id"]})),
        _ => {
            let article =
                if part["url"] == "" { json!({"title": part["title"]}) } else { json!({"link": part["url"]}) };
            shown(&part["title"], &part["description"], &part["url"], none, article)
        }
    }
}

/// Title and text of a message card of contract 001: its title only counts, and the article's stands in bold above the text.
fn titled(content: &Value) -> (Value, Value) {
    let body = content["body"].as_str().unwrap_or_default();
    match body.strip_prefix("**").and_then(|body| body.split_once("**\n")) {
        Some((title, text)) => (title.into(), text.into()),
        None => (content["title"].clone(), body.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_of_contract_000_is_shown_by_passages_with_their_sources() {
        let seen = |text: &str| -> Vec<_> {
            let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            passages(text).iter().map(|passage| (part(&passage["link"]), part(&passage["text"]))).collect()
        };
        let whole = "Reference Context:\n[https://kb/1] One.\n\nStill [it].\n\n[manual.md] Two.";
        let expected = [("https://kb/1", "One.\n\nStill [it]."), ("manual.md", "Two.")];
        assert_eq!(seen(whole), expected.map(|(link, text)| (link.to_owned(), text.to_owned())));
        assert_eq!(seen("no form at all"), [(String::new(), "no form at all".to_owned())]);
    }

    #[test]
    fn every_contract_s_push_can_be_shown() {
        let cases = [
            (
                Route::Rag,
                json!({"content": [{"data": {"text": "Reference Context:\n[a] b"}}]}),
                (None, Some("b")),
                json!({"link": "a"}),
            ),
            (
                Route::Snippets,
                json!({"messages": [{"content": {"title": "KB Result 1", "body": "**t**\nb **c**\nd"}}]}),
                (Some("t"), Some("b **c**\nd")),
                json!({"title": "t"}),
            ),
            (
                Route::Snippets,
                json!({"messages": [{"content": {"title": "KB Result 1", "body": "b"}}]}),
                (Some("KB Result 1"), Some("b")),
                json!({"title": "KB Result 1"}),
            ),
            (
                Route::Graph,
                json!({"content": [{"title": "t", "description": "d", "url": "u"}]}),
                (Some("t"), Some("d")),
                json!({"link": "u"}),
            ),
            (
                Route::Graph,
                json!({"content": [{"title": "t", "description": "d", "url": ""}]}),
                (Some("t"), Some("d")),
                json!({"title": "t"}),
            ),
            (
                Route::Insights,
                json!({"insights": [{"id": "a", "title": "t", "snippet": "s"}]}),
                (Some("t"), Some("s")),
                json!({"id": "a"}),
            ),
            (
                Route::Ranking,
                json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.5}]}),
                (None, None),
                json!({"id": "KB-1"}),
            ),
        ];
        for (route, body, (title, text), article) in cases {
            let shown = suggestions(route, &body);
            assert_eq!((shown.len(), shown[0]["title"].as_str()), (1, title), "{route:?}");
            assert_eq!((shown[0]["text"].as_str(), &shown[0]["article"]), (text, &article), "{route:?}");
            assert_eq!(shown[0]["id"].is_string(), route == Route::Insights, "{route:?}");
        }
    }
}
