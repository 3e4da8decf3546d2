//! The tools at the terminal: what they print, how they end, and what they say about input that is no use.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ARTICLES, CONVERSATIONS, Ended, QUIET, cuecard, index, run};

const QUESTION: &str = "How long is my gift voucher valid?";

/// The figures of `eval --json`, in their order.
const FIGURES: [&str; 9] = [
    "conversations",
    "mrr_at_5",
    "recall_at_1",
    "recall_at_5",
    "shown_rate",
    "false_push_rate",
    "precision_when_shown",
    "p50_ms",
    "p95_ms",
];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Ended with code 1, nothing on stdout, and all of this on stderr, nothing of it twice.
fn assert_refused(ended: &Ended, expected: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.starts_with("cuecard: "), "{}", ended.stderr);
    for part in expected {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let parts: Vec<_> = ended.stderr.split(": ").map(str::trim).collect();
    assert_eq!(parts.iter().collect::<BTreeSet<_>>().len(), parts.len(), "{}", ended.stderr);
}

/// A tenant with everything that is needed, whose data are in this place.
fn tenant(place: &TempDir) -> Vec<(&str, &str)> {
    vec![
        ("CUECARD_DATA_DIR", text(place.path())),
        ("CXONE_CONTRACT", "insights"),
        ("CXONE_CLIENT_ID", "client"),
        ("CXONE_CLIENT_SECRET", "opensesame"),
        ("CUECARD_INDEX", text(index())),
    ]
}

fn tenant_but<'a>(place: &'a TempDir, name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut variables = tenant(place);
    variables.retain(|(other, _)| *other != name);
    variables.push((name, value));
    variables
}

/// Arguments, variables, and what is said about them.
type Refused<'a> = (&'a [&'a str], Vec<(&'a str, &'a str)>, &'a [&'a str]);

/// A file that is not there, a folder, and an empty file.
fn useless(place: &TempDir) -> [PathBuf; 3] {
    let (missing, folder, empty) =
        (place.path().join("missing"), place.path().join("folder"), place.path().join("empty"));
    fs::create_dir(&folder).unwrap();
    fs::write(&empty, "").unwrap();
    [missing, folder, empty]
}

#[test]
fn index_reports_what_changed_and_embeds_nothing_twice() {
    let place = TempDir::new().unwrap();
    let directory = place.path().join("index");
    let arguments = ["index", "--articles", ARTICLES, "--index", text(&directory), "--json"];
    let (first, second) = (json(&run(&arguments, &[])), json(&run(&arguments, &[])));
    let figures =
        |report: &Value| ["articles", "added", "unchanged", "embedded"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(figures(&first), [20, 20, 0, 20]);
    assert_eq!(figures(&second), [20, 0, 20, 0]);
    assert_eq!((&first["published"], &second["published"]), (&true.into(), &false.into()));
    let told = run(&["index", "--articles", ARTICLES, "--index", text(&directory)], &[]);
    assert!(told.code == Some(0) && told.stdout.contains("nothing changed"), "{}", told.stdout);
    assert!(!told.stdout.contains("asked_as"), "{}", told.stdout);
}

#[test]
fn articles_that_do_not_say_how_customers_ask_beside_others_that_do_are_counted() {
    let place = TempDir::new().unwrap();
    let (file, directory) = (place.path().join("phrased.jsonl"), place.path().join("index"));
    let phrased = r#"{"id": "extra", "title": "Extra", "body": "One more.", "asked_as": ["give me more"]}"#;
    let index = |articles: String| {
        fs::write(&file, articles).unwrap();
        run(&["index", "--articles", text(&file), "--index", text(&directory)], &[]).stdout
    };
    assert!(!index(format!("{phrased}\n")).contains("asked_as"));
    let told = index(format!("{}{phrased}\n", fs::read_to_string(ARTICLES).unwrap()));
    assert!(told.contains("20 of 21 articles have no `asked_as`"), "{told}");
    let secret = [("CXONE_CLIENT_ID", "one"), ("CXONE_CLIENT_SECRET", "two")];
    let settings = [&secret[..], &[("CXONE_CONTRACT", "insights"), ("CUECARD_INDEX", text(&directory))]].concat();
    let checked = run(&["check", "--offline"], &settings);
    assert!(
        checked.stdout.contains("articles  !!  insights: 20 of 21 articles"),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
}

#[test]
fn index_names_bad_rows_and_stops_where_there_are_many() {
    let place = TempDir::new().unwrap();
    let (file, directory) = (place.path().join("articles.jsonl"), place.path().join("index"));
    let arguments = ["index", "--articles", text(&file), "--index", text(&directory), "--json"];
    let good = fs::read_to_string(ARTICLES).unwrap();
    fs::write(&file, format!("{good}{{\"title\": \"no id\", \"body\": \"x\"}}\nno json\n")).unwrap();
    let ended = run(&arguments, &[]);
    let report = json(&ended);
    assert_eq!((&report["articles"], &report["skipped"]), (&20.into(), &2.into()));
    for line in [21, 22] {
        assert!(ended.stderr.contains(&format!("{}:{line}", text(&file))), "{}", ended.stderr);
    }
    let duplicate = good.lines().next().unwrap();
    fs::write(&file, format!("{good}{duplicate}\n{duplicate}\n{duplicate}\n")).unwrap();
    assert_refused(&run(&arguments, &[]), &[text(&file), "3"]);
}

#[test]
fn index_takes_out_what_a_source_brought_and_nothing_of_another() {
    let place = TempDir::new().unwrap();
    let (file, directory) = (place.path().join("more.jsonl"), place.path().join("index"));
    fs::write(&file, "{\"id\": \"extra\", \"title\": \"Extra\", \"body\": \"One more.\"}\n").unwrap();
    let index = |arguments: &[&str]| run(&[&["index", "--index", text(&directory), "--json"], arguments].concat(), &[]);
    json(&index(&["--articles", ARTICLES]));
    assert_eq!(json(&index(&["--articles", text(&file)]))["articles"], 21);
    assert_refused(&index(&["--remove-source", "more"]), &["`more`", "`file:more.jsonl`", "--remove-source"]);
    let report = json(&index(&["--remove-source", "file:more.jsonl"]));
    let figures = ["articles", "removed", "unchanged", "embedded", "skipped"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(figures, [20, 1, 0, 0, 0]);
    assert_refused(&index(&["--remove-source", "file:more.jsonl"]), &["holds no source"]);
    let nowhere = place.path().join("nowhere");
    assert_refused(&run(&["index", "--index", text(&nowhere), "--remove-source", "file:a"], &[]), &[text(&nowhere)]);
    assert!(!nowhere.exists());
}

#[test]
fn ask_shows_text_of_pages_and_only_what_is_published_and_for_the_profile() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("pages.jsonl");
    let page = |id: &str, more: &str| {
        format!(
            r#"{{"id":"{id}","title":"Gift &amp; voucher","body":"<h2>Gift &amp; voucher</h2><p>Valid&nbsp;for 3 years, {id}.</p>"{more}}}"#
        )
    };
    let rows = [
        page("draft", r#","status":"draft""#),
        page("agents", r#","audience":"agent","status":"Published""#),
        page("german", r#","language":"de-DE""#),
        page("all", ""),
    ];
    fs::write(&file, rows.join("\n")).unwrap();
    let shown = |variables: &[(&str, &str)]| {
        let answer = json(&run(&["ask", QUESTION, "--articles", text(&file), "-k", "9", "--json"], variables));
        let cards = answer["cards"].as_array().unwrap().clone();
        for card in &cards {
            let passage = format!("Valid for 3 years, {}.", card["id"].as_str().unwrap());
            assert_eq!((&card["title"], &card["passage"]), (&"Gift & voucher".into(), &passage.into()));
        }
        let mut ids: Vec<_> = cards.iter().map(|card| card["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(shown(&[]), ["agents", "all", "german"]);
    let (customers, german) = (("CUECARD__PROFILE__AUDIENCE", "customer"), ("CUECARD__PROFILE__LANGUAGE", "de"));
    assert_eq!(shown(&[customers, german]), ["all", "german"]);
    assert_eq!(shown(&[customers, (german.0, "en-US"), ("CUECARD_RANKER", "bm25")]), ["all"]);
}

#[test]
fn ask_prints_cards_best_first() {
    let from_index = ["ask", QUESTION, "--index", text(index()), "-k", "2", "--json"];
    let answer = json(&run(&from_index, &[]));
    let cards = answer["cards"].as_array().unwrap();
    assert_eq!((cards.len(), &cards[0]["id"]), (2, &"vouchers".into()));
    assert!(cards[0]["score"].as_f64() > cards[1]["score"].as_f64());
    for key in ["title", "url", "entity", "scores", "passage"] {
        assert!(cards[0].get(key).is_some(), "{key}");
    }
    assert!(answer["key_phrases"].as_array().is_some_and(|phrases| !phrases.is_empty()), "{answer}");
    let by_words = json(&run(&from_index, &[("CUECARD_RANKER", "bm25")]));
    assert_eq!((&by_words["ranker"], &by_words["cards"][0]["id"]), (&"bm25".into(), &"vouchers".into()));
    let told = run(&["ask", QUESTION, "--articles", ARTICLES], &[]);
    assert!(told.code == Some(0) && told.stdout.starts_with("1. Gift vouchers"), "{}", told.stdout);
    assert_refused(&run(&["ask", "  ", "--index", text(index())], &[]), &["question is empty"]);
}

#[test]
fn eval_prints_exactly_its_figures() {
    let arguments = ["eval", "--index", text(index()), "--conversations", CONVERSATIONS, "--json"];
    let keys = |report: &Value| report.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let report = json(&run(&arguments, &[]));
    assert_eq!(keys(&report), FIGURES);
    assert_eq!((&report["conversations"], &report["recall_at_1"]), (&8.into(), &1.0.into()));
    assert!(report["false_push_rate"].is_null(), "{report}");
    let quiet = ["--quiet", QUIET, "--window", "1", "--ranker", "bm25"];
    let report = json(&run(&[&arguments[..], &quiet].concat(), &[]));
    assert_eq!(keys(&report), FIGURES);
    assert!(report.as_object().unwrap().values().all(Value::is_number), "{report}");
    // Nothing comes near this threshold, so nothing is shown and no card can be right or wrong.
    let silent = json(&run(&arguments, &[("CUECARD__PROFILE__MIN_COSINE", "0.99")]));
    assert_eq!((&silent["shown_rate"], &silent["recall_at_1"]), (&0.0.into(), &1.0.into()));
    assert!(silent["precision_when_shown"].is_null(), "{silent}");
    let told = run(&arguments[..5], &[]);
    assert!(told.code == Some(0) && told.stdout.contains("recall@1"), "{}", told.stdout);
}

#[test]
fn an_api_port_in_use_is_all_that_serve_complains_about() {
    let place = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut variables = tenant_but(&place, "CXONE_CONTRACT", "rag");
    variables.extend([
        ("CUECARD_API_ADDR", addr.as_str()),
        ("CUECARD_ADMIN_ADDR", "127.0.0.1:0"),
        ("CUECARD_API_KEYS", "off"),
    ]);
    let ended = run(&["serve"], &variables);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(1), "{said}");
    assert!(said.contains(&format!("the API's port {addr} can't be opened")), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn every_ranker_is_served_and_another_name_is_answered_with_them() {
    let arguments = ["eval", "--index", text(index()), "--conversations", CONVERSATIONS, "--window", "all", "--json"];
    // The two others are measured above.
    for ranker in ["snippets", "snippets-words"] {
        let report = json(&run(&[&arguments[..], &["--ranker", ranker]].concat(), &[]));
        assert!(report["recall_at_5"].as_f64() >= Some(0.8), "{ranker}: {report}");
    }
    let ended = run(&[&arguments[..], &["--ranker", "best"]].concat(), &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("snippets-words"), "{}", ended.stderr);
}

#[test]
fn check_looks_at_all_that_is_on_this_machine() {
    let place = TempDir::new().unwrap();
    let ended = run(&["check", "--offline"], &tenant(&place));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("opensesame"));
    assert!(ended.stdout.contains("ledger.db, which the first start makes"), "{}", ended.stdout);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing was written");
    let file = place.path().join("cuecard.toml");
    fs::write(&file, "[profile]\ncontract = \"insights\"\n[profiles.acme]\nclient_id = \"a\"\nclient_secret = \"b\"\n[profiles.beta]\nclient_id = \"c\"\nclient_secret = \"d\"\n").unwrap();
    let data = place.path().join("data");
    let variables = [("CUECARD_INDEX", text(index())), ("CUECARD_DATA_DIR", text(&data))];
    let ended = run(&["check", "--offline", "--config", text(&file)], &variables);
    assert!(
        ended.code == Some(0) && ended.stdout.contains("acme (insights), beta (insights)"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn check_reaches_for_the_tenant_and_says_which_is_away() {
    // Port 9 of loopback: nobody discards there.
    let place = TempDir::new().unwrap();
    let variables = tenant_but(&place, "CXONE_BASE_URL", "http://127.0.0.1:9");
    let ended = run(&["check"], &variables);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("insights") && ended.stdout.contains("http://127.0.0.1:9/oauth/token"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_service_that_cannot_start_says_what_to_do() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("cuecard.toml");
    fs::write(&file, "[buffer]\npause_after_lst = \"3s\"\n").unwrap();
    let no_model = place.path().join("model");
    fs::create_dir(&no_model).unwrap();
    let (no_index, no_model) = (text(place.path()).to_owned() + "/none", text(&no_model).to_owned());
    let serve: &[&str] = &["serve"];
    let check = &["check", "--offline"];
    let cases: [Refused<'_>; 6] = [
        (serve, vec![], &["CXONE_CONTRACT", "CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "[profiles.NAME]", "--config"]),
        (
            check,
            tenant_but(&place, "CXONE_CLIENT_SECRET", ""),
            &["client_secret", "CXONE_CLIENT_SECRET", "[profiles.insights]"],
        ),
        (
            serve,
            tenant_but(&place, "CUECARD__BUFFER__MAX_TURN", "3"),
            &["CUECARD__BUFFER__MAX_TURN", "`buffer.max_turns`"],
        ),
        (check, tenant_but(&place, "CUECARD_INDEX", &no_index), &[&no_index, "cuecard index --articles"]),
        (serve, tenant_but(&place, "CUECARD_INDEX", &no_index), &[&no_index, "cuecard index --articles"]),
        (
            serve,
            tenant_but(&place, "CUECARD_MODEL_DIR", &no_model),
            &[&no_model, "config.json", "model.safetensors", "tokenizer.json", "make build"],
        ),
    ];
    for (command, mut variables, expected) in cases {
        variables.push(("CUECARD_ADMIN_ADDR", "127.0.0.1:0"));
        let ended = run(command, &variables);
        // A service logs before it gives up.
        let complaint = ended.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(!ended.stderr.contains("opensesame"), "{}", ended.stderr);
        assert_refused(&Ended { stderr: complaint, ..ended }, expected);
    }
    let ended = run(&["serve", "--config", text(&file)], &tenant(&place));
    assert_refused(&ended, &[text(&file), "`buffer.pause_after_lst`", "`buffer.pause_after_last`"]);
}

#[test]
fn a_settings_file_that_is_no_use_is_named() {
    let place = TempDir::new().unwrap();
    let [missing, folder, empty] = useless(&place);
    let broken = place.path().join("broken.toml");
    fs::write(&broken, "[buffer\n").unwrap();
    for file in [&missing, &folder, &broken] {
        assert_refused(&run(&["check", "--config", text(file), "--offline"], &tenant(&place)), &[text(file)]);
    }
    // An empty file says nothing, and the environment says all.
    let ended = run(&["check", "--config", text(&empty), "--offline"], &tenant(&place));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_refused(&run(&["check", "--config", text(&empty), "--offline"], &[]), &["CXONE_CONTRACT"]);
}

#[test]
fn articles_and_conversations_that_are_no_use_are_named() {
    let place = TempDir::new().unwrap();
    let directory = place.path().join("index");
    let [missing, folder, empty] = useless(&place);
    for file in [&missing, &folder, &empty] {
        let ended = run(&["index", "--articles", text(file), "--index", text(&directory)], &[]);
        assert_refused(&ended, &[text(file)]);
        let ended = run(&["eval", "--index", text(index()), "--conversations", text(file)], &[]);
        assert_refused(&ended, &[text(file)]);
    }
    let broken = place.path().join("broken.jsonl");
    fs::write(&broken, "{\"id\": \"a\", \"turns\": []}\n{\"id\"\n").unwrap();
    let ended = run(&["eval", "--index", text(index()), "--conversations", text(&broken)], &[]);
    assert_refused(&ended, &[&format!("{}:2", text(&broken))]);
    for index in [&missing, &folder, &empty] {
        let ended = run(&["ask", QUESTION, "--index", text(index)], &[]);
        assert_refused(&ended, &[text(index)]);
    }
}

/// As behind `| head -1`, which has what it wants.
#[test]
fn where_nobody_reads_what_is_printed_a_command_ends_in_order_and_says_nothing() {
    for arguments in [&["key"][..], &["completions", "bash"], &["ask", QUESTION, "--articles", ARTICLES]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = cuecard(arguments, &[]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
        let ended = ended.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(
            ended.status.code() == Some(0) && !said.contains("panicked"),
            "{arguments:?}: {}: {said}",
            ended.status
        );
    }
}

#[test]
fn a_command_line_that_is_no_use_ends_with_code_2() {
    let both = ["ask", QUESTION, "--index", "a", "--articles", "b"];
    let wrong: [&[&str]; 5] = [&[], &["sing"], &["ask", QUESTION], &both, &["eval", "--index", "a"]];
    for arguments in wrong {
        assert_eq!(run(arguments, &[]).code, Some(2), "{arguments:?}");
    }
    let help = run(&["--help"], &[]);
    assert_eq!(help.code, Some(0));
    for command in ["serve", "check", "index", "ask", "eval", "demo"] {
        assert!(help.stdout.contains(command), "{command}");
    }
}
