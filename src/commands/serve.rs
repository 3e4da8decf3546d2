//! `cuecard serve`

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::ServeArgs;
use crate::logging;
use crate::service::{self, Ended};
use crate::settings::Settings;

/// Exit code after an actor gave up: `EX_SOFTWARE` of sysexits, so that a runtime can tell it from bad settings.
const ESCALATED: i32 = 70;
/// Exit code of a second signal: what a shell reports for SIGINT.
const KILLED: i32 = 130;

/// Serves until SIGTERM or SIGINT; a second signal ends the process at once.
pub fn run(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::SERVICE);
    let settings = Settings::of_environment(arguments.config.as_deref())?;
    for profile in &settings.profiles {
        tracing::info!(
            profile = %profile.name,
            contract = %profile.contract,
            dialect = %profile.dialect,
            base_url = %profile.connection.base_url(),
            "profile"
        );
    }
    service::on_system(async {
        let signals = Signals::listen().context("signals can't be listened for")?;
        let ended = service::run(settings, |_| {}, signals.stop()).await?;
        // Everything is drained and closed; an index build that still runs goes with the process and leaves no trace.
        std::process::exit(exit_code(&ended))
    })?
}

/// What the process ends with; says on stderr why, where something went wrong.
fn exit_code(ended: &Ended) -> i32 {
    match ended {
        Ended::Told => 0,
        Ended::Escalated(reason) => {
            eprintln!("cuecard: gave up: {reason}");
            ESCALATED
        }
    }
}

/// SIGTERM and SIGINT.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the first signal; from then on the next one ends the process.
    pub async fn stop(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(KILLED);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordered_stop_is_0_and_an_actor_that_gave_up_70() {
        assert_eq!(exit_code(&Ended::Told), 0);
        assert_eq!(exit_code(&Ended::Escalated("ranker: too many panics".to_owned())), 70);
    }
}
