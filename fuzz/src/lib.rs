//! What fuzzing calls: for each kind of text that comes from outside, a function that takes any bytes.
//!
//! Input: bytes that somebody sent. Output: nothing. A panic is a finding: the code's own, or that of a check in here on what
//! the code promises of every input. `cargo fuzz` calls the functions by the programs in `fuzz_targets`, with inputs that it
//! steers towards code that was not run yet (`make fuzz`); `tests/seeds.rs` calls them in the ordinary tests, with the
//! inputs in `seeds` and with some of chance made of these.
//!
//! | target | what comes in | from |
//! |---|---|---|
//! | [`stream_frames`] | frames, one a line, over one connection | CXone's streams |
//! | [`token_answer`] | the answer of a token endpoint | CXone |
//! | [`push_answer`] | the answer to a push | CXone |
//! | [`retry_after`] | the headers `Retry-After` and `Date`, a line each | CXone |
//! | [`knowledge_answers`] | a listing of articles, or what a search found | CXone |
//! | [`chroma_answers`] | records, or records near an embedding | Chroma |
//! | [`ranking_request`] | snippets to be ranked | whoever calls the API |
//! | [`api_requests`], [`admin_requests`] | a request: method and address in the first line, then its body | whoever reaches a port |
//! | [`tolerant_json`] | any JSON: how all of these bodies are read | all of them |
//! | [`markup`] | an article: its title in the first line, then its body | a help centre |
//! | [`article_file`], [`graph_file`] | a whole file, plain or compressed | an operator |
//! | [`settings`] | a file of settings, and variables of the environment | an operator |
//! | [`masking`] | what was said | a customer |

mod chroma;
mod cxone;
mod files;
mod frames;
mod json;
#[cfg(feature = "service")]
mod ports;
mod said;
#[cfg(feature = "service")]
mod service;

pub use chroma::chroma_answers;
pub use cxone::{knowledge_answers, push_answer, ranking_request, retry_after, token_answer};
pub use files::{article_file, graph_file, markup};
pub use frames::stream_frames;
pub use json::tolerant_json;
#[cfg(feature = "service")]
pub use ports::{admin_requests, api_requests};
pub use said::masking;
#[cfg(feature = "service")]
pub use service::settings;

/// A target by its name, which is that of its program and of its folder of seeds.
pub type Target = (&'static str, fn(&[u8]));

/// All that there are.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "service")]
    ("admin_requests", admin_requests),
    #[cfg(feature = "service")]
    ("api_requests", api_requests),
    ("article_file", article_file),
    ("chroma_answers", chroma_answers),
    ("graph_file", graph_file),
    ("knowledge_answers", knowledge_answers),
    ("markup", markup),
    ("masking", masking),
    ("push_answer", push_answer),
    ("ranking_request", ranking_request),
    ("retry_after", retry_after),
    #[cfg(feature = "service")]
    ("settings", settings),
    ("stream_frames", stream_frames),
    ("token_answer", token_answer),
    ("tolerant_json", tolerant_json),
];
