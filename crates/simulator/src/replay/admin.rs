//! What the service under test says about its own outcomes.
//!
//! Input: the address of its admin port, and the profile that is replayed. Output: the counters `cuecard_cards_total` by
//! outcome, of that profile, or of all where none is named; nothing when the port does not answer or has no such counter.

use std::collections::BTreeMap;
use std::time::Duration;

use strum::{Display, EnumString};

use super::options::{ReplayError, base_url};

/// A scrape that takes longer counts as no answer.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);
const COUNTER: &str = "cuecard_cards_total";

/// How turns end without a card, by the service's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Outcome {
    Silent,
    Withheld,
    Replaced,
    Expired,
    Shed,
    Refused,
    Failed,
}

/// How many ended so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcomes(BTreeMap<Outcome, u64>);

impl Outcomes {
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.0.get(&outcome).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, outcome: Outcome, number: u64) {
        *self.0.entry(outcome).or_default() += number;
    }

    /// Those that the service chose to leave without a card.
    pub(super) fn chosen(&self) -> u64 {
        [Outcome::Silent, Outcome::Withheld, Outcome::Replaced, Outcome::Expired, Outcome::Shed]
            .map(|outcome| self.count(outcome))
            .iter()
            .sum()
    }

    /// What was counted since `before`. A counter that went back started anew in between.
    pub(super) fn since(&self, before: &Self) -> Self {
        let since =
            |(outcome, now): (&Outcome, &u64)| (*outcome, now.checked_sub(before.count(*outcome)).unwrap_or(*now));
        Self(self.0.iter().map(since).collect())
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
        let mut outcomes = Outcomes::default();
        for (outcome, number) in profiles.values().flat_map(|of_one| &of_one.0) {
            outcomes.add(*outcome, *number);
        }
        return Ok(Scrape { outcomes, num_profiles: profiles.len() });
    };
    let names = || profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let outcomes = profiles.get(wanted).ok_or_else(|| format!("has no profile {wanted}, only {}", names()))?;
    Ok(Scrape { outcomes: outcomes.clone(), num_profiles: 1 })
}

/// The counters in a Prometheus text.
fn parse(text: &str) -> Profiles {
    let mut profiles = Profiles::new();
    for (labels, number) in text.lines().filter_map(sample) {
        if let Some(outcome) = label(labels, "outcome") {
            let of_profile = profiles.entry(label(labels, "profile").unwrap_or_default().to_owned()).or_default();
            // Delivered and whatever else there may be leaves nothing to explain.
            if let Ok(outcome) = outcome.parse() {
                of_profile.add(outcome, number);
            }
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

    fn outcomes(counts: &[(Outcome, u64)]) -> Outcomes {
        Outcomes(counts.iter().copied().collect())
    }

    #[test]
    fn counters_are_those_of_the_profile_or_of_all() {
        let profiles = parse(TEXT);
        let of = |wanted| of_profile(&profiles, wanted).map(|scrape| (scrape.outcomes, scrape.num_profiles));
        let all = outcomes(&[(Outcome::Silent, 5), (Outcome::Replaced, 4), (Outcome::Shed, 1)]);
        assert_eq!(of(None), Ok((all, 4)));
        assert_eq!(of(Some("a")), Ok((outcomes(&[(Outcome::Silent, 3)]), 1)));
        assert_eq!(of(Some("b")), Ok((outcomes(&[(Outcome::Silent, 2)]), 1)));
        assert_eq!(of(Some("}{")), Ok((outcomes(&[(Outcome::Shed, 1)]), 1)));
        assert_eq!(of(Some("c")), Err("has no profile c, only , a, b, }{".to_owned()));
        assert!(of_profile(&parse("up 1\n"), None).is_err());
    }

    #[test]
    fn a_counter_that_went_back_started_anew() {
        let counts = |silent, expired| outcomes(&[(Outcome::Silent, silent), (Outcome::Expired, expired)]);
        assert_eq!(counts(5, 1).since(&counts(3, 4)), counts(2, 1));
    }
}
