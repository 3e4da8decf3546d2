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
    is_overruled: bool,
    floods: Floods,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogControl")
    }
}

/// Starts the log of a command line tool: warnings, or as `RUST_LOG` says.
pub fn start_for_tool() {
    Levels::or(EnvFilter::new(TOOL)).start(LogFormat::Auto, LogControl::default());
}

/// Starts the log of the demo.
pub fn start_for_demo() {
    Levels::or(EnvFilter::new(DEMO)).start(LogFormat::Auto, LogControl::default());
}

/// Starts the log of a service. No customer text stands above debug level, not even where a panic repeats it.
pub fn start_for_service(settings: &LogSettings) -> LogControl {
    let control = LogControl::default();
    control.floods.limit_to(settings.flood_limit);
    Levels::or(filter(settings)).start(settings.format, control)
}

impl LogControl {
    /// Logs as these settings say from now on.
    pub fn set(&self, settings: &LogSettings) {
        self.floods.limit_to(settings.flood_limit);
        if let Some(levels) = self.levels.as_ref().filter(|_| !self.is_overruled) {
            // The log is there for as long as the process is.
            let _ = levels.reload(filter(settings));
        }
    }

    /// Whether `RUST_LOG` stands over the levels of the settings: what a developer sets for this process stands until it
    /// ends.
    pub fn is_overruled(&self) -> bool {
        self.is_overruled
    }

    /// Tells how many lines were left out since the last time.
    pub fn tell_left_out(&self) {
        self.floods.tell();
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

/// How much is logged.
struct Levels {
    filter: EnvFilter,
    /// `RUST_LOG` says so.
    is_overruled: bool,
    /// Why `RUST_LOG` says nothing although it is set.
    complaint: Option<String>,
}

impl Levels {
    /// What `RUST_LOG` says, or where it is not set, empty, or can't be read, these.
    fn or(filter: EnvFilter) -> Self {
        let written = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        if written.trim().is_empty() {
            return Self { filter, is_overruled: false, complaint: None };
        }
        match EnvFilter::builder().parse(&written) {
            Ok(filter) => Self { filter, is_overruled: true, complaint: None },
            Err(error) => Self { filter, is_overruled: false, complaint: Some(error.to_string()) },
        }
    }

    fn start(self, format: LogFormat, control: LogControl) -> LogControl {
        let control = start(self.filter, format, LogControl { is_overruled: self.is_overruled, ..control });
        if let Some(reason) = self.complaint {
            tracing::warn!(
                reason,
                "RUST_LOG can't be read and says nothing; it must be for example `info,cuecard=debug`"
            );
        }
        control
    }
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
