//! Takes new settings up while the service runs: on SIGHUP, and by `POST /reload`.
//!
//! All of them are taken up that can be, or none where they can't be used; the answer and the log name the keys of both, and
//! those that wait for a restart.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use cuecard_actors::admission::Admission;
use cuecard_actors::telemetry::Metrics;
use cuecard_actors::tenant::{LoadError, Prepared, Tenants};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::access::AccessInForce;
use crate::pipeline;
use crate::service::{self, Controls};
use crate::settings::{Reread, Settings, SettingsError};

/// What `RUST_LOG` stands over for as long as the process runs.
const LEVELS: [&str; 2] = ["log.level", "log.modules"];

/// See the module.
pub struct Reloader {
    settings: ArcSwap<Settings>,
    access: AccessInForce,
    controls: Controls,
    loaded: OnceLock<Loaded>,
    /// Two at once would each take what the other replaces for what is in force.
    turn: Mutex<()>,
}

/// What there is only once the engine is loaded.
struct Loaded {
    tenants: Tenants,
    admission: Admission,
    metrics: Metrics,
}

/// What a reload came to, by the keys of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// What is in force by it.
    pub changed: Vec<String>,
    /// What was read and is in force only after a restart.
    pub needs_restart: Vec<String>,
}

/// Why nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("the service is still loading")]
    Loading,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A learned model that the settings name.
    #[error(transparent)]
    Model(#[from] LoadError),
    #[error("reading the settings panicked; the log says where")]
    Panicked,
}

impl Reloader {
    /// With the settings of the start, what they made of the access, and what an operator has in hand.
    pub fn new(settings: Settings, access: AccessInForce, controls: Controls) -> Arc<Self> {
        let (settings, loaded, turn) = (ArcSwap::from_pointee(settings), OnceLock::new(), Mutex::default());
        Arc::new(Self { settings, access, controls, loaded, turn })
    }

    /// What is in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Says what else new settings are for.
    pub fn loaded(&self, tenants: Tenants, admission: Admission, metrics: Metrics) {
        // Loading happens once.
        let _ = self.loaded.set(Loaded { tenants, admission, metrics });
    }

    /// Reloads at each hang-up, for ever; one that came before counts, too.
    pub async fn on_hang_up(self: Arc<Self>) {
        loop {
            self.controls.hang_ups.notified().await;
            // The log has told all of it.
            let _ = self.reload("SIGHUP").await;
        }
    }

    /// Reads the settings again and takes up what changed.
    pub async fn reload(self: &Arc<Self>, asked_by: &str) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let reloader = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || reloader.read()).await;
        let taken = read.unwrap_or(Err(ReloadError::Panicked)).map(|(reread, prepared)| self.take(reread, prepared));
        match &taken {
            Ok(Reloaded { changed, needs_restart }) if needs_restart.is_empty() => {
                tracing::info!(asked_by, ?changed, "the settings are reloaded");
            }
            Ok(Reloaded { changed, needs_restart }) => {
                tracing::warn!(asked_by, ?changed, ?needs_restart, "the settings are reloaded; some need a restart");
            }
            Err(error) => {
                tracing::error!(asked_by, %error, "the settings are not reloaded; those before stay in force");
            }
        }
        taken
    }

    /// Everything that can fail.
    fn read(&self) -> Result<(Reread, Prepared), ReloadError> {
        let loaded = self.loaded.get().ok_or(ReloadError::Loading)?;
        let reread = self.settings.load().reread()?;
        let prepared = loaded.tenants.prepare(&reread.settings.profiles)?;
        Ok((reread, prepared))
    }

    fn take(&self, reread: Reread, prepared: Prepared) -> Reloaded {
        let Reread { settings, mut changed, mut needs_restart } = reread;
        if self.controls.logs.is_overruled() {
            needs_restart.extend(changed.extract_if(.., |key| LEVELS.contains(&key.as_str())));
        }
        changed.extend(prepared.other_models().map(|profile| settings.key_of_model(profile)));
        changed.sort();
        changed.dedup();
        if let Some(Loaded { tenants, admission, metrics }) = self.loaded.get() {
            tenants.take(prepared);
            admission.shed_by(pipeline::load_shedding(&settings));
            service::tell_build(metrics, tenants, &settings);
        }
        self.access.store(Arc::new(settings.access_rules()));
        self.controls.logs.set(&settings.log);
        for what in &settings.superseded {
            tracing::warn!("{what}");
        }
        self.settings.store(Arc::new(settings));
        Reloaded { changed, needs_restart }
    }
}
