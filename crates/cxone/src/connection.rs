//! One CXone tenant: where its endpoints are and with which credentials.
//!
//! Input: [`ConnectionSettings`]. Output: a [`Connection`] whose URLs are all built and checked, so that nothing a
//! peer sends can change where a call goes. On failure a [`ConnectionError`] that names the setting.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::Serializer;
use url::{Host, Url};

use crate::contract::Contract;
use crate::dialect::Dialect;
use crate::feedback;
use crate::interaction_id::{InteractionId, is_segment_character};
use crate::limits::Limits;

/// What an engineer sets; [`ConnectionSettings::for_contract`] fills in the contract's defaults.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// `https://…`, or `http://…` to this machine; a path in it stands before every endpoint's path.
    pub base_url: String,
    pub token_path: String,
    pub stream_path: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub scopes: Vec<String>,
    pub refresh_margin: Duration,
    /// Lets `http` and `ws` go to other machines; credentials then cross the network in the clear. Default false.
    pub allow_plain_http: bool,
    pub limits: Limits,
}

impl ConnectionSettings {
    pub fn for_contract(contract: Contract, client_id: impl Into<String>, client_secret: SecretString) -> Self {
        let defaults = contract.defaults();
        Self {
            base_url: defaults.base_url.to_owned(),
            token_path: defaults.token_path.to_owned(),
            stream_path: defaults.stream_path.to_owned(),
            client_id: client_id.into(),
            client_secret,
            scopes: defaults.scopes.iter().map(|&scope| scope.to_owned()).collect(),
            refresh_margin: defaults.refresh_margin,
            allow_plain_http: false,
            limits: Limits::default(),
        }
    }
}

/// A tenant with checked URLs.
#[derive(Clone, Debug)]
pub struct Connection {
    base_url: Url,
    token_url: Url,
    stream_url: Url,
    client_id: String,
    client_secret: SecretString,
    scopes: Vec<String>,
    refresh_margin: Duration,
    limits: Limits,
}

/// Nothing of the URL is repeated where it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("base_url is no URL ({0}), write it as https://host")]
    BaseUrl(url::ParseError),
    #[error("base_url has the scheme '{0}', only https and http are served")]
    Scheme(String),
    #[error("base_url holds a user name or password, use the client id and the client secret instead")]
    Credentials,
    #[error("base_url ends with a query or a fragment, leave it out")]
    QueryOrFragment,
    #[error("base_url sends credentials to {host} over plain http, use https or set allow_plain_http")]
    PlainHttp { host: String },
    #[error("{setting} '{path}' is no path of plain segments such as /oauth/token")]
    Path { setting: &'static str, path: String },
    #[error("{0} is empty")]
    Empty(&'static str),
}

impl Connection {
    pub fn new(settings: ConnectionSettings) -> Result<Self, ConnectionError> {
        if settings.client_id.trim().is_empty() {
            return Err(ConnectionError::Empty("client_id"));
        }
        if settings.client_secret.expose_secret().trim().is_empty() {
            return Err(ConnectionError::Empty("client_secret"));
        }
        let base_url = check_base(&settings.base_url, settings.allow_plain_http)?;
        check_path("base_url", base_url.path().trim_end_matches('/'))?;
        check_path("token_path", &settings.token_path)?;
        check_path("stream_path", &settings.stream_path)?;
        Ok(Self {
            token_url: join(&base_url, &settings.token_path),
            stream_url: to_web_socket(join(&base_url, &settings.stream_path)),
            base_url,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            scopes: settings.scopes,
            refresh_margin: settings.refresh_margin,
            limits: settings.limits,
        })
    }

    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// With `ws` for `http` and `wss` for `https`, and without a token.
    pub fn stream_url(&self) -> &Url {
        &self.stream_url
    }

    pub fn push_url(&self, dialect: Dialect, interaction: &InteractionId) -> Url {
        join(&self.base_url, &dialect.path(interaction))
    }

    pub fn feedback_url(&self) -> Url {
        join(&self.base_url, feedback::PATH)
    }

    pub fn refresh_margin(&self) -> Duration {
        self.refresh_margin
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The form that asks for a token; it holds the client's secret.
    pub fn token_form(&self) -> SecretString {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret());
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.finish().into()
    }
}

fn check_base(text: &str, allow_plain_http: bool) -> Result<Url, ConnectionError> {
    let url = Url::parse(text.trim()).map_err(ConnectionError::BaseUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ConnectionError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConnectionError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConnectionError::QueryOrFragment);
    }
    if url.scheme() == "http" && !allow_plain_http && !is_loopback(&url) {
        return Err(ConnectionError::PlainHttp { host: url.host_str().unwrap_or_default().to_owned() });
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Empty, or segments of characters that need no escape, none of them empty or a dot segment.
fn check_path(setting: &'static str, path: &str) -> Result<(), ConnectionError> {
    if path.is_empty() && setting == "base_url" {
        return Ok(());
    }
    let is_plain = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_segment_character)
    };
    match path.strip_prefix('/') {
        Some(segments) if segments.split('/').all(is_plain) => Ok(()),
        _ => Err(ConnectionError::Path { setting, path: path.to_owned() }),
    }
}

/// `path` holds only checked segments, so setting it changes no other part of the URL.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

fn to_web_socket(mut url: Url) -> Url {
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    // Both are special schemes, between which the url crate always changes.
    let changed = url.set_scheme(scheme);
    debug_assert!(changed.is_ok());
    url
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settings(base_url: &str) -> ConnectionSettings {
        let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret&=+".into());
        base_url.clone_into(&mut settings.base_url);
        settings
    }

    fn id(text: &str) -> InteractionId {
        text.parse().unwrap()
    }

    #[test]
    fn the_contract_alone_gives_the_documents_addresses() {
        let settings = ConnectionSettings::for_contract(Contract::Insights, "client", "secret".into());
        let connection = Connection::new(settings).unwrap();
        assert_eq!(connection.token_url().as_str(), "https://api.niceincontact.com/oauth/token");
        let stream = "wss://api.niceincontact.com/cxoneapi/v2/agentassist/stream";
        assert_eq!(connection.stream_url().as_str(), stream);
        let push = connection.push_url(Dialect::Insights, &id("call-1"));
        assert_eq!(push.as_str(), "https://api.niceincontact.com/api/v2/agentassist/insights");
        let feedback = "https://api.niceincontact.com/api/v2/ai/training/feedback";
        assert_eq!(connection.feedback_url().as_str(), feedback);
        assert_eq!(connection.refresh_margin(), Duration::from_mins(5));
    }

    #[test]
    fn a_base_with_port_and_path_keeps_both_and_http_gives_ws() {
        for base in ["http://127.0.0.1:8123/tenant/a", "http://127.0.0.1:8123/tenant/a/"] {
            let connection = Connection::new(settings(base)).unwrap();
            assert_eq!(connection.token_url().as_str(), "http://127.0.0.1:8123/tenant/a/oauth/token");
            let stream = "ws://127.0.0.1:8123/tenant/a/cxoneapi/v2/agentassist/stream";
            assert_eq!(connection.stream_url().as_str(), stream);
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        for base in ["http://localhost:1", "http://127.8.9.1", "http://[::1]:9"] {
            assert!(Connection::new(settings(base)).is_ok(), "{base}");
        }
        for base in ["http://cxone.example", "http://10.0.0.1", "http://localhost.example", "http://[::2]"] {
            let error = Connection::new(settings(base)).unwrap_err();
            assert!(matches!(error, ConnectionError::PlainHttp { .. }), "{base}");
            assert!(error.to_string().contains("allow_plain_http"));
            let allowed = ConnectionSettings { allow_plain_http: true, ..settings(base) };
            assert!(Connection::new(allowed).is_ok(), "{base}");
        }
    }

    #[test]
    fn a_base_that_is_no_clean_https_url_is_refused() {
        use ConnectionError as E;
        let refused = |base| Connection::new(settings(base)).unwrap_err();
        assert!(matches!(refused(""), E::BaseUrl(_)));
        assert!(matches!(refused("api.example.com"), E::BaseUrl(_)));
        assert!(matches!(refused("https://"), E::BaseUrl(_)));
        assert_eq!(refused("ftp://host"), E::Scheme("ftp".into()));
        assert_eq!(refused("file:///etc"), E::Scheme("file".into()));
        assert_eq!(refused("https://host/?a=b"), E::QueryOrFragment);
        assert_eq!(refused("https://host/#a"), E::QueryOrFragment);
        assert!(matches!(refused("https://host/a//b"), E::Path { setting: "base_url", .. }));
        assert!(matches!(refused("https://host/a%2Fb"), E::Path { setting: "base_url", .. }));
        let with_password = refused("https://me:hunter2@host");
        assert_eq!(with_password, E::Credentials);
        assert!(!format!("{with_password} {with_password:?}").contains("hunter2"));
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for path in
            ["", "/", "oauth", "//evil.example", "/a/../b", "/a/./b", "/a?b", "/a#b", "/a b", "/%2e%2e", "/a\\b"]
        {
            let token = ConnectionSettings { token_path: path.into(), ..settings("https://host") };
            let error = Connection::new(token).unwrap_err();
            assert_eq!(error, ConnectionError::Path { setting: "token_path", path: path.into() });
            let stream = ConnectionSettings { stream_path: path.into(), ..settings("https://host") };
            assert!(Connection::new(stream).is_err(), "{path}");
        }
    }

    #[test]
    fn missing_credentials_are_named() {
        let no_id = ConnectionSettings { client_id: " ".into(), ..settings("https://host") };
        assert_eq!(Connection::new(no_id).unwrap_err().to_string(), "client_id is empty");
        let no_secret = ConnectionSettings { client_secret: "".into(), ..settings("https://host") };
        assert_eq!(Connection::new(no_secret).unwrap_err().to_string(), "client_secret is empty");
    }

    #[test]
    fn the_token_form_escapes_its_values_and_sends_scopes_only_when_there_are_some() {
        let form = Connection::new(settings("https://host")).unwrap().token_form();
        let expected = "grant_type=client_credentials&client_id=client&client_secret=s3cret%26%3D%2B";
        assert_eq!(form.expose_secret(), expected);
        let scoped = ConnectionSettings { scopes: vec!["a:b".into(), "c".into()], ..settings("https://host") };
        let form = Connection::new(scoped).unwrap().token_form();
        assert_eq!(form.expose_secret(), format!("{expected}&scope=a%3Ab+c"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let connection = Connection::new(settings("https://host")).unwrap();
        assert!(!format!("{connection:?} {:?}", settings("https://host")).contains("s3cret"));
    }
}
