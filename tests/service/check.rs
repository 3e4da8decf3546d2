//! `cuecard check` against a tenant of each contract: what it reaches, and what it says is wrong where.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use cuecard_simulator::{
    Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Fault, FaultKind, Route, RunningSimulator, Simulator,
    SimulatorSettings,
};
use tempfile::TempDir;

use crate::support::{COLLECTION, Ended, Process, environment, run, serve_chroma, simulator, until};

const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");

/// A contract, what a check of it reaches, and the scopes that it can't do without.
struct Case {
    contract: &'static str,
    reached: &'static str,
    scopes: &'static [&'static str],
    /// Where its stream is opened, and the scope that this takes.
    stream: Option<(Route, &'static str)>,
}

const CASES: [Case; 5] = [
    Case { contract: "rag", reached: "token", scopes: &["agentassists:write"], stream: None },
    Case {
        contract: "snippets",
        reached: "token, stream, 0 articles",
        scopes: &["interactions:read", "assist:write", "knowledge:read"],
        stream: Some((Route::Events, "interactions:read")),
    },
    Case {
        contract: "graph",
        reached: "token, graph",
        scopes: &["agentassist:interactions:write", "agentassist:read"],
        stream: None,
    },
    Case {
        contract: "insights",
        reached: "token, stream",
        scopes: &["agentassist:read", "knowledge:read", "agentassist:write", "ai:training:write"],
        stream: Some((Route::Stream, "agentassist:read")),
    },
    Case {
        contract: "ranking",
        reached: "token",
        scopes: &["agentassist:session:write", "agentassist:snippet:write"],
        stream: None,
    },
];

/// Runs the check of a contract against a simulator.
fn check(contract: &str, simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> Ended {
    let data = TempDir::new().unwrap();
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let own = [("CXONE_CONTRACT", contract), ("CXONE_OAUTH_URL", token_url.as_str()), ("CUECARD_GRAPH", GRAPH)];
    check_in(data.path(), simulator, &[&own, overrides].concat(), &["check"])
}

fn check_in(data: &Path, simulator: &RunningSimulator, overrides: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let variables = environment(&simulator.base_url(), data, overrides);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    run(arguments, &variables)
}

/// The line about a profile.
fn line<'a>(ended: &'a Ended, profile: &str) -> &'a str {
    let line = ended.stdout.lines().find(|line| line.starts_with(profile));
    line.unwrap_or_else(|| panic!("no line about {profile}: {}{}", ended.stdout, ended.stderr))
}

#[test]
fn each_contract_is_reached_and_breaks_no_rule_of_it() {
    for Case { contract, reached, .. } in CASES {
        let simulator = simulator();
        let ended = check(contract, &simulator, &[]);
        assert_eq!(ended.code, Some(0), "{contract}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(line(&ended, contract), format!("{contract:<9} ok  {reached}"));
        assert!(simulator.violations().is_empty(), "{:#?}", simulator.violations());
        assert_eq!(simulator.num_streams(), 0, "{contract}: what was opened is closed");
        assert!(!ended.stdout.contains(DEFAULT_CLIENT_SECRET) && !ended.stderr.contains(DEFAULT_CLIENT_SECRET));
    }
}

/// Every file below a directory with what it holds.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(crate::check::files(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

/// A machine on which nothing was started yet, and one whose service has ended.
#[actix_rt::test]
async fn a_check_writes_nothing_and_says_what_the_next_start_will_make() {
    let (simulator, place) = (simulator(), TempDir::new().unwrap());
    let (data, index) = (place.path().join("data"), place.path().join("index"));
    let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD_INDEX", index.to_str().unwrap())];
    let run_check = |arguments: &[&str]| {
        let ended = check_in(&data, &simulator, &overrides, arguments);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    for arguments in [&["check", "--offline"][..], &["check"]] {
        let said = run_check(arguments);
        assert!(said.contains("the first start makes the index"), "{said}");
        assert!(said.contains("ledger.db, which the first start makes"), "{said}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{arguments:?}: something was made");
    }
    let listed = simulator.received_on(Route::Articles).len();
    let mut service = Process::serve(&environment(&simulator.base_url(), &data, &overrides));
    until(&simulator, "articles are polled", |simulator| simulator.received_on(Route::Articles).len() > listed).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    let before = files(place.path());
    let said = run_check(&["check"]);
    assert!(!said.contains("start"), "{said}");
    assert!(files(place.path()) == before, "something was written");
}

#[test]
fn silence_that_would_swallow_most_of_a_sample_is_said() {
    let simulator = simulator();
    // (the cosine that justifies a card, what is said)
    for (min_cosine, mark, said) in
        [("0.1", "ok", "would bring a card"), ("0.999", "!!", "set `selectivity` to \"low\"")]
    {
        let ended = check("insights", &simulator, &[("CUECARD__PROFILE__MIN_COSINE", min_cosine)]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let line = line(&ended, "silence");
        assert!(line.starts_with(&format!("silence   {mark}  insights: ")) && line.contains(said), "{line}");
        assert!(ended.stdout.contains("articles  ok  insights: 20 in the index"), "{}", ended.stdout);
    }
}

#[test]
fn a_wrong_secret_is_named_and_not_shown() {
    for Case { contract, .. } in CASES {
        let ended = check(contract, &simulator(), &[("CXONE_CLIENT_SECRET", "opensesame")]);
        assert_eq!(ended.code, Some(1), "{contract}: {}{}", ended.stdout, ended.stderr);
        let said = line(&ended, contract);
        for part in ["--", "refused the client credentials", "client_id", "CXONE_CLIENT_SECRET"] {
            assert!(said.contains(part), "{contract} {part}: {said}");
        }
        assert!(!ended.stdout.contains("opensesame") && !ended.stderr.contains("opensesame"), "{said}");
    }
}

#[test]
fn a_scope_that_the_client_may_not_have_is_named() {
    for Case { contract, scopes, .. } in CASES {
        for missing in scopes {
            let mut client = Client::with_all_scopes(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET);
            client.scopes.retain(|scope| scope != missing);
            let settings = SimulatorSettings { clients: vec![client], ..SimulatorSettings::default() };
            let ended = check(contract, &Simulator::start(settings).unwrap(), &[]);
            assert_eq!(ended.code, Some(1), "{contract} {missing}: {}{}", ended.stdout, ended.stderr);
            let said = line(&ended, contract);
            assert!(said.contains("--") && said.contains(&format!("the scope {missing}")), "{missing}: {said}");
            let others = scopes.iter().filter(|scope| *scope != missing);
            for other in others {
                assert!(!said.contains(&format!("the scope {other}")), "{missing}, not {other}: {said}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_refused_is_named_with_its_scope() {
    for Case { contract, stream, .. } in CASES {
        let Some((route, scope)) = stream else { continue };
        for status in [401, 403] {
            let simulator = simulator();
            // A token that is refused is renewed once.
            simulator.inject(Fault { route, times: 2, fault: FaultKind::status(status) });
            let ended = check(contract, &simulator, &[]);
            assert_eq!(ended.code, Some(1), "{contract} {status}: {}{}", ended.stdout, ended.stderr);
            let said = line(&ended, contract);
            assert!(said.contains("--") && said.contains(scope), "{status}: {said}");
        }
        let simulator = simulator();
        simulator.inject(Fault { route, times: 1, fault: FaultKind::status(503) });
        let ended = check(contract, &simulator, &[]);
        let said = line(&ended, contract);
        assert!(ended.code == Some(1) && said.contains("no stream at") && said.contains("503"), "{said}");
    }
}

#[test]
fn a_search_and_a_list_of_articles_are_asked_once() {
    let table = [("snippets", Route::Articles, "articles"), ("insights", Route::Search, "search")];
    for (contract, route, reached) in table {
        let simulator = simulator();
        let overrides = [("CUECARD__PROFILE__BACKENDS", if route == Route::Search { "search" } else { "index" })];
        let ended = check(contract, &simulator, &overrides);
        assert_eq!(ended.code, Some(0), "{contract}: {}{}", ended.stdout, ended.stderr);
        assert!(line(&ended, contract).ends_with(reached), "{}", ended.stdout);
        assert_eq!(simulator.received_on(route).len(), 1, "{contract}");
        assert!(simulator.violations().is_empty(), "{:#?}", simulator.violations());
        let login = FaultKind::Answer { status: 200, retry_after: None, body: Some("<html>log in</html>".to_owned()) };
        // (what comes instead, what is said)
        for (fault, word) in [(FaultKind::status(503), "503"), (login, "can't be")] {
            simulator.inject(Fault { route, times: 1000, fault });
            let ended = check(contract, &simulator, &overrides);
            let said = line(&ended, contract);
            assert!(ended.code == Some(1) && said.contains("--") && said.contains(word), "{said}");
            simulator.clear_faults();
        }
    }
}

#[actix_rt::test]
async fn a_missing_collection_is_one_profiles_trouble() {
    let (simulator, place) = (simulator(), TempDir::new().unwrap());
    let (addr, server) = serve_chroma(TcpListener::bind("127.0.0.1:0").unwrap());
    let file = place.path().join("cuecard.toml");
    let sections = format!(
        "[profiles.acme]\ncontract = 'rag'\nchroma_url = 'http://{addr}'\nchroma_collection = 'nowhere'\n\
         [profiles.beta]\ncontract = 'rag'\nchroma_url = 'http://{addr}'\nchroma_collection = '{COLLECTION}'\n"
    );
    fs::write(&file, sections).unwrap();
    let checking = tokio::task::spawn_blocking(move || {
        let arguments = ["check", "--config", file.to_str().unwrap()];
        check_in(place.path(), &simulator, &[("CXONE_CONTRACT", "")], &arguments)
    });
    let ended = checking.await.unwrap();
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let said = line(&ended, "acme");
    assert!(said.contains("--") && said.contains("no collection nowhere"), "{said}");
    assert_eq!(line(&ended, "beta"), "beta      ok  token, collection");
    server.stop(false).await;
}

#[test]
fn knowledge_that_is_not_there_is_named_with_what_to_do() {
    let place = TempDir::new().unwrap();
    let nowhere = place.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    // (contract, variable, what is said)
    let table = [
        ("rag", "CUECARD_INDEX", "cuecard index --articles"),
        ("insights", "CUECARD_INDEX", "cuecard index --articles"),
        ("graph", "CUECARD_GRAPH", "nowhere"),
    ];
    for (contract, variable, what) in table {
        let simulator = simulator();
        let ended =
            check_in(place.path(), &simulator, &[("CXONE_CONTRACT", contract), (variable, nowhere)], &["check"]);
        assert_eq!(ended.code, Some(1), "{contract}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(nowhere) && ended.stderr.contains(what), "{contract}: {}", ended.stderr);
        assert!(simulator.received().is_empty(), "{contract}: what is on this machine comes first");
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_and_a_profile_by_its_name() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("cuecard.toml");
    let simulator = simulator();
    let run_with = |sections: &str| {
        fs::write(&file, sections).unwrap();
        let arguments = ["check", "--config", file.to_str().unwrap()];
        check_in(place.path(), &simulator, &[("CXONE_CONTRACT", ""), ("CUECARD_GRAPH", GRAPH)], &arguments)
    };
    for Case { contract, .. } in CASES {
        let misspelt = run_with(&format!("[profiles.acme]\ncontract = '{contract}'\ndeadlin = '3s'\n"));
        assert_eq!(misspelt.code, Some(1), "{contract}: {}", misspelt.stdout);
        for part in ["acme", "`profiles.acme.deadlin`", "deadline`"] {
            assert!(misspelt.stderr.contains(part), "{contract} {part}: {}", misspelt.stderr);
        }
        let wrong = run_with(&format!("[profiles.acme]\ncontract = '{contract}'\ncards = 99\n"));
        assert_eq!(wrong.code, Some(1), "{contract}: {}", wrong.stdout);
        for part in ["[profiles.acme]", "`cards`", "1 to 50"] {
            assert!(wrong.stderr.contains(part), "{contract} {part}: {}", wrong.stderr);
        }
    }
    // Of two tenants the one that is wrong is told apart from the one that is well.
    let two =
        "[profiles.acme]\ncontract = 'rag'\n[profiles.beta]\ncontract = 'insights'\nclient_secret = 'opensesame'\n";
    let ended = run_with(two);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(line(&ended, "acme"), "acme      ok  token");
    assert!(line(&ended, "beta").contains("refused the client credentials"), "{}", ended.stdout);
}

/// The simulator stands for the proxy: it is asked for the whole address of a tenant that nobody else finds.
#[test]
fn a_proxy_of_the_environment_is_gone_through_and_named() {
    let simulator = simulator();
    let proxy = simulator.base_url();
    let tenant = [("CXONE_BASE_URL", "http://tenant.example"), ("CUECARD__CXONE__ALLOW_PLAIN_HTTP", "true")];
    let through = |variables: &[(&str, &str)]| check("rag", &simulator, &[&tenant, variables].concat());
    let ended = through(&[("HTTP_PROXY", proxy.as_str())]);
    assert_eq!(line(&ended, "rag"), format!("rag       ok  token through the proxy {proxy}"), "{}", ended.stderr);
    assert_eq!(simulator.received_on(Route::Token).len(), 1);
    let ended = through(&[("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "tenant.example")]);
    assert_eq!((ended.code, simulator.received_on(Route::Token).len()), (Some(1), 1), "not through it");
    // TLS to the proxy, too, is nothing for a stream.
    let safe = [("HTTPS_PROXY", "https://proxy.example:3128"), ("CXONE_BASE_URL", "https://tenant.example")];
    for (contract, code) in [("insights", 1), ("snippets", 1), ("rag", 0)] {
        let place = TempDir::new().unwrap();
        let overrides = [&safe[..], &[("CXONE_CONTRACT", contract)]].concat();
        let ended = check_in(place.path(), &simulator, &overrides, &["check", "--offline"]);
        assert_eq!(ended.code, Some(code), "{contract}: {}{}", ended.stdout, ended.stderr);
        let names = ended.stderr.contains("proxy https://proxy.example:3128") && ended.stderr.contains("NO_PROXY");
        assert_eq!(names, code == 1, "{contract}: {}", ended.stderr);
    }
    let ended = through(&[("HTTPS_PROXY", "socks5://proxy.example:1080")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("HTTPS_PROXY names no proxy that can be used"), "{}", ended.stderr);
}
