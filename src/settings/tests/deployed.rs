//! What stands in `deploy/` can be used: the settings that systemd, compose and Kubernetes start a service with.

use std::path::Path;

use cuecard_actors::cxone::Contract;
use cuecard_actors::tenant::GraphPlace;
use secrecy::ExposeSecret;

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

/// By the names that compose gives them.
#[test]
fn each_database_of_compose_is_what_the_settings_beside_it_name() {
    let start_with = |tenant: &str, shell: &[(&str, &str)]| {
        let file = std::fs::read_to_string(format!("{DEPLOY}/compose/tenants/{tenant}.env")).unwrap();
        let lines = file.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| !name.starts_with('#'));
        let written: Vec<(&str, &str)> = lines.filter(|(_, value)| !value.is_empty()).collect();
        start("compose/settings/cuecard.toml", &[&CLIENT[..], &written, shell].concat())
    };
    let ledger = |settings: &Settings| settings.data.ledger_url().expose_secret().to_owned();
    let graph = start_with("graph", &[("NEO4J_PASSWORD", "opensesame")]);
    let Some(GraphPlace::Neo4j { uri, user, password }) = &graph.profiles[0].knowledge.graph else {
        panic!("{graph:?}")
    };
    assert_eq!((uri.as_str(), user.as_str(), password.expose_secret()), ("bolt://neo4j:7687", "neo4j", "opensesame"));
    let rag = start_with("rag", &[]);
    assert_eq!(rag.profiles[0].knowledge.chroma.as_ref().unwrap().url.as_str(), "http://chroma:8000/");
    assert!(ledger(&rag).starts_with("sqlite:"), "an empty address is none");
    let on_server = "postgres://cuecard:opensesame@postgres/cuecard";
    assert_eq!(ledger(&start_with("insights", &[("DATABASE_URL", on_server)])), on_server);
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
