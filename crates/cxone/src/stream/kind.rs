//! The streams that can be listened to.

use serde::{Deserialize, Serialize};

use super::{InsightsCodec, SnippetsCodec, StreamCodec};
use crate::names::written_by_name;
use crate::websocket::TokenPlacement;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum StreamKind {
    /// 001: events of interactions, each with what was said.
    Snippets,
    /// 003: fragments of transcripts, and what agents think of cards.
    Insights,
}

impl StreamKind {
    pub const ALL: [Self; 2] = [Self::Snippets, Self::Insights];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Snippets => "snippets",
            Self::Insights => "insights",
        }
    }

    /// Below the base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Snippets => "/api/v2/interactions/events",
            Self::Insights => "/cxoneapi/v2/agentassist/stream",
        }
    }

    pub const fn token_placement(self) -> TokenPlacement {
        match self {
            Self::Snippets => TokenPlacement::Header,
            Self::Insights => TokenPlacement::Query,
        }
    }

    /// Named when a handshake is refused.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Snippets => "interactions:read",
            Self::Insights => "agentassist:read",
        }
    }

    /// What listening takes, and passing on what agents think of cards where the stream tells it.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Snippets => &["interactions:read"],
            Self::Insights => &["agentassist:read", crate::feedback::REQUIRED_SCOPE],
        }
    }

    /// A codec that has read nothing yet.
    pub fn codec(self) -> Box<dyn StreamCodec> {
        match self {
            Self::Snippets => Box::new(SnippetsCodec::default()),
            Self::Insights => Box::new(InsightsCodec),
        }
    }
}

written_by_name!(StreamKind, "stream");

#[cfg(test)]
mod tests {
    use super::super::Decoded;
    use super::*;

    #[test]
    fn each_stream_has_its_place_its_token_and_its_scope() {
        let table = [
            (StreamKind::Snippets, "/api/v2/interactions/events", TokenPlacement::Header, "interactions:read"),
            (StreamKind::Insights, "/cxoneapi/v2/agentassist/stream", TokenPlacement::Query, "agentassist:read"),
        ];
        for (stream, path, placement, scope) in table {
            assert_eq!((stream.path(), stream.token_placement(), stream.scope()), (path, placement, scope));
            assert!(stream.scopes().contains(&scope));
        }
    }

    #[test]
    fn each_stream_is_read_by_its_own_codec() {
        let fragment = r#"{"type":"TRANSCRIPT_FRAGMENT","text":"a"}"#;
        let interaction =
            r#"{"type":"interaction","data":{"id":"c-1","state":"active","channels":[{"transcript":"a"}]}}"#;
        for (stream, own, other) in
            [(StreamKind::Insights, fragment, interaction), (StreamKind::Snippets, interaction, fragment)]
        {
            let mut codec = stream.codec();
            assert!(matches!(codec.decode(own), Ok(Decoded::Event(_))), "{stream}");
            assert!(matches!(codec.decode(other), Ok(Decoded::Ignored(_))), "{stream}");
        }
    }
}
