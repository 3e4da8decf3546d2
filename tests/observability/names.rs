//! The names of metrics: what dashboards and rules ask for is there, and what is there stands on a dashboard.

use std::collections::BTreeSet;

use cuecard_actors::cxone::Dialect;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::telemetry::{Metrics, Port};
use jiff::Timestamp;

use crate::dashboards::{Dashboard, metric_names};
use crate::root;

/// Metrics that stand on no dashboard.
const UNSEEN: &[(&str, &str)] = &[
    ("process_start_time_seconds", "cuecard_uptime_seconds says the same"),
    ("process_virtual_memory_bytes", "what counts is what is resident"),
];

/// Every series' name that a service can show.
fn shown() -> BTreeSet<String> {
    let profile = ProfileName::new("acme");
    let metrics = Metrics::new(std::slice::from_ref(&profile), vec![ActorCell::new("buffer")]).unwrap();
    // What is left out until it exists.
    metrics.set_acceptance(Some(0.5));
    metrics.set_build("1.0", "model", "ranker");
    metrics.set_index(&profile, 80, 12.5);
    metrics.set_shedding_ratio(&profile, Some(0.5));
    metrics.set_stream_up(&profile, true);
    metrics.set_judged(&profile, Dialect::Insights, &[]);
    metrics.set_ledger_size(4096);
    metrics.set_ledger(&cuecard_actors::ledger::LedgerHealth::default(), std::iter::empty());
    metrics.set_certificate(Port::Admin, Timestamp::UNIX_EPOCH);
    let text = metrics.render(1.0).unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// A histogram by its own name.
fn metric(series: &str) -> String {
    let ends = ["_bucket", "_sum", "_count"];
    ends.iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series).to_owned()
}

/// The expressions of the rules, each line by itself, and the names that they record.
fn rules() -> (Vec<(String, String)>, BTreeSet<String>) {
    const NO_EXPRESSION: [&str; 9] =
        ["#", "- alert:", "- record:", "- name:", "summary:", "description:", "runbook:", "labels:", "for:"];
    let (mut expressions, mut recorded) = (Vec::new(), BTreeSet::new());
    for file in ["grafana/rules/alerts.yml", "grafana/rules/recording.yml"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for line in text.lines().map(str::trim) {
            recorded.extend(line.strip_prefix("- record: ").map(str::to_owned));
            if !NO_EXPRESSION.iter().any(|beginning| line.starts_with(beginning)) {
                expressions.push((file.to_owned(), line.to_owned()));
            }
        }
    }
    (expressions, recorded)
}

#[test]
fn dashboards_and_rules_name_metrics_that_exist_and_each_metric_stands_on_a_dashboard() {
    let shown = shown();
    let (rules, recorded) = rules();
    let known = |name: &String| name == "up" || shown.contains(name) || recorded.contains(name);
    let dashboards: Vec<_> = Dashboard::all().iter().flat_map(Dashboard::expressions).collect();
    let mut named = 0;
    for (place, expression) in dashboards.iter().chain(&rules) {
        for name in metric_names(expression) {
            assert!(known(&name), "{place}: there is no metric {name}");
            named += 1;
        }
    }
    assert!(named > 100, "{named} names were found");
    let on_dashboards: BTreeSet<_> =
        dashboards.iter().flat_map(|(_, expression)| metric_names(expression)).map(|name| metric(&name)).collect();
    let unseen: BTreeSet<_> = UNSEEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let metrics: BTreeSet<_> = shown.iter().map(|series| metric(series)).collect();
    let nowhere: Vec<_> =
        metrics.iter().filter(|name| !on_dashboards.contains(*name) && !unseen.contains(*name)).collect();
    assert_eq!(nowhere, Vec::<&String>::new(), "these stand on no dashboard");
    assert_eq!(unseen.intersection(&on_dashboards).count(), 0, "it is seen though it is listed as unseen");
}
