//! Where a client can knock: path, method and scopes of every route, in one table.
//!
//! Input: the path of a request. Output: its [`Route`], or nothing for the simulator's own pages and control calls.
//! Server, faults, record and token checks all read [`ROUTES`], so that none of them can drift from the others.

use serde::{Deserialize, Serialize};

/// The places where a client can knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /oauth/token`, `/oauth2/token`, `/api/v2/oauth/token`
    Token,
    /// `GET /cxoneapi/v2/agentassist/stream`: fragments and states, contract 003
    Stream,
    /// `GET /api/v2/interactions/events`: finished utterances, contract 001
    Events,
    /// `POST /api/v2/assist/agentassists`: cards of contract 000
    Rag,
    /// `POST /api/v2/interactions/{id}/assist`: cards of contract 001
    Snippets,
    /// `POST /api/v2/agentassist/interactions/{id}/content`: cards of contract 002
    Graph,
    /// `POST /api/v2/agentassist/insights`: cards of contract 003
    Insights,
    /// `POST /api/v2/agentassist/sessions/{id}/snippets/ranking`: the order of contract 004
    Ranking,
    /// `GET /api/v2/agentassist/sessions/{id}`
    Session,
    /// `POST /api/v2/ai/training/feedback`
    Feedback,
    /// `GET /api/v2/knowledge/articles`
    Articles,
    /// `GET /api/v2/knowledge/articles/search`
    Search,
    /// Everything that no contract has.
    Unknown,
}

/// Pushes cards for contract 000.
pub const SCOPE_RAG: &str = "agentassists:write";
/// Opens the stream of contract 001.
pub const SCOPE_EVENTS: &str = "interactions:read";
/// Pushes cards for contract 001.
pub const SCOPE_SNIPPETS: &str = "assist:write";
/// Reads articles and searches them.
pub const SCOPE_KNOWLEDGE: &str = "knowledge:read";
/// Pushes cards for contract 002.
pub const SCOPE_GRAPH: &str = "agentassist:interactions:write";
/// Opens the stream of contract 003.
pub const SCOPE_STREAM: &str = "agentassist:read";
/// Pushes cards for contract 003.
pub const SCOPE_INSIGHTS: &str = "agentassist:write";
/// Sends training feedback.
pub const SCOPE_TRAINING: &str = "ai:training:write";
/// Looks at a session and changes it, contract 004.
pub const SCOPE_SESSION: &str = "agentassist:session:write";
/// Orders the snippets of a session, contract 004.
pub const SCOPE_RANKING: &str = "agentassist:snippet:write";

/// Everything that the five contracts call for.
pub const SCOPES: [&str; 10] = [
    SCOPE_RAG,
    SCOPE_EVENTS,
    SCOPE_SNIPPETS,
    SCOPE_KNOWLEDGE,
    SCOPE_GRAPH,
    SCOPE_STREAM,
    SCOPE_INSIGHTS,
    SCOPE_TRAINING,
    SCOPE_SESSION,
    SCOPE_RANKING,
];

/// One path of a route.
pub(crate) struct RouteSpec {
    pub(crate) route: Route,
    pub(crate) method: &'static str,
    /// As actix-web writes it; `{id}` stands for one segment.
    pub(crate) path: &'static str,
    /// All of them are demanded.
    pub(crate) scopes: &'static [&'static str],
}

const fn spec(route: Route, method: &'static str, path: &'static str, scopes: &'static [&'static str]) -> RouteSpec {
    RouteSpec { route, method, path, scopes }
}

/// Every path that the contracts have.
pub(crate) const ROUTES: [RouteSpec; 14] = [
    spec(Route::Token, "POST", "/oauth/token", &[]),
    spec(Route::Token, "POST", "/oauth2/token", &[]),
    spec(Route::Token, "POST", "/api/v2/oauth/token", &[]),
    spec(Route::Stream, "GET", "/cxoneapi/v2/agentassist/stream", &[SCOPE_STREAM]),
    spec(Route::Events, "GET", "/api/v2/interactions/events", &[SCOPE_EVENTS]),
    spec(Route::Rag, "POST", "/api/v2/assist/agentassists", &[SCOPE_RAG]),
    spec(Route::Snippets, "POST", "/api/v2/interactions/{id}/assist", &[SCOPE_SNIPPETS]),
    spec(Route::Graph, "POST", "/api/v2/agentassist/interactions/{id}/content", &[SCOPE_GRAPH]),
    spec(Route::Insights, "POST", "/api/v2/agentassist/insights", &[SCOPE_INSIGHTS]),
    spec(Route::Ranking, "POST", "/api/v2/agentassist/sessions/{id}/snippets/ranking", &[SCOPE_SESSION, SCOPE_RANKING]),
    spec(Route::Session, "GET", "/api/v2/agentassist/sessions/{id}", &[SCOPE_SESSION]),
    spec(Route::Feedback, "POST", "/api/v2/ai/training/feedback", &[SCOPE_TRAINING]),
    spec(Route::Articles, "GET", "/api/v2/knowledge/articles", &[SCOPE_KNOWLEDGE]),
    spec(Route::Search, "GET", "/api/v2/knowledge/articles/search", &[SCOPE_KNOWLEDGE]),
];

impl Route {
    /// Whether a path begins as one of the contracts does, also where none of them goes on like that.
    pub(crate) fn is_of_an_api(path: &str) -> bool {
        let first = |path: &str| path.split('/').nth(1).map(str::to_owned);
        ROUTES.iter().any(|spec| first(spec.path) == first(path))
    }

    /// The route of a path; nothing for the simulator's own pages and control calls.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if path == "/" || path.starts_with("/_sim/") {
            return None;
        }
        let found = ROUTES.iter().find(|spec| matches(spec.path, path));
        Some(found.map_or(Self::Unknown, |spec| spec.route))
    }

    /// All scopes that a token needs here.
    pub(crate) fn scopes(self) -> &'static [&'static str] {
        ROUTES.iter().find(|spec| spec.route == self).map_or(&[], |spec| spec.scopes)
    }

    /// Its first path, as the table writes it.
    pub(crate) fn path(self) -> &'static str {
        ROUTES.iter().find(|spec| spec.route == self).map_or("", |spec| spec.path)
    }

    /// Whether a WebSocket is opened here, whose payload must be left alone.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Events)
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once("{id}") else {
        return pattern == path;
    };
    let segment = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    segment.is_some_and(|segment| !segment.is_empty() && !segment.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_by_path() {
        let cases = [
            ("/", None),
            ("/_sim/feed", None),
            ("/oauth/token", Some(Route::Token)),
            ("/oauth2/token", Some(Route::Token)),
            ("/api/v2/oauth/token", Some(Route::Token)),
            ("/oauth/token/", Some(Route::Unknown)),
            ("/api/v2/agentassist/insights", Some(Route::Insights)),
            ("/api/v2/agentassist/insight", Some(Route::Unknown)),
            ("/api/v2/interactions/events", Some(Route::Events)),
            ("/api/v2/interactions/INT-1/assist", Some(Route::Snippets)),
            ("/api/v2/interactions//assist", Some(Route::Unknown)),
            ("/api/v2/interactions/a/b/assist", Some(Route::Unknown)),
            ("/api/v2/agentassist/sessions/s/snippets/ranking", Some(Route::Ranking)),
            ("/api/v2/agentassist/sessions/s", Some(Route::Session)),
            ("/api/v2/agentassist/sessions/s/snippets", Some(Route::Unknown)),
            ("/api/v2/knowledge/articles", Some(Route::Articles)),
            ("/api/v2/knowledge/articles/search", Some(Route::Search)),
            ("/api/v2/knowledge/articles/7", Some(Route::Unknown)),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn paths_of_an_api() {
        for (path, expected) in [
            ("/api/v3/anything", true),
            ("/cxoneapi", true),
            ("/oauth2/tokens", true),
            ("/", false),
            ("/nonsense", false),
            ("/robots.txt/api", false),
        ] {
            assert_eq!(Route::is_of_an_api(path), expected, "{path}");
        }
    }

    #[test]
    fn every_scope_opens_something() {
        for scope in SCOPES {
            assert!(ROUTES.iter().any(|spec| spec.scopes.contains(&scope)), "{scope}");
        }
        assert!(Route::Token.scopes().is_empty());
    }
}
