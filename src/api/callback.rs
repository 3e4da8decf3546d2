//! Sends the result of a ranking where its caller wants it.
//!
//! A caller's URL makes this service call somebody: only allowed hosts are called, none of them at an address of this
//! machine or of a private network unless the settings say so, and redirects are not followed. The addresses are
//! checked when the caller asks and again when the call is made, so that a name can't change between the two. A
//! failure is logged and counted and fails nothing else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cuecard_actors::cxone::http::{ClientError, client_config};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::telemetry::{CallbackEnded, CallbackResult, Metrics};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::{Host, Url};

use super::background::Background;
use cuecard_actors::tenant::CallbackRules;

/// The contract's own.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Callbacks under way at once, each with a socket; a host that hangs takes no more than these.
const AT_ONCE: usize = 64;
/// Results that wait for one of these to end. What comes beyond would be sent too late to be of use.
const WAITING: usize = 256;

/// No callbacks can be sent.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// What every client of this process needs is not there.
    #[error("no HTTP client for callbacks can be made: {0}")]
    Tls(#[from] ClientError),
    /// The client of the callbacks alone.
    #[error("no HTTP client for callbacks can be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A URL that results may not be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAllowed {
    #[error("callback_url is no http or https URL")]
    NoUrl,
    #[error("callback_url names the host {0}, which is not allowed; it must stand in the setting callback_hosts")]
    Host(String),
    #[error("callback_url leads to {0}, an address of this machine or of a private network")]
    Private(IpAddr),
}

/// Sends callbacks.
pub struct Callbacks {
    /// One that calls public addresses only, and one that calls any.
    public: reqwest::Client,
    any: reqwest::Client,
    /// One for each that is under way or waits.
    places: Arc<Semaphore>,
    /// One for each that is under way.
    sending: Arc<Semaphore>,
    metrics: Metrics,
    background: Background,
}

impl Callbacks {
    /// Clients that follow no redirect.
    pub(super) fn new(metrics: Metrics, background: Background) -> Result<Self, CallbackError> {
        let tls = client_config()?;
        let client = || {
            let client = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone());
            client.timeout(TIMEOUT).redirect(Policy::none()).no_proxy()
        };
        let public = client().dns_resolver(Arc::new(PublicOnly)).build()?;
        let (places, sending) = (Semaphore::new(AT_ONCE + WAITING), Semaphore::new(AT_ONCE));
        let (places, sending) = (Arc::new(places), Arc::new(sending));
        Ok(Self { public, any: client().build()?, places, sending, metrics, background })
    }

    /// Where the result goes; `None` where nobody wants it. The caller's URL comes before that of the settings.
    pub(super) async fn target(&self, rules: &CallbackRules, asked: Option<&str>) -> Result<Option<Url>, NotAllowed> {
        let Some(asked) = asked else { return Ok(rules.default_url.clone()) };
        let url: Url = asked.parse().map_err(|_| NotAllowed::NoUrl)?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or(NotAllowed::NoUrl)?;
        let default_host = rules.default_url.as_ref().and_then(Url::host_str);
        if default_host != Some(host) && !rules.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            return Err(NotAllowed::Host(host.to_owned()));
        }
        if !rules.allow_private {
            check_addresses(&url).await?;
        }
        Ok(Some(url))
    }

    /// Sends in the background; a result for which there is no place is dropped, and counted.
    pub(super) fn send(&self, profile: &ProfileName, allow_private: bool, url: Url, body: &Value) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return CallbackEnded { profile, result: CallbackResult::Dropped }.emit(&self.metrics);
        };
        let client = if allow_private { &self.any } else { &self.public };
        let host = url.host_str().unwrap_or_default().to_owned();
        let blocked = if allow_private { None } else { literal(&url).filter(|address| !is_public(*address)) };
        let sending = client.post(url).json(body).send();
        let (profile, metrics, background) = (profile.clone(), self.metrics.clone(), self.background.clone());
        let turn = Arc::clone(&self.sending);
        self.background.spawn(async move {
            let outcome = if let Some(address) = blocked {
                Err(NotAllowed::Private(address).to_string())
            } else {
                let answer = background.within_grace(async {
                    let _turn = turn.acquire().await;
                    sending.await
                });
                let stopped = || Err(format!("the service stopped before {host} answered"));
                answer.await.map_or_else(stopped, |answer| taken(answer, &host))
            };
            let result = outcome.as_ref().map_or_else(|error| CallbackResult::Failed(error), |()| CallbackResult::Sent);
            CallbackEnded { profile: &profile, result }.emit(&metrics);
            drop(place);
        });
    }
}

/// Whether whoever was called took it, else why not. The URL is left out: it may hold a secret of the caller's.
fn taken(answer: Result<reqwest::Response, reqwest::Error>, host: &str) -> Result<(), String> {
    let status = answer.map_err(|error| error.without_url().to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("{host} answered {status}")) }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Callbacks")
    }
}

/// Refuses a host of which any address is private. A name that can't be resolved now fails when the call is made.
async fn check_addresses(url: &Url) -> Result<(), NotAllowed> {
    let private = |address: IpAddr| if is_public(address) { Ok(()) } else { Err(NotAllowed::Private(address)) };
    match (literal(url), url.host_str()) {
        (Some(address), _) => private(address),
        (None, Some(host)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            match timeout(TIMEOUT, lookup_host((host, port))).await {
                Ok(Ok(mut addresses)) => addresses.try_for_each(|address| private(address.ip())),
                Ok(Err(_)) | Err(_) => Ok(()),
            }
        }
        (None, None) => Err(NotAllowed::NoUrl),
    }
}

/// The address that a URL names without a name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Whether an address is none of this machine, of a private network, or of a link.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            // 100.64.0.0/10 is shared address space (RFC 6598), 198.18.0.0/15 for benchmarks (RFC 2544).
            let is_shared = first == 100 && (64..128).contains(&second) || first == 198 && (18..20).contains(&second);
            let is_local = v4.is_loopback() || v4.is_private() || v4.is_link_local() || first == 0;
            !(is_local || is_shared || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation() || first >= 240)
        }
        IpAddr::V6(v6) => {
            let is_local = v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local();
            // 64:ff9b::/96 and 2002::/16 carry an IPv4 address inside (RFC 6052, RFC 3056).
            let carries_v4 = matches!(v6.segments(), [0x64, 0xff9b, ..] | [0x2002, ..]);
            !(is_local || v6.is_unicast_link_local() || v6.is_multicast() || carries_v4)
        }
    }
}

/// Resolves names, and keeps only public addresses.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the host has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rules(default_url: Option<&str>, hosts: &[&str], allow_private: bool) -> CallbackRules {
        CallbackRules {
            default_url: default_url.map(|url| url.parse().unwrap()),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            allow_private,
        }
    }

    fn callbacks() -> Callbacks {
        Callbacks::new(Metrics::new(&[], Vec::new()).unwrap(), Background::new()).unwrap()
    }

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        let private = [
            "127.0.0.1",
            "127.8.9.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.63.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_caller_may_name_allowed_hosts_only() {
        use NotAllowed as N;
        let callbacks = callbacks();
        let default = Some("https://hooks.example/default");
        // (rules, asked, target or complaint)
        let table = [
            (rules(None, &[], false), None, Ok(None)),
            (rules(default, &[], false), None, Ok(default)),
            (rules(default, &[], true), Some("https://hooks.example/mine"), Ok(Some("https://hooks.example/mine"))),
            (rules(default, &[], true), Some("https://other.example/"), Err(N::Host("other.example".into()))),
            (rules(None, &["Other.Example"], true), Some("http://other.example/x"), Ok(Some("http://other.example/x"))),
            (rules(None, &[], true), Some("https://hooks.example@evil.example/"), Err(N::Host("evil.example".into()))),
            (rules(None, &["127.0.0.1"], false), Some("http://127.0.0.1:9/"), Err(N::Private([127, 0, 0, 1].into()))),
            (rules(None, &["localhost"], true), Some("http://localhost:9/"), Ok(Some("http://localhost:9/"))),
            (rules(None, &["127.0.0.1"], false), Some("http://2130706433/"), Err(N::Private([127, 0, 0, 1].into()))),
            (rules(None, &[""], true), Some("file:///etc/passwd"), Err(N::NoUrl)),
            (rules(None, &[], true), Some("hooks.example"), Err(N::NoUrl)),
            (rules(None, &["x"], true), Some("ftp://x/"), Err(N::NoUrl)),
        ];
        for (rules, asked, expected) in table {
            let target = callbacks.target(&rules, asked).await;
            let seen = target.as_ref().map(|url| url.as_ref().map(Url::as_str));
            assert_eq!(seen, expected.as_ref().copied(), "{asked:?}");
        }
    }

    /// As many rankings as a busy minute has, each with a callback to a host that takes connections and never answers.
    #[tokio::test]
    async fn a_host_that_hangs_takes_so_many_sockets_and_what_finds_no_place_is_counted() {
        const BEYOND: usize = 7;
        let (profile, metrics) =
            (ProfileName::new("acme"), Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap());
        let callbacks = Callbacks::new(metrics.clone(), Background::new()).unwrap();
        let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/done", host.local_addr().unwrap()).parse().unwrap();
        for _ in 0..AT_ONCE + WAITING + BEYOND {
            callbacks.send(&profile, true, url.clone(), &Value::Null);
        }
        let text = metrics.render(0.0).unwrap();
        let dropped = format!(r#"cuecard_callbacks_total{{profile="acme",result="dropped"}} {BEYOND}"#);
        assert!(text.contains(&dropped), "{text}");
        let mut taken = Vec::new();
        while let Ok(Ok((socket, _))) = timeout(Duration::from_secs(1), host.accept()).await {
            taken.push(socket);
        }
        assert_eq!(taken.len(), AT_ONCE);
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_as_it_resolves() {
        let asked = Some("http://localhost:9/");
        let refused = callbacks().target(&rules(None, &["localhost"], false), asked).await.unwrap_err();
        assert!(matches!(refused, NotAllowed::Private(address) if address.is_loopback()), "{refused}");
        let resolved = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(resolved.is_err());
    }
}
