//! What an engineer sets about one tenant, and how it can be wrong: URLs and paths as they may be written.

use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use crate::contract::{Contract, env_base_url};
use crate::interaction_id::is_segment_character;
use crate::limits::Limits;
use crate::stream::StreamKind;

/// [`ConnectionSettings::for_contract`] fills in the contract's defaults.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// `https://…`, or `http://…` to this machine; a path in it stands before every endpoint's path.
    pub base_url: String,
    pub token_path: String,
    /// A whole URL, asked instead of the base URL's `token_path`.
    pub token_url: Option<String>,
    /// None for a tenant that is only asked over HTTP.
    pub stream: Option<StreamKind>,
    pub client_id: String,
    pub client_secret: SecretString,
    pub scopes: Vec<String>,
    pub refresh_margin: Duration,
    /// Lets `http` and `ws` go to other machines; credentials then cross the network in the clear. Default false.
    pub allow_plain_http: bool,
    pub limits: Limits,
}

impl ConnectionSettings {
    /// The base URL stays empty, and has to be set, where the contract has none.
    pub fn for_contract(contract: Contract, client_id: impl Into<String>, client_secret: SecretString) -> Self {
        let defaults = contract.defaults();
        let base_url = defaults.base_url.map(str::to_owned).or_else(|| defaults.env.map(env_base_url));
        Self {
            base_url: base_url.unwrap_or_default(),
            token_path: defaults.token_path.to_owned(),
            token_url: defaults.token_url.map(str::to_owned),
            stream: defaults.stream,
            client_id: client_id.into(),
            client_secret,
            scopes: defaults.scopes().iter().map(|&scope| scope.to_owned()).collect(),
            refresh_margin: defaults.refresh_margin,
            allow_plain_http: false,
            limits: Limits::default(),
        }
    }
}

/// Each message begins with the setting. Nothing of a URL is repeated where it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("{setting} is no URL ({error}), write it as https://host")]
    Url { setting: &'static str, error: url::ParseError },
    #[error("{setting} has the scheme '{scheme}', write it as https://host")]
    Scheme { setting: &'static str, scheme: String },
    #[error("{setting} holds a user name or password, use the client id and the client secret instead")]
    Credentials { setting: &'static str },
    #[error("{setting} ends with a query or a fragment, leave it out")]
    QueryOrFragment { setting: &'static str },
    #[error("{setting} sends credentials to {host} over plain http, use https or set allow_plain_http")]
    PlainHttp { setting: &'static str, host: String },
    #[error("{setting} '{path}' is no path of plain segments such as /oauth/token")]
    Path { setting: &'static str, path: String },
    #[error("{0} is empty")]
    Empty(&'static str),
}

impl ConnectionError {
    /// Which setting has to be changed.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Url { setting, .. }
            | Self::Scheme { setting, .. }
            | Self::Credentials { setting }
            | Self::QueryOrFragment { setting }
            | Self::PlainHttp { setting, .. }
            | Self::Path { setting, .. }
            | Self::Empty(setting) => setting,
        }
    }
}

/// A URL with a host, over TLS unless that is this machine or allowed, and with nothing in it but plain segments.
pub(super) fn check_url(setting: &'static str, text: &str, allow_plain_http: bool) -> Result<Url, ConnectionError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ConnectionError::Empty(setting));
    }
    let url = Url::parse(text).map_err(|error| ConnectionError::Url { setting, error })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ConnectionError::Scheme { setting, scheme: url.scheme().to_owned() });
    }
    if has_credentials(&url) {
        return Err(ConnectionError::Credentials { setting });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConnectionError::QueryOrFragment { setting });
    }
    if url.scheme() == "http" && !allow_plain_http && !is_loopback(&url) {
        return Err(ConnectionError::PlainHttp { setting, host: url.host_str().unwrap_or_default().to_owned() });
    }
    match url.path().trim_end_matches('/') {
        "" => {}
        path => check_path(setting, path)?,
    }
    Ok(url)
}

pub(super) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Segments of characters that need no escape, none of them empty or a dot segment.
pub(super) fn check_path(setting: &'static str, path: &str) -> Result<(), ConnectionError> {
    let is_plain = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_segment_character)
    };
    match path.strip_prefix('/') {
        Some(segments) if segments.split('/').all(is_plain) => Ok(()),
        _ => Err(ConnectionError::Path { setting, path: path.to_owned() }),
    }
}
