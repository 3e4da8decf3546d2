//! One Prometheus and five services: every alert fires under its fault and stops after it, and every panel shows something.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::breaking::Breaking;
use crate::dashboards::Dashboard;
use crate::drills::{self, ALLOWED, EXPECTED};
use crate::prometheus::{INTERVAL, Prometheus, Target};
use crate::services::{KEY, Watched, knowing};
use crate::support::{Page, refuse_all, simulator};
use cuecard_simulator::Route;

/// Panels that show nothing but 0 here, each with the reason; of these it is seen only that what they ask for is there.
const ZERO: &[(&str, &str)] = &[
    ("Backends that did not answer", "no service asks any but its own index"),
    ("Keywords of the graph", "no service has a Neo4j database"),
    ("Results to callers", "the callers of the rankings name no address"),
    ("Encoder's queue", "a flood waits for admission, which lets in one question at a time"),
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
            ("CUECARD__PROFILE__SHADOW_RANKER", "bm25"),
        ];
        let failing = Watched::start(knowing(), &polls);
        // A place in the queue and a turn for few, and hardly any patience. That its cards are withheld changes nothing of it.
        let narrow = [
            ("CUECARD__PROFILE__PUSH", "off"),
            ("CUECARD__PIPELINE__QUEUE", "16"),
            ("CUECARD__PIPELINE__IN_FLIGHT", "1"),
            ("CUECARD__PIPELINE__NEWEST_TURN_AFTER", "2ms"),
            ("CUECARD__PIPELINE__LEXICAL_ONLY_AFTER", "4ms"),
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
    let can_fail = cfg!(feature = "failure-points");
    assert!(can_fail, "the program has no failure points; `make drills` builds one that has");
    let scene = Scene::new();
    let breaking = Breaking::start();
    let mut targets: Vec<_> =
        scene.all().into_iter().map(|(instance, service)| Target { instance, addr: service.addr() }).collect();
    targets.push(Target { instance: "breaking", addr: breaking.addr() });
    let prometheus = Prometheus::start(&targets).await;
    tokio::join!(
        drills::healthy(&prometheus, &scene.healthy),
        drills::troubled(&prometheus, &scene.troubled),
        drills::failing(&prometheus, &scene.failing),
        drills::flooded(&prometheus, &scene.flooded),
        drills::breaking(&prometheus, breaking),
    );
    check_what_fired(&prometheus).await;
    check_series(&scene).await;
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

/// However many calls there were, there are no more series, and none has a call's name.
async fn check_series(scene: &Scene) {
    for (instance, service) in scene.all() {
        let page: Page = service.process.admin.get("/metrics").await;
        let num_series = page.text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(num_series <= MOST_SERIES, "{instance}: {num_series} series");
        assert!(!page.text.contains("call-"), "{instance}: an interaction became a label");
    }
}

/// Every query of every panel finds numbers, and in every panel some number is not 0.
async fn check_panels(prometheus: &Prometheus) {
    let (mut empty, mut flat) = (BTreeSet::new(), BTreeSet::new());
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            let mut is_flat = true;
            for expression in panel.expressions() {
                let place = format!("{}: {}", dashboard.title(), panel.title());
                let asked = expression.with_values(4 * INTERVAL);
                let series = prometheus.range(&asked).await.unwrap_or_else(|error| panic!("{place}: {error}\n{asked}"));
                let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
                let values = values.map(|value| value[1].as_str().unwrap().parse::<f64>().unwrap());
                let values: Vec<_> = values.filter(|value| value.is_finite()).collect();
                is_flat &= values.iter().all(|value| *value == 0.0);
                if values.is_empty() {
                    empty.insert((panel.title().to_owned(), expression.text().to_owned()));
                }
            }
            if is_flat {
                flat.insert(panel.title().to_owned());
            }
        }
    }
    assert!(empty.is_empty(), "these show nothing: {empty:#?}");
    let surprises: Vec<_> = flat.iter().filter(|title| ZERO.iter().all(|(known, _)| known != title)).collect();
    assert!(surprises.is_empty(), "these show nothing but 0: {surprises:#?}");
}

#[test]
fn the_panels_that_show_nothing_but_0_are_there() {
    let dashboards = Dashboard::all();
    let titles: BTreeSet<_> = dashboards.iter().flat_map(Dashboard::panels).map(|panel| panel.title()).collect();
    let gone: Vec<_> = ZERO.iter().filter(|(title, _)| !titles.contains(title)).collect();
    assert!(gone.is_empty(), "{gone:?}");
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
