//! Logs for operators, on stderr.

use std::io::IsTerminal;

use cuecard_actors::supervision::log_panics;
use tracing_subscriber::EnvFilter;

/// Starts logging at info, or as `RUST_LOG` says; JSON lines where nobody reads along. Libraries log from
/// warnings on. No customer text stands above debug level, not even where a panic repeats it.
pub fn start(default: &str) {
    log_panics();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A line says what happened; in which file, only a developer would ask.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr);
    // A second start (tests, the demo) keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_span_list(false).try_init()
    };
}

/// What a service logs.
pub const SERVICE: &str = "warn,cuecard=info,cuecard_actors=info,cuecard_cxone=info,cuecard_knowledge=info";
/// What a command line tool logs.
pub const TOOL: &str = "warn";
/// What the demo logs: a push that failed stands on its terminal already, once however often it is tried.
pub const DEMO: &str = "warn,cuecard_actors[{took_ms}]=error";
