//! What the tests stand on: an index, a simulator, the service on a thread or in a process, and its admin port.

mod admin;
mod browser;
mod caller;
mod chroma_stand_in;
pub mod command;
mod databases;
mod door;
pub mod five;
mod knowledge;
mod service;
mod shell;
mod speech;

use std::time::Duration;

pub use admin::{Admin, Page, Scrape};
pub use browser::{browser, check_page};
pub use caller::{Answered, Caller};
pub use chroma_stand_in::{COLLECTION, serve_chroma};
pub use command::{Ended, Process, cpu_ticks, cuecard, is_encoding, kept, run, run_in_terminal, send_signal};
pub use databases::{Chroma, address, schema, unique};
pub use door::Door;
pub use knowledge::{ARTICLES, CONVERSATIONS, QUIET, body_of, build_index, index, questions};
pub use service::{Service, environment, refuse_all, simulator};
pub use shell::Shell;
pub use speech::{first_article, pushes, say, send, shown, until, until_shown};

/// Far beyond what loopback needs, even while something else builds; only a broken test waits so long.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How often something that can't be waited for is looked at.
pub const LOOK: Duration = Duration::from_millis(20);
