//! Encode, retrieve and rank put together, without actors: the one way from an utterance to cards.
//!
//! The live actors, `ask`, `eval` and a replay all call the same three functions. They keep no state
//! of a conversation: the utterance carries its turns, and what was shown is passed in.

mod backends;
mod candidates;
mod complete;
pub mod conversation;
mod engine;
pub mod evaluation;
mod extract;
mod plan;
mod rank;
mod retrieve;
mod search_pool;

pub use cuecard_encoder as encoder;
pub use cuecard_knowledge as knowledge;
pub use cuecard_ranking as ranking;

pub use backends::{BackendError, GraphBackend, GraphStore};
pub use candidates::{Candidate, Candidates, Found, Scores};
pub use engine::{BulkEncoder, Engine, Sources};
pub use extract::{Query, WithoutVectors};
pub use plan::{Backend, Effort, Plan, UnknownBackend};
pub use rank::{Ranked, Ranking, Verdict, rank};
pub use search_pool::{SearchPool, SearchPoolError};
