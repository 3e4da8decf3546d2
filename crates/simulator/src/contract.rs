//! The five contracts by name, as far as a replay needs them.
//!
//! Input: a name. Output: whether its conversations are heard on a stream or asked over HTTP.

use crate::streams::StreamKind;

/// What a service is asked to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
        match self {
            Self::Rag => "rag",
            Self::Snippets => "snippets",
            Self::Graph => "graph",
            Self::Insights => "insights",
            Self::Ranking => "ranking",
        }
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
