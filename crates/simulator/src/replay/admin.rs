//! What the service under test says about its own outcomes.
//!
//! Input: the address of its admin port. Output: the counters `cuecard_cards_total` by outcome, summed over all other
//! labels; nothing when the port does not answer or has no such counter.

use std::time::Duration;

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
    pub(super) fn since(&self, before: &Self) -> Self {
        let grown = |after: u64, before: u64| after.checked_sub(before).unwrap_or(after);
        Self {
            silent: grown(self.silent, before.silent),
            replaced: grown(self.replaced, before.replaced),
            expired: grown(self.expired, before.expired),
            shed: grown(self.shed, before.shed),
            refused: grown(self.refused, before.refused),
            failed: grown(self.failed, before.failed),
        }
    }
}

/// Reads a service's metrics.
pub(super) struct Admin {
    client: awc::Client,
    base: String,
}

impl Admin {
    /// `address` is a URL or `host:port`. Must be called inside an actix system.
    pub(super) fn new(address: &str) -> Self {
        // Fails when a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        Self {
            client: awc::Client::builder().timeout(SCRAPE_TIMEOUT).finish(),
            base: base.trim_end_matches('/').to_owned(),
        }
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
    pub(super) async fn outcomes(&self) -> Result<Outcomes, String> {
        let mut response = self.client.get(self.url()).send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()));
        }
        let body = response.body().await.map_err(|error| error.to_string())?;
        parse(&String::from_utf8_lossy(&body)).ok_or_else(|| format!("has no {COUNTER}"))
    }
}

/// The counters in a Prometheus text; nothing when it has none of them.
fn parse(text: &str) -> Option<Outcomes> {
    let mut outcomes = Outcomes::default();
    let mut found = false;
    for (outcome, value) in text.lines().filter_map(sample) {
        found = true;
        match outcome {
            "silent" => outcomes.silent += value,
            "replaced" => outcomes.replaced += value,
            "expired" => outcomes.expired += value,
            "shed" => outcomes.shed += value,
            "refused" => outcomes.refused += value,
            "failed" => outcomes.failed += value,
            _ => {}
        }
    }
    found.then_some(outcomes)
}

/// Outcome and value of one line of the counter.
fn sample(line: &str) -> Option<(&str, u64)> {
    let (labels, rest) = line.strip_prefix(COUNTER)?.strip_prefix('{')?.rsplit_once('}')?;
    let start = match labels.find(",outcome=\"") {
        Some(position) => position + ",outcome=\"".len(),
        None => labels.starts_with("outcome=\"").then_some("outcome=\"".len())?,
    };
    let outcome = labels[start..].split('"').next()?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some((outcome, value as u64))
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
    fn counters_are_summed_over_profiles() {
        let expected = Outcomes { silent: 5, replaced: 4, shed: 1, ..Outcomes::default() };
        assert_eq!(parse(TEXT), Some(expected));
        assert_eq!(parse("up 1\n"), None);
    }

    #[test]
    fn a_counter_that_went_back_started_anew() {
        let outcomes = |silent, expired| Outcomes { silent, expired, ..Outcomes::default() };
        assert_eq!(outcomes(5, 1).since(&outcomes(3, 4)), outcomes(2, 1));
    }
}
