//! What is wrong is named with its place and with what to do.

use cuecard_actors::telemetry::Port;
use secrecy::ExposeSecret;

use super::*;

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
    let cases: [(&str, &str, &[&str]); 20] = [
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
        ("CUECARD__PROFILE__EXPLORE", "0.5", &["`insights`", "`explore`", "0 to 0.3"]),
        ("CUECARD__PROFILE__RECENCY_HALF_LIFE", "0s", &["`insights`", "`recency_half_life`"]),
        ("CUECARD__PROFILE__BOOST_TAGS", "billing=much", &["`billing=much`", "billing=0.5"]),
        ("CUECARD__PROFILE__BOOST_RECENCY", "inf", &["`insights`", "`boost_recency`"]),
        ("CXONE_CONTRACT", "snippets", &["`snippets`", "`base_url`", "CXONE_BASE_URL"]),
        ("FEEDBACK_CALLBACK_URL", "hooks.example:8080/x", &["`insights`", "`callback_url`", "https://"]),
        ("FEEDBACK_CALLBACK_URL", "mailto:hooks@example", &["`callback_url`", "FEEDBACK_CALLBACK_URL"]),
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
fn a_value_of_another_form_is_answered_with_one_that_serves() {
    let cases: [(&str, &str, &[&str]); 3] = [
        ("CUECARD_API_ADDR", "8000", &["`8000`", "127.0.0.1:8000", "CUECARD_API_ADDR"]),
        ("CUECARD__SHUTDOWN__GRACE", "2", &["time unit needed", "2sec", "CUECARD__SHUTDOWN__GRACE"]),
        ("CUECARD_INDXE", "idx", &["`CUECARD_INDXE`", "`CUECARD_INDEX`"]),
    ];
    for (name, value, expected) in cases {
        let pairs: Vec<_> = TENANT.into_iter().chain([(name, value)]).collect();
        let complaint = complaint(None, &pairs);
        for part in expected {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
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
    // To the library that merges them this is a place in a list, which it would make as long as that.
    for name in ["A[9223372036854775807]", "A[-9223372036854775808]", "A B"] {
        let variables = [("CUECARD__PROFILES__", "__CARDS"), ("CUECARD__ACCESS__KEYS__", "__HASH")]
            .map(|(before, after)| format!("{before}{name}{after}"));
        for variable in &variables {
            let complaint = complaint(None, &[&TENANT[..], &[(variable, "3")]].concat());
            assert!(complaint.contains("lower-case letters, digits"), "{variable}: {complaint}");
        }
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
fn an_api_that_other_machines_reach_wants_keys() {
    let open = [("CUECARD_API_ADDR", "0.0.0.0:8000")];
    let refused = complaint(None, &[&TENANT[..], &open].concat());
    assert!(refused.contains("api.keys") && refused.contains("CUECARD_API_KEYS"), "{refused}");
    let off = [open[0], ("CUECARD_API_KEYS", "off")];
    assert!(load(None, &[&TENANT[..], &off].concat()).is_err(), "off is for loopback");
    for file in ["[api]\nkeys = ['']\n", "[api]\nkeys = [' ', '']\n"] {
        assert!(load(Some(file), &[&TENANT[..], &open].concat()).is_err(), "an empty key is none");
    }
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
        ("admin.max_body_bytes", "1"),
        ("access.head_timeout", "0s"),
        ("encoder.threads", "100000"),
        ("search.threads", "100000"),
        ("cxone.attempt_timeout", "0s"),
        ("encoder.hang_timeout", "0s"),
        ("buffer.pause_after_last", "2days"),
        ("buffer.forget_after", "10s"),
        ("pipeline.lexical_only_after", "100ms"),
    ];
    for (key, value) in table {
        let set = variable(key);
        let complaint = complaint(None, &[&TENANT[..], &[(set.as_str(), value)]].concat());
        assert!(complaint.contains(&format!("`{key}`")), "{complaint}");
    }
}

#[test]
fn an_admin_port_that_other_machines_reach_is_refused() {
    let complaint = complaint(None, &[&TENANT[..], &[("CUECARD_ADMIN_ADDR", "0.0.0.0:9464")]].concat());
    assert!(complaint.contains("`admin.addr` is 0.0.0.0:9464") && complaint.contains("127.0.0.1"), "{complaint}");
}

#[test]
fn a_port_that_other_machines_reach_is_opened_by_a_key_or_by_saying_so() {
    let (hash, open) = ("ab".repeat(32), ("CUECARD_ADMIN_ADDR", "0.0.0.0:9100"));
    let with = |rights: &str, more: &str| {
        let file = format!("[access]\n{more}\n[access.keys.one]\nhash = '{hash}'\nrights = [{rights}]\n");
        load(Some(&file), &[&TENANT[..], &[open]].concat()).map_err(|error| error.to_string())
    };
    let refused = with("'query'", "").unwrap_err();
    assert!(refused.contains("`admin.addr` is 0.0.0.0:9100") && refused.contains("knowledge"), "{refused}");
    for right in ["'operate'", "'knowledge'", "'metrics', 'query'"] {
        let settings = with(right, "").unwrap();
        let access = settings.access_rules();
        assert!(access.asks(Port::Admin) && !access.asks(Port::Api), "{right}: the API is on loopback");
        assert_eq!(settings.open_ports().count(), 0);
    }
    let never = with("'query'", "ask = 'never'").unwrap();
    assert_eq!(never.open_ports().map(|(port, _)| port).collect::<Vec<_>>(), [Port::Admin]);
    let always = with("'operate'", "ask = 'always'").unwrap_err();
    assert!(always.contains("`api.addr` is 127.0.0.1:8000") && always.contains("\"always\""), "{always}");
    assert!(with("'operate', 'query'", "ask = 'always'").unwrap().access_rules().asks(Port::Api));
}

#[test]
fn a_key_that_can_not_be_used_is_named_with_what_to_do() {
    let hash = format!("hash = '{}'\n", "ab".repeat(32));
    let right = "rights = ['query']\n";
    let two = format!("{hash}{right}[access.keys.two]\n{hash}{right}");
    let own = "key = 'long enough for a key'\n";
    // (what stands in the section, what is said)
    let table: [(String, &[&str]); 9] = [
        (right.to_owned(), &["`one`", "`hash`", "cuecard key"]),
        (hash.clone(), &["`one`", "`rights`", "query, feedback, knowledge, operate, metrics"]),
        (format!("hash = 'abc'\n{right}"), &["access.keys.one.hash", "64 hexadecimal digits"]),
        (format!("{hash}rights = ['ask']\n"), &["access.keys.one.rights", "`ask`", "query, feedback"]),
        (format!("{hash}{own}{right}"), &["`one`", "both"]),
        (format!("key = 'opensesame'\n{right}"), &["`one`", "16 bytes", "cuecard key"]),
        (format!("{hash}{right}profiles = ['north']\n"), &["`one`", "`north`", "there are insights"]),
        (two, &["`one` and `two`", "the same key"]),
        (format!("{hash}rigths = ['query']\n"), &["`access.keys.one.rigths`", "`access.keys.one.rights`"]),
    ];
    for (section, expected) in table {
        let complaint = complaint(Some(&format!("[access.keys.one]\n{section}")), &TENANT);
        for part in expected {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
        assert!(!complaint.contains("opensesame"), "{complaint}");
    }
    let name = complaint(Some(&format!("[access.keys.'a b']\n{hash}{right}")), &TENANT);
    assert!(name.contains("`a b`") && name.contains("[access.keys]"), "{name}");
    assert!(load(Some(&format!("[access.keys.one]\n{own}{right}")), &TENANT).is_ok());
}

#[test]
fn keys_can_be_made_by_the_environment_and_share_what_the_section_key_says() {
    let hash = "cd".repeat(32);
    let by_environment = [
        ("CUECARD__ACCESS__KEYS__DESK-1__HASH", hash.as_str()),
        ("CUECARD__ACCESS__KEYS__DESK-1__RIGHTS", "query, feedback"),
        ("CUECARD__ACCESS__KEYS__DESK-1__PROFILES", "insights"),
    ];
    let settings = load(Some("[access.key]\nrate_limit = 5\n"), &[&TENANT[..], &by_environment].concat()).unwrap();
    let key = &settings.access.keys["desk-1"];
    assert_eq!(
        (key.rate_limit, key.rights.len(), key.profiles.0.as_slice()),
        (5, 2, ["insights".to_owned()].as_slice())
    );
}

#[test]
fn a_certificate_needs_its_key() {
    for (set, missing) in [("TLS_KEY", "tls_certificate"), ("TLS_CERTIFICATE", "tls_key")] {
        for port in ["api", "admin"] {
            let variable = format!("CUECARD__{}__{set}", port.to_uppercase());
            let complaint = complaint(None, &[&TENANT[..], &[(variable.as_str(), "some.pem")]].concat());
            assert!(complaint.contains(&format!("`{port}.{missing}`")), "{complaint}");
        }
    }
}

/// The document's default belongs to the document's default base.
#[test]
fn a_tenants_secret_goes_to_no_other_companys_token_server() {
    let ranking = [("CXONE_CONTRACT", "ranking"), TENANT[1], TENANT[2]];
    let connection = |more: &[(&str, &str)]| load(None, &[&ranking[..], more].concat()).map(|_| ());
    assert!(connection(&[]).is_ok());
    for own in [("CXONE_BASE_URL", "https://tenant.example"), ("CXONE_ENV", "na1")] {
        let refused = connection(&[own]).unwrap_err().to_string();
        assert!(refused.contains("oauth_url") && refused.contains("another company's server"), "{refused}");
        assert!(connection(&[own, ("CXONE_OAUTH_URL", "https://login.example/token")]).is_ok());
    }
}

#[test]
fn a_relative_path_in_the_address_of_the_ledger_is_relative() {
    for (given, opened) in [
        ("sqlite:///./feedback.db", "sqlite:./feedback.db"),
        ("sqlite:///../feedback.db", "sqlite:../feedback.db"),
        ("sqlite:///srv/feedback.db", "sqlite:///srv/feedback.db"),
    ] {
        let settings = load(None, &[&TENANT[..], &[("DATABASE_URL", given)]].concat()).unwrap();
        assert_eq!(settings.data.ledger_url().expose_secret(), opened);
    }
}

#[test]
fn the_directory_of_a_ledger_that_lies_elsewhere_is_held_too() {
    let own = ("CUECARD_DATA_DIR", "/srv/cuecard");
    for (url, beside) in [
        ("", None),
        ("sqlite:/srv/cuecard/ledger.db", None),
        ("sqlite:///srv/cuecard/./ledger.db?mode=rwc", None),
        ("sqlite::memory:", None),
        ("sqlite:///srv/ledgers/ledger.db?mode=rwc", Some("/srv/ledgers")),
        ("sqlite:../ledger.db", Some("..")),
    ] {
        let settings = load(None, &[&TENANT[..], &[own, ("DATABASE_URL", url)]].concat()).unwrap();
        let expected: Vec<_> = ["/srv/cuecard"].into_iter().chain(beside).map(PathBuf::from).collect();
        assert_eq!(settings.data.directories(), expected, "{url}");
    }
}

#[test]
fn each_profile_polls_into_an_index_of_its_own() {
    let section = |name: &str, more: &str| format!("[profiles.{name}]\ncontract = 'snippets'\n{more}");
    let keys = [TENANT[1], TENANT[2], ("CXONE_CONTRACT", ""), ("CXONE_BASE_URL", "https://tenant.example")];
    let settings = load(Some(&(section("north", "") + &section("south", ""))), &keys).unwrap();
    assert_ne!(settings.profiles[0].knowledge.index, settings.profiles[1].knowledge.index);
    for (one, other) in [("./index", "./index"), ("index", "./index/")] {
        let sections =
            section("north", &format!("index = '{one}'\n")) + &section("south", &format!("index = '{other}'\n"));
        let refused = complaint(Some(&sections), &keys);
        for part in ["north", "south", "index"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
    let polled_once = section("north", "index = 'index'\n") + &section("south", "index = 'index'\nsync = 'off'\n");
    assert!(load(Some(&polled_once), &keys).is_ok());
}

#[test]
fn an_address_for_tokens_that_a_profile_would_not_read_is_refused_in_its_own_section() {
    let base = "base_url = 'https://acme.example'\noauth_url = 'https://tokens.example/token'\n";
    for contract in ["insights", "snippets", "rag", "graph"] {
        let file = format!("[profiles.acme]\ncontract = '{contract}'\ngraph = 'graph.jsonl'\n{base}");
        let refused = complaint(Some(&file), &TENANT);
        for part in ["`acme`", "`oauth_url`", contract, "`token_path`"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
    let ranking = format!("[profiles.acme]\ncontract = 'ranking'\n{base}");
    assert!(load(Some(&ranking), &TENANT).is_ok());
    // What all share may be meant for another.
    let shared = [&TENANT[..], &[("CXONE_OAUTH_URL", "https://tokens.example/token")]].concat();
    assert!(load(Some("[profiles.acme]\ncards = 3\n"), &shared).is_ok() && load(None, &shared).is_ok());
}

#[test]
fn what_is_only_for_streams_is_refused_where_callers_wait() {
    let asked = [("CXONE_CONTRACT", "graph"), TENANT[1], TENANT[2], ("CUECARD_GRAPH", "graph.jsonl")];
    let with = |more: &[(&'static str, &'static str)]| complaint(None, &[&asked[..], more].concat());
    for (setting, named) in [
        (("CUECARD__PROFILE__PUSH", "off"), "`push`"),
        (("CUECARD__PROFILE__SHADOW_RANKER", "bm25"), "`shadow_ranker`"),
    ] {
        let complaint = with(&[setting, ("CUECARD_SILENCE", "on")]);
        assert!(complaint.contains(named) && complaint.contains("stream"), "{complaint}");
    }
    let searching = [("CUECARD__PROFILE__BACKENDS", "search"), ("CUECARD__PROFILE__SHADOW_RANKER", "bm25")];
    let complaint = complaint(None, &[&TENANT[..], &searching].concat());
    assert!(complaint.contains("`shadow_ranker`") && complaint.contains("search again"), "{complaint}");
}

#[test]
fn what_is_too_old_is_taken_away_every_minute_to_every_week() {
    let load = |written| load(Some(&format!("[retention]\npurge_every = '{written}'\n")), &TENANT);
    for written in ["0s", "59s", "8d"] {
        let complaint = load(written).unwrap_err().to_string();
        assert!(complaint.contains("`retention.purge_every`") && complaint.contains("1m to 7d"), "{complaint}");
    }
    for written in ["1m", "7d"] {
        load(written).unwrap();
    }
}
