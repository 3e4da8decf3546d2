//! The service on a thread of its own, connected to a simulator.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use cuecard::service::{self, Ended, Listening};
use cuecard::settings::Settings;
use cuecard_simulator::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Fault, FaultKind, Route, RunningSimulator, Simulator, SimulatorSettings,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Admin, Caller, PATIENCE, index, until};

/// A simulator on a free port.
pub fn simulator() -> RunningSimulator {
    Simulator::start(SimulatorSettings::default()).unwrap()
}

/// From now on a route fails until the faults are cleared.
pub fn refuse_all(simulator: &RunningSimulator, route: Route, status: u16) {
    simulator.inject(Fault { route, times: u32::MAX, fault: FaultKind::status(status) });
}

/// What an engineer would set, and these.
pub fn environment(base_url: &str, data: &Path, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
    let (index, data) = (index().to_str().unwrap(), data.to_str().unwrap());
    let variables = [
        ("CXONE_CONTRACT", "insights"),
        ("CXONE_BASE_URL", base_url),
        ("CXONE_CLIENT_ID", DEFAULT_CLIENT_ID),
        ("CXONE_CLIENT_SECRET", DEFAULT_CLIENT_SECRET),
        ("CUECARD_INDEX", index),
        ("CUECARD_DATA_DIR", data),
        ("CUECARD_ADMIN_ADDR", "127.0.0.1:0"),
        // Several services run at once here, and the threshold of silence is free to be tuned.
        ("CUECARD__ENCODER__THREADS", "1"),
        ("CUECARD__PROFILE__MIN_COSINE", "0.4"),
    ];
    let kept = variables.iter().filter(|(name, _)| overrides.iter().all(|(other, _)| other != name));
    kept.chain(overrides).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A running service.
pub struct Service {
    pub admin: Admin,
    api: std::sync::mpsc::Receiver<SocketAddr>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<Ended>>,
    _data: TempDir,
}

impl Service {
    /// Starts a service for one tenant and waits until it listens.
    pub async fn start(simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> Self {
        let service = Self::launch(&simulator.base_url(), overrides);
        until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        // The service's side of the handshake comes last.
        service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
        service
    }

    /// Starts a service that is asked over HTTP and waits until it can answer.
    pub async fn asked(contract: &str, simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> (Self, Caller) {
        let variables = [&[("CXONE_CONTRACT", contract), ("CUECARD_API_ADDR", "127.0.0.1:0")], overrides].concat();
        let service = Self::launch(&simulator.base_url(), &variables);
        service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
        let caller = service.caller();
        (service, caller)
    }

    /// Somebody who asks the API, which is open once the engine is loaded.
    pub fn caller(&self) -> Caller {
        Caller::new(self.api_addr())
    }

    /// Where the API is, once the engine is loaded.
    pub fn api_addr(&self) -> SocketAddr {
        self.api.recv_timeout(PATIENCE).unwrap()
    }

    /// Starts a service for one tenant, whether there is one or not.
    pub fn launch(base_url: &str, overrides: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let settings = Settings::load(None, environment(base_url, data.path(), overrides)).unwrap();
        Self::with(settings, data)
    }

    /// Starts a service and waits until its admin port is open, which is before the engine is loaded.
    pub fn with(settings: Settings, data: TempDir) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, admin_addr) = std::sync::mpsc::channel();
        let (opened, api) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let until_stopped = async { drop(stopped.await) };
            let listening = |port| match port {
                Listening::Admin(addr) => started.send(addr).unwrap(),
                // A test that asks nothing over HTTP has no ear for it.
                Listening::Api(addr) => drop(opened.send(addr)),
            };
            service::on_system(service::run(settings, listening, until_stopped))?
        });
        let admin = Admin::new(admin_addr.recv().unwrap());
        Self { admin, api, stop, thread, _data: data }
    }

    /// Checks that nothing was lost, doubled or broken on either side, and stops the service in order.
    pub async fn finish(self, simulator: &RunningSimulator) {
        self.admin.check_account().await;
        let violations = simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(simulator.num_duplicates(), 0);
        self.stop().await;
    }

    /// Stops the service in order.
    pub async fn stop(self) {
        self.admin.check_account().await;
        self.stop_unaccounted().await;
    }

    /// The same where the admin port does not answer everybody.
    pub async fn stop_unaccounted(self) {
        self.stop.send(()).unwrap();
        let joining = tokio::task::spawn_blocking(move || self.thread.join().unwrap().unwrap());
        assert_eq!(timeout(PATIENCE, joining).await.unwrap().unwrap(), Ended::Told);
    }
}
