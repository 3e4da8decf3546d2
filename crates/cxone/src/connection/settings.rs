//! What an engineer sets about one tenant, and how it can be wrong.

use std::time::Duration;

use secrecy::SecretString;

use crate::contract::{Contract, env_base_url};
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
