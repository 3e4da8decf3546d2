//! What the service under test says about its own outcomes.
//!
//! Input: the address of its admin port, and the profile that is replayed. Output: the counters `cuecard_cards_total` by
//! outcome, of that profile, or of all where none is named; nothing when the port does not answer or has no such counter.

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use super::ReplayError;
use super::address::base_url;

/// A scrape that takes longer counts as no answer.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);
const COUNTER: &str = "cuecard_cards_total";

/// Cumulative counts of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcomes {
    pub(super) silent: u64,
    pub(super) replaced: u64,
    pub(super) expired: u64,
    pub(super) shed: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
}

impl Outcomes {
    /// What was counted since `before`. A counter that went back started anew in between.
    pub(super) fn since(self, before: Self) -> Self {
        self.with(before, |after, before| after.checked_sub(before).unwrap_or(after))
    }

    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            silent: combine(self.silent, other.silent),
            replaced: combine(self.replaced, other.replaced),
            expired: combine(self.expired, other.expired),
            shed: combine(self.shed, other.shed),
            refused: combine(self.refused, other.refused),
            failed: combine(self.failed, other.failed),
        }
    }

    fn count(&mut self, outcome: &str, number: u64) {
        match outcome {
            "silent" => self.silent += number,
            "replaced" => self.replaced += number,
            "expired" => self.expired += number,
            "shed" => self.shed += number,
            "refused" => self.refused += number,
            "failed" => self.failed += number,
            _ => {}
        }
    }
}

/// Counts by profile.
type Profiles = BTreeMap<String, Outcomes>;

/// What one look at the counters gives.
pub(super) struct Scrape {
    pub(super) outcomes: Outcomes,
    /// Whose counts are in it.
    pub(super) num_profiles: usize,
}

/// Reads a service's metrics.
pub(super) struct Admin {
    client: awc::Client,
    base: String,
    profile: Option<String>,
}

impl Admin {
    /// `address` is a URL or `host:port`. Must be called inside an actix system.
    pub(super) fn new(address: &str, profile: Option<&str>) -> Result<Self, ReplayError> {
        let base = base_url("--admin", address)?;
        let client = awc::Client::builder().timeout(SCRAPE_TIMEOUT).finish();
        Ok(Self { client, base, profile: profile.map(str::to_owned) })
    }

    pub(super) fn url(&self) -> String {
        format!("{}/metrics", self.base)
    }

    /// Whether the service says that it is not ready; a port that says nothing says nothing against it.
    pub(super) async fn is_unready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|response| response.status().as_u16() == 503)
    }

    /// The counters now, or why they can't be had.
    pub(super) async fn scrape(&self) -> Result<Scrape, String> {
        let mut response = self.client.get(self.url()).send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()));
        }
        let body = response.body().await.map_err(|error| error.to_string())?;
        of_profile(&parse(&String::from_utf8_lossy(&body)), self.profile.as_deref())
    }
}

fn of_profile(profiles: &Profiles, wanted: Option<&str>) -> Result<Scrape, String> {
    if profiles.is_empty() {
        return Err(format!("has no {COUNTER}"));
    }
    let Some(wanted) = wanted else {
        let outcomes = profiles.values().fold(Outcomes::default(), |sum, of_one| sum.with(*of_one, u64::add));
        return Ok(Scrape { outcomes, num_profiles: profiles.len() });
    };
    let names = || profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let outcomes = profiles.get(wanted).ok_or_else(|| format!("has no profile {wanted}, only {}", names()))?;
    Ok(Scrape { outcomes: *outcomes, num_profiles: 1 })
}

/// The counters in a Prometheus text.
fn parse(text: &str) -> Profiles {
    let mut profiles = Profiles::new();
    for (labels, number) in text.lines().filter_map(sample) {
        if let Some(outcome) = label(labels, "outcome") {
            let profile = label(labels, "profile").unwrap_or_default();
            profiles.entry(profile.to_owned()).or_default().count(outcome, number);
        }
    }
    profiles
}

/// Labels and value of one line of the counter.
fn sample(line: &str) -> Option<(&str, u64)> {
    let (labels, rest) = line.strip_prefix(COUNTER)?.strip_prefix('{')?.rsplit_once('}')?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some((labels, value as u64))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let written = format!("{name}=\"");
    let value = match labels.strip_prefix(&written) {
        Some(value) => value,
        None => labels.split_once(&format!(",{written}"))?.1,
    };
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP cuecard_cards_total cards by outcome
# TYPE cuecard_cards_total counter
cuecard_cards_total{outcome="delivered",profile="a"} 7
cuecard_cards_total{outcome="silent",profile="a"} 3
cuecard_cards_total{profile="b",outcome="silent"} 2
cuecard_cards_total{outcome="shed",profile="}{"} 1 1700000000
cuecard_cards_total{outcome="replaced"} 4
cuecard_cards_total_created{outcome="expired"} 9
cuecard_other_total{outcome="failed"} 9
"#;

    #[test]
    fn counters_are_those_of_the_profile_or_of_all() {
        let profiles = parse(TEXT);
        let of = |wanted| of_profile(&profiles, wanted).map(|scrape| (scrape.outcomes, scrape.num_profiles));
        let outcomes = |silent, replaced, shed| Outcomes { silent, replaced, shed, ..Outcomes::default() };
        assert_eq!(of(None), Ok((outcomes(5, 4, 1), 4)));
        assert_eq!(of(Some("a")), Ok((outcomes(3, 0, 0), 1)));
        assert_eq!(of(Some("b")), Ok((outcomes(2, 0, 0), 1)));
        assert_eq!(of(Some("}{")), Ok((outcomes(0, 0, 1), 1)));
        assert_eq!(of(Some("c")), Err("has no profile c, only , a, b, }{".to_owned()));
        assert!(of_profile(&parse("up 1\n"), None).is_err());
    }

    #[test]
    fn a_counter_that_went_back_started_anew() {
        let outcomes = |silent, expired| Outcomes { silent, expired, ..Outcomes::default() };
        assert_eq!(outcomes(5, 1).since(outcomes(3, 4)), outcomes(2, 1));
    }
}
