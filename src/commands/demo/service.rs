//! The service on a thread of its own, as it would be in a process of its own.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::service::{self, Ended, Listening};
use crate::settings::Settings;

/// How often it is looked whether the service still runs.
const LOOK: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Service {
    pub(super) admin_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<Ended>>,
}

impl Service {
    pub(super) fn start(settings: Settings) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, admin_addr) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("cuecard".to_owned()).spawn(move || {
            let until_stopped = async { drop(stopped.await) };
            service::on_system(service::run(settings, |port| tell(&started, port), until_stopped))?
        })?;
        match admin_addr.recv() {
            Ok(admin_addr) => Ok(Self { admin_addr, stop, thread }),
            Err(_) => Err(ended(thread).err().unwrap_or_else(|| anyhow::anyhow!("the service ended at once"))),
        }
    }

    /// Resolves when the service has ended by itself; stopping it then says why.
    pub(super) async fn gone(&self) {
        while !self.thread.is_finished() {
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        // It may have ended by itself; joining says how.
        let _ = self.stop.send(());
        ended(self.thread)
    }
}

fn tell(started: &Sender<SocketAddr>, port: Listening) {
    if let Listening::Admin(addr) = port {
        // Whoever started the service waits for this.
        let _ = started.send(addr);
    }
}

fn ended(thread: JoinHandle<anyhow::Result<Ended>>) -> anyhow::Result<()> {
    match thread.join() {
        Ok(Ok(Ended::Told)) => Ok(()),
        Ok(Ok(Ended::Escalated(reason))) => anyhow::bail!("the service gave up: {reason}"),
        Ok(Err(error)) => Err(error),
        Err(_) => anyhow::bail!("the service panicked; the log says where"),
    }
}
