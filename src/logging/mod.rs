//! Logs for operators, on stderr: text for whoever reads along, JSON lines for machines.

mod floods;

use std::fmt;
use std::io::IsTerminal;

use cuecard_actors::supervision::log_panics;
use tokio::time::interval;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use floods::{Floods, WINDOW};

use crate::settings::{LogFormat, LogSettings};

/// What a command line tool logs.
const TOOL: &str = "warn";
/// What the demo logs: a push that failed stands on its terminal already, once however often it is tried.
const DEMO: &str = "warn,cuecard_actors[{took_ms}]=error";

/// How much a service logs, which may be changed while it runs. The default controls no log.
#[derive(Clone, Default)]
pub struct LogControl {
    levels: Option<reload::Handle<EnvFilter, Registry>>,
    floods: Floods,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogControl")
    }
}

/// Starts the log of a command line tool: warnings, or as `RUST_LOG` says.
pub fn start_for_tool() {
    start(of_environment().unwrap_or_else(|| EnvFilter::new(TOOL)), LogFormat::Auto, LogControl::default());
}

/// Starts the log of the demo.
pub fn start_for_demo() {
    start(of_environment().unwrap_or_else(|| EnvFilter::new(DEMO)), LogFormat::Auto, LogControl::default());
}

/// Starts the log of a service. No customer text stands above debug level, not even where a panic repeats it.
pub fn start_for_service(settings: &LogSettings) -> LogControl {
    let control = LogControl::default();
    control.floods.limit_to(settings.flood_limit);
    let (filter, is_overruled) = match of_environment() {
        Some(filter) => (filter, true),
        None => (filter(settings), false),
    };
    let control = start(filter, settings.format, control);
    // What a developer sets for this process stands until it ends.
    if is_overruled { LogControl { levels: None, ..control } } else { control }
}

impl LogControl {
    /// Logs as these settings say from now on.
    pub fn set(&self, settings: &LogSettings) {
        self.floods.limit_to(settings.flood_limit);
        if let Some(levels) = &self.levels {
            // The log is there for as long as the process is.
            let _ = levels.reload(filter(settings));
        }
    }

    /// Tells from time to time how many lines were left out, for ever.
    pub async fn tell_floods(self) {
        let mut due = interval(WINDOW);
        loop {
            due.tick().await;
            self.floods.tell();
        }
    }
}

/// Libraries are heard from warnings on, unless they are named.
fn filter(settings: &LogSettings) -> EnvFilter {
    let own = format!("warn,cuecard={}", settings.level.name());
    let modules = settings.modules.0.iter().map(String::as_str);
    EnvFilter::new(std::iter::once(own.as_str()).chain(modules).collect::<Vec<_>>().join(","))
}

/// What `RUST_LOG` says, where it says anything that can be read.
fn of_environment() -> Option<EnvFilter> {
    EnvFilter::try_from_default_env().ok()
}

fn start(filter: EnvFilter, format: LogFormat, control: LogControl) -> LogControl {
    log_panics();
    let is_read = std::io::stderr().is_terminal();
    let is_text = match format {
        LogFormat::Auto => is_read,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    // A line says what happened; in which file, only a developer would ask.
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let colours = is_read && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let lines = if is_text {
        lines.with_ansi(colours).boxed()
    } else {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    };
    let (filter, levels) = reload::Layer::new(filter);
    let lines = lines.with_filter(control.floods.clone());
    // A second start (tests, the demo) keeps the first.
    match tracing_subscriber::registry().with(filter).with(lines).try_init() {
        Ok(()) => LogControl { levels: Some(levels), ..control },
        Err(_) => control,
    }
}
