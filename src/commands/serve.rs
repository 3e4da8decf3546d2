//! `cuecard serve`

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::ServeArgs;
use crate::exit::ExitCode;
use crate::first_signals;
use crate::logging;
use crate::service::{self, Ended};
use crate::settings::Settings;

/// Serves until SIGTERM, SIGINT or SIGHUP; a second signal ends the process at once.
pub fn run(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::SERVICE);
    service::on_system(async {
        let signals = Signals::listen().context("signals can't be listened for")?;
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
        for what in &settings.superseded {
            tracing::warn!("{what}");
        }
        let ended = service::run(settings, |_| {}, signals.stop()).await?;
        // Everything is drained and closed; an index build that still runs goes with the process and leaves no trace.
        exit_code(&ended).exit()
    })?
}

/// What the process ends with; says on stderr why, where something went wrong.
fn exit_code(ended: &Ended) -> ExitCode {
    match ended {
        Ended::Told => ExitCode::Success,
        Ended::Escalated(reason) => {
            eprintln!("cuecard: gave up: {reason}");
            ExitCode::GaveUp
        }
    }
}

/// SIGTERM, SIGINT and SIGHUP, which all mean an ordered stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on, also to what came since the process began.
    pub fn listen() -> std::io::Result<Self> {
        let listening = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        first_signals::release();
        Ok(listening)
    }

    /// Resolves at the first signal; from then on the next one ends the process. On a worker of the runtime, so that it is
    /// heard whatever blocks the actors' thread.
    pub async fn stop(mut self) {
        let (tell, first) = oneshot::channel();
        tokio::spawn(async move {
            self.next().await;
            // Who is not waited for any more has ended.
            let _ = tell.send(());
            self.next().await;
            ExitCode::Killed.exit();
        });
        let _ = first.await;
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordered_stop_is_0_and_an_actor_that_gave_up_70() {
        assert_eq!(exit_code(&Ended::Told) as i32, 0);
        assert_eq!(exit_code(&Ended::Escalated("ranker: too many panics".to_owned())) as i32, 70);
    }
}
