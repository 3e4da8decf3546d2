//! How a replay is asked for, and why there may be none.
//!
//! Input: nothing. Output: [`ReplayOptions`] with the defaults of the command line, and the URL of an address as the
//! options write it: anything but plain HTTP is refused, because the service itself speaks nothing else, and TLS in front
//! of it would be measured along.

use std::time::Duration;

use crate::base::contracts::Contract;
use crate::serve::files::Article;
use crate::serve::settings::DEFAULT_CLIENT_ID;

/// How turns follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// So many customer turns a second over all conversations, whatever becomes of them.
    Rate(f64),
    /// So many conversations side by side, each next turn when the one before has its card, or after 5 s.
    Concurrency(usize),
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// What the service speaks.
    pub contract: Contract,
    /// How fast.
    pub load: Load,
    /// No turn begins later than this; without it every conversation is played once. With [`Load::Concurrency`] the
    /// conversations begin anew until then.
    pub duration: Option<Duration>,
    /// With [`Load::Rate`] and a duration, too, the conversations begin anew until then.
    pub repeats: bool,
    /// The client whose cards are awaited.
    pub client_id: String,
    /// Where the service answers HTTP callers, for the contracts that have them.
    pub target: String,
    /// Headers for the target beyond those of the contract.
    pub target_headers: Vec<(String, String)>,
    /// The service's admin port, a URL or `host:port`.
    pub admin: String,
    /// Whose counters there explain turns without a card; without it those of all profiles.
    pub profile: Option<String>,
    /// How long to wait for a client, also for one that leaves to come back, or for the target.
    pub connect_timeout: Duration,
    /// How long to wait for outstanding cards after the last turn.
    pub answer_timeout: Duration,
    /// 004: the session of all rankings; without it each conversation is one.
    pub session: Option<String>,
    /// 004: where snippets are drawn from; without any, ten fixed ones.
    pub articles: Vec<Article>,
    /// 004: of the generator that draws snippets, scores and boosts.
    pub seed: u64,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            contract: Contract::Insights,
            load: Load::Rate(2.0),
            duration: None,
            repeats: false,
            client_id: DEFAULT_CLIENT_ID.to_owned(),
            target: "http://127.0.0.1:8000".to_owned(),
            target_headers: Vec::new(),
            admin: "http://127.0.0.1:9100".to_owned(),
            profile: None,
            connect_timeout: Duration::from_mins(1),
            // A stream card's own deadline is 4 s.
            answer_timeout: Duration::from_secs(5),
            session: None,
            articles: Vec::new(),
            seed: 1,
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody came.
    #[error("no client connected within {} s", .0.as_secs())]
    NobodyConnected(Duration),
    /// The service can't be asked.
    #[error("no service answers at {target} within {} s ({reason}); start it, or say where it is with --target", timeout.as_secs())]
    NobodyAnswers {
        /// Where it should be.
        target: String,
        /// What the last attempt met.
        reason: String,
        /// How long was tried.
        timeout: Duration,
    },
    /// It would have to be asked in another way than by plain HTTP.
    #[error(
        "{option} {address} is no plain http, name the port that the service itself listens on, as http://host:port"
    )]
    Scheme {
        /// Which one.
        option: &'static str,
        /// As it was given.
        address: String,
    },
    /// The rate is of no use.
    #[error("the rate must be a number above 0 and at least one turn a day, for example 2, and is {0}")]
    Rate(f64),
    /// Nobody would speak.
    #[error("the concurrency must be at least 1")]
    Concurrency,
    /// There is nothing to ask.
    #[error("the conversations have no customer turn with words in it")]
    NothingToPlay,
}

/// A URL or `host:port` as a URL without a slash at its end.
pub(crate) fn base_url(option: &'static str, address: &str) -> Result<String, ReplayError> {
    let address = address.trim_end_matches('/');
    match address.split_once("://") {
        None => Ok(format!("http://{address}")),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Ok(address.to_owned()),
        Some(_) => Err(ReplayError::Scheme { option, address: address.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("127.0.0.1:8000", Some("http://127.0.0.1:8000")),
            ("http://host:8000/base/", Some("http://host:8000/base")),
            ("HTTP://host", Some("HTTP://host")),
            ("https://host", None),
            ("ftp://host", None),
        ];
        for (address, expected) in table {
            assert_eq!(base_url("--target", address).ok().as_deref(), expected, "{address}");
        }
    }
}
