//! What stands in `deploy/` can be used: the settings that systemd, compose and Kubernetes start a service with.

use std::path::Path;

use cuecard_actors::cxone::Contract;

use super::*;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
const DEPLOYMENT_PAGE: &str = include_str!("../../../docs/deployment.md");

/// What whoever deploys it fills in.
const CLIENT: [(&str, &str); 2] = [("CXONE_CLIENT_ID", "client"), ("CXONE_CLIENT_SECRET", "opensesame")];

fn start(settings: &str, pairs: &[(&str, &str)]) -> Settings {
    let path = Path::new(DEPLOY).join(settings);
    Settings::load(Some(&path), variables(pairs)).unwrap_or_else(|error| panic!("{settings} {pairs:?}: {error}"))
}

#[test]
fn each_tenant_of_compose_comes_to_a_service_that_starts() {
    // (file, contract, whether articles are polled, whether cards are pushed)
    let table = [
        ("simulator", Contract::Insights, true, true),
        ("insights", Contract::Insights, true, false),
        ("graph", Contract::Graph, false, true),
        ("rag", Contract::Rag, false, true),
        ("ranking", Contract::Ranking, false, true),
    ];
    for (name, contract, is_polled, is_pushed) in table {
        let file = std::fs::read_to_string(format!("{DEPLOY}/compose/tenants/{name}.env")).unwrap();
        let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let written: Vec<(&str, &str)> = lines.map(|line| line.split_once('=').unwrap()).collect();
        assert!(CLIENT.iter().all(|(id, _)| written.iter().any(|(name, _)| name == id)), "{name}");
        let is_filled = |(_, value): &&(&str, &str)| !value.is_empty();
        // Of the shell, as compose.yaml hands them on.
        let shell =
            [("NEO4J_PASSWORD", "opensesame"), ("DATABASE_URL", "postgres://cuecard:opensesame@postgres/cuecard")];
        let pairs = [&CLIENT[..], &written.iter().filter(is_filled).copied().collect::<Vec<_>>(), &shell].concat();
        let settings = start("compose/settings/cuecard.toml", &pairs);
        let [profile] = settings.profiles.as_slice() else { panic!("{name}") };
        assert_eq!(profile.contract, contract, "{name}");
        assert_eq!((profile.knowledge.sync.is_some(), profile.pushes), (is_polled, is_pushed), "{name}");
        assert_eq!(settings.cxone.allow_plain_http, name == "simulator", "{name}");
    }
    let files = std::fs::read_dir(format!("{DEPLOY}/compose/tenants")).unwrap();
    assert_eq!(files.count(), table.len());
}

#[test]
fn the_samples_for_a_host_and_a_cluster_come_to_a_service_that_starts() {
    let on_host = start("systemd/cuecard.toml", &CLIENT[1..]);
    assert_eq!(on_host.data.dir, Path::new("/var/lib/cuecard"));
    let manifest = std::fs::read_to_string(format!("{DEPLOY}/kubernetes/deployment.yaml")).unwrap();
    let (desktop, operator) = ("5".repeat(64), "6".repeat(64));
    // The secrets' files are given as what is in them.
    let keys = [
        ("CUECARD__ACCESS__KEYS__DESKTOP__HASH", desktop.as_str()),
        ("CUECARD__ACCESS__KEYS__DESKTOP__RIGHTS", "query,feedback"),
        ("CUECARD__ACCESS__KEYS__OPERATOR__HASH", &operator),
        ("CUECARD__ACCESS__KEYS__OPERATOR__RIGHTS", "operate,knowledge"),
        ("CUECARD__ACCESS__KEYS__PROMETHEUS__KEY", "long-enough-for-a-key"),
        ("CUECARD__ACCESS__KEYS__PROMETHEUS__RIGHTS", "metrics"),
    ];
    let pairs = [&CLIENT[..], &keys].concat();
    assert!(pairs.iter().all(|(name, _)| manifest.contains(&format!("name: {name}"))), "{manifest}");
    let in_cluster = start("kubernetes/cuecard.toml", &pairs);
    for settings in [on_host, in_cluster] {
        let [profile] = settings.profiles.as_slice() else { panic!("{settings:?}") };
        assert!(profile.knowledge.sync.is_some() && !profile.pushes, "{settings:?}");
    }
}

#[test]
fn the_page_shows_the_sample_for_a_host_as_it_is() {
    let sample = std::fs::read_to_string(format!("{DEPLOY}/systemd/cuecard.toml")).unwrap();
    let settings = sample.lines().skip_while(|line| line.starts_with('#'));
    let shown: Vec<_> =
        settings.map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }).collect();
    assert!(shown.len() > 8 && DEPLOYMENT_PAGE.contains(&shown.join("\n")), "{shown:#?}");
}
