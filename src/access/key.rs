//! A key: its name, its hash, what it may do, for whom, and how often.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use rand::TryRngCore;
use rand::rand_core::OsError;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// So many random bytes nobody guesses.
const RANDOM_BYTES: usize = 32;
/// By which those who look for leaked keys in files tell that this is one.
const PREFIX: &str = "cuecard_";

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// What a key may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumString, strum::VariantNames,
)]
#[strum(serialize_all = "snake_case", parse_err_ty = String, parse_err_fn = unknown)]
pub enum Right {
    /// Ask questions, order snippets and read their figures.
    Query,
    /// Say what was clicked.
    Feedback,
    /// Decide which articles are shown, and poll them.
    Knowledge,
    /// See all that the service does, and change how it runs.
    Operate,
    /// Read `/metrics` and nothing else: what a scraper has in its files should open no more.
    Metrics,
}

fn unknown(written: &str) -> String {
    let known = <Right as strum::VariantNames>::VARIANTS.join(", ");
    format!("no right is called `{written}`; there are {known}")
}

impl Right {
    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What is kept of a key: its SHA-256. Keys are random, so that nothing slower is needed to keep them from being guessed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for KeyHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        let wrong = "it is no hash of a key; it has 64 hexadecimal digits, as `cuecard key` prints them";
        hex::decode_to_slice(text, &mut hash).map_err(|_| wrong.to_owned())?;
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash")
    }
}

/// A key that opens something.
#[derive(Debug)]
pub struct Key {
    /// Its name, which is no secret.
    pub name: String,
    pub hash: KeyHash,
    pub rights: BTreeSet<Right>,
    /// The profiles that it may be used for; empty: all.
    pub profiles: BTreeSet<String>,
    bucket: Option<Bucket>,
}

impl Key {
    /// A key that may send as many requests a second as `rate_limit` says, and as many at once; 0: any number.
    pub fn new(
        name: String,
        hash: KeyHash,
        rights: BTreeSet<Right>,
        profiles: BTreeSet<String>,
        rate_limit: u32,
    ) -> Self {
        let quota = NonZero::new(rate_limit).map(Quota::per_second);
        let bucket = quota.map(|quota| RateLimiter::direct_with_clock(quota, MonotonicClock));
        Self { name, hash, rights, profiles, bucket }
    }

    pub(super) fn is_for(&self, profile: &str) -> bool {
        self.is_for_all() || self.profiles.contains(profile)
    }

    pub(super) fn is_for_all(&self) -> bool {
        self.profiles.is_empty()
    }

    /// Counts a request, or says how long to wait before the next.
    pub(super) fn draw(&self) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.check().map_err(|not_yet| not_yet.wait_time_from(MonotonicClock.now()))
    }
}

/// A key that nobody has yet.
pub fn new_key() -> Result<String, OsError> {
    let mut random = [0; RANDOM_BYTES];
    OsRng.try_fill_bytes(&mut random)?;
    Ok(format!("{PREFIX}{}", hex::encode(random)))
}
