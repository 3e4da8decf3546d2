//! One Prometheus, four services and an actor of a test's own: every alert fires under its fault and stops after it, and every
//! panel shows something.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::dashboards::{Dashboard, metric_names};
use crate::drills::{self, ALLOWED, EXPECTED};
use crate::panicking::Panicking;
use crate::prometheus::{INTERVAL, Prometheus, Target};
use crate::services::{KEY, Watched, knowing};
use crate::support::{Page, refuse_all, simulator};
use cuecard_simulator::Route;

/// Panels that show nothing here, by design.
const EMPTY: &[(&str, &str)] = &[("Keywords of the graph", "no profile here has a graph in a Neo4j database")];

/// Metrics that stand on no dashboard.
const UNSEEN: &[(&str, &str)] = &[
    ("process_start_time_seconds", "cuecard_uptime_seconds says the same"),
    ("process_virtual_memory_bytes", "what counts is what is resident"),
];

/// Series of one service at most.
const MOST_SERIES: usize = 2_000;

struct Scene {
    healthy: Watched,
    troubled: Watched,
    failing: Watched,
    flooded: Watched,
}

impl Scene {
    fn new() -> Self {
        let cxone = simulator();
        let token_url = format!("{}/api/v2/oauth/token", cxone.base_url());
        let both = [
            ("CXONE_CONTRACT", "insights,ranking"),
            ("CXONE_OAUTH_URL", token_url.as_str()),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
            ("CUECARD_API_KEYS", KEY),
        ];
        let healthy = Watched::start(cxone, &both);
        let cxone = simulator();
        refuse_all(&cxone, Route::Token, 401);
        // What is held for an hour is held for seconds.
        let troubled = Watched::start(cxone, &[("CUECARD__CXONE__LONGEST_HOLD", "6s")]);
        let polls = [
            ("CXONE_CONTRACT", "snippets"),
            ("CUECARD_INDEX", ""),
            ("CUECARD__PROFILE__POLL_INTERVAL", "1s"),
            ("CUECARD__CXONE__ARTICLES_TIMEOUT", "2s"),
        ];
        let failing = Watched::start(knowing(), &polls);
        // A place in the queue and a turn for few, and hardly any patience.
        let narrow = [
            ("CUECARD__PIPELINE__QUEUE", "16"),
            ("CUECARD__PIPELINE__IN_FLIGHT", "1"),
            ("CUECARD__PIPELINE__NEWEST_TURN_AFTER", "10ms"),
            ("CUECARD__PIPELINE__LEXICAL_ONLY_AFTER", "20ms"),
            ("CUECARD__PIPELINE__DROP_OLDEST_AFTER", "1s"),
        ];
        let flooded = Watched::start(simulator(), &narrow);
        Self { healthy, troubled, failing, flooded }
    }

    fn all(&self) -> [(&'static str, &Watched); 4] {
        [
            ("healthy", &self.healthy),
            ("troubled", &self.troubled),
            ("failing", &self.failing),
            ("flooded", &self.flooded),
        ]
    }
}

#[actix_rt::test]
#[ignore = "its drills need a machine that is not busy: `make drills`"]
async fn every_alert_fires_under_its_fault_and_stops_after_it_and_every_panel_shows_something() {
    if crate::may_skip() {
        return;
    }
    let scene = Scene::new();
    let panicking = Panicking::start();
    let mut targets: Vec<_> =
        scene.all().into_iter().map(|(instance, service)| Target { instance, addr: service.addr() }).collect();
    targets.push(Target { instance: "panicking", addr: panicking.addr });
    let prometheus = Prometheus::start(&targets).await;
    tokio::join!(
        drills::healthy(&prometheus, &scene.healthy),
        drills::troubled(&prometheus, &scene.troubled),
        drills::failing(&prometheus, &scene.failing),
        drills::flooded(&prometheus, &scene.flooded),
        drills::panicking(&prometheus, panicking),
    );
    check_what_fired(&prometheus).await;
    let known = known_metrics(&scene, &prometheus).await;
    check_names(&known, &prometheus).await;
    check_panels(&prometheus).await;
    draw(&prometheus);
}

/// Every alert was seen at the service whose fault it is for, and none where nothing was the matter.
async fn check_what_fired(prometheus: &Prometheus) {
    let fired = prometheus.range(r#"ALERTS{alertstate="firing"}"#).await.unwrap();
    let text = |series: &Value, label: &str| text_of(&series["metric"][label]);
    let fired: BTreeSet<_> = fired.iter().map(|series| (text(series, "alertname"), text(series, "instance"))).collect();
    let owned = |(alert, instance): (&str, &str)| (alert.to_owned(), instance.to_owned());
    let expected: BTreeSet<_> = EXPECTED.iter().copied().map(owned).collect();
    let allowed: BTreeSet<_> = ALLOWED.iter().map(|(alert, instance, _)| owned((alert, instance))).collect();
    let rules = prometheus.rules().await;
    let alerts: BTreeSet<_> =
        rules.iter().filter(|rule| rule["type"] == "alerting").map(|rule| text_of(&rule["name"])).collect();
    let drilled: BTreeSet<_> = EXPECTED.iter().map(|(alert, _)| (*alert).to_owned()).collect();
    assert_eq!(alerts, drilled, "each alert has its drill");
    assert_eq!(expected.difference(&fired).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "did not fire");
    let surprises: Vec<_> = fired.difference(&expected).filter(|fired| !allowed.contains(fired)).collect();
    assert_eq!(surprises, Vec::<&(String, String)>::new(), "fired without a fault");
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names of all metrics that the services show, and of those that Prometheus makes itself.
async fn known_metrics(scene: &Scene, prometheus: &Prometheus) -> BTreeSet<String> {
    let mut known: BTreeSet<_> = ["up"].map(str::to_owned).into();
    for (instance, service) in scene.all() {
        let page: Page = service.process.admin.get("/metrics").await;
        let series: Vec<_> = page.text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(series.len() <= MOST_SERIES, "{instance}: {} series", series.len());
        assert!(!page.text.contains("call-"), "{instance}: an interaction became a label");
        known.extend(series.iter().map(|line| line.split(['{', ' ']).next().unwrap().to_owned()));
    }
    let rules = prometheus.rules().await;
    let recorded = rules.iter().filter(|rule| rule["type"] == "recording");
    known.extend(recorded.map(|rule| rule["name"].as_str().unwrap().to_owned()));
    known
}

/// Panels and rules name only metrics that there are, and no metric is left out.
async fn check_names(known: &BTreeSet<String>, prometheus: &Prometheus) {
    let mut named = BTreeSet::new();
    for dashboard in Dashboard::all() {
        for (place, expression) in dashboard.expressions() {
            for name in metric_names(&expression) {
                assert!(known.contains(&name), "{place}: no service has a metric {name}");
                named.insert(name);
            }
        }
    }
    for rule in prometheus.rules().await {
        for name in metric_names(rule["query"].as_str().unwrap()) {
            assert!(known.contains(&name), "{}: no service has a metric {name}", rule["name"]);
        }
    }
    let of_histogram =
        |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned);
    let shown: BTreeSet<_> = named.iter().map(|name| of_histogram(name).unwrap_or_else(|| name.clone())).collect();
    let unseen: BTreeSet<_> = UNSEEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let metrics = known.iter().filter(|name| name.starts_with("cuecard_") || name.starts_with("process_"));
    let metrics: BTreeSet<_> = metrics.map(|name| of_histogram(name).unwrap_or_else(|| name.clone())).collect();
    let nowhere: Vec<_> = metrics.iter().filter(|name| !shown.contains(*name) && !unseen.contains(*name)).collect();
    assert_eq!(nowhere, Vec::<&String>::new(), "these stand on no dashboard");
}

/// Every query of every panel finds numbers.
async fn check_panels(prometheus: &Prometheus) {
    let mut empty = BTreeSet::new();
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for expression in panel.expressions() {
                let place = format!("{}: {}", dashboard.title(), panel.title());
                let asked = expression.with_values(4 * INTERVAL);
                let series = prometheus.range(&asked).await.unwrap_or_else(|error| panic!("{place}: {error}\n{asked}"));
                let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
                let is_number = |value: &Value| value[1].as_str().unwrap().parse::<f64>().unwrap().is_finite();
                if !values.clone().any(is_number) {
                    empty.insert((panel.title().to_owned(), expression.text().to_owned()));
                }
            }
        }
    }
    let by_design: BTreeSet<_> = EMPTY.iter().map(|(title, _)| *title).collect();
    let surprises: Vec<_> = empty.iter().filter(|(title, _)| !by_design.contains(title.as_str())).collect();
    assert!(surprises.is_empty(), "these show nothing: {surprises:#?}");
    let titles: BTreeSet<_> = empty.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, by_design, "a panel shows something though it is listed as empty");
}

/// The pictures of `docs/`, where they are asked for.
fn draw(prometheus: &Prometheus) {
    let Some(directory) = std::env::var_os("CUECARD_DRAW_DASHBOARDS") else { return };
    let script = crate::root().join("scripts/draw_dashboards");
    let mut command = Command::new(script);
    command.arg("--prometheus").arg(&prometheus.base_url).arg("--from").arg(prometheus.started.to_string());
    assert!(command.arg("--out").arg(directory).status().unwrap().success());
}

/// So that a panel's range is never shorter than what it is to hold.
const _: () = assert!(INTERVAL.as_millis() <= Duration::from_secs(1).as_millis());
