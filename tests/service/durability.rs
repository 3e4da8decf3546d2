//! What outlives a process, and what a process finishes before it ends: the real binary, killed and told to stop.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuecard_simulator::{Fault, FaultKind, Received, Route, RunningSimulator, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ARTICLES, Caller, Process, Service, build_index, environment, first_article, refuse_all, run, say, simulator,
    until, until_shown,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// The feedback calls that ended in this way, per interaction in the order of arrival.
fn feedback(simulator: &RunningSimulator, ended: &Verdict) -> BTreeMap<String, Vec<Value>> {
    let mut calls: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Received { body, .. } in
        simulator.received_on(Route::Feedback).into_iter().filter(|call| call.verdict == *ended)
    {
        let body = body.unwrap();
        calls.entry(body["interactionId"].as_str().unwrap().to_owned()).or_default().push(body);
    }
    calls
}

async fn connected(simulator: &RunningSimulator) {
    until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
}

#[actix_rt::test]
async fn feedback_that_was_stored_survives_a_killed_process() {
    let simulator = simulator();
    let data = TempDir::new().unwrap();
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let service = Process::serve(&variables);
    connected(&simulator).await;
    refuse_all(&simulator, Route::Feedback, 500);
    let verdicts =
        [("call-1", "pets", true), ("call-2", "pets", false), ("call-1", "cabins", false), ("call-2", "meals", true)];
    for call in ["call-1", "call-2"] {
        say(&simulator, call, DOG).await;
    }
    until_shown(&simulator, 2).await;
    for (call, article, accepted) in verdicts {
        simulator.judge_card(call, article, accepted).await.unwrap();
    }
    service.admin.until("four stored", |metrics| metrics.sum("cuecard_feedback_pending", &[]) == 4.0).await;
    until(&simulator, "a failed call each", |simulator| feedback(simulator, &Verdict::Scripted).len() == 2).await;
    service.kill();
    simulator.clear_faults();
    let mut service = Process::serve(&variables);
    service
        .admin
        .until("nothing left", |metrics| {
            metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]) == 4.0
                && metrics.sum("cuecard_feedback_pending", &[]) == 0.0
        })
        .await;
    let (failed, taken) = (feedback(&simulator, &Verdict::Scripted), feedback(&simulator, &Verdict::Accepted));
    let actions = |call: &str| -> Vec<(Value, Value)> {
        taken[call].iter().map(|body| (body["insightId"].clone(), body["action"].clone())).collect()
    };
    assert_eq!(actions("call-1"), [(json!("pets"), json!("ACCEPTED")), (json!("cabins"), json!("REJECTED"))]);
    assert_eq!(actions("call-2"), [(json!("pets"), json!("REJECTED")), (json!("meals"), json!("ACCEPTED"))]);
    for call in ["call-1", "call-2"] {
        assert!(failed[call].iter().all(|body| *body == taken[call][0]), "{failed:?} {taken:?}");
    }
    assert_eq!(simulator.num_violations(), 0);
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

/// The figures that clicks and audit entries stand in.
async fn figures(caller: &Caller) -> Value {
    caller.get("/ranking/metrics").await.json()
}

#[actix_rt::test]
async fn clicks_and_audit_entries_that_were_acknowledged_survive_a_killed_process() {
    let simulator = simulator();
    let data = TempDir::new().unwrap();
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let overrides =
        [("CXONE_CONTRACT", "ranking"), ("CXONE_OAUTH_URL", token_url.as_str()), ("CUECARD_API_ADDR", "127.0.0.1:0")];
    let variables = environment(&simulator.base_url(), data.path(), &overrides);
    let snippet = |id: &str, score: f64| json!({"snippet_id": id, "relevance_score": score});
    let order = json!({"snippets": [snippet("KB-1", 0.9), snippet("KB-2", 0.5), snippet("KB-3", 0.1)]});
    let mut acknowledged = json!({});
    // Each process is killed as soon as its last answer is there, and the next one goes on where it was.
    for round in 1..=3 {
        let service = Process::serve(&variables);
        let caller = service.caller();
        if round > 1 {
            assert_eq!(figures(&caller).await, acknowledged, "round {round}");
        }
        let session = format!("/sessions/s-{round}/snippets");
        assert_eq!(caller.post(&format!("{session}/ranking"), &order).await.status, 200);
        simulator.inject(Fault { route: Route::Ranking, times: 1, fault: FaultKind::status(400) });
        assert_eq!(caller.post(&format!("{session}/ranking"), &order).await.status, 400);
        acknowledged = figures(&caller).await;
        let click = caller.post(&format!("{session}/KB-2/click"), &json!({"rank_position": 2})).await;
        assert_eq!(click.status, 204, "{}", click.text);
        service.kill();
        acknowledged["total_clicks_tracked"] = round.into();
        // One of three snippets, in each session so far.
        acknowledged["click_through_rate"] = json!(0.3333);
        assert_eq!(acknowledged["audit_entries_count"], 2 * round, "a success and a failure in each round");
    }
    let mut service = Process::serve(&variables);
    assert_eq!(figures(&service.caller()).await, acknowledged);
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn a_push_in_flight_is_delivered_before_the_process_ends() {
    for signal in ["TERM", "INT"] {
        let simulator = simulator();
        let data = TempDir::new().unwrap();
        let overrides = [
            ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "30s"),
            ("CUECARD__PROFILE__DEADLINE", "40s"),
            ("CUECARD__SHUTDOWN__GRACE", "40s"),
        ];
        let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
        connected(&simulator).await;
        let slow = FaultKind::Delay { by: Duration::from_secs(1) };
        simulator.inject(Fault { route: Route::Insights, times: 1, fault: slow });
        say(&simulator, "call-1", DOG).await;
        service.admin.until_pushing(&simulator).await;
        service.signal(signal);
        assert_eq!(service.ended().await.code(), Some(0), "{signal}");
        let pushes = simulator.received_on(Route::Insights);
        assert_eq!(pushes.iter().map(|push| &push.verdict).collect::<Vec<_>>(), [&Verdict::Accepted]);
        until(&simulator, "the stream is closed", |simulator| simulator.num_streams() == 0).await;
    }
}

#[actix_rt::test]
async fn a_data_directory_is_served_by_one_process_until_that_one_ends() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let first = Process::serve(&variables);
    connected(&simulator).await;
    let run = |arguments: &[&str]| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(arguments, &variables)
    };
    let second = run(&["serve"]);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("in use by another cuecard"), "{}", second.stderr);
    let checked = run(&["check"]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    assert!(checked.stdout.contains("which a running cuecard has open"), "{}", checked.stdout);
    first.kill();
    assert!(!run(&["check", "--offline"]).stdout.contains("running"), "it ended with its process");
    let mut third = Process::serve(&variables);
    third.terminate();
    assert_eq!(third.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn work_that_outlasts_the_grace_does_not_hold_the_process() {
    let simulator = simulator();
    let data = TempDir::new().unwrap();
    let overrides = [("CUECARD__PROFILE__DEADLINE", "1h"), ("CUECARD__SHUTDOWN__GRACE", "200ms")];
    let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
    connected(&simulator).await;
    refuse_all(&simulator, Route::Insights, 500);
    say(&simulator, "call-1", DOG).await;
    service.admin.until_pushing(&simulator).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    assert!(simulator.num_cards() == 0 && simulator.num_violations() == 0);
}

#[actix_rt::test]
async fn a_new_index_generation_comes_into_service_by_itself() {
    let directory = TempDir::new().unwrap();
    let (articles, index) = (directory.path().join("articles.jsonl"), directory.path().join("index"));
    std::fs::copy(ARTICLES, &articles).unwrap();
    build_index(&articles, &index);
    let simulator = simulator();
    let service =
        Service::start(&simulator, &[("CUECARD_INDEX", index.to_str().unwrap()), ("CUECARD__PROFILE__CARDS", "1")])
            .await;
    say(&simulator, "call-1", DOG).await;
    assert_eq!(first_article(&until_shown(&simulator, 1).await[0]), ("call-1", "pets"));
    add(
        &articles,
        &json!({"id": "dogs-2", "title": "Can I take my dog on board?", "body": "Can I take my dog on board? Yes. Does he need a cabin? Yes."}),
    );
    let report = build_index(&articles, &index);
    assert_eq!((&report["added"], &report["embedded"], &report["published"]), (&json!(1), &json!(1), &json!(true)));
    service.admin.until("21 articles", |metrics| metrics.sum("cuecard_index_articles", &[]) == 21.0).await;
    say(&simulator, "call-2", DOG).await;
    assert_eq!(first_article(&until_shown(&simulator, 2).await[1]), ("call-2", "dogs-2"));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn an_index_that_is_filled_while_the_service_runs_makes_it_ready() {
    let directory = TempDir::new().unwrap();
    let index = directory.path().join("index");
    let index = index.to_str().unwrap();
    build_index(ARTICLES.as_ref(), index.as_ref());
    let emptied = run(&["index", "--index", index, "--remove-source", "file:articles.jsonl"], &[]);
    assert_eq!(emptied.code, Some(0), "{}", emptied.stderr);
    let simulator = simulator();
    let service = Service::launch(&simulator.base_url(), &[("CUECARD_INDEX", index)]);
    let is_empty = |_: u16, profile: &Value| {
        profile["reason"].as_str().is_some_and(|why| why.contains("the index holds no articles"))
    };
    let profile = service.admin.until_profile("there is nothing to find", is_empty).await;
    assert_eq!(profile["state"], "waiting");
    build_index(ARTICLES.as_ref(), index.as_ref());
    service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
    service.stop().await;
}

fn add(articles: &Path, article: &Value) {
    let mut file = std::fs::OpenOptions::new().append(true).open(articles).unwrap();
    writeln!(file, "{article}").unwrap();
}

/// An index of the articles, one file of which is not what it was.
fn damaged_index(place: &TempDir) -> (PathBuf, PathBuf) {
    let index = place.path().join("index");
    build_index(ARTICLES.as_ref(), &index);
    let damaged = index.join("generations/1/base.articles");
    std::fs::write(&damaged, "x").unwrap();
    (index, damaged)
}

#[test]
fn a_damaged_index_is_refused_with_what_to_do() {
    let data = TempDir::new().unwrap();
    let (index, damaged) = damaged_index(&data);
    let variables = environment("http://127.0.0.1:9", data.path(), &[("CUECARD_INDEX", index.to_str().unwrap())]);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ended = run(&["serve"], &variables);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let what_to_run = format!("`cuecard index --articles FILE --index {}`", index.display());
    for part in ["is damaged", "base.articles", what_to_run.as_str()] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(std::fs::read(damaged).unwrap(), b"x", "nothing is touched");
}

#[actix_rt::test]
async fn a_damaged_index_is_set_aside_where_the_settings_say_so_and_the_next_one_is_taken_up() {
    let (simulator, place) = (simulator(), TempDir::new().unwrap());
    let (index, _) = damaged_index(&place);
    let overrides = [("CUECARD_INDEX", index.to_str().unwrap()), ("CUECARD__DATA__DAMAGED_INDEX", "set_aside")];
    let service = Service::launch(&simulator.base_url(), &overrides);
    let is_empty =
        |profile: &Value| profile["reason"].as_str().is_some_and(|reason| reason.contains("holds no articles"));
    service.admin.until_profile("waiting for articles", |status, profile| status == 503 && is_empty(profile)).await;
    let names = std::fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
    let aside = names.into_iter().find(|path| path.to_string_lossy().contains("/damaged-")).unwrap();
    assert_eq!(std::fs::read(aside.join("generations/1/base.articles")).unwrap(), b"x", "kept as it was");
    build_index(ARTICLES.as_ref(), &index);
    service.admin.until_profile("ready", |status, profile| status == 200 && profile["state"] == "ready").await;
    connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    service.finish(&simulator).await;
}

/// A ledger whose file is no database any more.
fn damaged_ledger(data: &TempDir) -> PathBuf {
    let ledger = data.path().join("ledger.db");
    std::fs::write(&ledger, DAMAGED).unwrap();
    ledger
}

const DAMAGED: &str = "no page of a ledger begins so";

#[test]
fn a_damaged_ledger_is_refused_with_what_to_do() {
    let data = TempDir::new().unwrap();
    let ledger = damaged_ledger(&data);
    let variables = environment("http://127.0.0.1:9", data.path(), &[]);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ended = run(&["serve"], &variables);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in [ledger.to_str().unwrap(), "is damaged", "put a copy of it in its place, or move it away"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(std::fs::read_to_string(ledger).unwrap(), DAMAGED, "nothing is touched");
}

#[actix_rt::test]
async fn a_damaged_ledger_is_set_aside_where_the_settings_say_so_and_another_one_begins() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    damaged_ledger(&data);
    let overrides = [("CUECARD__DATA__DAMAGED_LEDGER", "set_aside")];
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
    connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    service
        .admin
        .until("the verdict arrived", |metrics| {
            metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]) == 1.0
        })
        .await;
    let names = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = names.into_iter().find(|path| path.to_string_lossy().contains("ledger.db.damaged-")).unwrap();
    assert_eq!(std::fs::read_to_string(aside).unwrap(), DAMAGED, "kept as it was");
    service.terminate();
    let log = service.output().await;
    assert_eq!(log.matches("the ledger is damaged and was set aside").count(), 1, "{log}");
}
