//! Answering at the command line as a profile's service would.
//!
//! In: the settings of the service, which may lack a profile or name several. Out: the plan to answer by, an engine that judges
//! by what the service has learned and its operators decided, and in words what of that could not be had.

use cuecard_actors::engine::encoder::{Encoder, EncoderSettings};
use cuecard_actors::engine::{BackendName, Engine, Plan};
use cuecard_actors::tenant::{Profile, as_in_service};
use secrecy::{ExposeSecret, SecretString};

use super::knowledge;
use crate::cli::ProfileArgs;
use crate::settings::{DataSettings, Settings, SettingsError, ToolSettings};

/// How a question is answered, and by whose rules.
pub struct InService {
    /// As the service has it, put to an index alone.
    pub plan: Plan,
    encoder: EncoderSettings,
    /// Whose service it is; none where the settings tell of none.
    service: Option<Service>,
    left_out: Vec<String>,
}

struct Service {
    profile: Profile,
    data: DataSettings,
}

impl InService {
    /// Of the profile that is meant. Settings that no service could be started with still have a plan; a profile that is named
    /// must be there.
    pub fn of(arguments: &ProfileArgs) -> anyhow::Result<Self> {
        let tools = ToolSettings::load(arguments.config.as_deref())?;
        let profile =
            Settings::of_environment(arguments.config.as_deref()).map_err(anyhow::Error::from).and_then(|settings| {
                Ok((chosen(&settings.profiles, arguments.profile.as_deref())?.clone(), settings.data))
            });
        let encoder = |model_dir| tools.encoder.settings(model_dir, |cores| cores);
        let (profile, data) = match profile {
            Ok(found) => found,
            Err(error) if arguments.profile.is_some() => return Err(error),
            Err(error) => {
                let why = match error.downcast_ref() {
                    Some(SettingsError::NoProfile) => "no profile is set, name its settings with --config".to_owned(),
                    _ => error.to_string(),
                };
                let left_out =
                    vec![format!("all but the defaults: its plan, model, pins, mutes and usual turns ({why})")];
                return Ok(Self { plan: tools.profile.index_plan(), encoder: encoder(None), service: None, left_out });
            }
        };
        let mut left_out = Vec::new();
        let (asked, model_dir) = (&profile.plan.backends, profile.knowledge.encoder.model_dir.clone());
        let plan = if asked.contains(&BackendName::Index) {
            Plan { backends: vec![BackendName::Index], ..Plan::clone(&profile.plan) }
        } else {
            left_out.push("its plan, which asks no index".to_owned());
            tools.profile.index_plan()
        };
        let others = asked.iter().filter(|name| **name != BackendName::Index);
        left_out.extend(others.map(|other| format!("its backend {}", other.name())));
        Ok(Self { plan, encoder: encoder(Some(model_dir)), service: Some(Service { profile, data }), left_out })
    }

    /// The model that the service embeds with, on every core.
    pub fn encoder(&self) -> anyhow::Result<Encoder> {
        knowledge::load_encoder(&self.encoder)
    }

    /// Gives an engine what the service has; tells what of it can't be had, where anything can't.
    pub async fn prepare(&self, engine: &Engine) -> Option<String> {
        let mut left_out = self.left_out.clone();
        let whose = match &self.service {
            Some(Service { profile, data }) => {
                let ledger: SecretString = data.ledger_url();
                left_out.extend(as_in_service(engine, profile, &data.dir, ledger.expose_secret()).await);
                format!("the service of profile `{}`", profile.name)
            }
            None => "a service".to_owned(),
        };
        (!left_out.is_empty()).then(|| format!("answered without what {whose} may have: {}", left_out.join("; ")))
    }
}

/// The one profile that there is, or that is named.
pub fn chosen<'a>(profiles: &'a [Profile], named: Option<&str>) -> anyhow::Result<&'a Profile> {
    let mut meant = profiles.iter().filter(|profile| named.is_none_or(|name| profile.name.as_str() == name));
    match (meant.next(), meant.next()) {
        (Some(profile), None) => Ok(profile),
        (None, _) => anyhow::bail!("the settings have no such profile; they have {}", names(profiles)),
        (Some(_), Some(_)) => anyhow::bail!("say which --profile is meant: {}", names(profiles)),
    }
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| format!("`{}`", profile.name)).collect::<Vec<_>>().join(", ")
}
