//! Starting and stopping a simulator.
//!
//! Input: settings. Output: a [`RunningSimulator`], whose server and player live on a thread of their own until it is
//! stopped or dropped. What it saw is asked in `observe`, what it shall do is told in `steer` and `play`. A port in use,
//! or anything else that keeps the server from starting, is an error of [`Simulator::start`].

mod observe;
mod play;
mod steer;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_rt::{ArbiterHandle, System};
use actix_web::dev::ServerHandle;

use crate::hub::Hub;
use crate::schema::Schemas;
use crate::server;
use crate::settings::SimulatorSettings;
use crate::streams::{Audience, StreamEnd};
pub use play::Playing;
pub(crate) use play::Teller;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}; another program may hold the port, choose another one with --port")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The thread or the server on it.
    #[error("the server did not start")]
    Server(#[source] std::io::Error),
    /// A schema shipped with the simulator is broken.
    #[error("a schema can't be compiled: {0}")]
    Schema(String),
}

/// Entry point.
pub struct Simulator;

impl Simulator {
    /// Starts a simulator on a thread of its own; returns as soon as it answers.
    pub fn start(settings: SimulatorSettings) -> Result<RunningSimulator, StartError> {
        let bind_error = |source| StartError::Bind { address: settings.address, source };
        let listener = TcpListener::bind(settings.address).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let schemas = Schemas::compile().map_err(StartError::Schema)?;
        let hub = Arc::new(Hub::new(settings, schemas));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread_hub = Arc::clone(&hub);
        let thread = std::thread::Builder::new()
            .name("cxone-sim".to_owned())
            .spawn(move || run(thread_hub, listener, &ready))
            .map_err(StartError::Server)?;
        let (server, arbiter) = started
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended")))
            .map_err(StartError::Server)?;
        tracing::debug!(%address, "simulator started");
        Ok(RunningSimulator { hub, address, arbiter, server, thread: Some(thread) })
    }
}

type Started = std::io::Result<(ServerHandle, ArbiterHandle)>;

fn run(hub: Arc<Hub>, listener: TcpListener, ready: &std::sync::mpsc::SyncSender<Started>) {
    System::new().block_on(async move {
        let server = match server::serve(hub, listener) {
            Ok(server) => server,
            Err(error) => {
                // The starter waits for exactly this message.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let handles = (server.handle(), System::current().arbiter().clone());
        if ready.send(Ok(handles)).is_ok()
            && let Err(error) = server.await
        {
            tracing::error!(%error, "the simulator's server failed");
        }
    });
}

/// A simulator that runs until it is stopped or dropped.
pub struct RunningSimulator {
    hub: Arc<Hub>,
    address: SocketAddr,
    arbiter: ArbiterHandle,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl RunningSimulator {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client, also the address of the agent's desktop page.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the server and waits for its thread. Cuts what is connected.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.hub.update(|state| state.streams.end(&Audience::default(), StreamEnd::Cut));
        // The order is sent by the call itself; its future only waits for the end, as the join does.
        drop(self.server.stop(false));
        if thread.join().is_err() {
            tracing::error!("the simulator's thread panicked");
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}
