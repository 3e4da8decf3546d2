#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use cuecard_actors::engine::ranking::Ranker;
use tempfile::TempDir;
use toml::{Table, Value};

use super::*;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A tenant by the environment alone.
const TENANT: [(&str, &str); 3] =
    [("CXONE_CONTRACT", "insights"), ("CXONE_CLIENT_ID", "client"), ("CXONE_CLIENT_SECRET", "opensesame")];

/// Keys whose value may be any text; what is wrong with it shows when it is used.
const ANY_TEXT: [&str; 7] = [
    "data.dir",
    "data.database_url",
    "encoder.model_dir",
    "profile.base_url",
    "profile.client_id",
    "profile.client_secret",
    "profile.index",
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
    assert_eq!(settings.profiles[0].index, PathBuf::from("./data/index"));
    assert_eq!(settings.data.ledger_url(), "sqlite:./data/ledger.db");
}

#[test]
fn several_profiles_inherit_what_they_do_not_say() {
    let file = "
        [profile]
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
    let cases: [(&str, &str, &[&str]); 7] = [
        ("CXONE_CLIENT_ID", "", &["`insights`", "client_id", "CXONE_CLIENT_ID", "[profiles.insights]"]),
        ("CXONE_CLIENT_SECRET", " ", &["`insights`", "client_secret", "CXONE_CLIENT_SECRET"]),
        ("CXONE_BASE_URL", "cxone.example", &["`insights`", "base_url", "CXONE_BASE_URL", "https://"]),
        ("CXONE_BASE_URL", "http://cxone.example", &["`insights`", "allow_plain_http"]),
        ("CUECARD__PROFILE__CARDS", "0", &["`insights`", "`cards`"]),
        ("CUECARD__PROFILE__CANDIDATES", "0", &["`insights`", "`candidates`"]),
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
    for name in ["a b", "a.b", "", "a[0]", "caf\u{e9}"] {
        let complaint = complaint(Some(&format!("[profiles.\"{name}\"]\ncards = 3\n")), &TENANT);
        assert!(complaint.contains(&format!("`{name}`")) && complaint.contains("letters, digits"), "{complaint}");
    }
    let settings = load(Some("[profiles.North-1_a]\ncards = 3\n"), &TENANT).unwrap();
    assert_eq!(settings.profiles[0].name.as_str(), "North-1_a");
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
    let in_file = complaint(Some(file), &TENANT[1..]);
    assert!(in_file.contains("cuecard.toml") && in_file.contains("ranker"), "{in_file}");
    let in_environment =
        complaint(Some("[profiles.acme]\ncards = 3\n"), &[TENANT[1], TENANT[2], ("CUECARD_RANKER", "best")]);
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
    let settings = load(None, &TENANT).unwrap();
    assert!(!format!("{settings:?}").contains("opensesame"));
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
    let settings = load(Some(DEFAULTS), &TENANT[1..]).unwrap();
    assert_eq!(settings.profiles[0].name.as_str(), "insights");
}
