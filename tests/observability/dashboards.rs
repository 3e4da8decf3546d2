//! The dashboards as files: what Grafana's own linter (grafana/dashboard-linter) asks of them, restated, and what this house asks
//! beside it. Each test names the rules that it has of the linter. `target-logql-rule` and `target-logql-auto-rule` are left out:
//! they are about Loki, and no panel asks anything but Prometheus. That Grafana's types have each key that stands here is tested
//! in `tests/deploy/manifests_test.py`.

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

/// Grafana 11.5's.
const SCHEMA_VERSION: u64 = 39;

/// The units that these dashboards use, of those that Grafana has; a name that it does not know is shown as a suffix.
const UNITS: [&str; 8] = ["none", "short", "s", "bytes", "percentunit", "reqps", "cpm", "string"];

/// Panels whose numbers are good or bad at no line that is known, each with the reason.
const NO_LIMIT: [(&str, &str); 27] = [
    ("Cards a minute", "as many as are asked for"),
    ("How questions end", "all ends stand beside one another, and most are no fault"),
    ("Silences", "silence is no fault; Questions without an article has the line"),
    ("Pushes per conversation", "as many as customers ask"),
    ("Conversations by pushes", "the same, counted"),
    ("Verdicts", "both kinds of verdict; the acceptances have the lines"),
    ("A second ranker", "it changes nothing for anybody"),
    ("Cards withheld", "they are withheld on purpose"),
    ("Rejected cards", "as many as cards are judged; the acceptances have the lines"),
    ("Inboxes", "each actor has a bound of its own; Fullest inbox has the line"),
    ("Handled", "as many as there are"),
    ("Under way", "each actor may have another number of calls under way"),
    ("Admission", "how many may wait is a setting; Level has the colours"),
    ("Answers", "good answers and bad ones; Failing calls has the line"),
    ("Frames", "used and ignored ones are no mistake"),
    ("Feedback for CXone", "each verdict waits for a moment; an alert tells when none goes on"),
    ("Feedback on its way", "those that go on stand beside those that do not"),
    ("Encoder's threads", "as many as the settings say, beside those that were replaced"),
    ("Commits", "those that are kept stand beside those that failed; Ledger has the colours"),
    ("Size", "how much the disk has is the disk's to tell"),
    ("Age of the index", "a poll that finds nothing new does not renew it; an alert tells when none succeeds"),
    ("Polls of articles", "those that succeed stand beside those that failed"),
    ("Requests", "as many as are asked"),
    ("Results to callers", "those that were sent stand beside those that failed"),
    ("Processor", "how many cores there are is the host's to tell"),
    ("Threads", "as many as the settings and the host's cores make"),
    ("What is running", "its words are its labels"),
];

/// A dashboard as it stands in `grafana/dashboards`.
pub struct Dashboard(Value);

/// One of its panels.
pub struct Panel<'a>(&'a Value);

/// A query of a panel.
pub struct Expression<'a>(&'a str);

impl Dashboard {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let place = crate::root().join("grafana/dashboards");
        let mut files: Vec<_> = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), 2, "{files:?}");
        files.iter().map(|file| Self(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())).collect()
    }

    pub fn title(&self) -> &str {
        self.0["title"].as_str().unwrap()
    }

    /// Its panels without the rows between them.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        self.0["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").map(Panel)
    }

    fn variable(&self, name: &str) -> &Value {
        let mut variables = self.0["templating"]["list"].as_array().unwrap().iter();
        variables.find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("no variable {name}"))
    }

    /// Every query with its place: of panels and of variables.
    pub fn expressions(&self) -> Vec<(String, String)> {
        let place = |what: &str| format!("{}: {what}", self.title());
        let of_panels = self.panels().flat_map(|panel| {
            let texts: Vec<_> = panel.expressions().map(|expression| expression.0.to_owned()).collect();
            let place = place(panel.title());
            texts.into_iter().map(move |text| (place.clone(), text)).collect::<Vec<_>>()
        });
        let of_variables = ["job", "instance", "profile"].map(|name| {
            let query = self.variable(name)["query"]["query"].as_str().unwrap();
            let series = query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(", ")).unwrap().0;
            (place(name), series.to_owned())
        });
        of_panels.chain(of_variables).collect()
    }
}

impl<'a> Panel<'a> {
    pub fn title(&self) -> &'a str {
        self.0["title"].as_str().unwrap_or_default()
    }

    pub fn expressions(&self) -> impl Iterator<Item = Expression<'a>> + use<'a> {
        let targets = self.0["targets"].as_array().unwrap();
        targets.iter().map(|target| Expression(target["expr"].as_str().unwrap()))
    }
}

impl Expression<'_> {
    pub fn text(&self) -> &str {
        self.0
    }

    /// As Grafana sends it where everything is chosen.
    pub fn with_values(&self, rate_interval: Duration) -> String {
        let interval = format!("{}ms", rate_interval.as_millis());
        let ranges = self.0.replace("$__rate_interval", &interval).replace("$__range", "1h");
        ["$job", "$instance", "$profile"].iter().fold(ranges, |text, variable| text.replace(variable, ".+"))
    }
}

/// The names of metrics in an expression: words that a selector, a range or an end follows, and that are no function and no label.
pub fn metric_names(expression: &str) -> BTreeSet<String> {
    let names = Regex::new(r"\b(?:cuecard|process)_[a-z0-9_]+\b|\b[a-z]+:cuecard_[a-z0-9_:]+|\bup\b").unwrap();
    let without_labels = Regex::new(r#""[^"]*""#).unwrap().replace_all(expression, "");
    let found: BTreeSet<_> = names.find_iter(&without_labels).map(|name| name.as_str().to_owned()).collect();
    // What was recorded holds the name of what it was made of.
    let recorded: Vec<_> = found.iter().filter(|name| name.contains(':')).cloned().collect();
    let is_part =
        |name: &String| !name.contains(':') && recorded.iter().any(|whole| whole.contains(&format!(":{name}:")));
    found.iter().filter(|name| !is_part(name)).cloned().collect()
}

#[test]
fn names_of_metrics_are_found() {
    let expression = r#"profile:cuecard_cards:rate5m > 0 and sum by (job) (rate(cuecard_stage_seconds_bucket{a="cuecard_x"}[5m])) / up"#;
    let expected = ["cuecard_stage_seconds_bucket", "profile:cuecard_cards:rate5m", "up"];
    assert_eq!(metric_names(expression).into_iter().collect::<Vec<_>>(), expected);
}

/// Every selector of an expression: what stands in braces behind each metric.
fn selectors(expression: &str) -> Vec<(String, String)> {
    let selectors = Regex::new(r"\b((?:cuecard|process)_[a-z0-9_]+)(\{[^}]*\})?").unwrap();
    let without = Regex::new(r"by \([^)]*\)").unwrap().replace_all(expression, "").into_owned();
    let found = selectors.captures_iter(&without);
    found.map(|one| (one[1].to_owned(), one.get(2).map_or("", |braces| braces.as_str()).to_owned())).collect()
}

/// uneditable-dashboard.
#[test]
fn each_dashboard_is_one_that_grafana_takes_from_a_file() {
    let mut uids = BTreeSet::new();
    for dashboard in Dashboard::all() {
        let Dashboard(json) = &dashboard;
        assert_eq!(json["schemaVersion"], SCHEMA_VERSION);
        assert_eq!(json["id"], Value::Null, "a number would be that of another Grafana");
        assert_eq!(json["editable"], false, "what is changed in Grafana is lost");
        assert!(
            json["uid"].as_str().unwrap().starts_with("cuecard-")
                && uids.insert(json["uid"].as_str().unwrap().to_owned())
        );
        let link = &json["links"][0];
        let expected = (&json!("dashboards"), &json!(["cuecard"]), &json!(true), &json!(true));
        assert_eq!((&link["type"], &link["tags"], &link["includeVars"], &link["keepTime"]), expected, "the other one");
        assert_eq!(json["tags"], json!(["cuecard"]));
    }
}

/// template-datasource-rule, template-job-rule, template-instance-rule, template-on-time-change-reload-rule.
#[test]
fn the_data_source_the_job_the_instance_and_the_profile_are_variables() {
    for dashboard in Dashboard::all() {
        let source = dashboard.variable("datasource");
        assert_eq!(
            (&source["type"], &source["query"], &source["label"]),
            (&json!("datasource"), &json!("prometheus"), &json!("Data source"))
        );
        for (name, label) in [("job", "Job"), ("instance", "Instance"), ("profile", "Profile")] {
            let variable = dashboard.variable(name);
            assert_eq!((&variable["type"], &variable["label"]), (&json!("query"), &json!(label)));
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
            assert_eq!(
                (&variable["multi"], &variable["includeAll"], &variable["allValue"]),
                (&json!(true), &json!(true), &json!(".+")),
                "{name}"
            );
            assert_eq!(variable["refresh"], 2, "{name} is asked for again when the time changes");
        }
    }
}

/// panel-title-description-rule, panel-units-rule, panel-datasource-rule, panel-no-targets-rule, and no two of one id or one place.
#[test]
fn each_panel_says_what_it_shows_in_which_unit_and_from_where() {
    for dashboard in Dashboard::all() {
        let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard.0["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        }
        for Panel(panel) in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(
                !title.is_empty() && description.len() > 20 && !description.contains('\n'),
                "{title}: {description}"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(UNITS.contains(&defaults["unit"].as_str().unwrap_or_default()), "{title}");
            let source = json!({"type": "prometheus", "uid": "${datasource}"});
            assert_eq!(panel["datasource"], source, "{title}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{title}");
            for target in targets {
                assert_eq!(target["datasource"], source, "{title}");
                assert!(!target["legendFormat"].as_str().unwrap_or_default().is_empty(), "{title}");
            }
            check_place(&panel["gridPos"], &mut places, title);
        }
    }
}

/// target-promql-rule and template-label-promql-rule: by Prometheus' own parser.
#[test]
fn each_query_is_one_that_prometheus_understands() {
    if crate::may_skip() {
        return;
    }
    let mut rules = Vec::new();
    for dashboard in Dashboard::all() {
        for (place, text) in dashboard.expressions() {
            let expression = Expression(&text).with_values(Duration::from_mins(5));
            // A rule's name may occur once.
            rules.push(
                json!({"record": format!("query:{}", rules.len()), "expr": expression, "labels": {"place": place}}),
            );
        }
    }
    assert!(rules.len() > 60, "{} queries", rules.len());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("queries.json");
    // YAML takes JSON.
    std::fs::write(&file, json!({"groups": [{"name": "queries", "rules": rules}]}).to_string()).unwrap();
    crate::rules::promtool(&["check", "rules", file.to_str().unwrap()]);
}

/// A colour that never changes tells nothing: a panel has a line at which it does, or stands in the list of those that have none.
#[test]
fn each_panel_changes_its_colour_at_a_limit_or_is_known_to_have_none() {
    let (dashboards, mut without) = (Dashboard::all(), BTreeSet::new());
    for dashboard in &dashboards {
        for Panel(panel) in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            let config = &panel["fieldConfig"];
            let of_all = steps(&config["defaults"]["thresholds"], title);
            let overrides = config["overrides"].as_array().unwrap().iter();
            let properties = overrides.flat_map(|one| one["properties"].as_array().unwrap());
            let of_some = properties.filter(|property| property["id"] == "thresholds");
            let of_some: usize = of_some.map(|property| steps(&property["value"], title)).sum();
            if of_all + of_some == 0 {
                without.insert(title);
            }
            if of_all > 0 && panel["type"] == "timeseries" {
                let style = &config["defaults"]["custom"]["thresholdsStyle"]["mode"];
                assert_eq!(style, "line", "{title}: what has a limit shows it");
            }
        }
    }
    let listed: BTreeSet<_> = NO_LIMIT.iter().map(|(title, _)| *title).collect();
    assert_eq!(without, listed, "panels without a limit, and those that are known to have none");
}

/// At how many numbers the colour changes.
fn steps(thresholds: &Value, title: &str) -> usize {
    let steps = thresholds["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["color"].is_string()), "{title}");
    assert_eq!(steps[0]["value"], Value::Null, "{title}: the first colour is that of all below the first number");
    let numbers: Vec<_> = steps[1..].iter().map(|step| step["value"].as_f64().unwrap()).collect();
    assert!(numbers.is_sorted(), "{title}: {numbers:?}");
    numbers.len()
}

/// Within the 24 columns, and upon no other.
fn check_place(place: &Value, taken: &mut BTreeSet<(u64, u64)>, title: &str) {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| place[side].as_u64().unwrap());
    assert!(x + w <= 24, "{title}");
    for column in x..x + w {
        for line in y..y + h {
            assert!(taken.insert((column, line)), "{title} lies upon another panel");
        }
    }
}

/// target-job-rule, target-instance-rule, and the profile wherever a metric has one.
#[test]
fn each_query_asks_for_the_job_the_instance_and_the_profile_that_are_chosen() {
    let of_service = [
        "cuecard_a",
        "cuecard_stage",
        "cuecard_dropped",
        "cuecard_queue",
        "cuecard_certificate",
        "cuecard_cxone_requests",
        "cuecard_json",
        "cuecard_ledger",
        "cuecard_refused",
        "cuecard_build",
        "cuecard_uptime",
        "cuecard_encoder_threads",
        "cuecard_stop",
        "cuecard_feedback_unclaimed",
        "process_",
    ];
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for expression in panel.expressions() {
                for (metric, selector) in selectors(expression.0) {
                    let place = format!("{}: {metric}{selector}", panel.title());
                    assert!(selector.contains(r#"job=~"$job", instance=~"$instance""#), "{place}");
                    let is_of_service = of_service.iter().any(|name| metric.starts_with(name));
                    assert_eq!(selector.contains(r#"profile=~"$profile""#), !is_of_service, "{place}");
                }
            }
        }
    }
}

/// target-rate-interval-rule, target-counter-agg-rule.
#[test]
fn counters_are_read_as_rates_over_the_interval_that_grafana_knows() {
    let ranges = Regex::new(r"\b(rate|irate)\([^\[]*\[([^\]]*)\]").unwrap();
    let counters = Regex::new(r"(\w*)\(?(\w+_total)(\{[^}]*\})?(\[?)").unwrap();
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for Expression(text) in panel.expressions() {
                let intervals: BTreeSet<_> = ranges.captures_iter(text).map(|found| found[2].to_owned()).collect();
                assert!(intervals.iter().all(|interval| interval == "$__rate_interval"), "{}: {text}", panel.title());
                for found in counters.captures_iter(text) {
                    let is_range = ["rate", "increase"].contains(&&found[1]) && &found[4] == "[";
                    assert!(is_range, "{}: {text}", panel.title());
                }
            }
        }
    }
}
