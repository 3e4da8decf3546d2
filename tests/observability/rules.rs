//! The rules as files: Prometheus' own check and unit tests, and the runbook that each alert leads to.

use std::collections::BTreeSet;
use std::process::Command;

use crate::root;

/// Runs Prometheus' own tool, which must find nothing wrong.
pub fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(root()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn prometheus_takes_the_rules_and_each_fires_and_stops_when_it_should() {
    if crate::may_skip() {
        return;
    }
    promtool(&["check", "rules", "grafana/rules/alerts.yml", "grafana/rules/recording.yml"]);
    promtool(&["test", "rules", "grafana/rules/tests/alerts.yml", "grafana/rules/tests/recording.yml"]);
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// What follows this in each line that begins with it.
fn named<'a>(text: &'a str, beginning: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(beginning)).collect()
}

#[test]
fn each_alert_has_a_severity_a_unit_test_and_a_section_of_the_runbook() {
    let (rules, runbook) = (read("grafana/rules/alerts.yml"), read("docs/runbook.md"));
    let tests = read("grafana/rules/tests/alerts.yml");
    let alerts = named(&rules, "- alert: ");
    assert_eq!(named(&runbook, "### "), alerts, "in the order of the rules");
    for (alert, rule) in alerts.iter().zip(rules.split("- alert: ").skip(1)) {
        let severities = ["critical", "warning", "info"].map(|severity| format!("labels: {{severity: {severity}}}"));
        assert!(severities.iter().any(|labels| rule.contains(labels)), "{alert}");
        assert!(rule.contains("summary: ") && rule.contains("description: "), "{alert}");
        assert!(rule.contains(&format!("runbook: docs/runbook.md#{}", alert.to_lowercase())), "{alert}");
        assert!(tests.matches(&format!("alertname: {alert}\n")).count() >= 1, "{alert} is not seen firing");
        assert!(tests.matches(&format!("alertname: {alert}}}\n")).count() >= 2, "{alert} is not seen before and after");
        let section = runbook.split(&format!("### {alert}\n")).nth(1).unwrap().split("\n#").next().unwrap();
        for part in ["**Means.**", "**Look at**", "**Do.**"] {
            assert!(section.contains(part), "{alert}: {part}");
        }
    }
    let recording = read("grafana/rules/recording.yml");
    let tests = read("grafana/rules/tests/recording.yml");
    for record in named(&recording, "- record: ").into_iter().collect::<BTreeSet<_>>() {
        assert!(tests.contains(record), "{record} has no test");
    }
}

/// Panels that the runbook sends somebody to are there under that name.
#[test]
fn the_runbook_names_panels_that_exist() {
    let titles: BTreeSet<_> = crate::dashboards::Dashboard::all()
        .iter()
        .flat_map(|dashboard| dashboard.panels().map(|panel| panel.title().to_owned()).collect::<Vec<_>>())
        .collect();
    let runbook = read("docs/runbook.md");
    let (_, sections) = runbook.split_once("\n## ").unwrap();
    let emphasised = regex::Regex::new(r"(?:^|[^*])\*([A-Z][^*\n]+)\*(?:[^*]|$)").unwrap();
    let mut named = 0;
    for panel in emphasised.captures_iter(sections) {
        assert!(titles.contains(&panel[1]), "no panel is called {}", &panel[1]);
        named += 1;
    }
    assert!(named > 20, "{named} panels are named");
}
