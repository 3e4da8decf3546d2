//! Encode, retrieve and rank put together, without actors: the one way from an utterance to cards.
//!
//! The live actors, `ask`, `eval` and a replay all call the same four functions: [`Engine::extract`], [`Engine::retrieve`],
//! [`Engine::order`] and [`Ranking::judged`]. They keep no state of a conversation: the utterance carries its turns, and what
//! was shown is passed in.

mod backends;
mod by_text;
mod call;
mod candidates;
mod complete;
mod contributions;
pub mod conversation;
mod engine;
pub mod evaluation;
mod explore;
mod extract;
mod order;
mod plan;
mod rules;
mod search_pool;
#[cfg(test)]
mod testing;
mod turns;
mod usual;
mod verdict;
mod why;

pub use cuecard_encoder as encoder;
pub use cuecard_knowledge as knowledge;
pub use cuecard_ranking as ranking;

pub use backends::{
    Backend, BackendError, BackendName, ChromaBackend, GraphBackend, GraphStore, IndexBackend, UnknownBackend,
};
pub use call::{Call, HeardName};
pub use candidates::{Candidate, Candidates, Found, Nearness, Place, Scores};
pub use contributions::{Contribution, contributions};
pub use engine::{Answer, BulkEncoder, Circumstances, Engine};
pub use extract::{Query, WithoutVectors};
pub use order::{CardOdds, Order, Ranked, order};
pub use plan::{Effort, Excerpt, Plan, UnknownEffort, UnknownExcerpt};
pub use rules::{Boosts, Mark, Marks};
pub use search_pool::{JobPanicked, SearchPool, SearchPoolError};
pub use turns::HeardTurn;
pub use usual::UsualTurns;
pub use verdict::{Grounds, Ranking, Verdict};
pub use why::why;
