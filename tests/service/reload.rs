//! Settings that are reloaded: by a signal and over the admin port, all of them that can be or none.

use std::path::PathBuf;

use cuecard::settings::Settings;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Caller, LOOK, PATIENCE, Page, Process, Service, environment, say, simulator, until, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// A settings file that can be written anew.
struct File(TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file = Self(TempDir::new().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cuecard.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }
}

fn names(listed: &Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[actix_rt::test]
async fn a_reload_takes_up_what_can_change_and_names_what_can_not() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let file = File::new("[profile]\npush = 'on'\n[buffer]\nmax_turns = 20\n");
    let settings = Settings::load(Some(&file.path()), environment(&simulator.base_url(), data.path(), &[])).unwrap();
    let service = Service::with(settings, data);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    file.write("[profile]\npush = 'off'\nranker = 'bm25'\n[buffer]\nmax_turns = 30\n[pipeline]\nqueue = 9\n");
    let answer = service.admin.tell("/reload", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(names(&answer.json()["changed"]), ["profile.push", "profile.ranker"]);
    assert_eq!(names(&answer.json()["needs_restart"]), ["buffer.max_turns", "pipeline.queue"]);
    say(&simulator, "call-2", DOG).await;
    service
        .admin
        .until("the card is withheld", |metrics| metrics.sum("cuecard_cards_total", &[("outcome", "withheld")]) == 1.0)
        .await;
    let newest = service.admin.get("/deliveries?limit=1").await.json();
    assert_eq!(newest["deliveries"][0]["versions"]["ranker"], "bm25", "{newest}");
    let metrics = service.admin.metrics().await;
    assert_eq!(metrics.num_series("cuecard_build_info", &[]), 1);
    assert_eq!(metrics.num_series("cuecard_build_info", &[("ranker", "bm25")]), 1);
    assert_eq!(simulator.num_cards(), 1);
    let shown = service.admin.get("/config").await.json();
    let of = |key: &str| (shown["settings"][key]["value"].clone(), shown["settings"][key]["from"].clone());
    assert_eq!(of("profile.push"), (json!("off"), json!("file")));
    assert_eq!(of("buffer.max_turns"), (json!(20), json!("file")), "what is in force, not what will be");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn settings_that_can_not_be_used_change_nothing_and_are_refused_as_at_a_start() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let file = File::new("[profile]\ncards = 1\n");
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let load = || Settings::load(Some(&file.path()), variables.clone());
    let service = Service::with(load().unwrap(), data);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let before = service.admin.get("/config").await.text;
    for text in [
        "[profile]\ncards = 2\npush = 'of'\n",
        "[profile]\npush = 'off'\ncard = 2\n",
        "[profile]\npush = 'off'\n[access]\nask = 'always'\n",
        "[profile]\npush = 'off'\nmodel = 'no/such/model.json'\n",
        "push = 'off",
    ] {
        file.write(text);
        let answer = service.admin.tell("/reload", &json!({})).await;
        assert_eq!(answer.status, 422, "{text}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        match load() {
            Err(at_start) => assert_eq!(detail, at_start.to_string()),
            // The model is read when it is loaded.
            Ok(_) => assert!(detail.contains("no/such/model.json") && detail.contains("insights"), "{detail}"),
        }
        assert_eq!(service.admin.get("/config").await.text, before);
    }
    say(&simulator, "call-1", DOG).await;
    assert_eq!(until_shown(&simulator, 1).await.len(), 1, "cards are pushed as before");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn keys_come_and_go_by_a_reload() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let key = |name: &str| format!("{name}-long-enough-for-a-key");
    let section = |name: &str| format!("[access.keys.{name}]\nkey = '{}'\nrights = ['operate', 'query']\n", key(name));
    let always = "[access]\nask = 'always'\n";
    let file = File::new(&format!("{always}{}", section("old")));
    let settings = Settings::load(Some(&file.path()), environment(&simulator.base_url(), data.path(), &[])).unwrap();
    let service = Service::with(settings, data);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let admin = Caller::new(service.admin.addr());
    let reload = async |name: &str| admin.send("/reload", "application/json", "{}", Some(&key(name))).await;
    file.write(&format!("{always}{}{}", section("old"), section("new")));
    assert_eq!(reload("new").await.status, 401);
    let reloaded = reload("old").await;
    assert_eq!((reloaded.status, names(&reloaded.json()["changed"])), (200, vec!["access.keys.new"]));
    file.write(&format!("{always}{}", section("new")));
    assert_eq!(reload("new").await.status, 200);
    assert_eq!(reload("old").await.status, 401, "its key was taken out");
    service.stop_unaccounted().await;
}

/// Eight callers at once of a tenant that may be called once a second: most have no time to wait for their turn.
#[actix_rt::test]
async fn a_profiles_rate_limit_comes_and_goes_by_a_reload() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let written = |limit: &str| format!("[profile]\nrate_limit = {limit}\n");
    let file = File::new(&written("1\nrate_burst = 1\ndeadline = '2s'"));
    let own = [("CXONE_CONTRACT", "rag"), ("CUECARD_API_ADDR", "127.0.0.1:0")];
    let settings = Settings::load(Some(&file.path()), environment(&simulator.base_url(), data.path(), &own)).unwrap();
    let service = Service::with(settings, data);
    let caller = service.caller();
    service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
    let held_back = async |round: &str| {
        let asked = (1..=8).map(|number| {
            let conversation = format!("{round}-{number}");
            let body = json!({"conversation_id": conversation, "agent_id": "agent-7", "query_text": DOG});
            let caller = caller.clone();
            async move { caller.post("/assist/push", &body).await }
        });
        let answers = join_all(asked).await;
        answers.into_iter().filter(|answer| answer.status != 200).map(|answer| answer.text).collect::<Vec<_>>()
    };
    let before = held_back("before").await;
    assert!(!before.is_empty(), "all eight within two seconds");
    let expired = service.admin.metrics().await.sum("cuecard_cards_total", &[("outcome", "expired")]);
    assert_eq!(expired, f64::from(u32::try_from(before.len()).unwrap()), "{before:?}");
    file.write(&written("0\nrate_burst = 1\ndeadline = '15s'"));
    let answer = service.admin.tell("/reload", &json!({})).await;
    assert_eq!(names(&answer.json()["changed"]), ["profile.deadline", "profile.rate_limit"], "{}", answer.text);
    assert_eq!(held_back("without").await, Vec::<String>::new());
    file.write(&written("1\nrate_burst = 1\ndeadline = '2s'"));
    assert_eq!(service.admin.tell("/reload", &json!({})).await.status, 200);
    assert!(!held_back("again").await.is_empty(), "all eight within two seconds");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_keys_rate_limit_is_changed_by_a_signal() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let key = |name: &str| format!("{name}-long-enough-for-a-key");
    let section = |name: &str, limit: u32| {
        format!("[access.keys.{name}]\nkey = '{}'\nrights = ['operate', 'query']\nrate_limit = {limit}\n", key(name))
    };
    let written =
        |limit: u32| format!("[access]\nask = 'always'\n{}{}", section("script", limit), section("person", 0));
    let file = File::new(&written(1));
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let config = file.path();
    let mut service = Process::serve_with(&["--config", config.to_str().unwrap()], &variables);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let admin = Caller::new(service.admin.addr());
    let ask = async |name: &str| admin.send("/ledger/erase", "application/json", "", Some(&key(name))).await.status;
    let refused = async || {
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(ask("script").await);
        }
        statuses.contains(&429)
    };
    assert!(refused().await, "one a second");
    assert_ne!(ask("person").await, 429);
    file.write(&written(1000));
    service.signal("HUP");
    let logged = async {
        while !service.logged().contains("the settings are reloaded") {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, logged).await.unwrap();
    assert!(service.logged().contains("access.keys.script.rate_limit"), "{}", service.logged());
    assert!(!refused().await, "a thousand a second");
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn a_signal_reloads_a_running_service_and_ends_nothing() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let file = File::new("[profile]\ncards = 2\n");
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let config = file.path();
    let mut service = Process::serve_with(&["--config", config.to_str().unwrap()], &variables);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    file.write("[profile]\ncards = 3\n[log]\nlevel = 'debug'\n");
    service.signal("HUP");
    let is_taken_up = |page: &Page| page.json()["settings"]["profile.cards"]["value"] == 3;
    service.admin.until_page("/config", "the new number of cards", is_taken_up).await;
    file.write("[profile]\ncards = 'three'\n");
    service.signal("HUP");
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    // Each is a line of the log, and so is what only the new level shows.
    let done = service.admin.tell("/reload", &json!({})).await;
    assert_eq!(done.status, 422);
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    let output = service.output().await;
    for line in ["the settings are reloaded", "the settings are not reloaded", r#""level":"DEBUG""#, "drained"] {
        assert!(output.contains(line), "{line}: {output}");
    }
}

#[actix_rt::test]
async fn levels_that_the_environment_overrules_wait_for_the_next_process() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let file = File::new("[log]\nlevel = 'info'\n");
    let variables = environment(&simulator.base_url(), data.path(), &[("RUST_LOG", "info")]);
    let config = file.path();
    let mut service = Process::serve_with(&["--config", config.to_str().unwrap()], &variables);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    file.write("[profile]\ncards = 3\n[log]\nlevel = 'debug'\nflood_limit = 7\n");
    let answer = service.admin.tell("/reload", &json!({})).await.json();
    assert_eq!(names(&answer["changed"]), ["log.flood_limit", "profile.cards"]);
    assert_eq!(names(&answer["needs_restart"]), ["log.level"]);
    service.terminate();
    service.ended().await;
    assert!(!service.output().await.contains(r#""level":"DEBUG""#));
}

/// Unset and empty are one, and what can't be read is said and leaves the settings' own.
#[actix_rt::test]
async fn levels_that_the_environment_does_not_say_are_those_of_the_settings() {
    for (written, complains) in [("", false), ("cuecard=loud,[", true)] {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let variables = environment(&simulator.base_url(), data.path(), &[("RUST_LOG", written)]);
        let mut service = Process::serve(&variables);
        until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        service.terminate();
        service.ended().await;
        let output = service.output().await;
        assert!(output.contains("the admin port is open"), "{written:?}: {output}");
        assert_eq!(output.contains("RUST_LOG can't be read"), complains, "{written:?}: {output}");
    }
}

/// A service that is not loaded yet has a signal to wait until it is, and a caller to come again.
#[actix_rt::test]
async fn a_hang_up_before_the_service_is_loaded_ends_nothing() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &[]));
    service.signal("HUP");
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}
