#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use cuecard_actors::engine::ranking::Ranker;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use toml::{Table, Value};

use super::*;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A tenant by the environment alone.
const TENANT: [(&str, &str); 3] =
    [("CXONE_CONTRACT", "insights"), ("CXONE_CLIENT_ID", "client"), ("CXONE_CLIENT_SECRET", "opensesame")];

/// Keys whose value may be any text; what is wrong with it shows when the profile is checked, or when it is used.
const ANY_TEXT: [&str; 27] = [
    "api.keys",
    "data.dir",
    "data.database_url",
    "encoder.model_dir",
    "profile.contract",
    "profile.base_url",
    "profile.env",
    "profile.token_path",
    "profile.oauth_url",
    "profile.scopes",
    "profile.client_id",
    "profile.client_secret",
    "profile.agent_id",
    "profile.backends",
    "profile.index",
    "profile.graph",
    "profile.neo4j_uri",
    "profile.neo4j_user",
    "profile.neo4j_password",
    "profile.chroma_url",
    "profile.chroma_collection",
    "profile.chroma_tenant",
    "profile.chroma_database",
    "profile.chroma_token",
    "profile.model_dir",
    "profile.callback_url",
    "profile.callback_hosts",
];

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: Option<&str>, pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let place = TempDir::new().unwrap();
    let path: Option<PathBuf> = file.map(|text| {
        let path = place.path().join("cuecard.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    Settings::load(path.as_deref(), variables(pairs))
}

fn complaint(file: Option<&str>, pairs: &[(&str, &str)]) -> String {
    load(file, pairs).unwrap_err().to_string()
}

/// Every key of the defaults, as `section.key`.
fn keys() -> Vec<String> {
    let defaults: Table = toml::from_str(DEFAULTS).unwrap();
    let of_section = |(section, value): (&String, &Value)| -> Vec<String> {
        value.as_table().unwrap().keys().map(|key| format!("{section}.{key}")).collect()
    };
    defaults.iter().flat_map(of_section).collect()
}

fn variable(key: &str) -> String {
    format!("CUECARD__{}", key.to_uppercase().replace('.', "__"))
}

#[test]
fn the_environment_alone_is_enough() {
    let settings = load(None, &TENANT).unwrap();
    let [profile] = settings.profiles.as_slice() else { panic!("{:?}", settings.profiles) };
    assert_eq!(profile.name.as_str(), "insights");
    assert_eq!(profile.connection.base_url().as_str(), "https://api.niceincontact.com/");
    assert_eq!((profile.plan.cards, profile.plan.candidates), (5, 20));
    assert_eq!(profile.plan.deadline, Duration::from_secs(4));
    assert_eq!(settings.admin.addr.to_string(), "127.0.0.1:9100");
    assert_eq!(settings.buffer.pause_after_last, Duration::from_secs(3));
    assert_eq!(settings.buffer.pause_after_first, Duration::from_secs(10));
    assert_eq!((settings.buffer.max_turns, settings.buffer.max_bytes), (64, 16 * 1024));
    assert_eq!(settings.cxone.attempt_timeout, Duration::from_secs(2));
    assert_eq!(settings.cxone.max_message_bytes, 1024 * 1024);
    assert_eq!(settings.encoder.threads, Threads::Auto);
    assert_eq!(settings.data.ledger_url(), "sqlite:./data/ledger.db");
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let file =
        "[buffer]\nmax_turns = 10\nmax_bytes = 1000\n[profile]\nranker = \"bm25\"\nsilence = \"off\"\ncards = 2\n";
    let pairs =
        [("CUECARD__BUFFER__MAX_BYTES", "2000"), ("CUECARD_RANKER", "snippets"), ("CUECARD__PROFILE__CARDS", "3")];
    let settings = load(Some(file), &[&TENANT[..], &pairs].concat()).unwrap();
    let plan = &settings.profiles[0].plan;
    assert_eq!((settings.buffer.max_turns, settings.buffer.max_bytes), (10, 2000));
    assert_eq!((plan.ranker, plan.cards, plan.silence), (Ranker::Snippets, 3, None));
    assert_eq!(settings.buffer.conversations, 20_000, "a default");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let pairs = [("CUECARD_RANKER", ""), ("CUECARD_ADMIN_ADDR", ""), ("DATABASE_URL", ""), ("CUECARD_INDEX", "")];
    let settings = load(None, &[&TENANT[..], &pairs].concat()).unwrap();
    assert_eq!(settings.profiles[0].knowledge.index, Some(PathBuf::from("./data/index")));
    assert_eq!(settings.data.ledger_url(), "sqlite:./data/ledger.db");
}

#[test]
fn several_profiles_inherit_what_they_do_not_say() {
    let file = "
        [profile]
        contract = 'insights'
        client_secret = 'shared'
        cards = 2
        [profiles.north]
        client_id = 'n'
        base_url = 'https://north.example'
        [profiles.south]
        client_id = 's'
        cards = 4
        deadline = '2s'
    ";
    let pairs = [("CUECARD_SILENCE", "off"), ("CUECARD__PROFILES__SOUTH__RANKER", "bm25")];
    let settings = load(Some(file), &pairs).unwrap();
    let seen: Vec<_> = settings
        .profiles
        .iter()
        .map(|profile| {
            let plan = &profile.plan;
            (
                profile.name.as_str(),
                profile.connection.base_url().as_str(),
                plan.cards,
                plan.deadline.as_secs(),
                plan.silence,
            )
        })
        .collect();
    let expected =
        [("north", "https://north.example/", 2, 4, None), ("south", "https://api.niceincontact.com/", 4, 2, None)];
    assert_eq!(seen, expected);
    assert_eq!(settings.profiles[1].plan.ranker, Ranker::Bm25);
    assert_ne!(settings.profiles[0].plan.ranker, Ranker::Bm25);
}

#[test]
fn profiles_can_be_made_by_the_environment_alone() {
    let pairs = [
        ("CUECARD__PROFILES__NORTH__CLIENT_ID", "n"),
        ("CUECARD__PROFILES__SOUTH__CLIENT_ID", "s"),
        ("CXONE_CLIENT_SECRET", "shared"),
        ("CXONE_CONTRACT", "insights"),
    ];
    let settings = load(None, &pairs).unwrap();
    let names: Vec<_> = settings.profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["north", "south"]);
}

#[test]
fn without_a_profile_both_ways_are_named() {
    for file in [None, Some(""), Some("[profile]\ncards = 3\n")] {
        let complaint = complaint(file, &[]);
        for part in ["CXONE_CONTRACT", "CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "[profiles.NAME]", "--config"] {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
    }
}

#[test]
fn a_profile_that_cannot_work_is_named_with_both_ways_to_mend_it() {
    let cases: [(&str, &str, &[&str]); 14] = [
        ("CXONE_CLIENT_ID", "", &["`insights`", "client_id", "CXONE_CLIENT_ID", "[profiles.insights]"]),
        ("CXONE_CLIENT_SECRET", " ", &["`insights`", "client_secret", "CXONE_CLIENT_SECRET"]),
        ("CXONE_BASE_URL", "cxone.example", &["`insights`", "base_url", "CXONE_BASE_URL", "https://"]),
        ("CXONE_BASE_URL", "http://cxone.example", &["`insights`", "allow_plain_http"]),
        ("CUECARD__PROFILE__CARDS", "0", &["`insights`", "`cards`"]),
        ("CUECARD__PROFILE__CANDIDATES", "0", &["`insights`", "`candidates`"]),
        ("CUECARD__PROFILE__MIN_COSINE", "nan", &["`insights`", "`min_cosine`"]),
        ("CUECARD__PROFILE__DEADLINE", "0s", &["`insights`", "`deadline`"]),
        ("CUECARD__PROFILE__BACKENDS", "memory", &["`insights`", "`backends`", "memory", "index, search"]),
        ("CUECARD__PROFILE__BACKENDS", "graph", &["`insights`", "`graph`", "CUECARD_GRAPH"]),
        ("CUECARD__PROFILE__BACKENDS", "chroma", &["`insights`", "`chroma_url`", "CHROMA_URL"]),
        ("CUECARD__PROFILE__DIALECT", "rag", &["`insights`", "`agent_id`"]),
        ("CXONE_CONTRACT", "snippets", &["`snippets`", "`base_url`", "CXONE_BASE_URL"]),
        ("CXONE_CONTRACT", "telepathy", &["telepathy", "insights"]),
    ];
    for (name, value, expected) in cases {
        let mut pairs: Vec<_> = TENANT.into_iter().filter(|(other, _)| *other != name).collect();
        pairs.push((name, value));
        let complaint = complaint(None, &pairs);
        for part in expected {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
        assert!(!complaint.contains("opensesame"), "{complaint}");
    }
}

#[test]
fn a_profile_s_name_is_plain() {
    for name in ["a b", "a.b", "", "a[0]", "caf\u{e9}", "North"] {
        let complaint = complaint(Some(&format!("[profiles.\"{name}\"]\ncards = 3\n")), &TENANT);
        assert!(
            complaint.contains(&format!("`{name}`")) && complaint.contains("lower-case letters, digits"),
            "{complaint}"
        );
    }
    let settings = load(Some("[profiles.north-1_a]\ncards = 3\n"), &TENANT).unwrap();
    assert_eq!(settings.profiles[0].name.as_str(), "north-1_a");
}

#[test]
fn a_section_that_is_no_section_is_named() {
    for (file, key) in
        [("buffer = 3", "`buffer`"), ("profiles = 3", "`profiles`"), ("profiles.acme = 3", "`profiles.acme`")]
    {
        let complaint = complaint(Some(file), &TENANT);
        for part in [key, "cuecard.toml"] {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
    }
}

#[test]
fn an_inherited_value_is_named_where_it_stands() {
    let file = "[profile]\nranker = 'best'\n[profiles.acme]\ncards = 3\n";
    let in_file = complaint(Some(file), &TENANT);
    assert!(in_file.contains("cuecard.toml") && in_file.contains("ranker"), "{in_file}");
    let in_environment =
        complaint(Some("[profiles.acme]\ncards = 3\n"), &[&TENANT[..], &[("CUECARD_RANKER", "best")]].concat());
    assert!(in_environment.contains("CUECARD_RANKER"), "{in_environment}");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let in_file = complaint(Some("[cxone]\nconect_timeout = '1s'\n"), &TENANT);
    for part in ["cuecard.toml", "`cxone.conect_timeout`", "`cxone.connect_timeout`"] {
        assert!(in_file.contains(part), "{part}: {in_file}");
    }
    let in_environment = complaint(None, &[&TENANT[..], &[("CUECARD__CXONE__CONECT_TIMEOUT", "1s")]].concat());
    for part in ["CUECARD__CXONE__CONECT_TIMEOUT", "`cxone.conect_timeout`", "`cxone.connect_timeout`"] {
        assert!(in_environment.contains(part), "{part}: {in_environment}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_key_and_where_it_stands() {
    for key in keys() {
        let set = variable(&key);
        let found = load(None, &[&TENANT[..], &[(set.as_str(), "?!")]].concat());
        if ANY_TEXT.contains(&key.as_str()) {
            continue;
        }
        let complaint = found.map(|_| key.clone()).unwrap_err().to_string();
        for part in [&key, &set] {
            assert!(complaint.contains(part.as_str()), "{part}: {complaint}");
        }
    }
}

#[test]
fn a_duration_without_a_unit_in_the_file_is_named() {
    for value in ["3", "\"3\"", "\"3 parsecs\""] {
        let complaint = complaint(Some(&format!("[buffer]\npause_after_last = {value}\n")), &TENANT);
        for part in ["buffer.pause_after_last", "cuecard.toml"] {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
    }
}

#[test]
fn no_setting_is_printed_with_its_secret() {
    let secrets = [("CUECARD_API_KEYS", "opensesame"), ("NEO4J_PASSWORD", "opensesame")];
    let settings = load(None, &[&TENANT[..], &secrets].concat()).unwrap();
    assert!(!format!("{settings:?}").contains("opensesame"), "{settings:?}");
}

#[test]
fn each_contract_has_the_documents_defaults() {
    let base = ("CXONE_BASE_URL", "https://tenant.example");
    let graph = ("CUECARD_GRAPH", "graph.jsonl");
    let every = [("CXONE_CONTRACT", "rag,snippets,graph,insights,ranking"), TENANT[1], TENANT[2], base, graph];
    let settings = load(None, &every).unwrap();
    let seen: Vec<_> = settings
        .profiles
        .iter()
        .map(|profile| {
            let plan = &profile.plan;
            let (name, deadline) = (profile.name.as_str(), plan.deadline.as_secs());
            (name, plan.cards, plan.ranker.name(), deadline, plan.silence.is_some(), profile.knowledge.sync.is_some())
        })
        .collect();
    // (profile, cards, ranker, deadline, silence, polls)
    let expected = [
        ("graph", 5, "priority", 15, false, false),
        ("insights", 5, "cosine", 4, true, false),
        ("rag", 3, "cosine", 15, false, false),
        ("ranking", 10, "cosine", 15, false, false),
        ("snippets", 3, "snippets", 4, true, true),
    ];
    assert_eq!(seen, expected);
    let form = |name: &str| {
        let profile = settings.profiles.iter().find(|profile| profile.name.as_str() == name).unwrap();
        profile.connection.token_form().expose_secret().to_owned()
    };
    assert!(form("rag").ends_with("&scope=agentassists%3Awrite"), "{}", form("rag"));
    assert!(!form("insights").contains("scope"), "{}", form("insights"));
}

#[test]
fn a_stream_of_one_contract_goes_with_the_dialect_of_another() {
    let mixed = [("CUECARD__PROFILE__DIALECT", "graph"), ("CUECARD__PROFILE__BACKENDS", "index, search")];
    let settings = load(None, &[&TENANT[..], &mixed].concat()).unwrap();
    let profile = &settings.profiles[0];
    assert_eq!((profile.dialect.name(), profile.stream.unwrap().name()), ("graph", "insights"));
    let form = profile.connection.token_form().expose_secret().to_owned();
    let scopes = "agentassist%3Aread+ai%3Atraining%3Awrite+knowledge%3Aread+agentassist%3Ainteractions%3Awrite";
    assert!(form.ends_with(&format!("&scope={scopes}")), "{form}");
    let asked = [("CXONE_CONTRACT", "rag"), TENANT[1], TENANT[2], ("CUECARD__PROFILE__STREAM", "insights")];
    assert!(complaint(None, &asked).contains("`stream`"));
}

#[test]
fn an_api_that_other_machines_reach_wants_keys() {
    let open = [("CUECARD_API_ADDR", "0.0.0.0:8000")];
    let refused = complaint(None, &[&TENANT[..], &open].concat());
    assert!(refused.contains("api.keys") && refused.contains("CUECARD_API_KEYS"), "{refused}");
    let off = [open[0], ("CUECARD_API_KEYS", "off")];
    assert!(load(None, &[&TENANT[..], &off].concat()).is_err(), "off is for loopback");
    let keys = [open[0], ("CUECARD_API_KEYS", "one,two")];
    assert_eq!(load(None, &[&TENANT[..], &keys].concat()).unwrap().api.accepted_keys().len(), 2);
}

#[test]
fn a_number_out_of_its_range_is_named_with_the_range() {
    // (key, value)
    let table = [
        ("pipeline.in_flight", "0"),
        ("pipeline.in_flight", "10000000"),
        ("pipeline.queue", "0"),
        ("delivery.in_flight", "0"),
        ("buffer.max_bytes", "0"),
        ("buffer.conversations", "0"),
        ("encoder.max_batch", "0"),
        ("cxone.attempt_timeout", "0s"),
        ("buffer.pause_after_last", "2days"),
        ("pipeline.lexical_only_after", "100ms"),
    ];
    for (key, value) in table {
        let set = variable(key);
        let complaint = complaint(None, &[&TENANT[..], &[(set.as_str(), value)]].concat());
        assert!(complaint.contains(&format!("`{key}`")), "{complaint}");
    }
}

/// Keys that belong together may share the comment above the first of them.
#[test]
fn every_default_is_explained() {
    let mut explained = false;
    for line in DEFAULTS.lines().map(str::trim) {
        match line.chars().next() {
            Some('#') => explained = true,
            Some('[') | None => explained = false,
            Some(_) => assert!(explained, "{line}"),
        }
    }
}

#[test]
fn every_default_can_be_written_into_a_file_as_it_stands() {
    let settings = load(Some(DEFAULTS), &TENANT).unwrap();
    assert_eq!(settings.profiles[0].name.as_str(), "insights");
}
