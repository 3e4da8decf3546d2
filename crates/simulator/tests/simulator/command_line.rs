//! The binary as a user calls it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::client::{Client, Dialect, start};
use crate::replay::{Act, NO_ADMIN, act_on_insights};
use actix_web::web;
use serde_json::Value;

fn simulator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cxone-sim"));
    // What the caller's shell has set is no part of a test.
    for name in ["CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "CXONE_SESSION_ID"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn it_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversations.jsonl");
    std::fs::write(&file, "{\"id\": \"c\", \"turns\": [{\"speaker\": \"customer\", \"text\": \"hi\"}]}\n").unwrap();
    let broken = folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"id\": 1}\n").unwrap();
    let articles = format!("--articles={}", broken.display());
    let nowhere = ["--target", "http://127.0.0.1:1", "--connect-timeout", "0"];
    let table = [
        (&file, "bot", vec![], "[possible values: rag, snippets, graph, insights, ranking]"),
        (&broken, "insights", vec![], "broken.jsonl line 1"),
        (&file, "ranking", vec![articles.as_str()], "broken.jsonl line 1"),
        (&file, "insights", vec!["--connect-timeout", "0"], "no client connected within 0 s"),
        (&file, "snippets", vec!["--connect-timeout", "0"], "no client connected within 0 s"),
        (&file, "rag", nowhere.to_vec(), "say where it is with --target"),
        (&file, "rag", vec!["--target", "https://host"], "--target https://host is no plain http"),
        (&file, "insights", vec!["--admin", "https://host"], "--admin https://host is no plain http"),
        (&file, "insights", vec!["--rate", "0"], "rate must be a number above 0"),
        (&file, "insights", vec!["--concurrency", "0"], "concurrency must be at least 1"),
        (&file, "insights", vec!["--concurrency", "2", "--rate", "2"], "cannot be used with"),
        (&file, "insights", vec!["--duration=-1"], "--duration must be a number of seconds"),
        (&file, "insights", vec!["--client", "nosecret"], "write it as ID:SECRET"),
        (&file, "rag", vec!["--target-header", "nocolon"], "write it as 'Name: value'"),
    ];
    for (file, contract, more, expected) in table {
        let output = simulator()
            .args(["replay", "--port", "0", "--contract", contract, "--conversations"])
            .arg(file)
            .args(&more)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{contract} {more:?}");
        assert!(complaint.contains(expected), "{contract} {more:?}: {complaint}");
        assert!(output.stdout.is_empty());
    }
}

/// How a service is pointed at it, as the help has it.
const POINTED: &str = "CXONE_BASE_URL=http://127.0.0.1:9200 CUECARD_INDEX=DIR\n";

#[test]
fn it_helps() {
    for (arguments, expected) in [
        (&["--help"][..], &["rag", "snippets", "graph", "insights", "ranking", "/_sim/faults", POINTED][..]),
        (&["-h"], &[POINTED]),
        (&["serve", "-h"], &[POINTED]),
        (
            &["serve", "--help"],
            &[
                "--articles",
                "--paging",
                "--transcripts",
                "--known-interactions-only",
                "--strict",
                "--client",
                POINTED,
                "\"every\": 2",
            ],
        ),
        (
            &["replay", "--help"],
            &["--target", "--concurrency", "--seed", "--admin", "--profile", "cards/s", "no_match"],
        ),
    ] {
        let output = simulator().args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success());
        for word in expected {
            assert!(text.contains(word), "{arguments:?} lacks {word}: {text}");
        }
    }
}

#[test]
fn it_says_each_cause_once() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    for (arguments, cause) in [
        (["serve", "--port", "0", "--conversations", "nope"], "No such file"),
        (["serve", "--port", "0", "--articles", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "line 1 column"),
        (["serve", "--speed", "1", "--port", &port], "in use"),
    ] {
        let output = simulator().args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(complaint.matches(cause).count(), 1, "{arguments:?}: {complaint}");
    }
}

/// All that `serve` says until it is told to stop.
fn said(arguments: &[&str]) -> String {
    let mut child = simulator().args(["serve", "--port", "0"]).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaints = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("FILE is a graph") {
        assert!(complaints.read_line(&mut text).unwrap() > 0, "ended early: {text}");
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    complaints.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

#[test]
fn it_says_what_each_contract_needs_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, row: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, row).unwrap();
        file.display().to_string()
    };
    let articles = write("articles.jsonl", r#"{"id": "1", "title": "t", "body": "b"}"#);
    let conversations =
        write("conversations.jsonl", r#"{"id": "c", "turns": [{"speaker": "customer", "text": "hi"}]}"#);
    let bare = said(&[]);
    for (contract, needed) in [
        ("rag", " CUECARD_INDEX=DIR"),
        ("snippets", " CUECARD_INDEX=DIR"),
        ("graph", " CUECARD_GRAPH=FILE"),
        ("insights", " CUECARD_INDEX=DIR"),
        ("ranking", "/api/v2/oauth/token"),
    ] {
        let line = bare.lines().find(|line| line.contains(&format!("CXONE_CONTRACT={contract} "))).unwrap();
        assert!(line.ends_with(needed), "{line}");
    }
    assert!(bare.contains("no articles (--articles FILE)") && !bare.contains("were played"), "{bare}");
    let fed = said(&["--articles", &articles, "--conversations", &conversations]);
    assert!(fed.contains("0 of 1 conversations were played") && !fed.contains("no articles"), "{fed}");
}

/// Starts a command and reads the base URL that it tells.
fn base_of(command: &mut Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaints = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let base = loop {
        line.clear();
        assert!(complaints.read_line(&mut line).unwrap() > 0, "ended early");
        if let Some((_, rest)) = line.split_once("CXONE_BASE_URL=") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    // Whoever closes this pipe ends the child at its next line.
    std::thread::spawn(move || std::io::copy(&mut complaints, &mut std::io::sink()));
    (child, base)
}

#[actix_web::test]
async fn it_replays_and_prints_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversations.jsonl");
    std::fs::write(&file, "{\"id\": \"c\", \"turns\": [{\"speaker\": \"customer\", \"text\": \"hi\"}]}\n").unwrap();
    let (mut child, base) = base_of(
        simulator()
            .args(["replay", "--port", "0", "--contract", "insights", "--json", "--admin", NO_ADMIN, "--conversations"])
            .arg(&file),
    );
    let client = Client { base, ..Client::of(&start()) };
    actix_web::rt::spawn(act_on_insights(client, |_| Act::Card, Arc::default()));
    let output = web::block(move || {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        text
    });
    let report: Value = serde_json::from_str(&output.await.unwrap()).unwrap();
    assert_eq!(
        (report["turns"].as_u64(), report["cards"].as_u64(), report["lost"].as_u64()),
        (Some(1), Some(1), Some(0))
    );
    assert_eq!(report.as_object().unwrap().len(), 11);
}

/// What this command line puts on a pseudo-terminal.
fn on_terminal(arguments: &str, variables: &[(&str, &str)]) -> String {
    let line = format!("exec '{}' {arguments}", env!("CARGO_BIN_EXE_cxone-sim"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_remove("NO_COLOR");
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    String::from_utf8(command.stdin(Stdio::null()).output().unwrap().stdout).unwrap()
}

/// Nobody answers, which it waits for, and says so, for a second.
#[test]
fn how_far_it_is_and_colours_are_shown_on_a_terminal_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversations.jsonl");
    std::fs::write(&file, "{\"id\": \"c\", \"turns\": [{\"speaker\": \"customer\", \"text\": \"hi\"}]}\n").unwrap();
    let arguments = format!(
        "replay --port 0 --contract insights --connect-timeout 1 --admin {NO_ADMIN} --conversations {}",
        file.display()
    );
    // Its server logs that it starts.
    let logs = ("RUST_LOG", "info");
    let (waits, starts, colour) = ("waiting for the service", "starting", "\u{1b}[3");
    let shown = on_terminal(&arguments, &[logs]);
    assert!(shown.contains(waits) && shown.contains(starts) && shown.contains(colour), "{shown:?}");
    let shown = on_terminal(&arguments, &[logs, ("NO_COLOR", "1")]);
    assert!(shown.contains(waits) && shown.contains(starts) && !shown.contains(colour), "{shown:?}");
    let piped = simulator().env(logs.0, logs.1).args(arguments.split(' ')).output().unwrap();
    let written = String::from_utf8([piped.stdout, piped.stderr].concat()).unwrap();
    assert!(written.contains(starts) && !written.contains('\u{1b}') && !written.contains(waits), "{written:?}");
}

#[actix_web::test]
async fn the_documents_programs_pass_unless_strict_rules_are_asked_for() {
    for (flag, expected) in [(&[][..], 200), (&["--strict"], 406)] {
        let (mut child, base) = base_of(simulator().args(["serve", "--port", "0"]).args(flag));
        let client = Client { base, ..Client::of(&start()) };
        let push = client.http.post(client.url(&Dialect::Rag.path("i"))).bearer_auth(client.token().await);
        let pushed = push.send_json(&Dialect::Rag.body("i", &["a"])).await.unwrap().status().as_u16();
        assert_eq!(pushed, expected, "{flag:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[actix_web::test]
async fn it_ends_in_order_when_it_is_told_to() {
    for signal in ["-INT", "-TERM"] {
        let (mut child, _) = base_of(simulator().args(["serve", "--port", "0"]));
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[actix_web::test]
async fn it_serves_several_clients_and_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("articles.jsonl");
    let rows =
        (0..3).map(|number| format!("{{\"id\": \"{number}\", \"title\": \"t\", \"body\": \"b\", \"tags\": []}}\n"));
    std::fs::write(&file, rows.collect::<String>()).unwrap();
    let (mut child, base) = base_of(
        simulator()
            .args(["serve", "--port", "0", "--client", "second:secret", "--paging", "number", "--page-size", "2"])
            .arg("--articles")
            .arg(&file),
    );
    let client = Client { base, id: "second".to_owned(), secret: "secret".to_owned(), ..Client::of(&start()) };
    let token = client.token().await;
    let (_, page) = client.get(&token, "/api/v2/knowledge/articles").await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["pageSize"]), (2, &2.into()));
    let session = client.get(&token, "/api/v2/agentassist/sessions/default-agent-session-001").await;
    assert_eq!((session.0, &session.1["state"]), (200, &"active".into()));
    child.kill().unwrap();
    child.wait().unwrap();
}
