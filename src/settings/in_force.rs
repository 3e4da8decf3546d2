//! What is in force: every key with its value, and where that comes from.
//!
//! Defaults, a file and the environment are laid over one another, key by key; each member of a family begins as the section
//! that says so. What is a secret is held as one, and shown as `***`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use config::{Config, ConfigError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};
use toml::Table;
use url::Url;

use super::keys::{FAMILIES, Family};
use super::secrets::{SecretError, is_secret, secret};

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    /// The settings file of this path.
    File(String),
    /// The variable of this name.
    Environment(String),
}

/// A value as it was written.
#[derive(Clone)]
pub(super) enum Value {
    Open(toml::Value),
    Secret(SecretString),
}

/// A value with its source.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) value: Value,
    pub(super) source: Source,
}

/// What one source sets, by dotted keys.
pub(super) type Layer = BTreeMap<String, Held>;

/// Every key that is in force.
#[derive(Clone, Default)]
pub struct InForce(Layer);

impl Held {
    /// What a layer writes under a key.
    pub(super) fn new(key: &str, written: toml::Value, source: Source) -> Result<Self, SecretError> {
        let value = if is_secret(key) {
            Value::Secret(secret(|| source.setting(key), &written)?)
        } else {
            Value::Open(written)
        };
        Ok(Self { value, source })
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Open(one), Value::Open(other)) => one == other,
            (Value::Secret(one), Value::Secret(other)) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }

    fn shown(&self) -> serde_json::Value {
        match &self.value {
            Value::Open(toml::Value::String(text)) => json!(without_password(text)),
            Value::Open(value) => json!(value),
            Value::Secret(secret) if secret.expose_secret().is_empty() => json!(""),
            Value::Secret(_) => json!(HIDDEN),
        }
    }
}

impl Source {
    /// A key as whoever set it knows it.
    pub(super) fn setting(&self, key: &str) -> String {
        match self {
            Self::Environment(variable) => variable.clone(),
            Self::File(path) => format!("`{key}` in {path}"),
            Self::Default => format!("`{key}`"),
        }
    }

    /// Where it can be taken out again.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::Environment(_) => "the environment",
            Self::File(path) => path,
            Self::Default => "the defaults",
        }
    }

    /// `default`, `file` or `environment`, and for the last two by what.
    fn shown(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Default => ("default", None),
            Self::File(path) => ("file", Some(path)),
            Self::Environment(variable) => ("environment", Some(variable)),
        }
    }
}

impl InForce {
    /// The layers one over the other, the last one on top; `members` are those of each family that a layer names.
    pub(super) fn of(defaults: Layer, layers: &[&Layer], members: &[(&Family, Vec<String>)]) -> Self {
        let over = |key: &str| layers.iter().rev().find_map(|layer| layer.get(key)).cloned();
        let mut held: Layer =
            defaults.into_iter().map(|(key, held)| (key.clone(), over(&key).unwrap_or(held))).collect();
        for (family, names) in members {
            let begins_as = format!("{}.", family.each);
            let each = held.range(begins_as.clone()..).take_while(|(key, _)| key.starts_with(&begins_as));
            let each: Vec<_> = each.map(|(key, held)| (key[begins_as.len()..].to_owned(), held.clone())).collect();
            for name in names {
                for (rest, inherited) in &each {
                    let key = format!("{}.{name}.{rest}", family.all);
                    let own = over(&key).unwrap_or_else(|| inherited.clone());
                    held.insert(key, own);
                }
            }
        }
        Self(held)
    }

    /// As the library turns it into types.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let mut builder = Config::builder();
        for (key, held) in &self.0 {
            let origin = held.source.shown().1.map(str::to_owned);
            let value = match &held.value {
                Value::Open(value) => with_origin(origin.as_ref(), value),
                Value::Secret(secret) => config::Value::new(origin.as_ref(), secret.expose_secret()),
            };
            builder = builder.set_override(key, value)?;
        }
        builder.build()
    }

    /// Whether there is this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// What set a key; nothing where it has its default.
    pub(super) fn set_by(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.source.shown().1
    }

    /// Every key with its value and where that comes from, as JSON; secrets as `***`.
    pub fn shown(&self) -> serde_json::Value {
        let shown = self.0.iter().map(|(key, held)| {
            let (from, by) = held.source.shown();
            let mut entry = json!({ "value": held.shown(), "from": from });
            if let Some(by) = by {
                entry["by"] = by.into();
            }
            (key.clone(), entry)
        });
        serde_json::Value::Object(shown.collect::<Map<_, _>>())
    }

    /// The keys that these and other settings do not have alike, in order; a member that only one of them has by its name
    /// alone. Those of a section that others begin as are left out where there are such: they are in force there.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let is_elsewhere = |key: &str| {
            FAMILIES.iter().any(|family| key.starts_with(&format!("{}.", family.each)) && self.has_members(family))
        };
        let named = |key: &String| {
            if let (Some(one), Some(other)) = (self.0.get(key), other.0.get(key)) {
                return (!one.is_same(other) && !is_elsewhere(key)).then(|| key.clone());
            }
            let family = FAMILIES.iter().find_map(|family| Some((family, family.member(key)?.0)));
            Some(family.map_or_else(|| key.clone(), |(family, name)| format!("{}.{name}", family.all)))
        };
        let keys: BTreeSet<String> = self.0.keys().chain(other.0.keys()).filter_map(named).collect();
        keys.into_iter().collect()
    }

    fn has_members(&self, family: &Family) -> bool {
        self.0.keys().any(|key| family.member(key).is_some())
    }

    /// These settings, with what others have under the keys that `takes` names; keys that only one of the two has are taken,
    /// and left out, alike.
    #[must_use]
    pub(super) fn taking(&self, other: &Self, takes: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(key, _)| !takes(key));
        let others = other.0.iter().filter(|(key, _)| takes(key));
        Self(kept.chain(others).map(|(key, held)| (key.clone(), held.clone())).collect())
    }
}

/// Nothing of the values, of which many are nobody else's business.
impl fmt::Debug for InForce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InForce({} keys)", self.0.len())
    }
}

/// An address may hold a password though there is a key for it.
fn without_password(text: &str) -> Cow<'_, str> {
    let Ok(mut url) = Url::parse(text) else { return Cow::Borrowed(text) };
    if url.password().is_none() || url.set_password(Some(HIDDEN)).is_err() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(url.into())
}

/// A value as the library merges it, with what set it.
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

/// Every value of a table by its dotted key.
pub(super) fn flattened(table: &Table) -> Vec<(String, toml::Value)> {
    let of = |(name, value): (&String, &toml::Value)| match value {
        toml::Value::Table(inner) => {
            flattened(inner).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)).collect()
        }
        value => vec![(name.clone(), value.clone())],
    };
    table.iter().flat_map(of).collect()
}
