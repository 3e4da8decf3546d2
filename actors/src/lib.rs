//! The flow: nine supervised actors from a stream of speech to a card on the agent's screen.
//!
//! `StreamListener` → Buffer → admission → Extractor → Retriever → Ranker → Injector; `FeedbackLogger` keeps what agents
//! make of the cards, `TokenActor` gives whoever calls CXone a token, `KnowledgeSync` keeps the articles up to date. Data
//! goes through bounded channels that survive a panic, control through mailboxes. The service wires them.

pub use cuecard_cxone as cxone;
pub use cuecard_engine as engine;
pub use cuecard_ledger as ledger;
pub use cuecard_text as text;

pub mod admission;
pub mod buffer;
pub mod cxone_calls;
pub mod decisions;
pub mod extractor;
pub mod feedback_logger;
pub mod health;
pub mod inbox;
pub mod injector;
pub mod knowledge_sync;
pub mod messages;
pub mod ranker;
pub mod retriever;
pub mod stream_listener;
pub mod supervision;
pub mod telemetry;
pub mod tenant;
#[cfg(test)]
mod testing;
pub mod token_actor;
pub mod traces;
