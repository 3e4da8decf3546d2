//! The five contracts: their names, their streams, and where a client can knock.
//!
//! Input: a contract's name, the path of a request. Output: the stream on which the contract is heard; the [`Route`] of
//! the path, or nothing for the simulator's own pages and control calls. Server, faults, record and token checks all read
//! [`ROUTES`], so that none of them can drift from the others. Pure.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, IntoStaticStr, VariantArray, VariantNames};

/// Longest id of an interaction or session.
pub(crate) const MAX_ID_LENGTH: usize = 200;

/// Whether an id may hold this character.
pub(crate) fn is_of_id(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._~:@-".contains(character)
}

/// What a service is asked to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, clap::ValueEnum)]
#[strum(serialize_all = "lowercase")]
pub enum Contract {
    /// 000: an agent asks, context is pushed.
    Rag,
    /// 001: finished utterances are heard, cards are pushed.
    Snippets,
    /// 002: an agent asks, articles of the knowledge graph are pushed.
    Graph,
    /// 003: fragments are heard, cards are pushed.
    Insights,
    /// 004: a session's snippets are given, their order is pushed.
    Ranking,
}

impl Contract {
    /// The contract's name in settings and on command lines.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The stream on which it is heard; nothing when it is asked over HTTP.
    pub fn stream(self) -> Option<StreamKind> {
        match self {
            Self::Snippets => Some(StreamKind::Snippets),
            Self::Insights => Some(StreamKind::Insights),
            Self::Rag | Self::Graph | Self::Ranking => None,
        }
    }
}

/// The two kinds of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Contract 001: finished utterances as events.
    Snippets,
    /// Contract 003: fragments and states.
    Insights,
}

impl StreamKind {
    /// Where it is opened.
    pub(crate) fn route(self) -> Route {
        match self {
            Self::Snippets => Route::Events,
            Self::Insights => Route::Stream,
        }
    }
}

/// The places where a client can knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, VariantArray)]
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

/// What a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, Display, VariantNames)]
pub(crate) enum Scope {
    /// Pushes cards for contract 000.
    #[strum(serialize = "agentassists:write")]
    Rag,
    /// Opens the stream of contract 001.
    #[strum(serialize = "interactions:read")]
    Events,
    /// Pushes cards for contract 001.
    #[strum(serialize = "assist:write")]
    Snippets,
    /// Reads articles and searches them.
    #[strum(serialize = "knowledge:read")]
    Knowledge,
    /// Pushes cards for contract 002.
    #[strum(serialize = "agentassist:interactions:write")]
    Graph,
    /// Opens the stream of contract 003.
    #[strum(serialize = "agentassist:read")]
    Stream,
    /// Pushes cards for contract 003.
    #[strum(serialize = "agentassist:write")]
    Insights,
    /// Sends training feedback.
    #[strum(serialize = "ai:training:write")]
    Training,
    /// Looks at a session and changes it, contract 004.
    #[strum(serialize = "agentassist:session:write")]
    Session,
    /// Orders the snippets of a session, contract 004.
    #[strum(serialize = "agentassist:snippet:write")]
    Ranking,
}

/// Everything that the five contracts call for.
pub const SCOPES: &[&str] = Scope::VARIANTS;

/// One path of a route.
pub(crate) struct RouteSpec {
    pub(crate) route: Route,
    pub(crate) method: &'static str,
    /// As actix-web writes it; `{id}` stands for one segment.
    pub(crate) path: &'static str,
    /// All of them are demanded.
    pub(crate) scopes: &'static [Scope],
}

const fn spec(route: Route, method: &'static str, path: &'static str, scopes: &'static [Scope]) -> RouteSpec {
    RouteSpec { route, method, path, scopes }
}

/// Every path that the contracts have.
pub(crate) const ROUTES: [RouteSpec; 14] = [
    spec(Route::Token, "POST", "/oauth/token", &[]),
    spec(Route::Token, "POST", "/oauth2/token", &[]),
    spec(Route::Token, "POST", "/api/v2/oauth/token", &[]),
    spec(Route::Stream, "GET", "/cxoneapi/v2/agentassist/stream", &[Scope::Stream]),
    spec(Route::Events, "GET", "/api/v2/interactions/events", &[Scope::Events]),
    spec(Route::Rag, "POST", "/api/v2/assist/agentassists", &[Scope::Rag]),
    spec(Route::Snippets, "POST", "/api/v2/interactions/{id}/assist", &[Scope::Snippets]),
    spec(Route::Graph, "POST", "/api/v2/agentassist/interactions/{id}/content", &[Scope::Graph]),
    spec(Route::Insights, "POST", "/api/v2/agentassist/insights", &[Scope::Insights]),
    spec(
        Route::Ranking,
        "POST",
        "/api/v2/agentassist/sessions/{id}/snippets/ranking",
        &[Scope::Session, Scope::Ranking],
    ),
    spec(Route::Session, "GET", "/api/v2/agentassist/sessions/{id}", &[Scope::Session]),
    spec(Route::Feedback, "POST", "/api/v2/ai/training/feedback", &[Scope::Training]),
    spec(Route::Articles, "GET", "/api/v2/knowledge/articles", &[Scope::Knowledge]),
    spec(Route::Search, "GET", "/api/v2/knowledge/articles/search", &[Scope::Knowledge]),
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
    pub(crate) fn scopes(self) -> &'static [Scope] {
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
            assert!(ROUTES.iter().any(|spec| spec.scopes.iter().any(|known| known.as_ref() == *scope)), "{scope}");
        }
        assert!(Route::Token.scopes().is_empty());
    }
}
