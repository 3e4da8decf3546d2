//! The five pushes as a correct client writes them.

use cuecard_simulator::Route;
use serde_json::{Value, json};
use strum::EnumIter;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub enum Dialect {
    Rag,
    Snippets,
    Graph,
    Insights,
    Ranking,
}

impl Dialect {
    pub fn route(self) -> Route {
        match self {
            Self::Rag => Route::Rag,
            Self::Snippets => Route::Snippets,
            Self::Graph => Route::Graph,
            Self::Insights => Route::Insights,
            Self::Ranking => Route::Ranking,
        }
    }

    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Rag => &["agentassists:write"],
            Self::Snippets => &["assist:write"],
            Self::Graph => &["agentassist:interactions:write"],
            Self::Insights => &["agentassist:write"],
            Self::Ranking => &["agentassist:session:write", "agentassist:snippet:write"],
        }
    }

    pub fn path(self, interaction: &str) -> String {
        match self {
            Self::Rag => "/api/v2/assist/agentassists".to_owned(),
            Self::Snippets => format!("/api/v2/interactions/{interaction}/assist"),
            Self::Graph => format!("/api/v2/agentassist/interactions/{interaction}/content"),
            Self::Insights => "/api/v2/agentassist/insights".to_owned(),
            Self::Ranking => format!("/api/v2/agentassist/sessions/{interaction}/snippets/ranking"),
        }
    }

    /// Whether an interaction comes into being by the first push.
    pub fn brings_into_being(self) -> bool {
        matches!(self, Self::Rag | Self::Graph | Self::Ranking)
    }

    pub fn headers(self, token: &str, key: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
        ];
        if self == Self::Ranking {
            headers.push(("x-cxone-client-version", "1.0.0".to_owned()));
        }
        headers
    }

    /// A push of these articles.
    pub fn body(self, interaction: &str, ids: &[&str]) -> Value {
        match self {
            Self::Rag => {
                let texts: Vec<String> = ids.iter().map(|id| format!("[{id}] The chunk that matched.")).collect();
                let text = format!("Reference Context:\n{}", texts.join("\n\n"));
                json!({
                    "conversationId": interaction,
                    "agentId": "agent-7",
                    "title": "RAG Knowledge Suggestion",
                    "content": [{"type": "text", "data": {"text": text}}],
                })
            }
            Self::Snippets => json!({"messages": numbered(ids, |number, id| json!({
                "type": "card",
                "content": {
                    "title": format!("KB Result {number}"),
                    "body": format!("**About {id}**\nThe first words of the article..."),
                    "score": 0.8123,
                },
            }))}),
            Self::Graph => json!({"content": numbered(ids, |_, id| json!({
                "title": format!("About {id}"),
                "url": "https://kb.example/a",
                "description": "What the article is about.",
                "type": "article",
                "displayType": "card",
                "metadata": {
                    "source": "neo4j_knowledge_graph",
                    "priority": 9,
                    "lastUpdated": "2024-01-15T08:30:00Z",
                    "matchedBy": "exact",
                },
            }))}),
            Self::Insights => insights_body(interaction, ids),
            Self::Ranking => json!({
                "session_id": interaction,
                "max_result_window": 10,
                "snippets": numbered(ids, |number, id| json!({
                    "snippet_id": id,
                    "relevance_score": 1.0 - number as f64 / 10.0,
                    "boost_factor": 1.2,
                    "metadata": {"category": "billing"},
                })),
            }),
        }
    }

    /// Fields that a push may leave out.
    pub fn is_optional(path: &str) -> bool {
        ["/metadata/priority", "/metadata/lastUpdated", "/metadata/matchedBy", "/metadata/category"]
            .iter()
            .any(|end| path.ends_with(end))
    }

    /// Objects whose fields have any name.
    pub fn is_free(self, path: &str) -> bool {
        self == Self::Ranking && path.ends_with("/metadata")
    }
}

fn numbered(ids: &[&str], item: impl Fn(usize, &str) -> Value) -> Vec<Value> {
    (1..).zip(ids).map(|(number, id)| item(number, id)).collect()
}

pub fn insights_body(interaction: &str, ids: &[&str]) -> Value {
    let insight = |number: usize, id: &str| {
        json!({
            "id": id,
            "title": format!("About {id}"),
            "priority": number,
            "score": 0.75,
            "citation": "https://kb.example/a",
            "snippet": "The first words of the article.",
            "interactionId": interaction,
        })
    };
    json!({"insights": numbered(ids, insight), "displayType": "CARD", "autoDismiss": true})
}
