//! Reads the layers and checks them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use config::{Config, ConfigError};
use cuecard_actors::cxone::Contract;
use cuecard_actors::tenant::Profile;
use serde::Deserialize;
use toml::Table;

use super::access::AccessSettings;
use super::check::check_name;
use super::keys::{self, FAMILIES, Family, KnownKeys, NotText, UnknownKey, UnknownVariable};
use super::profile::ProfileSettings;
use super::sections::{
    AdminSettings, ApiSettings, BufferSection, CxoneSettings, DataSettings, DeliverySettings, EncoderSection,
    PipelineSettings, RetentionSettings, SearchSettings, ShutdownSettings, SupervisionSettings,
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
    pub supervision: SupervisionSettings,
    pub shutdown: ShutdownSettings,
    /// At least one.
    pub profiles: Vec<Profile>,
    /// What is set that something else has taken the place of, in words for whoever set it.
    pub superseded: Vec<String>,
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
    #[error("the settings file {} is not valid TOML: {source}", path.display())]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
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
    /// A profile that can't work.
    #[error("profile `{profile}`: {reason}")]
    Profile { profile: String, reason: String },
}

impl From<UnknownVariable> for SettingsError {
    fn from(unknown: UnknownVariable) -> Self {
        match unknown {
            UnknownVariable::Name { variable, nearest } => Self::UnknownKey {
                place: "the environment".to_owned(),
                key: variable,
                nearest: Some(nearest.to_owned()),
            },
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
        Self::load(file, variables()?)
    }

    /// Reads defaults, the file if one is given, and these environment variables.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let layers = Layers::read(file, variables)?;
        let written = layers.written()?;
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
            supervision,
            shutdown,
            profiles,
            superseded,
        };
        settings.check().map_err(|reason| SettingsError::Section { reason })?;
        Ok(settings)
    }
}

/// What the environment of this process says.
fn variables() -> Result<Vec<(String, String)>, SettingsError> {
    keys::own(std::env::vars_os()).map_err(|NotText(variable)| SettingsError::NotText { variable })
}

/// What the layers say before the types are checked.
struct Layers {
    defaults: Table,
    file: Option<(PathBuf, Table)>,
    overrides: Vec<keys::Override>,
}

impl Layers {
    fn read(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let defaults = parse(Path::new("default.toml"), DEFAULTS)?;
        let known = KnownKeys::of(&defaults);
        let file = file.map(|path| read_file(path, &known)).transpose()?;
        let overrides = keys::overrides(variables, &known)?;
        Ok(Self { defaults, file, overrides })
    }

    /// The names of the members of a family that the file or the environment give a section of their own.
    fn names(&self, family: &Family) -> Vec<String> {
        let sections = self.file.iter().filter_map(|(_, file)| at(file, family.all)?.as_table());
        let in_file = sections.flat_map(|members| members.keys().cloned());
        let in_environment = self.overrides.iter().filter_map(|found| {
            let (name, _) = family.member(&found.key)?;
            Some(name.to_owned())
        });
        let mut names: Vec<_> = in_file.chain(in_environment).collect();
        names.sort();
        names.dedup();
        names
    }

    fn written(&self) -> Result<Written, SettingsError> {
        let invalid = |error| self.invalid(error);
        let merged = self.merged().map_err(invalid)?;
        let mut builder = Config::builder();
        // Each profile starts as a copy of [profile], as file and environment leave it; and so do the keys.
        for family in &FAMILIES {
            for name in self.names(family) {
                let place = format!("{}.{name}", family.all);
                check_name(&name).map_err(|reason| SettingsError::Section {
                    reason: format!("the name `{name}` in [{}]: {reason}", family.all),
                })?;
                let member: config::Value = merged.get(family.each).map_err(invalid)?;
                builder = builder.set_default(place, member).map_err(invalid)?;
            }
        }
        builder.add_source(merged).build().and_then(Config::try_deserialize).map_err(invalid)
    }

    /// The layers, one over the other.
    fn merged(&self) -> Result<Config, ConfigError> {
        let mut builder = Config::builder().add_source(layer(None, &self.defaults)?);
        if let Some((path, table)) = &self.file {
            builder = builder.add_source(layer(Some(&path.display().to_string()), table)?);
        }
        for found in &self.overrides {
            let value = config::Value::new(Some(&found.variable), found.value.as_str());
            builder = builder.set_override(&found.key, value)?;
        }
        builder.build()
    }

    /// The library names the place of a value of the wrong type, but not of one that its own type refused.
    fn invalid(&self, error: ConfigError) -> SettingsError {
        let place = match &error {
            ConfigError::At { origin: None, key: Some(key), .. } => self.place_of(key),
            _ => None,
        };
        SettingsError::Value { source: Box::new(error), place }
    }

    /// What says how a key is set: the last variable, else the file. A profile may have it from `[profile]`.
    fn place_of(&self, key: &str) -> Option<String> {
        let variable = self.overrides.iter().rev().find(|found| found.key == key).map(|found| found.variable.clone());
        let file = || {
            let holds = |(_, file): &&(PathBuf, Table)| at(file, key).is_some();
            self.file.as_ref().filter(holds).map(|(path, _)| path.display().to_string())
        };
        let inherited = || {
            let member = |family: &Family| Some(format!("{}.{}", family.each, family.member(key)?.1));
            self.place_of(&FAMILIES.iter().find_map(member)?)
        };
        variable.or_else(file).or_else(inherited)
    }
}

/// What stands under a dotted key.
fn at<'a>(file: &'a Table, key: &str) -> Option<&'a toml::Value> {
    let mut path = key.split('.');
    let section = path.next().and_then(|section| file.get(section));
    path.try_fold(section?, |value, part| value.get(part))
}

fn parse(path: &Path, text: &str) -> Result<Table, SettingsError> {
    toml::from_str(text).map_err(|source| SettingsError::Syntax { path: path.to_owned(), source: Box::new(source) })
}

/// A settings file in which every key is known.
fn read_file(path: &Path, known: &KnownKeys) -> Result<(PathBuf, Table), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    let table = parse(path, &text)?;
    match known.first_unknown(&table) {
        Some(UnknownKey { key, nearest }) => {
            Err(SettingsError::UnknownKey { place: path.display().to_string(), key, nearest })
        }
        None => Ok((path.to_owned(), table)),
    }
}

fn layer(origin: Option<&String>, table: &Table) -> Result<Config, ConfigError> {
    let mut builder = Config::builder();
    for (section, value) in table {
        builder = builder.set_default(section, with_origin(origin, value))?;
    }
    builder.build()
}

/// A value as the library merges it, with the file that it comes from.
fn with_origin(origin: Option<&String>, value: &toml::Value) -> config::Value {
    let inner = |value| with_origin(origin, value);
    match value {
        toml::Value::String(text) => config::Value::new(origin, text.as_str()),
        toml::Value::Integer(number) => config::Value::new(origin, *number),
        toml::Value::Float(number) => config::Value::new(origin, *number),
        toml::Value::Boolean(is_set) => config::Value::new(origin, *is_set),
        toml::Value::Datetime(time) => config::Value::new(origin, time.to_string()),
        toml::Value::Array(values) => config::Value::new(origin, values.iter().map(inner).collect::<Vec<_>>()),
        toml::Value::Table(table) => {
            let values = table.iter().map(|(key, value)| (key.clone(), inner(value)));
            config::Value::new(origin, values.collect::<config::Map<_, _>>())
        }
    }
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
            Layers::read(file, variables()?)?.written()?;
        Ok(Self { admin, encoder, buffer, profile, data, retention })
    }
}
