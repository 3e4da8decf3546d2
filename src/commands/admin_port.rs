//! The admin port of a running service, as the commands call it.
//!
//! The key that it may ask for is in `CUECARD_ADMIN_KEY`. Refusals are told as the port words them; where nobody answers, an
//! error says how to name another place.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use cuecard_actors::cxone::http::client_config;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::progress::Progress;
use crate::cli::AdminArgs;
use crate::settings::AdminSettings;

/// What the port asks for, where it does.
const KEY_VARIABLE: &str = "CUECARD_ADMIN_KEY";
/// A service that runs answers at once, or after its ledger has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an admin port is: its scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPlace(String);

impl FromStr for AdminPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Ok(Self(format!("http://{addr}")));
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let is_bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let wrong = "it is neither an address with a port, as 127.0.0.1:9100, nor a URL, as https://host:9100";
        let url = url.filter(is_bare).ok_or(wrong)?;
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// The port, and what is sent to it.
pub(super) struct AdminPort {
    base: String,
    key: Option<SecretString>,
    client: Client,
}

impl AdminPort {
    /// The port that the command line names, or that of the settings.
    pub(super) fn of(
        arguments: &AdminArgs,
        settings: impl FnOnce() -> anyhow::Result<AdminSettings>,
    ) -> anyhow::Result<Self> {
        let base = if let Some(AdminPlace(base)) = &arguments.admin {
            base.clone()
        } else {
            let settings = settings()?;
            let scheme = if settings.tls_certificate.as_os_str().is_empty() { "http" } else { "https" };
            format!("{scheme}://{}", settings.addr)
        };
        let key = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.trim().is_empty());
        let tls = client_config()?;
        let client = Client::builder().tls_backend_preconfigured(tls.as_ref().clone());
        let client = client.no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { base, key: key.map(SecretString::from), client })
    }

    /// What the port says.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        self.answered(self.client.get(&url), &url).await
    }

    /// The same of what is posted.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        self.answered(self.client.post(&url).json(body), &url).await
    }

    /// Whether a probe is answered that all is well, and what it says.
    pub(super) async fn probe(&self, path: &str) -> anyhow::Result<(bool, Value)> {
        let url = format!("{}{path}", self.base);
        let (status, body) = self.sent(self.client.get(&url), &url).await?;
        Ok((status.is_success(), body))
    }

    async fn answered(&self, request: RequestBuilder, url: &str) -> anyhow::Result<Value> {
        let (status, body) = self.sent(request, url).await?;
        let detail = body["detail"].as_str().unwrap_or("the service refused");
        match &self.key {
            _ if status != StatusCode::UNAUTHORIZED => anyhow::ensure!(status.is_success(), "{detail}"),
            None => anyhow::bail!("the admin port asks for a key; put one into {KEY_VARIABLE}"),
            Some(_) => {
                anyhow::bail!("the admin port does not know the key in {KEY_VARIABLE}; put one there that it knows")
            }
        }
        Ok(body)
    }

    async fn sent(&self, request: RequestBuilder, url: &str) -> anyhow::Result<(StatusCode, Value)> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret().trim()),
            None => request,
        };
        let _progress = Progress::waiting("asking the service");
        let answer = request.send().await.with_context(|| {
            format!(
                "no service answers at {url}; say where its admin port is with --admin or \
                 CUECARD_ADMIN_URL, or name its settings file with --config"
            )
        })?;
        let status = answer.status();
        let body = answer.json().await.with_context(|| format!("{url} answered {status} without JSON"))?;
        Ok((status, body))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_url_without_more() {
        // (written, base)
        let table = [
            ("127.0.0.1:9100", Some("http://127.0.0.1:9100")),
            ("[::1]:9100", Some("http://[::1]:9100")),
            ("https://cuecard.example:9100", Some("https://cuecard.example:9100")),
            ("https://cuecard.example/", Some("https://cuecard.example")),
            ("localhost:9100", None),
            ("https://cuecard.example/metrics", None),
            ("https://user@cuecard.example", None),
            ("ftp://cuecard.example", None),
            ("9100", None),
        ];
        for (written, base) in table {
            let place = written.parse::<AdminPlace>();
            assert_eq!(place.ok().map(|place| place.0).as_deref(), base, "{written}");
        }
    }
}
