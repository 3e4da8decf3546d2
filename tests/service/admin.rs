//! The admin port: what a scraper, a probe and an operator see, from the first moment on.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use cuecard_simulator::{Client, Fault, FaultKind, Route, Simulator, SimulatorSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Page, Service, environment, run, say, simulator, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// A loopback address of these tests' own: nobody else takes a port of it between two uses.
const OWN_LOOPBACK: &str = "127.0.0.77:0";

/// Every metric that is there before the engine is loaded, with the label that has a closed set and what is in it.
const FROM_THE_START: [(&str, &str, &[&str]); 17] = [
    ("cuecard_card_latency_seconds_count", "", &[]),
    ("cuecard_stage_seconds_count", "stage", &["admission", "extract", "retrieve", "rank", "inject"]),
    (
        "cuecard_cards_total",
        "outcome",
        &["delivered", "silent", "withheld", "expired", "replaced", "shed", "refused", "failed"],
    ),
    ("cuecard_utterances_total", "", &[]),
    ("cuecard_silences_total", "reason", &["nothing_found", "unsure", "already_shown"]),
    ("cuecard_feedback_total", "action", &["accepted", "rejected"]),
    ("cuecard_feedback_forwarding_total", "result", &["forwarded", "postponed", "set_aside"]),
    ("cuecard_feedback_pending", "", &[]),
    ("cuecard_actor_up", "actor", &ACTORS),
    ("cuecard_actor_restarts_total", "actor", &ACTORS),
    ("cuecard_actor_panics_total", "actor", &ACTORS),
    ("cuecard_queue_depth", "actor", &ACTORS),
    ("cuecard_dropped_total", "actor", &["buffer", "feedback_logger"]),
    ("cuecard_cxone_requests_total", "endpoint", &["token", "stream", "push", "feedback"]),
    ("cuecard_redelivered_total", "", &[]),
    ("cuecard_stream_frames_total", "fate", &["used", "ignored", "binary", "malformed", "bad_id", "too_large"]),
    ("cuecard_profile_state", "state", &["ready", "degraded", "waiting"]),
];

const ACTORS: [&str; 8] = [
    "stream_listener:insights",
    "buffer",
    "extractor",
    "retriever",
    "ranker",
    "injector",
    "feedback_logger",
    "token_actor:insights",
];

#[actix_rt::test]
async fn every_series_is_there_from_the_start() {
    let simulator = simulator();
    let service = Service::launch(&simulator.base_url(), &[]);
    let metrics = service.admin.metrics().await;
    for (name, label, values) in FROM_THE_START {
        assert!(metrics.num_series(name, &[]) > 0, "{name}");
        for value in values {
            assert!(metrics.num_series(name, &[(label, value)]) > 0, "{name} {value}");
        }
    }
    // What does not exist yet is left out.
    assert_eq!(metrics.num_series("cuecard_acceptance_ratio", &[]), 0);
    service
        .admin
        .until("the index", |metrics| {
            metrics.sum("cuecard_index_articles", &[("profile", "insights")]) == 20.0
                && metrics.num_series("cuecard_index_age_seconds", &[]) == 1
        })
        .await;
    let build = [("version", env!("CARGO_PKG_VERSION")), ("model", "all-MiniLM-L6-v2")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_build_info", &build), 1.0);
    service.admin.until_profile("ready", |status, profile| status == 200 && profile["state"] == "ready").await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn the_metrics_are_prometheus_text_with_latencies() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    service.admin.check_account().await;
    let page = service.admin.get("/metrics").await;
    assert_eq!((page.status, page.content_type.starts_with("text/plain; version=0.0.4")), (200, true));
    for line in page.text.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("#") => assert!(matches!(words.next(), Some("HELP" | "TYPE")), "{line}"),
            Some(series) => {
                assert!(series.starts_with("cuecard_") || series.starts_with("process_"), "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
            None => {}
        }
        assert!(!line.contains("call-1"), "no ids as labels: {line}");
    }
    let metrics = service.admin.metrics().await;
    assert_eq!(metrics.sum("cuecard_card_latency_seconds_count", &[]), 1.0);
    assert_eq!(metrics.sum("cuecard_stage_seconds_count", &[("stage", "extract")]), 1.0);
    let buckets = ["0.0005", "0.001", "0.002", "0.003", "0.005", "0.008", "0.01", "0.015", "0.025", "0.05"];
    for bound in buckets.into_iter().chain(["0.1", "0.25", "0.5", "1", "2", "4", "10", "+Inf"]) {
        assert_eq!(metrics.num_series("cuecard_card_latency_seconds_bucket", &[("le", bound)]), 1, "{bound}");
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn the_actors_are_listed_in_the_order_of_the_flow() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let admin = &service.admin;
    let actors = admin.get("/actors").await.json();
    let names: Vec<_> =
        actors["actors"].as_array().unwrap().iter().map(|actor| actor["name"].as_str().unwrap()).collect();
    assert_eq!(names, ACTORS);
    for name in ACTORS {
        let page = admin.get(&format!("/actors/{name}")).await;
        let actor = page.json();
        assert_eq!((page.status, &actor["name"], &actor["state"]), (200, &name.into(), &"running".into()), "{actor}");
        assert!(
            actor["queue_depth"].is_u64() && actor["busy_seconds"].is_f64() && actor["last_error"].is_null(),
            "{actor}"
        );
        assert!(actor["busy_ratio"].is_f64() && actor["handled"].is_u64() && actor["since"].is_string(), "{actor}");
        let (has_inbox, bound) = (!name.starts_with("token_actor"), actor["queue_bound"].as_u64().unwrap());
        assert_eq!(bound > 0, has_inbox, "{actor}");
        assert!(["idle", "working", "waiting"].contains(&actor["activity"].as_str().unwrap()), "{actor}");
    }
    for path in ["/nothing", "/actors/nobody", "/metrics/more"] {
        let page = admin.get(path).await;
        assert_eq!((page.status, page.content_type.as_str()), (404, "application/json"), "{path}");
        assert!(page.json()["detail"].is_string(), "{path}: {}", page.text);
    }
    let alive = admin.get("/livez").await;
    assert_eq!((alive.status, &alive.json()["status"]), (200, &"alive".into()));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn each_actor_is_restarted_by_hand_in_the_middle_of_a_call_which_goes_on() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let admin = &service.admin;
    let slow = FaultKind::Delay { by: Duration::from_secs(1) };
    simulator.inject(Fault { route: Route::Insights, times: 1, fault: slow });
    say(&simulator, "call-1", DOG).await;
    admin.until_pushing(&simulator).await;
    for name in ACTORS {
        let page = format!("/actors/{name}");
        let asked = admin.tell(&format!("{page}/restart"), &json!({})).await;
        assert_eq!((asked.status, &asked.json()["status"]), (202, &"asked".into()), "{name}: {}", asked.text);
        let restarted = admin.until_page(&page, "the restart", |page| page.json()["restarts"] == 1).await.json();
        assert_eq!((&restarted["state"], &restarted["panics"]), (&"running".into(), &0.into()), "{restarted}");
    }
    until_shown(&simulator, 1).await;
    say(&simulator, "call-2", DOG).await;
    until_shown(&simulator, 2).await;
    assert_eq!(simulator.num_streams(), 1, "the stream stands");
    admin
        .until("two delivered", |metrics| metrics.sum("cuecard_cards_total", &[("outcome", "delivered")]) == 2.0)
        .await;
    assert_eq!(admin.metrics().await.sum("cuecard_actor_restarts_total", &[]), ACTORS.len() as f64);
    let unknown = admin.tell("/actors/nobody/restart", &json!({})).await;
    assert_eq!(unknown.status, 404);
    for part in [&["nobody"], &ACTORS[..]].concat() {
        assert!(unknown.json()["detail"].as_str().unwrap().contains(part), "{part}: {}", unknown.text);
    }
    assert_eq!(admin.get("/actors/buffer/restart").await.status, 405);
    service.stop_unaccounted().await;
}

#[actix_rt::test]
async fn without_cxone_the_service_waits_and_becomes_ready_when_it_comes() {
    let address = TcpListener::bind(OWN_LOOPBACK).unwrap().local_addr().unwrap();
    let service = Service::launch(&format!("http://{address}"), &[]);
    let refused = |page: &Page| {
        let profile = &page.json()["profiles"][0];
        let reason = profile["reason"].as_str().unwrap_or_default();
        page.status == 503 && profile["state"] == "waiting" && reason.contains("refused")
    };
    let page = service.admin.until_page("/readyz", "the reason", refused).await.json();
    let profile = &page["profiles"][0];
    assert_eq!(profile["profile"], "insights");
    let reason = format!("insights: {}", profile["reason"].as_str().unwrap());
    assert_eq!((&page["status"], &page["reasons"]), (&"waiting".into(), &json!([reason])), "{page}");
    assert_eq!(service.admin.get("/livez").await.status, 200, "a peer that is away is no reason to start over");
    let simulator = Simulator::start(SimulatorSettings { address, ..SimulatorSettings::default() }).unwrap();
    service.admin.until_profile("ready", |status, profile| status == 200 && profile["state"] == "ready").await;
    let page = service.admin.get("/readyz").await.json();
    assert_eq!((&page["status"], page.get("reasons")), (&"ready".into(), None), "{page}");
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn refused_credentials_are_named_without_their_secret() {
    let clients = vec![Client::with_all_scopes("somebody", "else")];
    let simulator = Simulator::start(SimulatorSettings { clients, ..SimulatorSettings::default() }).unwrap();
    let service = Service::launch(&simulator.base_url(), &[("CXONE_CLIENT_SECRET", "opensesame")]);
    let profile = service
        .admin
        .until_profile("the reason", |status, profile| {
            status == 503 && profile["reason"].as_str().is_some_and(|reason| reason.contains("client credentials"))
        })
        .await;
    assert_eq!((&profile["profile"], &profile["state"]), (&"insights".into(), &"waiting".into()));
    for path in ["/readyz", "/metrics", "/actors"] {
        assert!(!service.admin.get(path).await.text.contains("opensesame"), "{path}");
    }
    service.stop().await;
}

#[actix_rt::test]
async fn a_container_engine_asks_by_command_whether_it_can_work() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let ask = |addr: SocketAddr| run(&["health", "--admin", &addr.to_string()], &[]);
    let addr = service.admin.addr();
    let place = TempDir::new().unwrap();
    let file = place.path().join("cuecard.toml");
    std::fs::write(&file, format!("[admin]\naddr = '{addr}'\n")).unwrap();
    let (file, url) = (file.to_str().unwrap(), format!("http://{addr}"));
    let ways = [
        ask(addr),
        run(&["health", "--config", file], &[]),
        run(&["health"], &[("CUECARD_CONFIG", file)]),
        run(&["health"], &[("CUECARD_ADMIN_URL", &url)]),
    ];
    for well in ways {
        assert_eq!((well.code, well.stdout.as_str()), (Some(0), "ready\n"), "{}", well.stderr);
    }
    let nobodys = "0196a3f2-7d1c-7000-8000-000000000000";
    let asked = run(&["why", nobodys], &[("CUECARD_CONFIG", file)]);
    assert!(asked.code == Some(1) && asked.stderr.contains("no decision of this id"), "{}", asked.stderr);
    service.stop().await;
    let gone = ask(addr);
    assert_eq!((gone.code, gone.stdout.as_str()), (Some(1), ""));
    assert!(gone.stderr.contains("no service answers"), "{}", gone.stderr);

    let clients = vec![Client::with_all_scopes("somebody", "else")];
    let strangers = Simulator::start(SimulatorSettings { clients, ..SimulatorSettings::default() }).unwrap();
    let service = Service::launch(&strangers.base_url(), &[]);
    let is_refused = |profile: &Value| profile["reason"].as_str().is_some_and(|why| why.contains("client credentials"));
    service.admin.until_profile("the reason", |status, profile| status == 503 && is_refused(profile)).await;
    let waits = ask(service.admin.addr());
    assert_eq!(waits.code, Some(1));
    assert!(waits.stdout.starts_with("waiting; ") && waits.stdout.contains("client credentials"), "{}", waits.stdout);
    service.stop().await;
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let data = TempDir::new().unwrap();
    let variables = environment("http://127.0.0.1:9", data.path(), &[("CUECARD_ADMIN_ADDR", addr.as_str())]);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ended = run(&["serve"], &variables);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&addr) && ended.stderr.contains("CUECARD_ADMIN_ADDR"), "{}", ended.stderr);
}

#[actix_rt::test]
async fn what_became_of_a_question_is_listed_and_explained_without_a_word_of_it() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let has_one = |page: &Page| page.json()["deliveries"].as_array().is_some_and(|listed| listed.len() == 1);
    let page = service.admin.until_page("/deliveries?outcome=delivered", "the delivery", has_one).await;
    let listed = page.json()["deliveries"][0].clone();
    assert_eq!((&listed["interaction"], &listed["profile"]), (&"call-1".into(), &"insights".into()));
    assert_eq!(listed["outcome"]["kind"], "delivered");
    let explained = service.admin.get(&format!("/explain/{}", listed["id"].as_str().unwrap())).await;
    let mut record = explained.json();
    let mut added = |name| record.as_object_mut().unwrap().remove(name).unwrap().to_string();
    let (why, left_out) = (added("why"), added("words_left_out"));
    let contributions = record.as_object_mut().unwrap().remove("contributions").unwrap();
    assert_eq!(record, listed);
    let keeps_none = "what was said is not kept: keep_words of profile `insights` was off";
    assert!(left_out.contains(keeps_none), "{left_out}");
    let features = listed["ranking"]["candidates"][0]["features"].as_array().unwrap();
    let nearest = features.iter().find(|feature| feature["name"] == "newest_cosine").unwrap();
    let (gives, value) = (&contributions["pets"]["newest_cosine"], &nearest["value"]);
    assert!((gives.as_f64().unwrap() - 17.0 * value.as_f64().unwrap()).abs() < 1e-4, "{gives} of {value}");
    assert_eq!(contributions["pets"].as_object().unwrap().len(), features.len(), "{contributions}");
    assert!(
        why.contains("Shown: CXone took the push.\",\"Chosen: ")
            && why.contains("(pets)")
            && why.contains("looks like a question"),
        "{why}"
    );
    let asked = ["why", "--interaction", "call-1", "--admin", &service.admin.addr().to_string()];
    let told = run(&asked, &[]);
    assert!(
        told.stdout.contains("interaction call-1") && told.stdout.contains("Shown: CXone took the push."),
        "{} {}",
        told.stdout,
        told.stderr
    );
    assert!(told.stdout.contains(keeps_none), "{}", told.stdout);
    let unknown = run(&["why", "--interaction", "call-9", "--admin", &service.admin.addr().to_string()], &[]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("`call-9`"), "{}", unknown.stderr);
    let ranked = explained.json()["ranking"].to_string();
    assert!(ranked.contains("pets") && ranked.contains("cosine"), "{ranked}");
    assert!(!page.text.contains("my dog on board"), "{}", page.text);
    // (path, status, what the detail says)
    for (path, status, said) in [
        ("/deliveries?outcome=pushed", 422, "there are delivered"),
        ("/deliveries?outcomes=shed", 422, "outcomes"),
        ("/explain/7", 422, "looks like"),
        ("/explain/0196a3f2-7d1c-7000-8000-000000000000", 404, "no decision of this id is kept"),
    ] {
        let page = service.admin.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.json()["detail"].as_str().unwrap().contains(said), "{path}: {}", page.text);
    }
    let none = service.admin.get("/deliveries?profile=nobody").await.json();
    assert_eq!(none["deliveries"].as_array().unwrap().len(), 0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn where_no_decisions_are_kept_the_newest_are_explained_and_of_others_it_is_said() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__DATA__KEEP_DECISIONS", "off")]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let has_one = |page: &Page| page.json()["deliveries"].as_array().is_some_and(|listed| listed.len() == 1);
    let page = service.admin.until_page("/deliveries?outcome=delivered", "the delivery", has_one).await;
    let id = page.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(service.admin.get(&format!("/explain/{id}")).await.status, 200);
    let older = service.admin.get("/explain/0196a3f2-7d1c-7000-8000-000000000000").await;
    assert_eq!(older.status, 404);
    assert!(older.text.contains("data.keep_decisions is off") && !older.text.contains("retention"), "{}", older.text);
    let unknown = run(&["why", "--interaction", "call-9", "--admin", &service.admin.addr().to_string()], &[]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("data.keep_decisions"), "{}", unknown.stderr);
    service.finish(&simulator).await;
}
