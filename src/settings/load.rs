//! Reads the layers and checks them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError};
use cuecard_actors::cxone::Contract;
use cuecard_actors::tenant::Profile;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::Table;

use super::access::AccessSettings;
use super::check::check_name;
use super::in_force::{Held, InForce, Layer, Source, flattened};
use super::keys::{self, FAMILIES, Family, KnownKeys, Misplaced, NotText, Override, UnknownKey, UnknownVariable};
use super::profile::ProfileSettings;
use super::secrets::{SecretError, read_files};
use super::sections::{
    AdminSettings, ApiSettings, BufferSection, CxoneSettings, DataSettings, DeliverySettings, EncoderSection,
    LogSettings, PipelineSettings, RetentionSettings, SearchSettings, ShutdownSettings, SupervisionSettings,
    TracesSection,
};
use super::values::Words;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub admin: AdminSettings,
    pub api: ApiSettings,
    pub access: AccessSettings,
    pub data: DataSettings,
    pub retention: RetentionSettings,
    pub encoder: EncoderSection,
    pub search: SearchSettings,
    pub pipeline: PipelineSettings,
    pub buffer: BufferSection,
    pub cxone: CxoneSettings,
    pub delivery: DeliverySettings,
    pub log: LogSettings,
    pub traces: TracesSection,
    pub supervision: SupervisionSettings,
    pub shutdown: ShutdownSettings,
    /// At least one.
    pub profiles: Vec<Profile>,
    /// What is set that something else has taken the place of, in words for whoever set it.
    pub superseded: Vec<String>,
    /// Every key as it was written, and where.
    pub in_force: InForce,
    pub(super) origin: Origin,
}

/// The sections as they are written, profiles not yet checked.
#[derive(Debug, Deserialize)]
struct Written {
    admin: AdminSettings,
    api: ApiSettings,
    access: AccessSettings,
    data: DataSettings,
    retention: RetentionSettings,
    encoder: EncoderSection,
    search: SearchSettings,
    pipeline: PipelineSettings,
    buffer: BufferSection,
    cxone: CxoneSettings,
    delivery: DeliverySettings,
    log: LogSettings,
    traces: TracesSection,
    supervision: SupervisionSettings,
    shutdown: ShutdownSettings,
    profile: ProfileSettings,
    #[serde(default)]
    profiles: BTreeMap<String, ProfileSettings>,
}

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read the settings file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is no TOML.
    #[error("the settings file {} is not valid TOML: line {line}: {reason}", path.display())]
    Syntax { path: PathBuf, line: usize, reason: String },
    /// A key that there is not.
    #[error("{place}: there is no key `{key}`{}", suggestion(nearest.as_deref()))]
    UnknownKey { place: String, key: String, nearest: Option<String> },
    /// A variable that is no text.
    #[error("the environment variable {variable} is not UTF-8; set it to a text, or unset it")]
    NotText { variable: String },
    /// A value of the wrong type or form.
    #[error("a setting can't be used: {source}{}", named(place.as_deref()))]
    Value { source: Box<ConfigError>, place: Option<String> },
    /// Nothing says which tenant to serve.
    #[error(
        "no connection profile is set: give CXONE_CONTRACT, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET in the \
         environment, or a file with a section [profiles.NAME] by --config FILE"
    )]
    NoProfile,
    /// A value out of its range.
    #[error("{reason}")]
    Section { reason: String },
    /// A secret that can't be had; nothing of it is said.
    #[error("{reason}")]
    Secret { reason: String },
    /// A profile that can't work.
    #[error("profile `{profile}`: {reason}")]
    Profile { profile: String, reason: String },
}

impl From<SecretError> for SettingsError {
    fn from(error: SecretError) -> Self {
        Self::Secret { reason: error.to_string() }
    }
}

impl From<UnknownVariable> for SettingsError {
    fn from(unknown: UnknownVariable) -> Self {
        match unknown {
            UnknownVariable::Name { variable, nearest } => {
                Self::UnknownKey { place: "the environment".to_owned(), key: variable, nearest: Some(nearest) }
            }
            UnknownVariable::Path { variable, unknown: UnknownKey { key, nearest } } => {
                Self::UnknownKey { place: format!("environment variable {variable}"), key, nearest }
            }
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; the nearest is `{nearest}`"))
}

fn named(place: Option<&str>) -> String {
    place.map_or_else(String::new, |place| format!(" in {place}"))
}

impl Settings {
    /// Reads defaults, the file if one is given, and the environment.
    pub fn of_environment(file: Option<&Path>) -> Result<Self, SettingsError> {
        Self::of(Origin::of_environment(file)?)
    }

    /// Reads defaults, the file if one is given, and these environment variables.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        Self::of(Origin::new(file, variables))
    }

    fn of(origin: Origin) -> Result<Self, SettingsError> {
        let in_force = origin.read()?;
        Self::checked(origin, in_force)
    }

    /// What is in force, checked as a whole.
    pub(super) fn checked(origin: Origin, in_force: InForce) -> Result<Self, SettingsError> {
        let written = in_force.written()?;
        let (profiles, superseded) = (profiles(&written)?, superseded(&written)?);
        let Written {
            admin,
            api,
            access,
            data,
            retention,
            encoder,
            search,
            pipeline,
            buffer,
            cxone,
            delivery,
            log,
            traces,
            supervision,
            shutdown,
            ..
        } = written;
        let settings = Self {
            admin,
            api,
            access,
            data,
            retention,
            encoder,
            search,
            pipeline,
            buffer,
            cxone,
            delivery,
            log,
            traces,
            supervision,
            shutdown,
            profiles,
            superseded,
            in_force,
            origin,
        };
        settings.check().map_err(|reason| SettingsError::Section { reason })?;
        Ok(settings)
    }
}

/// What the settings are read from, again and again.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: Option<PathBuf>,
    /// The variables that set something, some of them secrets.
    pub(super) variables: Vec<(String, SecretString)>,
}

impl Origin {
    fn of_environment(file: Option<&Path>) -> Result<Self, SettingsError> {
        let own = keys::own(std::env::vars_os());
        Ok(Self::new(file, own.map_err(|NotText(variable)| SettingsError::NotText { variable })?))
    }

    fn new(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { file: file.map(Path::to_owned), variables }
    }

    /// What is in force by it.
    pub(super) fn read(&self) -> Result<InForce, SettingsError> {
        let defaults = parse(Path::new("default.toml"), DEFAULTS)?;
        let known = KnownKeys::of(&defaults);
        let file = self.file.as_deref().map(|path| read_file(path, &known)).transpose()?;
        let (table, file) = file.unwrap_or_default();
        let variables = self.variables.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let environment = of_variables(keys::overrides(variables, &known)?)?;
        let mut members = Vec::new();
        for family in &FAMILIES {
            members.push((family, names(family, &table, &environment)?));
        }
        let defaults = layer(flattened(&defaults), &Source::Default)?;
        Ok(InForce::of(defaults, &[&file, &environment], &members))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Origin").field("file", &self.file).finish_non_exhaustive()
    }
}

impl InForce {
    fn written(&self) -> Result<Written, SettingsError> {
        self.config().and_then(Config::try_deserialize).map_err(|error| self.invalid(error))
    }

    /// The library names the place of a value of the wrong type, but not of one that its own type refused.
    fn invalid(&self, error: ConfigError) -> SettingsError {
        let place = match &error {
            ConfigError::At { origin: None, key: Some(key), .. } => self.set_by(key).map(str::to_owned),
            _ => None,
        };
        SettingsError::Value { source: Box::new(error), place }
    }
}

/// The names of the members of a family that the file or the environment give a section of their own.
fn names(family: &Family, file: &Table, environment: &Layer) -> Result<Vec<String>, SettingsError> {
    let in_file = at(file, family.all).and_then(toml::Value::as_table).into_iter().flat_map(Table::keys).cloned();
    let in_environment = environment.keys().filter_map(|key| family.member(key)).map(|(name, _)| name.to_owned());
    let names: BTreeSet<String> = in_file.chain(in_environment).collect();
    for name in &names {
        check_name(name).map_err(|reason| SettingsError::Section {
            reason: format!("the name `{name}` in [{}]: {reason}", family.all),
        })?;
    }
    Ok(names.into_iter().collect())
}

/// What stands under a dotted key.
fn at<'a>(file: &'a Table, key: &str) -> Option<&'a toml::Value> {
    let mut path = key.split('.');
    let section = path.next().and_then(|section| file.get(section));
    path.try_fold(section?, |value, part| value.get(part))
}

fn parse(path: &Path, text: &str) -> Result<Table, SettingsError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        // The library's own words repeat the line, which may hold a secret.
        let before = text.get(..error.span().unwrap_or_default().start).unwrap_or_default();
        let line = before.lines().count().max(1);
        SettingsError::Syntax { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
}

/// A settings file in which every key is known, and what it sets.
fn read_file(path: &Path, known: &KnownKeys) -> Result<(Table, Layer), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    let table = parse(path, &text)?;
    let place = path.display().to_string();
    let read = known.read(&table).map_err(|misplaced| match misplaced {
        Misplaced::Unknown(UnknownKey { key, nearest }) => {
            SettingsError::UnknownKey { place: place.clone(), key, nearest }
        }
        Misplaced::NoSection(key) => {
            SettingsError::Section { reason: format!("{place}: `{key}` must be a section, as [{key}]") }
        }
    })?;
    let mut layer = layer(read, &Source::File(place))?;
    read_files(&mut layer)?;
    Ok((table, layer))
}

fn layer(written: impl IntoIterator<Item = (String, toml::Value)>, source: &Source) -> Result<Layer, SettingsError> {
    let held = |(key, value): (String, _)| {
        let held = Held::new(&key, value, source.clone())?;
        Ok((key, held))
    };
    written.into_iter().map(held).collect()
}

/// Where two variables set the same key, the later one does.
fn of_variables(overrides: Vec<Override>) -> Result<Layer, SettingsError> {
    let mut layer = Layer::new();
    for Override { variable, key, value } in overrides {
        let held = Held::new(&key, value.into(), Source::Environment(variable))?;
        layer.insert(key, held);
    }
    read_files(&mut layer)?;
    Ok(layer)
}

fn profiles(written: &Written) -> Result<Vec<Profile>, SettingsError> {
    let named = named_profiles(written)?;
    let is_sole = named.len() == 1;
    let checked = |(name, settings): (&String, &ProfileSettings)| {
        let index = if is_sole { "index".to_owned() } else { format!("index-{name}") };
        let profile = settings.check(name, &written.cxone, &written.encoder, &written.data.dir.join(index));
        profile.map_err(|reason| SettingsError::Profile { profile: name.clone(), reason })
    };
    let profiles: Vec<_> = named.iter().map(checked).collect::<Result<_, _>>()?;
    check_polls(&profiles)?;
    check_oauth_urls(written, &profiles)?;
    Ok(profiles)
}

/// What is shared may be meant for another profile; what a profile's own section says and nothing reads is a mistake.
fn check_oauth_urls(written: &Written, profiles: &[Profile]) -> Result<(), SettingsError> {
    for profile in profiles.iter().filter(|profile| profile.contract != Contract::Ranking) {
        let own = written.profiles.get(profile.name.as_str()).map_or("", |settings| settings.oauth_url.trim());
        if !own.is_empty() && own != written.profile.oauth_url.trim() {
            let reason = format!(
                "`oauth_url` is of the contract ranking alone, and this profile speaks {}, which asks its base_url for \
                 tokens; take it out of [profiles.{}], and set `token_path` where they are asked for elsewhere there",
                profile.contract, profile.name
            );
            return Err(SettingsError::Profile { profile: profile.name.to_string(), reason });
        }
    }
    Ok(())
}

fn superseded(written: &Written) -> Result<Vec<String>, SettingsError> {
    let of_profile = |(name, settings): (&String, &ProfileSettings)| {
        let told = |what: &'static str| format!("profile `{name}`: {what}");
        settings.superseded().map(told).collect::<Vec<_>>()
    };
    Ok(named_profiles(written)?.iter().flat_map(of_profile).collect())
}

/// The sections of the profiles; where there are none, one for each contract that the environment names.
fn named_profiles(written: &Written) -> Result<BTreeMap<String, ProfileSettings>, SettingsError> {
    if !written.profiles.is_empty() {
        return Ok(written.profiles.clone());
    }
    let contracts = &written.profile.contract.0;
    if contracts.is_empty() {
        return Err(SettingsError::NoProfile);
    }
    let alone = |contract: &String| {
        let contract_alone = Words(vec![contract.clone()]);
        (contract.clone(), ProfileSettings { contract: contract_alone, ..written.profile.clone() })
    };
    Ok(contracts.iter().map(alone).collect())
}

/// Two tenants that fill one index would each show the other's articles.
fn check_polls(profiles: &[Profile]) -> Result<(), SettingsError> {
    let mut polled: HashMap<&Path, &Profile> = HashMap::new();
    for profile in profiles.iter().filter(|profile| profile.knowledge.sync.is_some()) {
        let Some(index) = &profile.knowledge.index else { continue };
        if let Some(other) = polled.insert(index, profile) {
            let (index, other) = (index.display(), &other.name);
            let reason = format!(
                "its articles are polled into the index {index}, and so are those of the profile `{other}`; give each a \
                 directory of its own as `index`"
            );
            return Err(SettingsError::Profile { profile: profile.name.to_string(), reason });
        }
    }
    Ok(())
}

/// What the tools need, which serve no tenant: two sections as defaults and environment leave them.
#[derive(Debug)]
pub struct ToolSettings {
    pub admin: AdminSettings,
    pub encoder: EncoderSection,
    pub buffer: BufferSection,
    pub profile: ProfileSettings,
    pub data: DataSettings,
    pub retention: RetentionSettings,
}

impl ToolSettings {
    pub fn of_environment() -> Result<Self, SettingsError> {
        Self::load(None)
    }

    /// With the file if one is given.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let Written { admin, encoder, buffer, profile, data, retention, .. } =
            Origin::of_environment(file)?.read()?.written()?;
        Ok(Self { admin, encoder, buffer, profile, data, retention })
    }
}
