//! Who may call the service's two ports, and how much of it a call may take.
//!
//! Input: a key as its caller sends it, and what the route asks for. Output: leave to go on, or a refusal that says what
//! was wrong and never the key. Keys are held as hashes only and compared with all of them, in a time that tells nothing of
//! how much of a guess was right. Each of the ports has a [`Guard`] around every route.

mod connection;
mod foreign;
mod guard;
mod key;
mod limits;
mod server;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use cuecard_actors::telemetry::{Port, TurnedAway};
use subtle::{ConditionallySelectable, ConstantTimeEq};

pub use guard::Guard;
pub use key::{Key, KeyHash, Right, new_key};
pub use limits::PortLimits;
pub use server::{Serving, serve};
pub use tls::{TlsError, TlsFiles, expires_at, server_config};

/// The access that is in force; other settings replace it as a whole.
pub type AccessInForce = Arc<ArcSwap<Access>>;

/// All keys, and which port asks for one. Made from the settings.
#[derive(Debug)]
pub struct Access {
    keys: Vec<Key>,
    api_asks: bool,
    admin_asks: bool,
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed<'a> {
    /// One of these rights; where there are none, any key will do.
    pub rights: &'a [Right],
    /// For whose data.
    pub whose: Whose<'a>,
}

/// Whose data a route shows or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Nobody's, or nobody's that there is.
    Nobody,
    /// Those of the profile of this name.
    Profile(&'a str),
    /// Those of all profiles together, for keys that are for all.
    All,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused<'a> {
    /// No key was sent.
    NoKey,
    /// A key that nobody knows.
    WrongKey,
    /// The key has none of the rights.
    NoRight { key: &'a str, needed: Vec<Right> },
    /// The key is for other profiles; which it is not for is not said of a route that shows all.
    OtherProfile { key: &'a str, profile: Option<String> },
    /// More requests than the key may send.
    TooMany { key: &'a str, retry_after: Duration },
    /// The port asks for no key, and a page of somebody else's sent it.
    ForeignPage,
}

impl Access {
    /// With these keys; whether each of the ports asks for one.
    pub fn new(keys: Vec<Key>, api_asks: bool, admin_asks: bool) -> Self {
        Self { keys, api_asks, admin_asks }
    }

    /// Whether callers of a port need a key.
    pub fn asks(&self, port: Port) -> bool {
        match port {
            Port::Api => self.api_asks,
            Port::Admin => self.admin_asks,
        }
    }

    /// Whether the sender of this key may have what the route needs.
    pub fn decide(&self, port: Port, sent: Option<&str>, needed: Needed<'_>) -> Result<(), Refused<'_>> {
        if !self.asks(port) {
            return Ok(());
        }
        let key = self.find(sent.ok_or(Refused::NoKey)?).ok_or(Refused::WrongKey)?;
        let name = key.name.as_str();
        // First of all: whoever asks for what the key may not have, again and again, is held back as well.
        key.draw().map_err(|retry_after| Refused::TooMany { key: name, retry_after })?;
        if !needed.rights.is_empty() && !needed.rights.iter().any(|right| key.rights.contains(right)) {
            return Err(Refused::NoRight { key: name, needed: needed.rights.to_vec() });
        }
        match needed.whose {
            Whose::Profile(profile) if !key.is_for(profile) => {
                Err(Refused::OtherProfile { key: name, profile: Some(profile.to_owned()) })
            }
            Whose::All if !key.is_for_all() => Err(Refused::OtherProfile { key: name, profile: None }),
            Whose::Nobody | Whose::Profile(_) | Whose::All => Ok(()),
        }
    }

    /// Looks at every key, whether or not it was found before.
    fn find(&self, sent: &str) -> Option<&Key> {
        let (sent, mut found) = (KeyHash::of(sent), u64::MAX);
        for (place, key) in (0u64..).zip(&self.keys) {
            found.conditional_assign(&place, key.hash.ct_eq(&sent));
        }
        self.keys.get(usize::try_from(found).ok()?)
    }
}

impl Refused<'_> {
    /// The reason, for the log and the metrics.
    pub fn reason(&self) -> TurnedAway {
        match self {
            Self::NoKey => TurnedAway::NoKey,
            Self::WrongKey => TurnedAway::WrongKey,
            Self::NoRight { .. } => TurnedAway::NoRight,
            Self::OtherProfile { .. } => TurnedAway::OtherProfile,
            Self::TooMany { .. } => TurnedAway::TooMany,
            Self::ForeignPage => TurnedAway::ForeignPage,
        }
    }

    /// The name of the key that was sent, where it is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::NoKey | Self::WrongKey | Self::ForeignPage => None,
            Self::NoRight { key, .. } | Self::OtherProfile { key, .. } | Self::TooMany { key, .. } => Some(key),
        }
    }
}

/// What the caller is told.
impl fmt::Display for Refused<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey | Self::WrongKey => {
                formatter.write_str("no valid API key; send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
            }
            Self::NoRight { key, needed } => {
                let needed: Vec<_> = needed.iter().map(|right| right.name()).collect();
                write!(formatter, "the key `{key}` does not have the right `{}`", needed.join("` or `"))
            }
            Self::OtherProfile { key, profile: Some(profile) } => {
                write!(formatter, "the key `{key}` is not for the profile `{profile}`")
            }
            Self::OtherProfile { key, profile: None } => {
                write!(formatter, "the key `{key}` is for single profiles, and this shows or changes all of them")
            }
            Self::TooMany { key, .. } => {
                write!(formatter, "the key `{key}` has sent more requests than its rate_limit")
            }
            Self::ForeignPage => formatter.write_str(
                "this port asks for no key, so it is for this machine alone, by a name of this machine and for no page of another \
                 site; set access.ask to \"always\" and send a key",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
