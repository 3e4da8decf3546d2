//! Contract 001 over real sockets: finished utterances bring message cards, and the tenant's articles are polled.

use cuecard_simulator::{
    Article, ArticlesAnswer, Conversation, Fault, FaultKind, Frame, Pace, Paging, Received, Route, RunningSimulator,
    Simulator, SimulatorSettings, Verdict,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{CONVERSATIONS, Service, build_index, questions, simulator, until};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const VOUCHER: &str = "How long is my gift voucher valid?";

fn event(interaction: &str, state: &str, transcript: &str) -> Value {
    json!({"type": "interaction", "data": {"id": interaction, "state": state, "channels": [{"transcript": transcript}]}})
}

async fn send(simulator: &RunningSimulator, frame: &Value) {
    simulator.send(Frame::Text(frame.to_string())).await.unwrap();
}

fn shown(simulator: &RunningSimulator) -> Vec<Received> {
    let pushes = simulator.received_on(Route::Snippets);
    pushes.into_iter().filter(|push| push.verdict == Verdict::Accepted).collect()
}

async fn until_shown(simulator: &RunningSimulator, number: usize) -> Vec<Received> {
    until(simulator, &format!("{number} cards"), |simulator| shown(simulator).len() >= number).await;
    shown(simulator)
}

/// A service of the contract that does not poll.
async fn service(simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> Service {
    let own = [("CXONE_CONTRACT", "snippets"), ("CUECARD__PROFILE__SYNC", "off")];
    Service::start(simulator, &[&own[..], overrides].concat()).await
}

#[actix_rt::test]
async fn a_finished_utterance_brings_three_message_cards_at_once() {
    let simulator = simulator();
    let service = service(&simulator, &[]).await;
    send(&simulator, &event("call-1", "active", DOG)).await;
    let push = until_shown(&simulator, 1).await.remove(0);
    assert_eq!(push.path, "/api/v2/interactions/call-1/assist");
    let messages = push.body.as_ref().unwrap()["messages"].as_array().unwrap().clone();
    let titles: Vec<_> = messages.iter().map(|message| message["content"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["KB Result 1", "KB Result 2", "KB Result 3"]);
    let body = messages[0]["content"]["body"].as_str().unwrap();
    assert!(body.starts_with("**Taking a dog or cat on board**\nDogs and cats") && body.ends_with("..."), "{body}");
    let score = messages[0]["content"]["score"].as_f64().unwrap();
    assert_eq!((score * 1e4).round() / 1e4, score);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn only_what_is_new_in_a_transcript_asks() {
    let simulator = simulator();
    let service = service(&simulator, &[]).await;
    let whole = format!("{DOG} {VOUCHER}");
    // The conversation so far and the same again, then what came after it, twice as well.
    for (number, transcript) in [(1, DOG), (1, DOG), (2, whole.as_str()), (2, whole.as_str())] {
        send(&simulator, &event("call-1", "active", transcript)).await;
        until_shown(&simulator, number).await;
    }
    let ignored = [("fate", "ignored")];
    service.admin.until("repetitions", |metrics| metrics.sum("cuecard_stream_frames_total", &ignored) == 2.0).await;
    assert_eq!(service.admin.metrics().await.sum("cuecard_utterances_total", &[]), 2.0);
    // The end of a call, and another one of the same words.
    send(&simulator, &event("call-1", "ended", &whole)).await;
    send(&simulator, &event("call-2", "active", DOG)).await;
    until_shown(&simulator, 3).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn played_conversations_bring_the_right_card_first() {
    let simulator = simulator();
    let service = service(&simulator, &[]).await;
    let conversations = Conversation::load(CONVERSATIONS.as_ref()).unwrap();
    simulator.play(conversations.clone(), Pace::instant()).finished().await;
    let cards = until_shown(&simulator, conversations.len()).await;
    for (_, gold) in questions() {
        let title = crate::support::body_of(&gold)["title"].as_str().unwrap().to_owned();
        let is_first = |card: &Received| {
            let body = card.body.as_ref().unwrap()["messages"][0]["content"]["body"].as_str().unwrap().to_owned();
            body.starts_with(&format!("**{title}**"))
        };
        assert!(cards.iter().any(is_first), "{gold}");
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn the_token_travels_in_the_header_and_a_refused_one_is_renewed() {
    let simulator = simulator();
    simulator.inject(Fault { route: Route::Events, times: 1, fault: FaultKind::status(401) });
    let service = service(&simulator, &[]).await;
    until(&simulator, "two handshakes", |simulator| simulator.received_on(Route::Events).len() == 2).await;
    assert_eq!(simulator.received_on(Route::Token).len(), 2);
    let asked = simulator.received_on(Route::Token)[0].body.clone().unwrap();
    assert_eq!(asked["scope"], "interactions:read assist:write knowledge:read");
    service.finish(&simulator).await;
}

/// The tests' articles as the tenant would send them.
fn articles() -> Vec<Article> {
    Article::load(crate::support::ARTICLES.as_ref()).unwrap()
}

fn with_articles(paging: Paging) -> RunningSimulator {
    Simulator::start(SimulatorSettings { articles: articles(), paging, ..SimulatorSettings::default() }).unwrap()
}

/// A service that polls into an index of its own.
async fn syncing(simulator: &RunningSimulator, index: &TempDir, overrides: &[(&str, &str)]) -> Service {
    let index = index.path().join("index");
    let own = [
        ("CXONE_CONTRACT", "snippets"),
        ("CUECARD_INDEX", index.to_str().unwrap()),
        ("CUECARD__PROFILE__POLL_INTERVAL", "1s"),
    ];
    Service::start(simulator, &[&own[..], overrides].concat()).await
}

fn polls(simulator: &RunningSimulator) -> Vec<Received> {
    simulator.received_on(Route::Articles)
}

async fn until_polled(service: &Service, result: &str, number: f64) {
    let labels = [("result", result)];
    service.admin.until(result, |metrics| metrics.sum("cuecard_knowledge_polls_total", &labels) >= number).await;
}

#[actix_rt::test]
async fn the_first_poll_fills_an_empty_index_and_later_ones_ask_only_for_changes() {
    for paging in [Paging::Whole, Paging::NextLink(7), Paging::PageNumber(7)] {
        let (simulator, index) = (with_articles(paging), TempDir::new().unwrap());
        let service = syncing(&simulator, &index, &[]).await;
        service.admin.until("articles", |metrics| metrics.sum("cuecard_index_articles", &[]) == 20.0).await;
        until_polled(&service, "unchanged", 2.0).await;
        assert_eq!(polls(&simulator).last().unwrap().status, Some(304), "{paging:?}");
        send(&simulator, &event("call-1", "active", DOG)).await;
        until_shown(&simulator, 1).await;
        // One article changes while questions go on.
        let mut changed = self::articles().remove(0);
        changed.body = "Dogs travel free of charge on every deck.".into();
        simulator.put_article(changed);
        until_polled(&service, "updated", 2.0).await;
        send(&simulator, &event("call-2", "active", DOG)).await;
        let cards = until_shown(&simulator, 2).await;
        let body = &cards[1].body.as_ref().unwrap()["messages"][0]["content"]["body"];
        assert!(body.as_str().unwrap().contains("free of charge on every deck"), "{paging:?}: {body}");
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn a_partial_answer_removes_nothing_and_a_full_one_what_is_gone() {
    let (simulator, index) = (with_articles(Paging::Whole), TempDir::new().unwrap());
    let service = syncing(&simulator, &index, &[]).await;
    let held = async |number: f64| {
        service.admin.until("articles", |metrics| metrics.sum("cuecard_index_articles", &[]) == number).await;
    };
    held(20.0).await;
    simulator.answer_articles(ArticlesAnswer::Partial);
    let mut more = articles().remove(0);
    more.id = "one-more".into();
    simulator.put_article(more);
    held(21.0).await;
    simulator.answer_articles(ArticlesAnswer::Whole);
    assert!(simulator.delete_article("bicycles"));
    held(20.0).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn an_answer_that_would_wipe_the_knowledge_is_refused_and_alarmed() {
    let (simulator, index) = (with_articles(Paging::Whole), TempDir::new().unwrap());
    let service = syncing(&simulator, &index, &[]).await;
    for (number, answer) in [(1.0, ArticlesAnswer::Empty), (2.0, ArticlesAnswer::Half)] {
        simulator.answer_articles(answer);
        until_polled(&service, "refused", number).await;
        let profile = service.admin.until_profile("the alarm", |_, profile| profile["state"] == "degraded").await;
        assert!(profile["reason"].as_str().unwrap().contains("20"), "{profile}");
        assert_eq!(service.admin.metrics().await.sum("cuecard_index_articles", &[]), 20.0);
    }
    simulator.answer_articles(ArticlesAnswer::Whole);
    service.admin.until_profile("well again", |_, profile| profile["state"] == "ready").await;
    service.finish(&simulator).await;
    // Whoever really means it says so.
    simulator.answer_articles(ArticlesAnswer::Half);
    let service = syncing(&simulator, &index, &[("CUECARD__PROFILE__ALLOW_SHRINKING", "on")]).await;
    service.admin.until("half", |metrics| metrics.sum("cuecard_index_articles", &[]) == 10.0).await;
    service.stop().await;
}

#[actix_rt::test]
async fn polls_that_fail_leave_the_old_articles_in_service() {
    let (simulator, index) = (simulator(), TempDir::new().unwrap());
    build_index(crate::support::ARTICLES.as_ref(), &index.path().join("index"));
    simulator.inject(Fault { route: Route::Articles, times: u32::MAX, fault: FaultKind::status(403) });
    let path = index.path().join("index");
    let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD_INDEX", path.to_str().unwrap())];
    let service = Service::launch(&simulator.base_url(), &overrides);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    until_polled(&service, "failed", 1.0).await;
    let profile = service.admin.until_profile("the trouble", |_, profile| profile["state"] == "degraded").await;
    assert!(profile["reason"].as_str().unwrap().contains("knowledge:read"), "{profile}");
    send(&simulator, &event("call-1", "active", DOG)).await;
    until_shown(&simulator, 1).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_refresh_is_asked_for_on_the_admin_port() {
    let (simulator, index) = (with_articles(Paging::Whole), TempDir::new().unwrap());
    let service = syncing(&simulator, &index, &[("CUECARD__PROFILE__POLL_INTERVAL", "1h")]).await;
    let before = polls(&simulator).len();
    assert_eq!(service.admin.post("/profiles/snippets/refresh").await.status, 202);
    until(&simulator, "another poll", |simulator| polls(simulator).len() > before).await;
    assert_eq!(service.admin.post("/profiles/nobody/refresh").await.status, 404);
    until_polled(&service, "unchanged", 1.0).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn after_a_restart_only_changes_are_asked_for() {
    let (simulator, index) = (with_articles(Paging::Whole), TempDir::new().unwrap());
    let service = syncing(&simulator, &index, &[]).await;
    until_polled(&service, "updated", 1.0).await;
    service.finish(&simulator).await;
    let before = polls(&simulator).len();
    let service = syncing(&simulator, &index, &[("CUECARD__PROFILE__POLL_INTERVAL", "1h")]).await;
    until_polled(&service, "unchanged", 1.0).await;
    assert_eq!(polls(&simulator)[before].status, Some(304));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn an_articles_answer_of_twenty_mebibytes_is_read() {
    let long = |number: usize| {
        let mut article = articles().remove(0);
        article.id = format!("long-{number}");
        // One sentence that is embedded, and a mebibyte of space behind it.
        article.body = format!("Rule number {number} of the harbour.{}", " ".repeat(1 << 20));
        article
    };
    let settings = SimulatorSettings { articles: (0..20).map(long).collect(), ..SimulatorSettings::default() };
    let (simulator, index) = (Simulator::start(settings).unwrap(), TempDir::new().unwrap());
    let service = syncing(&simulator, &index, &[("CUECARD__PROFILE__POLL_INTERVAL", "1h")]).await;
    service.admin.until("articles", |metrics| metrics.sum("cuecard_index_articles", &[]) == 20.0).await;
    service.finish(&simulator).await;
    let (small, index) = (("CUECARD__CXONE__MAX_ARTICLES_BYTES", "1048576"), TempDir::new().unwrap());
    let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD_INDEX", index.path().to_str().unwrap()), small];
    let service = Service::launch(&simulator.base_url(), &overrides);
    until_polled(&service, "failed", 1.0).await;
    let is_told = |_: u16, profile: &Value| profile["reason"].as_str().is_some_and(|reason| reason.contains("1048576"));
    service.admin.until_profile("the limit", is_told).await;
    service.stop().await;
}

#[actix_rt::test]
async fn a_list_whose_pages_are_too_much_together_or_do_not_end_is_given_up() {
    let long = |number: usize| {
        let mut article = articles().remove(0);
        (article.id, article.body) = (format!("long-{number}"), " ".repeat(100 << 10));
        article
    };
    // Each page has 700 KiB and fits.
    let settings = SimulatorSettings {
        articles: (0..14).map(long).collect(),
        paging: Paging::NextLink(7),
        ..SimulatorSettings::default()
    };
    let endless = r#"{"items":[],"nextPage":"/api/v2/knowledge/articles?cursor=7"}"#.to_owned();
    let endless = FaultKind::Answer { status: 200, retry_after: None, body: Some(endless) };
    for (fault, said, pages) in [(None, "1048576 bytes", 2), (Some(endless), "does not end after 2 pages", 2)] {
        let (simulator, index) = (Simulator::start(settings.clone()).unwrap(), TempDir::new().unwrap());
        if let Some(fault) = fault {
            simulator.inject(Fault { route: Route::Articles, times: u32::MAX, fault });
        }
        let overrides = [
            ("CXONE_CONTRACT", "snippets"),
            ("CUECARD_INDEX", index.path().to_str().unwrap()),
            ("CUECARD__CXONE__MAX_ARTICLES_BYTES", "1048576"),
        ];
        let service = Service::launch(&simulator.base_url(), &overrides);
        let is_told = |_: u16, profile: &Value| profile["reason"].as_str().is_some_and(|reason| reason.contains(said));
        service.admin.until_profile(said, is_told).await;
        assert_eq!(polls(&simulator).len(), pages, "{said}");
        service.stop().await;
    }
}

#[actix_rt::test]
async fn a_connection_that_goes_silent_is_given_up_after_its_pong_is_missed() {
    let simulator = simulator();
    let patience = [("CUECARD__CXONE__PING_INTERVAL", "200ms"), ("CUECARD__CXONE__PONG_TIMEOUT", "300ms")];
    let service = service(&simulator, &patience).await;
    simulator.end_streams(cuecard_simulator::StreamEnd::Silence).await;
    until(&simulator, "a new handshake", |simulator| simulator.received_on(Route::Events).len() >= 2).await;
    send(&simulator, &event("call-1", "active", DOG)).await;
    until_shown(&simulator, 1).await;
    service.finish(&simulator).await;
}
