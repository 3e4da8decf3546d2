//! The ledger in service: what becomes of cards, verdicts and rankings while it can't be written, what is read back after a
//! restart, and what an operator does with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cuecard_simulator::{Route, RunningSimulator};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use way::Way;

use crate::support::{
    Admin, Caller, Page, Process, Scrape, environment, first_article, refuse_all, run, say, schema, simulator, until,
    until_shown,
};

#[path = "../../crates/ledger/tests/ledger/way.rs"]
#[allow(dead_code, reason = "the ledger's own tests use more of it")]
mod way;

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const VOUCHER: &str = "How long is my gift voucher valid?";

/// A service that hears one tenant and orders another's snippets.
fn listening_and_ranking(simulator: &RunningSimulator, data: &Path, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let overrides = [
        ("CXONE_CONTRACT", "insights,ranking"),
        ("CXONE_OAUTH_URL", token_url.as_str()),
        ("CUECARD_API_ADDR", "127.0.0.1:0"),
        ("CUECARD__PROFILE__KEEP_WORDS", "on"),
    ];
    environment(&simulator.base_url(), data, &[&overrides, own].concat())
}

async fn connected(simulator: &RunningSimulator) {
    until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
}

fn order() -> Value {
    json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.9}, {"snippet_id": "KB-2", "relevance_score": 0.5}]})
}

async fn until_ledger(admin: &Admin, state: &str) -> Value {
    let page = admin.until_page("/readyz", state, |page| page.json()["ledger"]["state"] == state).await;
    page.json()
}

/// Cards go on, verdicts wait and arrive, rankings and clicks are told to come back, and nothing of it is lost.
async fn goes_on_without_its_ledger(
    (data, own): (&Path, &[(&str, &str)]),
    suffer: impl AsyncFnOnce(),
    mend: impl AsyncFnOnce(),
) {
    let simulator = simulator();
    let service = Process::serve(&listening_and_ranking(&simulator, data, own));
    connected(&simulator).await;
    // Waits without letting anything else happen on this thread, the way to a server included.
    let caller: Caller = service.caller();
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    assert_eq!(caller.post("/sessions/s-1/snippets/ranking", &order()).await.status, 200);
    let figures = caller.get("/ranking/metrics").await.json();

    suffer().await;
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    let readiness = until_ledger(&service.admin, "degraded").await;
    assert_eq!(
        (&readiness["status"], readiness["ledger"]["reason"].is_string()),
        (&json!("degraded"), true),
        "{readiness}"
    );
    say(&simulator, "call-2", VOUCHER).await;
    until_shown(&simulator, 2).await;
    simulator.judge_card("call-2", "vouchers", false).await.unwrap();
    let pushed = simulator.received_on(Route::Ranking).len();
    for path in ["/sessions/s-2/snippets/ranking", "/sessions/s-1/snippets/KB-1/click"] {
        let body = if path.ends_with("click") { json!({"rank_position": 1}) } else { order() };
        let answer = caller.post(path, &body).await;
        assert_eq!(
            (answer.status, answer.detail().contains("can't be written")),
            (503, true),
            "{path}: {}",
            answer.text
        );
    }
    assert_eq!(simulator.received_on(Route::Ranking).len(), pushed, "nothing is pushed that could not be audited");
    let waits = |metrics: &Scrape| metrics.sum("cuecard_ledger_waiting", &[("kind", "feedback")]) == 2.0;
    service.admin.until("both verdicts wait", waits).await;
    assert_eq!(service.admin.metrics().await.sum("cuecard_ledger_up", &[]), 0.0);

    mend().await;
    until_ledger(&service.admin, "ready").await;
    let arrived =
        |metrics: &Scrape| metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]) == 2.0;
    service.admin.until("both verdicts arrived", arrived).await;
    assert_eq!(caller.get("/ranking/metrics").await.json(), figures);
    assert_eq!(caller.post("/sessions/s-1/snippets/KB-1/click", &json!({"rank_position": 1})).await.status, 204);
    assert_eq!(caller.post("/sessions/s-2/snippets/ranking", &order()).await.status, 200);
    service.terminate();
    let log = service.output().await;
    assert_eq!(log.matches("the ledger can't be written; cards go on").count(), 1, "{log}");
    assert_eq!(simulator.num_duplicates(), 0);
}

#[actix_rt::test]
async fn a_ledger_that_another_process_holds_costs_no_card_and_no_verdict() {
    let data = TempDir::new().unwrap();
    let url = format!("sqlite:{}", data.path().join("ledger.db").display());
    let held = std::cell::RefCell::new(None);
    let suffer = async || {
        let mut other = SqliteConnection::connect(&url).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        *held.borrow_mut() = Some(other);
    };
    let mend = async || drop(held.borrow_mut().take());
    goes_on_without_its_ledger((data.path(), &[]), suffer, mend).await;
}

/// A file system of one megabyte, which is gone with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may mount nothing.
    fn mount() -> Option<Self> {
        let place = TempDir::new().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(place.path()).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(place))
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    fn fill(&self) {
        // As much as goes on it.
        let _ = std::fs::write(self.filler(), vec![0; 2 * 1024 * 1024]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[actix_rt::test]
async fn a_disk_that_is_full_costs_no_card_and_no_verdict() {
    let Some(disk) = SmallDisk::mount() else {
        return println!("skipped: this user may not mount a file system");
    };
    let mend = async || std::fs::remove_file(disk.filler()).unwrap();
    goes_on_without_its_ledger((disk.0.path(), &[]), async || disk.fill(), mend).await;
}

#[actix_rt::test]
async fn a_database_server_that_is_gone_costs_no_card_and_no_verdict() {
    let Some(url) = schema().await else { return };
    let (data, way) = (TempDir::new().unwrap(), Way::to(&url).await);
    let own = [("DATABASE_URL", way.url.as_str())];
    goes_on_without_its_ledger((data.path(), &own), async || way.cut(), async || way.mend()).await;
}

#[actix_rt::test]
async fn after_a_restart_what_stands_on_the_screen_or_was_rejected_is_not_pushed_again() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let variables = environment(&simulator.base_url(), data.path(), &[]);
    let service = Process::serve(&variables);
    connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    say(&simulator, "call-3", DOG).await;
    until_shown(&simulator, 2).await;
    simulator.judge_card("call-3", "pets", false).await.unwrap();
    let forwarded = |metrics: &Scrape| metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]);
    service.admin.until("the verdict arrived", |metrics| forwarded(metrics) == 1.0).await;
    let written = |metrics: &Scrape| metrics.sum("cuecard_ledger_waiting", &[]) == 0.0;
    service.admin.until("the deliveries are written", written).await;
    // One look later than the write.
    tokio::time::sleep(Duration::from_secs(2)).await;
    service.kill();
    until(&simulator, "it is gone", |simulator| simulator.num_streams() == 0).await;
    let mut service = Process::serve(&variables);
    connected(&simulator).await;
    for call in ["call-1", "call-2", "call-3"] {
        say(&simulator, call, DOG).await;
    }
    let silent = |metrics: &Scrape| metrics.sum("cuecard_cards_total", &[("outcome", "silent")]) == 1.0;
    service.admin.until("the first call is silent", silent).await;
    let shown = until_shown(&simulator, 4).await;
    let mut again: Vec<_> = shown[2..].iter().map(first_article).collect();
    again.sort_unstable();
    assert_eq!(again, [("call-2", "pets"), ("call-3", "cabins")], "the third agent gets what comes next");
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn what_was_decided_is_explained_after_a_restart_and_erased_when_asked_to() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let variables = listening_and_ranking(&simulator, data.path(), &[]);
    let tool = |arguments: &[&str], admin: &Admin| {
        let mut variables: Vec<(String, String)> = variables.clone();
        variables.retain(|(name, _)| name != "CUECARD_ADMIN_ADDR");
        variables.push(("CUECARD_ADMIN_ADDR".to_owned(), admin.addr().to_string()));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(arguments, &variables)
    };
    let mut service = Process::serve(&variables);
    connected(&simulator).await;
    say(&simulator, "call-1", &format!("{DOG} My mail is jane.doe@example.com")).await;
    until_shown(&simulator, 1).await;
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    let mut service = Process::serve(&variables);
    connected(&simulator).await;

    let why = tool(&["why", "--interaction", "call-1"], &service.admin);
    assert!(why.stdout.contains("came to: delivered") && why.stdout.contains("does he need a cabin"), "{why:?}");
    assert!(why.stdout.contains("[email]") && !why.stdout.contains("jane"), "{why:?}");
    let stats = tool(&["ledger", "stats", "--json"], &service.admin);
    let stats: Value = serde_json::from_str(&stats.stdout).unwrap();
    let rows = |name: &str| {
        stats["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap()["rows"].clone()
    };
    assert_eq!((rows("decisions"), rows("deliveries")), (json!(1), json!(1)));
    let copy = data.path().join("copy.db");
    let backup = tool(&["ledger", "backup", copy.to_str().unwrap()], &service.admin);
    assert!(backup.code == Some(0) && copy.is_file(), "{backup:?}");
    let purged = tool(&["ledger", "purge"], &service.admin);
    assert!(purged.stdout.contains("taken away 0 of decisions"), "{purged:?}");

    let erased = tool(&["ledger", "erase", "--interaction", "call-1"], &service.admin);
    assert!(
        erased.stdout.contains("erased 1 of decisions") && erased.stdout.contains("erased 1 of deliveries"),
        "{erased:?}"
    );
    let gone = tool(&["why", "--interaction", "call-1"], &service.admin);
    assert!(gone.code != Some(0) && gone.stderr.contains("is kept"), "{gone:?}");
    service.terminate();
    assert_eq!(service.ended().await.code(), Some(0));
    // Without a service the file itself is worked on.
    let again = tool(&["ledger", "erase", "--interaction", "call-1"], &service.admin);
    assert!(again.stdout.contains("erased 0 of decisions"), "{again:?}");
    let log = service.output().await;
    let told = log.lines().find(|line| line.contains("an interaction was erased")).unwrap();
    assert!(told.contains("decisions") && !told.contains("call-1"), "{told}");
}

#[actix_rt::test]
async fn feedback_that_was_refused_for_good_is_listed_and_tried_again() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), &[]));
    connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    refuse_all(&simulator, Route::Feedback, 422);
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    let listed = |page: &Page| page.json()["dead"].as_array().is_some_and(|dead| dead.len() == 1);
    let page = service.admin.until_page("/feedback/dead", "it is set aside", listed).await;
    let dead = &page.json()["dead"][0];
    assert_eq!(
        (&dead["interaction"], &dead["insight"], &dead["accepted"]),
        (&json!("call-1"), &json!("pets"), &json!(true))
    );
    assert!(dead["reason"].as_str().unwrap().contains("422"), "{dead}");
    simulator.clear_faults();
    let path = format!("/feedback/dead/{}/retry", dead["id"]);
    assert_eq!(service.admin.post(&path).await.status, 202);
    assert_eq!(service.admin.post(&path).await.status, 404);
    let arrived =
        |metrics: &Scrape| metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]) == 1.0;
    service.admin.until("it arrived", arrived).await;
    assert_eq!(service.admin.get("/feedback/dead").await.json(), json!({"dead": []}));
    assert_eq!(service.admin.get("/callbacks/dead").await.json(), json!({"dead": []}));
    service.terminate();
    let log = service.output().await;
    assert_eq!(log.matches("an operator lets what was set aside wait again").count(), 1, "{log}");
}

#[actix_rt::test]
async fn a_database_server_that_does_not_answer_holds_up_no_stop() {
    let Some(url) = schema().await else { return };
    let (simulator, data, way) = (simulator(), TempDir::new().unwrap(), Way::to(&url).await);
    let overrides = [("DATABASE_URL", way.url.as_str()), ("CUECARD__SHUTDOWN__GRACE", "1s")];
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
    connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    way.become_black_hole();
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    let waits = |metrics: &Scrape| metrics.sum("cuecard_ledger_waiting", &[("kind", "feedback")]) == 1.0;
    service.admin.until("the verdict waits", waits).await;
    service.terminate();
    let log = service.output().await;
    assert!(log.contains("the ledger does not close in time"), "{log}");
    let told = log.lines().find(|line| line.contains("stopped before this was finished")).unwrap();
    assert!(told.contains("ledger"), "{told}");
    assert!(log.contains("the service has stopped"), "{log}");
}

#[actix_rt::test]
async fn what_a_service_of_another_host_holds_is_erased_over_its_admin_port() {
    let Some(url) = schema().await else { return };
    let (simulator, here, there) = (simulator(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let service = Process::serve(&environment(&simulator.base_url(), there.path(), &[("DATABASE_URL", &url)]));
    connected(&simulator).await;
    // Another directory is what another host has.
    let variables = environment(&simulator.base_url(), here.path(), &[("DATABASE_URL", &url)]);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let erase = ["ledger", "erase", "--interaction", "call-1"];
    let refused = run(&erase, &variables);
    assert!(refused.code != Some(0) && refused.stderr.contains("--admin"), "{refused:?}");
    let admin = service.admin.addr().to_string();
    let erased = run(&[&erase[..], &["--admin", &admin]].concat(), &variables);
    assert!(erased.stdout.contains("erased 0 of decisions"), "{erased:?}");
}
