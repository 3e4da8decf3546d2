//! What a stop waits for, and for how long; and being told twice, by whoever does not want to wait.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use cuecard_simulator::{Article, Fault, FaultKind, Route, RunningSimulator, Simulator, SimulatorSettings};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{
    ARTICLES, Answered, Caller, LOOK, PATIENCE, Process, cpu_ticks, cuecard, environment, is_encoding, say, send,
    send_signal, simulator, until,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

#[actix_rt::test]
async fn a_second_signal_in_the_drain_ends_the_process_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let simulator = simulator();
        let data = TempDir::new().unwrap();
        // Whatever ends this process within the test's patience, it is not the drain.
        let overrides = [
            ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1h"),
            ("CUECARD__PROFILE__DEADLINE", "1h"),
            ("CUECARD__SHUTDOWN__GRACE", "1h"),
        ];
        let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
        until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        let slow = FaultKind::Delay { by: Duration::from_hours(1) };
        simulator.inject(Fault { route: Route::Insights, times: 1, fault: slow });
        say(&simulator, "call-1", DOG).await;
        service.admin.until_pushing(&simulator).await;
        service.signal(first);
        until(&simulator, "the drain has begun", |simulator| simulator.num_streams() == 0).await;
        service.admin.until_profile("readiness is gone", |status, _| status == 503).await;
        service.signal(second);
        assert_eq!(service.ended().await.code(), Some(130), "{first} {second}");
    }
}

/// Before its libraries have started, which takes most of a second, a process can only hold a signal back.
#[actix_rt::test]
async fn a_signal_is_heard_from_the_first_instant_on() {
    for name in ["TERM", "INT"] {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let variables = environment(&simulator.base_url(), data.path(), &[]);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let service = tokio::process::Command::from(cuecard(&["serve"], &variables)).kill_on_drop(true).spawn();
        let mut service = service.unwrap();
        let process = service.id().unwrap();
        until_process(process, |process| blocked_signals(process) & TERMINATE != 0).await;
        send_signal(process, name);
        let ended = timeout(PATIENCE, service.wait()).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(0), "{name}");
        assert_eq!(simulator.num_streams(), 0, "it never came so far as to listen");
    }
}

/// SIGTERM, the 15th, in a set of signals.
const TERMINATE: u64 = 1 << 14;

fn blocked_signals(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    blocked.map_or(0, |set| u64::from_str_radix(set.trim(), 16).unwrap())
}

/// Carries connections to CXone; once there is a number in `swallowed`, nothing that the service says arrives there, and its
/// bytes are counted.
async fn proxy(base_url: &str, swallowed: Rc<Cell<Option<usize>>>) -> String {
    let target: SocketAddr = base_url.strip_prefix("http://").unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((service, _)) = listener.accept().await {
            let (mut from_service, mut to_service) = service.into_split();
            let (mut from_cxone, mut to_cxone) = TcpStream::connect(target).await.unwrap().into_split();
            let swallowed = Rc::clone(&swallowed);
            actix_rt::spawn(async move { tokio::io::copy(&mut from_cxone, &mut to_service).await });
            actix_rt::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = from_service.read(&mut buffer).await {
                    match swallowed.get() {
                        Some(before) => swallowed.set(Some(before + bytes)),
                        None => to_cxone.write_all(&buffer[..bytes]).await.unwrap(),
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

/// Whatever ends this process within the test's patience, it is neither the grace nor a pong that does not come.
#[actix_rt::test]
async fn a_hub_that_answers_no_goodbye_holds_no_stop() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let swallowed = Rc::new(Cell::new(None));
    let base_url = proxy(&simulator.base_url(), Rc::clone(&swallowed)).await;
    let overrides = [
        ("CUECARD__SHUTDOWN__GRACE", "1h"),
        ("CUECARD__CXONE__PING_INTERVAL", "1h"),
        ("CUECARD__CXONE__PONG_TIMEOUT", "1h"),
    ];
    let mut service = Process::serve(&environment(&base_url, data.path(), &overrides));
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
    swallowed.set(Some(0));
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    assert!(swallowed.get() > Some(0), "the goodbye was said");
}

#[actix_rt::test]
async fn words_that_wait_for_a_pause_at_an_ordered_stop_are_information() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), &[]));
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let fragment = json!({
        "type": "TRANSCRIPT_FRAGMENT", "text": DOG, "interactionId": "call-1", "participant": "CUSTOMER",
    });
    send(&simulator, fragment).await;
    let used = [("fate", "used")];
    service.admin.until("it is heard", |metrics| metrics.sum("cuecard_stream_frames_total", &used) == 1.0).await;
    service.terminate();
    let log = service.output().await;
    let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let dropped: Vec<_> = entries.filter(|entry| entry["reason"] == "unfinished").collect();
    assert_eq!(dropped.len(), 1, "{log}");
    assert_eq!(dropped[0]["level"], "INFO", "{log}");
}

/// A service that orders snippets, with a data directory that outlives it.
fn ranking(simulator: &RunningSimulator, data: &Path, overrides: &[(&str, &str)]) -> Process {
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let own = [
        ("CXONE_CONTRACT", "ranking"),
        ("CXONE_OAUTH_URL", token_url.as_str()),
        ("CUECARD_API_ADDR", "127.0.0.1:0"),
        ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "30s"),
    ];
    Process::serve(&environment(&simulator.base_url(), data, &[&own, overrides].concat()))
}

async fn order(caller: &Caller, session: usize) -> Answered {
    let body = json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.5}]});
    caller.post(&format!("/sessions/s-{session}/snippets/ranking"), &body).await
}

/// The figures of the contract as the next start reads them.
async fn figures_afterwards(simulator: &RunningSimulator, data: &Path) -> Value {
    let mut service = ranking(simulator, data, &[]);
    let figures = service.caller().get("/ranking/metrics").await.json();
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    figures
}

async fn until_pushed(simulator: &RunningSimulator, service: &Process, number: usize) {
    let pushing = format!(r#""in_flight":{number}"#);
    loop {
        let is_received = !simulator.received_on(Route::Ranking).is_empty();
        if service.admin.get("/actors/injector").await.text.contains(&pushing) {
            return;
        }
        assert!(!is_received, "they are answered already");
        tokio::time::sleep(LOOK).await;
    }
}

#[actix_rt::test]
async fn a_stop_waits_for_the_audit_and_the_callback_of_every_ranking() {
    const RANKINGS: usize = 16;
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let hooks = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/done", hooks.local_addr().unwrap());
    // Takes every callback, and answers once all have come and the service was told to stop.
    let (stopped, told) = tokio::sync::oneshot::channel();
    let taking = actix_rt::spawn(async move {
        let mut taken = Vec::new();
        while taken.len() < RANKINGS {
            let mut socket = hooks.accept().await.unwrap().0;
            assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
            taken.push(socket);
        }
        told.await.unwrap();
        for socket in &mut taken {
            socket.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let overrides = [
        ("FEEDBACK_CALLBACK_URL", url.as_str()),
        ("CUECARD__PROFILE__CALLBACK_PRIVATE", "on"),
        ("CUECARD__SHUTDOWN__GRACE", "30s"),
    ];
    let mut service = ranking(&simulator, data.path(), &overrides);
    let caller = service.caller();
    let slow = FaultKind::Delay { by: Duration::from_secs(1) };
    simulator.inject(Fault { route: Route::Ranking, times: u32::MAX, fault: slow });
    let asking = join_all((0..RANKINGS).map(|session| order(&caller, session)));
    let stopping = async {
        until_pushed(&simulator, &service, RANKINGS).await;
        service.terminate();
    };
    let (answers, ()) = tokio::join!(asking, stopping);
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    // With the last connection closed only the callbacks hold the process; without them it ends within two seconds.
    drop(caller);
    assert!(timeout(Duration::from_secs(4), service.ended()).await.is_err(), "the callbacks were not waited for");
    stopped.send(()).unwrap();
    taking.await.unwrap();
    let log = service.output().await;
    assert!(!log.contains("a callback failed"), "{log}");
    let figures = figures_afterwards(&simulator, data.path()).await;
    assert_eq!((&figures["audit_entries_count"], &figures["click_through_rate"]), (&RANKINGS.into(), &0.0.into()));
    assert!(figures["average_latency_ms"].as_f64() >= Some(1000.0), "each a success: {figures}");
}

#[actix_rt::test]
async fn a_ranking_that_outlasts_the_grace_is_audited_and_holds_the_process_no_longer() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let overrides = [
        ("CUECARD__PROFILE__DEADLINE", "1h"),
        ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1h"),
        ("CUECARD__SHUTDOWN__GRACE", "200ms"),
    ];
    let mut service = ranking(&simulator, data.path(), &overrides);
    let caller = service.caller();
    simulator.inject(Fault { route: Route::Ranking, times: 1, fault: FaultKind::NoAnswer });
    // Whether the process still tells its caller is open.
    let asking = actix_rt::spawn(async move { order(&caller, 1).await });
    until_pushed(&simulator, &service, 1).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    asking.abort();
    let figures = figures_afterwards(&simulator, data.path()).await;
    assert_eq!((&figures["audit_entries_count"], &figures["average_latency_ms"]), (&1.into(), &0.0.into()));
}

#[actix_rt::test]
async fn what_a_stop_leaves_unfinished_is_said_at_the_end_of_the_log() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let overrides = [
        ("CUECARD__PROFILE__DEADLINE", "1h"),
        ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1h"),
        ("CUECARD__SHUTDOWN__GRACE", "200ms"),
    ];
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    simulator.inject(Fault { route: Route::Insights, times: 1, fault: FaultKind::NoAnswer });
    say(&simulator, "call-1", DOG).await;
    service.admin.until_pushing(&simulator).await;
    service.terminate();
    let log = service.output().await;
    let entries: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [.., left, last] = entries.as_slice() else { panic!("{log}") };
    assert_eq!((&left["level"], &left["actor"]), (&"WARN".into(), &"injector".into()), "{log}");
    assert_eq!((&left["waiting"], &left["in_flight"]), (&0.into(), &1.into()), "{log}");
    assert_eq!((&last["message"], &last["unfinished"]), (&"the service has stopped".into(), &1.into()), "{log}");
}

#[actix_rt::test]
async fn a_poll_of_articles_holds_no_stop() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let index = data.path().join("index");
    simulator.inject(Fault { route: Route::Articles, times: u32::MAX, fault: FaultKind::NoAnswer });
    let overrides = [
        ("CXONE_CONTRACT", "snippets"),
        ("CUECARD_INDEX", index.to_str().unwrap()),
        ("CUECARD__SHUTDOWN__GRACE", "1h"),
    ];
    let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
    let page = "/actors/knowledge_sync:snippets";
    while service.admin.get(page).await.json()["in_flight"] != 1 {
        tokio::time::sleep(LOOK).await;
    }
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

/// So many long articles that embedding them takes seconds.
fn many_articles() -> Vec<Article> {
    let article = Article::load(ARTICLES.as_ref()).unwrap().remove(0);
    let long = |number: usize| Article {
        id: format!("long-{number}"),
        body: format!("Rule {number} of the harbour says when a dog may come on board. ").repeat(20),
        ..article.clone()
    };
    (0..1000).map(long).collect()
}

async fn until_process(process: u32, reached: impl Fn(u32) -> bool) {
    let waiting = async {
        while !reached(process) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

/// What libtorch takes down at an ordinary exit, a thread of the encoder may be using.
#[actix_rt::test]
async fn a_stop_while_the_encoder_works_is_in_order() {
    let settings = || SimulatorSettings { articles: many_articles(), ..SimulatorSettings::default() };
    let serve = |simulator: &RunningSimulator, data: &TempDir| {
        let index = data.path().join("index");
        let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD_INDEX", index.to_str().unwrap())];
        Process::serve(&environment(&simulator.base_url(), data.path(), &overrides))
    };
    // The model is loaded from the moment on when the admin port is open; each time it has come further.
    let simulator = Simulator::start(settings()).unwrap();
    for ticks in [0, 8, 14, 20, 26, 32] {
        let data = TempDir::new().unwrap();
        let mut service = serve(&simulator, &data);
        until_process(service.id(), |process| cpu_ticks(process) >= ticks).await;
        service.terminate();
        assert_eq!(service.ended().await.code(), Some(0), "while loading, after {ticks} ticks");
    }
    for time in 1..=3 {
        let (simulator, data) = (Simulator::start(settings()).unwrap(), TempDir::new().unwrap());
        let mut service = serve(&simulator, &data);
        until(&simulator, "a poll", |simulator| !simulator.received_on(Route::Articles).is_empty()).await;
        until_process(service.id(), is_encoding).await;
        service.terminate();
        assert_eq!(service.ended().await.code(), Some(0), "while embedding, for time {time}");
    }
}

#[actix_rt::test]
async fn an_index_that_is_built_ends_by_its_signal() {
    let data = TempDir::new().unwrap();
    let (articles, index) = (data.path().join("articles.jsonl"), data.path().join("index"));
    let row = |article: Article| json!({"id": article.id, "title": article.title, "body": article.body}).to_string();
    let rows: Vec<_> = many_articles().into_iter().map(row).collect();
    std::fs::write(&articles, rows.join("\n")).unwrap();
    let arguments = ["index", "--articles", articles.to_str().unwrap(), "--index", index.to_str().unwrap()];
    let mut building = cuecard(&arguments, &[]).spawn().unwrap();
    until_process(building.id(), is_encoding).await;
    send_signal(building.id(), "TERM");
    assert_eq!(building.wait().unwrap().signal(), Some(15));
}
