//! `cuecard serve`

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use crate::cli::ServeArgs;
use crate::exit::ExitCode;
use crate::first_signals;
use crate::logging;
use crate::service::{self, Controls, Ended};
use crate::settings::Settings;

/// Serves until SIGTERM or SIGINT; a second signal ends the process at once. SIGHUP has the settings read again.
pub fn run(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::of_environment(arguments.config.as_deref())?;
    let logs = logging::start_for_service(&settings.log);
    service::on_system(async {
        let signals = Signals::listen().context("signals can't be listened for")?;
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
        let controls = Controls { logs, ..Controls::default() };
        let stop = signals.stop_or_tell(Arc::clone(&controls.hang_ups));
        let ended = service::run_controlled(settings, controls, |_| {}, stop).await?;
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

/// SIGTERM and SIGINT, which mean an ordered stop, and SIGHUP, by which a terminal says that it is gone, and an operator that a
/// service is to read its settings again.
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

    /// Resolves at the first of the three; from then on the next one ends the process.
    pub async fn stop(self) {
        self.stop_telling(None).await;
    }

    /// Resolves at the first that means a stop; until then tells of each SIGHUP.
    pub async fn stop_or_tell(self, hang_ups: Arc<Notify>) {
        self.stop_telling(Some(hang_ups)).await;
    }

    /// Listens on a worker of the runtime, so that a second signal is heard whatever blocks the actors' thread. Where nobody is
    /// told of a SIGHUP it means a stop as well.
    async fn stop_telling(mut self, hang_ups: Option<Arc<Notify>>) {
        let (tell, first) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = next(&mut self.terminate, &mut self.interrupt) => break,
                    Some(()) = self.hang_up.recv() => match &hang_ups {
                        Some(hang_ups) => hang_ups.notify_one(),
                        None => break,
                    },
                }
            }
            // Who is not waited for any more has ended.
            let _ = tell.send(());
            next(&mut self.terminate, &mut self.interrupt).await;
            ExitCode::Killed.exit();
        });
        let _ = first.await;
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
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
