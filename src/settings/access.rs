//! `[access]`: the keys of the two ports, when they are asked for, and what a call may take.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cuecard_actors::telemetry::Port;
use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::load::Settings;
use super::values::{Words, duration, filled_path, parsed, unless_empty};
use crate::access::{Access, Key, KeyHash, PortLimits, Right, TlsFiles};

/// What somebody thought up in less may be guessed.
const SHORTEST_KEY: usize = 16;

/// `[access]`
#[derive(Debug, Clone, Deserialize)]
pub struct AccessSettings {
    #[serde(deserialize_with = "parsed")]
    pub ask: Ask,
    #[serde(deserialize_with = "duration")]
    pub head_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub keep_alive: Duration,
    #[serde(deserialize_with = "duration")]
    pub answer_timeout: Duration,
    /// What the sections of `keys` begin as.
    pub key: KeySection,
    #[serde(default)]
    pub keys: BTreeMap<String, KeySection>,
}

/// When callers are asked for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = none_of_the_three)]
pub enum Ask {
    /// On an address that other machines reach, and by the API where `api.keys` holds any.
    Auto,
    Always,
    Never,
}

fn none_of_the_three(_: &str) -> String {
    "write \"auto\", \"always\" or \"never\"".to_owned()
}

/// `[access.keys.NAME]`
#[derive(Debug, Clone, Deserialize)]
pub struct KeySection {
    #[serde(deserialize_with = "unless_empty")]
    pub hash: Option<KeyHash>,
    pub key: SecretString,
    #[serde(deserialize_with = "rights")]
    pub rights: BTreeSet<Right>,
    pub profiles: Words,
    pub rate_limit: u32,
}

fn rights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Right>, D::Error> {
    let words = Words::deserialize(deserializer)?;
    words.0.iter().map(|word| Right::from_str(word).map_err(D::Error::custom)).collect()
}

impl KeySection {
    fn key(&self, name: &str) -> Key {
        let hash = self.hash.clone().unwrap_or_else(|| KeyHash::of(self.key.expose_secret().trim()));
        let profiles = self.profiles.0.iter().cloned().collect();
        Key::new(name.to_owned(), hash, self.rights.clone(), profiles, self.rate_limit)
    }

    fn check(&self, profiles: &BTreeSet<&str>) -> Result<(), String> {
        let key = self.key.expose_secret().trim();
        match (&self.hash, key.is_empty()) {
            (None, true) => return Err("it has no `hash`; `cuecard key` makes a key and its hash".to_owned()),
            (Some(_), false) => return Err("it has both a `hash` and a `key`; take the key out".to_owned()),
            (None, false) if key.len() < SHORTEST_KEY => {
                return Err(format!(
                    "its `key` is shorter than {SHORTEST_KEY} bytes; `cuecard key` makes a better one"
                ));
            }
            _ => {}
        }
        if self.rights.is_empty() {
            let known = <Right as strum::VariantNames>::VARIANTS.join(", ");
            return Err(format!("it has no `rights`, so that it opens nothing; there are {known}"));
        }
        match self.profiles.0.iter().find(|named| !profiles.contains(named.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let known: Vec<_> = profiles.iter().copied().collect();
                Err(format!("no profile is called `{unknown}`; there are {}", known.join(", ")))
            }
        }
    }
}

/// What opens a port at all.
fn opens(port: Port) -> &'static [Right] {
    match port {
        Port::Api => &[Right::Query, Right::Feedback],
        Port::Admin => &[Right::Operate, Right::Knowledge, Right::Metrics],
    }
}

impl Settings {
    /// Who may call the two ports.
    pub fn access_rules(&self) -> Access {
        Access::new(self.keys(), self.asks(Port::Api), self.asks(Port::Admin))
    }

    /// The keys of `[access.keys]`, and those of `api.keys`, which are named by their place.
    fn keys(&self) -> Vec<Key> {
        let named = self.access.keys.iter().map(|(name, section)| section.key(name));
        let of_api = self.api.accepted_keys().iter().enumerate().map(|(place, key)| {
            let rights = BTreeSet::from([Right::Query, Right::Feedback]);
            let hash = KeyHash::of(key.expose_secret());
            Key::new(format!("api.keys[{place}]"), hash, rights, BTreeSet::new(), 0)
        });
        named.chain(of_api).collect()
    }

    fn address(&self, port: Port) -> SocketAddr {
        match port {
            Port::Api => self.api.addr,
            Port::Admin => self.admin.addr,
        }
    }

    fn asks(&self, port: Port) -> bool {
        match self.access.ask {
            Ask::Always => true,
            Ask::Never => false,
            Ask::Auto => {
                let has_keys_of_its_own = port == Port::Api && !self.api.accepted_keys().is_empty();
                !self.address(port).ip().is_loopback() || has_keys_of_its_own
            }
        }
    }

    /// The ports that other machines reach and that ask nobody for a key.
    pub fn open_ports(&self) -> impl Iterator<Item = (Port, SocketAddr)> {
        let ports = [Port::Api, Port::Admin].map(|port| (port, self.address(port)));
        ports.into_iter().filter(|(port, addr)| !addr.ip().is_loopback() && !self.asks(*port))
    }

    /// What a call of a port may take.
    pub fn limits(&self, port: Port) -> PortLimits {
        let AccessSettings { head_timeout, body_timeout, keep_alive, answer_timeout, .. } = self.access;
        let max_body_bytes = match port {
            Port::Api => self.api.max_body_bytes,
            Port::Admin => self.admin.max_body_bytes,
        };
        PortLimits { head_timeout, body_timeout, keep_alive, answer_timeout, max_body_bytes }
    }

    /// Where the certificate of a port is; none where it speaks plain HTTP.
    pub fn tls(&self, port: Port) -> Option<TlsFiles> {
        let (certificate, key) = match port {
            Port::Api => (&self.api.tls_certificate, &self.api.tls_key),
            Port::Admin => (&self.admin.tls_certificate, &self.admin.tls_key),
        };
        Some(TlsFiles { certificate: filled_path(certificate)?, key: filled_path(key)? })
    }

    pub(super) fn check_access(&self) -> Result<(), String> {
        let profiles: BTreeSet<_> = self.profiles.iter().map(|profile| profile.name.as_str()).collect();
        for (name, section) in &self.access.keys {
            section.check(&profiles).map_err(|what| format!("the key `{name}`: {what}"))?;
        }
        let keys = self.keys();
        // A key that stands twice would be held to the rights of one of the two, and nobody could tell which.
        for (place, key) in keys.iter().enumerate().take(self.access.keys.len()) {
            if let Some(other) = keys[place + 1..].iter().find(|other| other.hash == key.hash) {
                let what = "are one and the same key; make another with `cuecard key`";
                return Err(format!("`{}` and `{}` {what}", key.name, other.name));
            }
        }
        for port in [Port::Api, Port::Admin] {
            self.check_port(port, &keys)?;
        }
        Ok(())
    }

    fn check_port(&self, port: Port, keys: &[Key]) -> Result<(), String> {
        let (name, addr) = (port.name(), self.address(port));
        let is_opened = keys.iter().any(|key| opens(port).iter().any(|right| key.rights.contains(right)));
        if self.asks(port) && !is_opened {
            let rights: Vec<_> = opens(port).iter().map(|right| right.name()).collect();
            let why = if addr.ip().is_loopback() { "`access.ask` is \"always\"" } else { "which other machines reach" };
            let or = if port == Port::Api { ", or set `api.keys` or CUECARD_API_KEYS" } else { "" };
            return Err(format!(
                "`{name}.addr` is {addr}, {why}, and no key opens it; make one with `cuecard key` and put its hash into a \
                 section [access.keys.NAME] with one of the rights {}{or}, or listen on 127.0.0.1",
                rights.join(", ")
            ));
        }
        let (certificate, key) = match port {
            Port::Api => (&self.api.tls_certificate, &self.api.tls_key),
            Port::Admin => (&self.admin.tls_certificate, &self.admin.tls_key),
        };
        let is_set = |path: &PathBuf| filled_path(path).is_some();
        if is_set(certificate) != is_set(key) {
            let missing = if is_set(certificate) { "tls_key" } else { "tls_certificate" };
            return Err(format!(
                "`{name}.{missing}` is missing: TLS needs a certificate and its key, both as PEM files"
            ));
        }
        Ok(())
    }
}
