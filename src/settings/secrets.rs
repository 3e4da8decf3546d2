//! The settings that are secrets, and the files that hold one each.
//!
//! A file or the environment gives a secret itself, or under its key and `_file` the path of a file with nothing else in it,
//! as container runtimes mount them. No error repeats what a secret is.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::in_force::{Held, Value};
use super::keys::as_default;

/// The keys, as the defaults have them.
pub(super) const SECRETS: [&str; 8] = [
    "access.key.key",
    "api.keys",
    "data.database_url",
    "profile.callback_url",
    "profile.chroma_token",
    "profile.client_secret",
    "profile.neo4j_password",
    "traces.headers",
];

/// What names a secret's file.
const FILE: &str = "_file";
/// Whatever is larger is another file than was meant.
const LARGEST_BYTES: u64 = 64 * 1024;

/// A secret that can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("both {secret} and {file} are set in {place}; take one of them out")]
    Both { secret: String, file: String, place: String },
    #[error("{setting} names the file {path}, {what}; it must hold the secret and nothing else")]
    File { setting: String, path: String, what: String },
    #[error("{setting} must be a text")]
    NoText { setting: String },
    #[error(
        "a key in {setting} holds a comma or a space, by which several are told apart; `cuecard key` makes another"
    )]
    Divided { setting: String },
}

/// Whether this is the key of a secret, be it a member of a family.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&as_default(key).as_str())
}

/// The key that names the file of a secret.
pub(super) fn file_key(key: &str) -> String {
    format!("{key}{FILE}")
}

/// The secret whose file this key names.
fn secret_of(key: &str) -> Option<&str> {
    key.strip_suffix(FILE).filter(|secret| is_secret(secret))
}

/// Puts the secrets of a layer in place of the names of their files.
pub(super) fn read_files(layer: &mut BTreeMap<String, Held>) -> Result<(), SecretError> {
    let named: Vec<String> = layer.keys().filter(|key| secret_of(key).is_some()).cloned().collect();
    for key in named {
        let (Some(secret), Some(held)) = (secret_of(&key), layer.remove(&key)) else { continue };
        let setting = held.source.setting(&key);
        let Value::Open(toml::Value::String(path)) = held.value else { return Err(SecretError::NoText { setting }) };
        if path.trim().is_empty() {
            continue;
        }
        if let Some(given) = layer.get(secret) {
            let (secret, place) = (given.source.setting(secret), held.source.place().to_owned());
            return Err(SecretError::Both { secret, file: setting, place });
        }
        let text = read_file(path.trim()).map_err(|what| SecretError::File { setting, path, what })?;
        layer.insert(secret.to_owned(), Held { value: Value::Secret(text), source: held.source });
    }
    Ok(())
}

fn read_file(path: &str) -> Result<SecretString, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_BYTES + 1).read_to_string(&mut text));
    let length = read.map_err(|error| format!("which can't be read: {error}"))?;
    if length as u64 > LARGEST_BYTES {
        return Err(format!("which is larger than {} KiB", LARGEST_BYTES / 1024));
    }
    if text.trim().is_empty() {
        return Err("which is empty".to_owned());
    }
    // Whoever writes a file with an editor or `echo` ends its line.
    Ok(text.trim_end_matches(['\n', '\r']).into())
}

/// A secret as a layer writes it: a text, or a list of texts.
pub(super) fn secret(setting: impl Fn() -> String, written: &toml::Value) -> Result<SecretString, SecretError> {
    match written {
        toml::Value::String(text) => Ok(text.as_str().into()),
        toml::Value::Integer(number) => Ok(number.to_string().into()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(toml::Value::as_str).collect();
            let texts = texts.ok_or_else(|| SecretError::NoText { setting: setting() })?;
            if texts.iter().any(|text| text.trim().contains(divides)) {
                return Err(SecretError::Divided { setting: setting() });
            }
            Ok(texts.join(",").into())
        }
        _ => Err(SecretError::NoText { setting: setting() }),
    }
}

fn divides(character: char) -> bool {
    character == ',' || character.is_whitespace()
}

/// Several secrets in one text, with commas or white space between them.
#[derive(Clone)]
pub struct Secrets(pub Vec<SecretString>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SecretString::deserialize(deserializer)?;
        let words = text.expose_secret().split(divides).filter(|word| !word.is_empty());
        Ok(Self(words.map(SecretString::from).collect()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} secrets", self.0.len())
    }
}
