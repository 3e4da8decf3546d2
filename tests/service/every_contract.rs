//! The answers table of the contracts: each row once, for all five at the same time. A row says what CXone answers, how
//! often cuecard may try, and what becomes of the question.

use std::time::{Duration, Instant, SystemTime};

use cuecard_simulator::{Contract, CutMoment, Fault, FaultKind, RetryAfter, Route, UNTIL_CLEARED, Verdict};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::Value;

use crate::support::five::End::{Card, Told};
use crate::support::five::{CONTRACTS, End, Ended, Five, SHOWN, launch};
use crate::support::{LOOK, PATIENCE, simulator};

/// Long enough that a busy machine makes nothing late.
const PATIENT: &str = "deadline = '50s'";

fn wait_told(retry_after: RetryAfter) -> FaultKind {
    FaultKind::Answer { status: 429, retry_after: Some(retry_after), body: None }
}

/// What callers are told, each in its contract's words, and the streams' cards as refused.
fn refused(rag: End, graph: End, ranking: End) -> [End; 5] {
    [rag, Card("refused"), graph, Card("refused"), ranking]
}

const RATE_LIMITED: [End; 3] = [
    Told(503, "CXone API rate limit exceeded after retries"),
    Told(429, "Persistent rate limit or authentication failure"),
    Told(429, "scripted fault"),
];

#[actix_rt::test]
async fn success() {
    let five = Five::new(PATIENT).await;
    let ended = five.ask("call-1").await;
    for ((contract, ended), expected) in CONTRACTS.iter().zip(&ended).zip(&SHOWN) {
        ended.assert(*contract, expected);
        let pushes = five.pushes(*contract);
        assert_eq!(pushes.len(), 1, "{contract:?}");
        assert_eq!(pushes[0].verdict, Verdict::Accepted, "{contract:?}");
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn success_without_an_id_or_json() {
    let five = Five::new(PATIENT).await;
    for (status, body, ranking) in [(201, "{}", "{}"), (201, "<html>fine</html>", "<html>fine</html>"), (204, "", "{}")]
    {
        let fault = FaultKind::Answer { status, retry_after: None, body: Some(body.to_owned()) };
        let mut expected = SHOWN;
        expected[0] = Told(200, "\"assist_id\":null");
        expected[4] = Told(200, ranking);
        five.row(&fault, 1, 1, &expected).await;
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_400() {
    let five = Five::new(PATIENT).await;
    let as_it_came = || Told(400, "scripted fault");
    five.row(&FaultKind::status(400), 1, 1, &refused(as_it_came(), as_it_came(), as_it_came())).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_401_once() {
    let five = Five::new(PATIENT).await;
    let tokens = || five.simulator.received_on(Route::Token).len();
    assert_eq!(tokens(), 5);
    five.row(&FaultKind::status(401), 1, 2, &SHOWN).await;
    assert_eq!(tokens(), 10, "one fresh token each");
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_401_twice() {
    let five = Five::new(PATIENT).await;
    let expected = refused(
        Told(401, "Authentication expired"),
        Told(401, "Persistent rate limit or authentication failure"),
        Told(401, "scripted fault"),
    );
    five.row(&FaultKind::status(401), 2, 2, &expected).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_403() {
    let five = Five::new(PATIENT).await;
    let expected = refused(
        Told(403, "Missing agentassists:write scope"),
        Told(403, "Missing agentassist:interactions:write scope"),
        Told(403, "scripted fault"),
    );
    five.row(&FaultKind::status(403), 1, 1, &expected).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_404() {
    let five = Five::new(PATIENT).await;
    let expected = refused(
        Told(404, "scripted fault"),
        Told(404, "CXone interaction not found or inactive"),
        Told(404, "scripted fault"),
    );
    five.row(&FaultKind::status(404), 1, 1, &expected).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_409() {
    let five = Five::new(PATIENT).await;
    let as_it_came = || Told(409, "scripted fault");
    five.simulator.open_interaction("call-0-ranking");
    five.inject(1, &FaultKind::status(409));
    // Only contract 004 has sessions that can be locked, and one that is not may have been when it refused.
    five.simulator.inject(Fault { route: Route::Ranking, times: 1, fault: FaultKind::status(409) });
    let (ended, expected) = (five.ask("call-0").await, refused(as_it_came(), as_it_came(), as_it_came()));
    for (((contract, ended), expected), attempts) in CONTRACTS.iter().zip(&ended).zip(&expected).zip([1, 1, 1, 1, 2]) {
        ended.assert(*contract, expected);
        assert_eq!(five.pushes(*contract).len(), attempts, "{contract:?}");
    }
    assert_eq!(five.simulator.received_on(Route::Session).len(), 2);
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_429_with_seconds() {
    let five = Five::new(PATIENT).await;
    five.row(&wait_told(RetryAfter::Seconds(1)), 1, 2, &SHOWN).await;
    for contract in CONTRACTS {
        let pushes = five.pushes(contract);
        let waited = pushes[1].at.duration_since(pushes[0].at);
        assert!(waited >= Duration::from_secs(1), "{contract:?}: {waited:?}");
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_429_with_a_date() {
    let five = Five::new(PATIENT).await;
    let asked = Timestamp::from_second(Timestamp::now().as_second() + 3).unwrap();
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&asked).unwrap();
    let not_before = Instant::now() + SystemTime::from(asked).duration_since(SystemTime::now()).unwrap();
    five.row(&wait_told(RetryAfter::Literal(date)), 1, 2, &SHOWN).await;
    for contract in CONTRACTS {
        assert!(five.pushes(contract)[1].at >= not_before, "{contract:?} came early");
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_429_without_a_time() {
    let five = Five::new(PATIENT).await;
    five.row(&FaultKind::status(429), 1, 2, &SHOWN).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_429_three_times() {
    let five = Five::new(PATIENT).await;
    let before = five.pushes(Contract::Rag).len();
    five.inject(3, &wait_told(RetryAfter::Seconds(1)));
    let ended = five.ask("call-1").await;
    let [rag, graph, ranking] = RATE_LIMITED;
    let expected = [rag, Card("delivered"), graph, Card("delivered"), ranking];
    // A caller is told after three attempts; a card goes on until its deadline.
    for (((contract, ended), expected), attempts) in CONTRACTS.iter().zip(&ended).zip(&expected).zip([3, 4, 3, 4, 3]) {
        ended.assert(*contract, expected);
        assert_eq!(five.pushes(*contract).len() - before, attempts, "{contract:?}");
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_429_beyond_the_deadline() {
    let five = Five::new("").await;
    let [rag, graph, ranking] = RATE_LIMITED;
    let expected = [rag, Card("expired"), graph, Card("expired"), ranking];
    let start = Instant::now();
    let ended = five.row(&wait_told(RetryAfter::Seconds(600)), 1, 1, &expected).await;
    assert!(start.elapsed() < Duration::from_secs(15), "told at once, not at the deadline");
    for place in [0, 2, 4] {
        // As long as the endpoint is held, which is no longer than cxone.longest_hold.
        assert_eq!(ended[place].retry_after.as_deref(), Some("300"), "{:?}", CONTRACTS[place]);
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_5xx_for_a_moment() {
    let five = Five::new(PATIENT).await;
    five.row(&FaultKind::status(500), 1, 2, &SHOWN).await;
    five.row(&FaultKind::status(503), 2, 3, &SHOWN).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn status_5xx_to_the_end() {
    let five = Five::new("").await;
    five.inject(UNTIL_CLEARED, &FaultKind::status(500));
    let ended = five.ask("call-1").await;
    let as_it_came = || Told(500, "scripted fault");
    let expected = [as_it_came(), Card("failed"), as_it_came(), Card("failed"), Told(500, "normalise")];
    for ((contract, ended), expected) in CONTRACTS.iter().zip(&ended).zip(&expected) {
        ended.assert(*contract, expected);
    }
    five.service.stop().await;
}

#[actix_rt::test]
async fn connection_cut_once() {
    for moment in [CutMoment::BeforeHandling, CutMoment::AfterHandling, CutMoment::InBody] {
        let five = Five::new(PATIENT).await;
        five.row(&FaultKind::Cut { moment }, 1, 2, &SHOWN).await;
        for contract in CONTRACTS {
            let shown = five.pushes(contract).iter().filter(|push| push.verdict == Verdict::Accepted).count();
            assert_eq!(shown, 1, "{contract:?} {moment:?}: on the screen once");
        }
        five.service.finish(&five.simulator).await;
    }
}

#[actix_rt::test]
async fn connection_cut_to_the_end() {
    let five = Five::new("").await;
    five.inject(UNTIL_CLEARED, &FaultKind::Cut { moment: CutMoment::BeforeHandling });
    let ended = five.ask("call-1").await;
    for place in [0, 2, 4] {
        assert_eq!(ended[place].status, Some(503), "{:?}: {}", CONTRACTS[place], ended[place].words);
        assert!(ended[place].retry_after.is_some(), "{:?}", CONTRACTS[place]);
    }
    for place in [1, 3] {
        ended[place].assert(CONTRACTS[place], &Card("failed"));
    }
    five.service.stop().await;
}

/// What proxies send before an answer, or make of it, on the way to a token and a stream as well as on a push.
#[actix_rt::test]
async fn interim_and_compressed_answers() {
    for fault in [FaultKind::Interim { status: 100 }, FaultKind::Interim { status: 103 }, FaultKind::Gzip] {
        let simulator = simulator();
        for route in [Route::Token, Route::Stream, Route::Events] {
            simulator.inject(Fault { route, times: 5, fault: fault.clone() });
        }
        let five = Five::of(simulator, PATIENT).await;
        assert_eq!((five.simulator.received_on(Route::Token).len(), five.simulator.num_streams()), (5, 2), "{fault:?}");
        five.row(&fault, 1, 1, &SHOWN).await;
        five.service.finish(&five.simulator).await;
    }
}

#[actix_rt::test]
async fn login_page() {
    let five = Five::new(PATIENT).await;
    let page = || Told(502, "web page");
    let expected = [page(), Card("failed"), page(), Card("failed"), page()];
    five.row(&FaultKind::LoginPage { status: 200 }, 1, 1, &expected).await;
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn attempt_timed_out() {
    let five = Five::new(PATIENT).await;
    five.row(&FaultKind::Delay { by: Duration::from_secs(2) }, 1, 2, &SHOWN).await;
    for contract in CONTRACTS {
        let shown = five.pushes(contract).iter().filter(|push| push.verdict == Verdict::Accepted).count();
        assert_eq!(shown, 1, "{contract:?}: on the screen once");
    }
    five.service.finish(&five.simulator).await;
}

#[actix_rt::test]
async fn no_answer_before_the_deadline() {
    let five = Five::new("deadline = '1500ms'").await;
    five.inject(UNTIL_CLEARED, &FaultKind::NoAnswer);
    let ended = five.ask("call-1").await;
    let late = || Told(504, "detail");
    let expected = [late(), Card("failed"), late(), Card("failed"), late()];
    for ((contract, ended), expected) in CONTRACTS.iter().zip(&ended).zip(&expected) {
        ended.assert(*contract, expected);
    }
    five.service.stop().await;
}

#[actix_rt::test]
async fn circuit_open() {
    // Shorter than an open circuit's later pauses: a question does not wait until the circuit lets a call through.
    let five = Five::new("deadline = '2s'").await;
    // A status of its own: an open circuit is told from a CXone that answers.
    five.inject(UNTIL_CLEARED, &FaultKind::status(500));
    let are_open = async || {
        let page = five.service.admin.get("/readyz").await.json();
        page["profiles"].as_array().unwrap().iter().all(|profile| profile["state"] == "degraded")
    };
    let (start, mut held_back) = (Instant::now(), [false; 5]);
    for round in 0.. {
        let before = CONTRACTS.map(|contract| five.pushes(contract).len());
        let ended = five.ask(&format!("call-{round}")).await;
        for (place, contract) in CONTRACTS.into_iter().enumerate() {
            let Ended { status, words, retry_after } = &ended[place];
            let is_told = *status == Some(503) && words.contains("CXone can't be reached") && retry_after.is_some();
            let is_sent = five.pushes(contract).len() > before[place];
            held_back[place] |= !is_sent && (is_told || words == "failed");
        }
        if held_back == [true; 5] && are_open().await {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "held back by an open circuit: {held_back:?}; {ended:?}");
    }
    five.simulator.clear_faults();
    let start = Instant::now();
    loop {
        let ended = five.ask(&format!("call-back-{}", start.elapsed().as_millis())).await;
        let is_back = |place: usize| ended[place].status == Some(200) || ended[place].words == "delivered";
        if (0..CONTRACTS.len()).all(is_back) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{ended:?}");
    }
    five.service.stop().await;
}

#[actix_rt::test]
async fn credentials_refused() {
    for status in [400, 401, 403] {
        let simulator = simulator();
        simulator.inject(Fault { route: Route::Token, times: UNTIL_CLEARED, fault: FaultKind::status(status) });
        let service = launch(&simulator, "");
        let caller = service.caller();
        let five = Five { simulator, service, caller };
        for contract in [Contract::Rag, Contract::Graph, Contract::Ranking] {
            let ended = five.ask_by(contract, "call-1").await;
            ended.assert(contract, &Told(502, "CXone refused the client credentials"));
        }
        // The streams can't be opened; the page says whose credentials they are.
        let start = Instant::now();
        loop {
            let page = five.service.admin.get("/readyz").await;
            let profiles = page.json()["profiles"].as_array().cloned().unwrap_or_default();
            let is_named =
                |profile: &Value| profile["reason"].as_str().is_some_and(|reason| reason.contains("credentials"));
            if page.status == 503 && profiles.len() == CONTRACTS.len() && profiles.iter().all(is_named) {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "{}", page.text);
            tokio::time::sleep(LOOK).await;
        }
        assert!(CONTRACTS.iter().all(|contract| five.pushes(*contract).is_empty()));
        five.service.stop().await;
    }
}
