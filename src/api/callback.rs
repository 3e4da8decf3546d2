//! Sends the result of a ranking where its caller wants it.
//!
//! A caller's URL makes this service call somebody: only allowed hosts are called, none of them at an address of this
//! machine or of a private network unless the settings say so, and redirects are not followed. The addresses are
//! checked when the caller asks and again when the call is made, so that a name can't change between the two. A result is
//! stored with its ranking and sent from the durable queue, until it arrives or an hour is over; one that nobody takes is set
//! aside. A failure is logged and counted and fails nothing else.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuecard_actors::cxone::http::{ClientError, client_config};
use cuecard_actors::ledger::{DueItem, ItemEnd, ItemId, LedgerError, NewItem, Queue, QueueKind};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::telemetry::{CallbackEnded, CallbackResult, Metrics};
use cuecard_actors::tenant::{CallbackRules, Tenant};
use jiff::{SignedDuration, Timestamp};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::background::Background;

/// The contract's own.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Callbacks of a profile under way at once, each with a socket; a host that hangs takes no more than these.
const AT_ONCE: usize = 64;
/// Results of a profile that may wait to be sent. What comes beyond is dropped, and counted.
const WAITING: u64 = 10_000;
/// How often it is looked for results whose wait is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A result that could not be sent so often is of no use any more: with the waits below that is after an hour.
const MOST_ATTEMPTS: u32 = 13;
/// The wait before the second attempt, doubled before each further one up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(15);

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

/// Sends callbacks: what the durable queue holds of them, whoever stored it.
pub struct Callbacks {
    /// One that calls public addresses only, and one that calls any.
    public: reqwest::Client,
    any: reqwest::Client,
    queue: Queue,
    came: Notify,
    metrics: Metrics,
    background: Background,
}

/// What is under way of a profile. Each has a lane of its own: a host that hangs holds up nobody else's results.
struct Lane {
    profile: ProfileName,
    /// A turn for each that may be under way.
    turns: Arc<Semaphore>,
    under_way: Mutex<HashSet<ItemId>>,
}

/// What waits in the queue of a callback.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    url: Url,
    allow_private: bool,
    body: Value,
}

/// How an attempt ended that did not arrive.
struct Unsent {
    reason: String,
    /// Whether another attempt may do better.
    is_passing: bool,
}

impl Lane {
    fn new(profile: ProfileName) -> Arc<Self> {
        Arc::new(Self { profile, turns: Arc::new(Semaphore::new(AT_ONCE)), under_way: Mutex::default() })
    }

    fn is_idle(&self) -> bool {
        self.turns.available_permits() == AT_ONCE
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<ItemId>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Callbacks {
    /// Clients that follow no redirect.
    pub(super) fn new(queue: Queue, metrics: Metrics, background: Background) -> Result<Self, CallbackError> {
        let tls = client_config()?;
        let client = || {
            let client = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone());
            client.timeout(TIMEOUT).redirect(Policy::none()).no_proxy()
        };
        let public = client().dns_resolver(Arc::new(PublicOnly)).build()?;
        Ok(Self { public, any: client().build()?, queue, came: Notify::new(), metrics, background })
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

    /// A result as it is stored with its ranking; none, and counted, where too many wait.
    pub(super) fn item(&self, tenant: &Tenant, session: &str, url: &Url, body: &Value) -> Option<NewItem> {
        let profile = tenant.name();
        if self.queue.pending_count(profile.as_str()) >= WAITING {
            CallbackEnded { profile, result: CallbackResult::Dropped }.emit(&self.metrics);
            return None;
        }
        let allow_private = tenant.profile.callback.allow_private;
        let payload = Payload { url: url.clone(), allow_private, body: body.clone() };
        let payload = serde_json::to_string(&payload).ok()?;
        let (kind, profile, key) = (QueueKind::Callback, profile.to_string(), session.to_owned());
        Some(NewItem { kind, profile, key, payload, queued_at: Timestamp::now() })
    }

    /// Something may have been stored.
    pub(super) fn wake(&self) {
        self.came.notify_one();
    }

    /// Sends what waits of these profiles, until it is told to stop and nothing more is due.
    pub(super) async fn run(self: Arc<Self>, profiles: Vec<ProfileName>, stop: CancellationToken) {
        let lanes: Vec<_> = profiles.into_iter().map(Lane::new).collect();
        loop {
            let is_stopping = stop.is_cancelled();
            let mut sent = 0;
            for lane in &lanes {
                sent += self.look(lane).await;
            }
            let is_idle = sent == 0 && lanes.iter().all(|lane| lane.is_idle());
            if is_stopping && (self.background.is_grace_over() || is_idle) {
                return;
            }
            if sent == 0 {
                let came = timeout(LOOK_INTERVAL, self.came.notified());
                tokio::select! {
                    _ = came => {}
                    () = stop.cancelled(), if !is_stopping => {}
                }
            }
        }
    }

    /// Begins to send what is due of a profile, as far as there is room; gives how many.
    async fn look(self: &Arc<Self>, lane: &Arc<Lane>) -> usize {
        let profile = lane.profile.as_str();
        if self.queue.pending_count(profile) == 0 || lane.turns.available_permits() == 0 {
            return 0;
        }
        // What is under way before the look may have arrived when it comes back, and still stand in it.
        let busy = lane.under_way().clone();
        // A ledger that can't be read says so elsewhere, and is asked again.
        let due = self.queue.due(profile, Timestamp::now(), AT_ONCE as u32).await.unwrap_or_default();
        let mut sent = 0;
        for item in due.into_iter().filter(|item| !busy.contains(&item.id)) {
            // Whoever ends makes room, and wakes.
            let Ok(turn) = Arc::clone(&lane.turns).try_acquire_owned() else { break };
            lane.under_way().insert(item.id);
            sent += 1;
            let (callbacks, lane) = (Arc::clone(self), Arc::clone(lane));
            self.background.spawn(async move {
                let id = item.id;
                callbacks.send(&lane.profile, item).await;
                lane.under_way().remove(&id);
                drop(turn);
                callbacks.wake();
            });
        }
        sent
    }

    async fn send(&self, profile: &ProfileName, item: DueItem) {
        let attempt = self.background.within_grace(self.attempt(&item.payload)).await;
        // Cut short by a stop: the next start sends it.
        let Some(attempt) = attempt else { return };
        let result =
            attempt.as_ref().map_or_else(|unsent| CallbackResult::Failed(&unsent.reason), |()| CallbackResult::Sent);
        CallbackEnded { profile, result }.emit(&self.metrics);
        let attempts = item.attempts.saturating_add(1);
        let end = match attempt {
            Ok(()) => ItemEnd::Arrived,
            Err(unsent) if unsent.is_passing && attempts < MOST_ATTEMPTS => {
                let wait = SignedDuration::try_from(wait_after(attempts)).unwrap_or_default();
                ItemEnd::RetryAt(Timestamp::now().saturating_add(wait).unwrap_or(Timestamp::MAX), unsent.reason)
            }
            Err(unsent) => ItemEnd::SetAside(unsent.reason),
        };
        while let Err(LedgerError::Unavailable(_)) = self.queue.ended(item.id, end.clone()).await {
            if self.background.within_grace(sleep(LOOK_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn attempt(&self, payload: &str) -> Result<(), Unsent> {
        let never = |reason: String| Unsent { reason, is_passing: false };
        let Payload { url, allow_private, body } = serde_json::from_str(payload)
            .map_err(|error| never(format!("what was stored of it can't be read: {error}")))?;
        if let Some(address) = literal(&url).filter(|address| !allow_private && !is_public(*address)) {
            return Err(never(NotAllowed::Private(address).to_string()));
        }
        let client = if allow_private { &self.any } else { &self.public };
        let host = url.host_str().unwrap_or_default().to_owned();
        taken(client.post(url).json(&body).send().await, &host)
    }
}

/// How long to wait after so many attempts, from 1 on.
fn wait_after(attempts: u32) -> Duration {
    let doubled = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

/// Whether whoever was called took it, else why not. The URL is left out: it may hold a secret of the caller's.
fn taken(answer: Result<reqwest::Response, reqwest::Error>, host: &str) -> Result<(), Unsent> {
    let unsent = |error: reqwest::Error| Unsent { reason: error.without_url().to_string(), is_passing: true };
    let status = answer.map_err(unsent)?.status();
    let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    if status.is_success() { Ok(()) } else { Err(Unsent { reason: format!("{host} answered {status}"), is_passing }) }
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
            // 64:ff9b::/96, 2002::/16, 2001::/32 and ::/96 carry an IPv4 address inside (RFC 6052, 3056, 4380 and 4291).
            let carries_v4 =
                matches!(v6.segments(), [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] | [0, 0, 0, 0, 0, 0, ..]);
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
mod tests;
