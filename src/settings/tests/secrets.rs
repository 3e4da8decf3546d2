//! Secrets: from the environment, a file of settings or a file of their own, and shown to nobody.

use std::path::Path;

use secrecy::ExposeSecret;
use url::form_urlencoded;

use super::*;
use crate::settings::secrets::{SECRETS, file_key};

/// Part of every secret that is planted here.
const PLANTED: &str = "opensesame";

fn written(place: &TempDir, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the secret of the sole profile's client came to.
fn client_secret(settings: &Settings) -> String {
    let form = settings.profiles[0].connection.token_form();
    let mut pairs = form_urlencoded::parse(form.expose_secret().as_bytes());
    pairs.find(|(name, _)| name == "client_secret").unwrap().1.into_owned()
}

#[test]
fn a_secret_comes_from_a_file_that_the_environment_or_the_settings_file_names() {
    let place = TempDir::new().unwrap();
    for text in ["from-a-file", "from-a-file\n", "from-a-file\r\n"] {
        let path = written(&place, "secret", text);
        for variable in ["CXONE_CLIENT_SECRET_FILE", "CUECARD__PROFILE__CLIENT_SECRET_FILE"] {
            let settings = load(None, &[TENANT[0], TENANT[1], (variable, &path)]).unwrap();
            assert_eq!(client_secret(&settings), "from-a-file", "{variable}");
        }
        let file = format!("[profiles.acme]\nclient_secret_file = '{path}'\n");
        let settings = load(Some(&file), &TENANT[..2]).unwrap();
        assert_eq!(client_secret(&settings), "from-a-file");
    }
    // The environment comes before the file, whichever way each of them goes.
    let path = written(&place, "secret", "from-a-file");
    let settings = load(
        Some("[profile]\nclient_secret = 'written'\n"),
        &[TENANT[0], TENANT[1], ("CXONE_CLIENT_SECRET_FILE", &path)],
    );
    assert_eq!(client_secret(&settings.unwrap()), "from-a-file");
    let settings = load(Some(&format!("[profile]\nclient_secret_file = '{path}'\n")), &TENANT).unwrap();
    assert_eq!(client_secret(&settings), "opensesame");
}

#[test]
fn every_secret_has_a_file_and_a_variable_that_names_it() {
    let place = TempDir::new().unwrap();
    for key in SECRETS {
        let path = written(&place, "secret", "sqlite:no/one/knows.db");
        let variable = variable(&file_key(key));
        let tenant = if key == "profile.client_secret" { &TENANT[..2] } else { &TENANT[..] };
        let settings = load(None, &[tenant, &[(variable.as_str(), path.as_str())]].concat());
        // A secret that is of no use where it stands is refused for what it is, so it was read.
        let told =
            settings.map_or_else(|error| error.to_string(), |settings| settings.in_force.shown()[key].to_string());
        assert!(
            told.contains("***") || told.contains(&format!("{}`", key.rsplit('.').next().unwrap())),
            "{key}: {told}"
        );
    }
    let path = written(&place, "keys", "one-key\nanother-key\n");
    assert_eq!(
        load(None, &[&TENANT[..], &[("CUECARD_API_KEYS_FILE", path.as_str())]].concat())
            .unwrap()
            .api
            .accepted_keys()
            .len(),
        2
    );
}

#[test]
fn what_is_wrong_with_a_secrets_file_is_named_and_nothing_of_it_is_said() {
    let place = TempDir::new().unwrap();
    let (empty, blank) = (written(&place, "empty", ""), written(&place, "blank", " \n"));
    let large = written(&place, "large", &PLANTED.repeat(10_000));
    let missing = place.path().join("missing").to_str().unwrap().to_owned();
    let directory = place.path().to_str().unwrap().to_owned();
    // (the file, what is said)
    for (path, expected) in [
        (&empty, "is empty"),
        (&blank, "is empty"),
        (&large, "larger than 64 KiB"),
        (&missing, "No such file"),
        (&directory, "Is a directory"),
    ] {
        let refused = complaint(None, &[TENANT[0], TENANT[1], ("CXONE_CLIENT_SECRET_FILE", path)]);
        for part in [expected, path, "CXONE_CLIENT_SECRET_FILE"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(!refused.contains(PLANTED), "{refused}");
        let file = format!("[profiles.acme]\nclient_secret_file = '{path}'\n");
        let refused = complaint(Some(&file), &TENANT[..2]);
        assert!(refused.contains("`profiles.acme.client_secret_file` in ") && refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_secret_and_its_file_are_not_both_set_in_one_place() {
    let place = TempDir::new().unwrap();
    let path = written(&place, "secret", PLANTED);
    for second in ["CXONE_CLIENT_SECRET_FILE", "CUECARD__PROFILE__CLIENT_SECRET_FILE"] {
        let refused = complaint(None, &[&TENANT[..], &[(second, path.as_str())]].concat());
        for part in ["CXONE_CLIENT_SECRET and", second, "take one of them out"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
    let file = format!("[profile]\nclient_secret = '{PLANTED}'\nclient_secret_file = '{path}'\n");
    let refused = complaint(Some(&file), &TENANT[..2]);
    assert!(refused.contains("`profile.client_secret` in ") && !refused.contains(PLANTED), "{refused}");
    // An empty name is none, as for every other key.
    assert!(load(None, &[&TENANT[..], &[("CXONE_CLIENT_SECRET_FILE", "")]].concat()).is_ok());
    assert!(load(Some("[profile]\nclient_secret_file = ''\n"), &TENANT).is_ok());
}

/// Wherever a line of the file is broken, the library would repeat it.
#[test]
fn no_error_repeats_a_secret() {
    let files = [
        format!("[profile]\nclient_secret = \"{PLANTED}\n"),
        format!("[profile]\nclient_secret = {PLANTED}\n"),
        format!("[profile]\nclient_secret = '{PLANTED}'\nclient_secret = '{PLANTED}'\n"),
        format!("[profile]\nclient_secret = ['{PLANTED}', 3]\n"),
        format!("[profile.client_secret]\n{PLANTED} = 3\n"),
        format!("[profile]\ncallback_url = 'mailto:{PLANTED}'\n"),
        format!("[profile]\nchroma_url = 'http://me:{PLANTED}@host'\nbackends = 'chroma'\n"),
        format!("[profile]\nbase_url = 'http://me:{PLANTED}@host'\n"),
        format!("[api]\nkeys = ['{PLANTED} {PLANTED}']\n"),
        format!("[api]\nkeys = 3.5\nworkers = '{}'\n", 0),
        format!("[access.keys.one]\nkey = '{PLANTED}'\nrights = ['query']\n"),
        format!("[access.keys.one]\nhash = '{PLANTED}'\n"),
    ];
    for file in files {
        let refused =
            load(Some(&file), &[TENANT[0], TENANT[1], ("CXONE_CLIENT_SECRET", "x")]).map(|_| file.clone()).unwrap_err();
        for said in [refused.to_string(), format!("{refused:?}")] {
            assert!(!said.contains(PLANTED), "{said}");
        }
    }
    let broken = complaint(Some(&format!("[profile]\n\nclient_secret = \"{PLANTED}\n")), &TENANT);
    assert!(broken.contains("cuecard.toml") && broken.contains("line 3"), "{broken}");
}

#[test]
fn nothing_that_is_shown_of_settings_holds_a_secret() {
    let url = format!("postgres://cuecard:{PLANTED}@db/ledger");
    let hook = format!("https://hooks.example/{PLANTED}");
    let (bolt, long) = (format!("bolt://me:{PLANTED}@graph"), format!("{PLANTED}-{PLANTED}"));
    let secrets = [
        ("DATABASE_URL", url.as_str()),
        ("CUECARD_API_KEYS", PLANTED),
        ("NEO4J_PASSWORD", PLANTED),
        ("NEO4J_URI", bolt.as_str()),
        ("FEEDBACK_CALLBACK_URL", hook.as_str()),
        ("CUECARD__PROFILE__CHROMA_TOKEN", PLANTED),
        ("CUECARD__ACCESS__KEYS__ONE__KEY", long.as_str()),
        ("CUECARD__ACCESS__KEYS__ONE__RIGHTS", "query"),
    ];
    let settings = load(None, &[&TENANT[..], &secrets].concat()).unwrap();
    let shown = settings.in_force.shown();
    for said in [shown.to_string(), format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!said.contains(PLANTED), "{said}");
    }
    for (name, _) in secrets.iter().filter(|(name, _)| *name != "NEO4J_URI" && !name.ends_with("RIGHTS")) {
        let entries: Vec<_> = shown.as_object().unwrap().values().filter(|entry| entry["by"] == *name).collect();
        assert!(!entries.is_empty() && entries.iter().all(|entry| entry["value"] == "***"), "{name}: {entries:?}");
    }
    assert_eq!(shown["profile.neo4j_uri"]["value"], "bolt://me:***@graph");
}

#[test]
fn each_value_is_shown_with_where_it_comes_from() {
    let file = "[buffer]\nmax_turns = 10\n[profile]\ncards = 2\n[profiles.acme]\nranker = 'bm25'\n";
    let settings = load(Some(file), &[&TENANT[..], &[("CUECARD__BUFFER__MAX_BYTES", "2000")]].concat()).unwrap();
    let shown = settings.in_force.shown();
    // (key, value, from, by)
    for (key, value, from, by) in [
        ("admin.addr", "\"127.0.0.1:9100\"", "default", ""),
        ("buffer.max_turns", "10", "file", "cuecard.toml"),
        ("buffer.max_bytes", "\"2000\"", "environment", "CUECARD__BUFFER__MAX_BYTES"),
        ("profiles.acme.ranker", "\"bm25\"", "file", "cuecard.toml"),
        ("profiles.acme.cards", "2", "file", "cuecard.toml"),
        ("profiles.acme.client_id", "\"client\"", "environment", "CXONE_CLIENT_ID"),
        ("profiles.acme.client_secret", "\"***\"", "environment", "CXONE_CLIENT_SECRET"),
        ("profiles.acme.chroma_token", "\"\"", "default", ""),
    ] {
        let entry = &shown[key];
        assert_eq!((entry["value"].to_string().as_str(), entry["from"].as_str()), (value, Some(from)), "{key}");
        assert!(Path::new(entry["by"].as_str().unwrap_or_default()).ends_with(by), "{key}: {entry}");
    }
}

/// Whoever reads the defaults sees which keys a file of their own may hold.
#[test]
fn the_defaults_name_every_secret() {
    let (head, _) = DEFAULTS.split_once("\n[").unwrap();
    for key in SECRETS {
        assert!(head.contains(&format!(" {}", key.replace("access.key.key", "access.keys.NAME.key"))), "{key}");
    }
}
