//! Which proxy a call to CXone goes through.
//!
//! Input: the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not, the capitals first.
//! Output: the proxy of a URL, or none. This machine itself is never reached through one. On failure an error that names
//! the variable.

use std::fmt;
use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::Url;

use super::ClientError;
use crate::transport::{TransportError, TransportFailure};

/// Hosts that `NO_PROXY` always holds.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies for plain and for encrypted calls; clones share them.
#[derive(Clone)]
pub struct Proxies {
    matcher: Arc<Matcher>,
    /// The same rules as the HTTP client takes them.
    rules: Vec<Proxy>,
}

impl Proxies {
    /// What the process's environment says.
    pub fn of_environment() -> Result<Self, ClientError> {
        Self::read(|variable| std::env::var(variable).ok())
    }

    /// What these variables say.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let value = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| Some((*name, variable(name)?)));
            found.filter(|(_, value)| !value.trim().is_empty())
        };
        let none = value(&NO_PROXY).map(|(_, hosts)| format!("{hosts},{THIS_MACHINE}"));
        let none = none.unwrap_or_else(|| THIS_MACHINE.to_owned());
        let (mut matcher, mut rules) = (Matcher::builder().no(&none), Vec::new());
        if let Some((name, proxy)) = value(&HTTPS) {
            rules.push(checked(name, Proxy::https(&proxy), &proxy, &none)?);
            matcher = matcher.https(proxy);
        }
        if let Some((name, proxy)) = value(&HTTP) {
            rules.push(checked(name, Proxy::http(&proxy), &proxy, &none)?);
            matcher = matcher.http(proxy);
        }
        Ok(Self { matcher: Arc::new(matcher.build()), rules })
    }

    /// The proxy between here and this URL.
    pub(crate) fn of(&self, url: &Url) -> Option<Intercept> {
        // A WebSocket goes where the scheme that it starts with goes.
        let scheme = if matches!(url.scheme(), "https" | "wss") { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}/", url.host_str()?).parse().ok()?;
        self.matcher.intercept(&uri)
    }

    /// The address of that proxy for people, without its credentials.
    pub fn address(&self, url: &Url) -> Option<String> {
        self.of(url).map(|proxy| proxy.uri().to_string().trim_end_matches('/').to_owned())
    }

    pub(super) fn set_for(&self, client: ClientBuilder) -> ClientBuilder {
        self.rules.iter().cloned().fold(client.no_proxy(), ClientBuilder::proxy)
    }

    /// Whoever reads that no connection came about must know which one was tried.
    pub(crate) fn named_in(&self, error: TransportError, url: &Url) -> TransportError {
        match self.address(url).filter(|_| matches!(error.failure, TransportFailure::Refused | TransportFailure::Tls)) {
            Some(proxy) => TransportError { detail: format!("{} (through the proxy {proxy})", error.detail), ..error },
            None => error,
        }
    }
}

fn checked(
    variable: &'static str,
    proxy: Result<Proxy, reqwest::Error>,
    address: &str,
    none: &str,
) -> Result<Proxy, ClientError> {
    let refused = |reason: String| ClientError::Proxy { variable, reason };
    let proxy = proxy.map_err(|_| refused("it is no URL".to_owned()))?;
    let somewhere = Uri::from_static("http://host/");
    let read = Matcher::builder().all(address).build().intercept(&somewhere);
    match read.as_ref().and_then(|read| read.uri().scheme_str()) {
        Some("http" | "https") => Ok(proxy.no_proxy(NoProxy::from_string(none))),
        Some(scheme) => Err(refused(format!("the scheme {scheme} is not spoken"))),
        None => Err(refused("it is no URL".to_owned())),
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.matcher.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ClientError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Proxies::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_url_has_its_proxy() {
        let both = [("HTTPS_PROXY", "http://safe:3128"), ("http_proxy", "plain:8080"), ("NO_PROXY", "near.example")];
        let (safe, plain) = (Some("http://safe:3128"), Some("http://plain:8080"));
        for (url, expected) in [
            ("https://api.example/x", safe),
            ("wss://api.example/x?access_token=t", safe),
            ("http://api.example/x", plain),
            ("ws://api.example:8000/x", plain),
            ("https://near.example/", None),
            ("https://api.near.example/", None),
            ("https://localhost/", None),
            ("http://127.0.0.1:9000/", None),
            ("http://[::1]:9000/", None),
        ] {
            let found = proxies(&both).unwrap().address(&url.parse().unwrap());
            assert_eq!(found.as_deref(), expected, "{url}");
        }
        let url = "https://api.example/".parse().unwrap();
        assert_eq!(proxies(&[]).unwrap().address(&url), None);
        assert_eq!(proxies(&[("HTTPS_PROXY", " ")]).unwrap().address(&url), None);
        let all = proxies(&[("ALL_PROXY", "http://any:1")]).unwrap();
        assert_eq!(all.address(&url).as_deref(), Some("http://any:1"));
    }

    #[test]
    fn a_proxys_password_is_shown_to_nobody() {
        let proxies = proxies(&[("HTTPS_PROXY", "http://me:s3cret@safe:3128")]).unwrap();
        let shown = format!("{proxies:?} {:?}", proxies.address(&"https://api.example/".parse().unwrap()));
        assert!(shown.contains("safe:3128") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_its_variable() {
        for (variable, value) in
            [("HTTPS_PROXY", "http://"), ("http_proxy", "a b"), ("ALL_PROXY", "socks5://host:1080")]
        {
            let error = proxies(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.starts_with(variable) && error.contains("http://host:port"), "{error}");
        }
    }
}
