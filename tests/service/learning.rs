//! What was learned goes live only where it is better, is taken up by the running service, and comes out again.

use cuecard::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    CONVERSATIONS, Ended, QUIET, Service, environment, index, run, say, simulator, until, until_shown,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

fn train(arguments: &[&str]) -> Ended {
    run(&[&["train", "--index", index().to_str().unwrap()], arguments].concat(), &[])
}

/// What `arguments` are refused with.
fn refusal(arguments: &[&str]) -> String {
    let ended = train(&[arguments, &["--out", "/nowhere/at/all"]].concat());
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    ended.stderr
}

/// The version of the model that the newest decision of an interaction was made by.
async fn model_of(service: &Service, interaction: &str) -> Value {
    let is_there = |page: &crate::support::Page| {
        page.json()["deliveries"].as_array().is_some_and(|all| all.iter().any(|one| one["interaction"] == interaction))
    };
    let page = service.admin.until_page("/deliveries", "the decision", is_there).await;
    let deliveries = page.json()["deliveries"].clone();
    let decision = deliveries.as_array().unwrap().iter().find(|one| one["interaction"] == interaction).cloned();
    decision.unwrap()["ranking"]["model"].clone()
}

#[actix_rt::test]
async fn a_model_is_taken_up_by_the_running_service_and_put_back() {
    let (directory, simulator) = (TempDir::new().unwrap(), simulator());
    let model = directory.path().join("model.json");
    let model = model.to_str().unwrap();
    let ended = train(&["--conversations", CONVERSATIONS, "--quiet", QUIET, "--out", model, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&report["conversations"], &report["wanted_turns"], &report["quiet_turns"]),
        (&json!(8), &json!(8), &json!(2))
    );

    let data = directory.path().join("data");
    let overrides = [("CUECARD_DATA_DIR", data.to_str().unwrap()), ("CUECARD__PROFILE__MIN_COSINE", "auto")];
    let service = Service::start(&simulator, &overrides).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    assert_eq!(model_of(&service, "call-1").await, Value::Null);

    let variables = environment(&simulator.base_url(), &data, &overrides);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Eight conversations prove nothing.
    let refused = run(&["model", "promote", model], &variables);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("not proven") && refused.stderr.contains("--force"), "{}", refused.stderr);
    assert!(run(&["model", "show"], &variables).stdout.contains("the formula"));
    let promoted = run(&["model", "promote", model, "--force"], &variables);
    assert_eq!(promoted.code, Some(0), "{}", promoted.stderr);
    let version = report["version"].as_str().unwrap();
    assert!(run(&["model", "show"], &variables).stdout.contains(version));
    until_model(&service, &simulator, "up", &json!(version)).await;

    let rolled_back = run(&["model", "rollback"], &variables);
    assert!(rolled_back.stdout.contains("the formula"), "{}", rolled_back.stdout);
    until_model(&service, &simulator, "back", &Value::Null).await;
    service.finish(&simulator).await;
}

/// A model that settings name, and another one in the same file: each comes with a reload, which names the setting.
#[actix_rt::test]
async fn a_model_of_the_settings_is_taken_up_by_a_reload_that_names_it() {
    let (directory, simulator) = (TempDir::new().unwrap(), simulator());
    let place = |name: &str| directory.path().join(name);
    let model = place("model.json");
    let written = model.to_str().unwrap();
    let ended = train(&["--conversations", CONVERSATIONS, "--quiet", QUIET, "--out", written, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut learned: Value = serde_json::from_str(&std::fs::read_to_string(&model).unwrap()).unwrap();
    let (file, data) = (place("cuecard.toml"), TempDir::new().unwrap());
    std::fs::write(&file, "").unwrap();
    let variables = environment(&simulator.base_url(), data.path(), &[("CUECARD__PROFILE__MIN_COSINE", "auto")]);
    let service = Service::with(Settings::load(Some(&file), variables).unwrap(), data);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let reload = async || {
        let answer = service.admin.tell("/reload", &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let answers_by = async |call: &str| {
        say(&simulator, call, DOG).await;
        model_of(&service, call).await
    };
    assert_eq!(answers_by("call-1").await, Value::Null);
    std::fs::write(&file, format!("[profile]\nmodel = '{written}'\nunproven_model = 'on'\n")).unwrap();
    assert_eq!(reload().await["changed"], json!(["profile.model", "profile.unproven_model"]));
    assert_eq!(answers_by("call-2").await, learned["version"]);
    learned["version"] = json!("another one");
    std::fs::write(&model, learned.to_string()).unwrap();
    assert_eq!(reload().await, json!({"changed": ["profile.model"], "needs_restart": []}));
    assert_eq!(answers_by("call-3").await, "another one");
    assert_eq!(reload().await, json!({"changed": [], "needs_restart": []}));
    service.finish(&simulator).await;
}

/// Asks again, each time in another call, until an answer comes from this model.
async fn until_model(service: &Service, simulator: &cuecard_simulator::RunningSimulator, name: &str, expected: &Value) {
    for attempt in 0..60 {
        let interaction = format!("{name}-{attempt}");
        say(simulator, &interaction, DOG).await;
        if model_of(service, &interaction).await == *expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    panic!("{expected} never answered");
}

#[test]
fn what_nothing_can_be_learned_from_is_refused_saying_which() {
    let directory = TempDir::new().unwrap();
    let written = |name: &str, line: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, line).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let unknown =
        written("unknown.jsonl", r#"{"id":"x","turns":[{"speaker":"customer","text":"hi"}],"gold":["unicorns"]}"#);
    let refused = refusal(&["--conversations", &unknown]);
    assert!(refused.contains("`unicorns` of x"), "{refused}");
    let refused = refusal(&["--conversations", CONVERSATIONS]);
    assert!(refused.contains("--quiet") && refused.contains("--order-only"), "{refused}");
    let none = written("none.jsonl", r#"{"id":"x","turns":[{"speaker":"customer","text":"hi","gold":[]}]}"#);
    let refused = refusal(&["--conversations", &none]);
    assert!(refused.contains("none of the 1 labelled turns wants a card"), "{refused}");
}
