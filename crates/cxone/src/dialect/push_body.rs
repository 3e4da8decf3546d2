//! The body of a push, ready to be written.

use std::fmt;

use serde::Serialize;

use super::graph::GraphPush;
use super::insights::InsightsPush;
use super::rag::RagPush;
use super::ranking::RankingPush;
use super::snippets::SnippetsPush;

#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PushBody {
    Rag(RagPush),
    Snippets(SnippetsPush),
    Graph(GraphPush),
    Insights(InsightsPush),
    Ranking(RankingPush),
}

impl PushBody {
    /// How many cards it shows; none is nothing to push.
    pub fn num_cards(&self) -> usize {
        match self {
            Self::Rag(push) => push.num_passages(),
            Self::Snippets(push) => push.num_messages(),
            Self::Graph(push) => push.num_articles(),
            Self::Insights(push) => push.num_insights(),
            Self::Ranking(push) => push.num_snippets(),
        }
    }

    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    const fn dialect(&self) -> &'static str {
        match self {
            Self::Rag(_) => "Rag",
            Self::Snippets(_) => "Snippets",
            Self::Graph(_) => "Graph",
            Self::Insights(_) => "Insights",
            Self::Ranking(_) => "Ranking",
        }
    }
}

impl fmt::Debug for PushBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple(self.dialect()).field(&self.num_cards()).finish()
    }
}
