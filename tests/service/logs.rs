//! What customers say stays out of the logs, whatever fails on its way. At debug level it may stand there, masked.

use cuecard_simulator::{Fault, FaultKind, Frame, Route, RunningSimulator, UNTIL_CLEARED};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Caller, LOOK, Process, environment, say, simulator, until};

/// Said by customers here and by nobody else.
const WORD: &str = "quokkaberry";
/// Too long to stand in a time or an id by chance.
const NUMBER: &str = "907147118236";
const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");

/// An operator's level, and what he reads when he sets none.
const LEVELS: [Option<&str>; 2] = [None, Some("info")];

/// The service in a process of its own, with short patience.
fn serve(simulator: &RunningSimulator, data: &TempDir, level: Option<&str>, own: &[(&str, &str)]) -> Process {
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let mut overrides = vec![
        ("CXONE_OAUTH_URL", token_url.as_str()),
        ("CUECARD_GRAPH", GRAPH),
        ("CUECARD_API_ADDR", "127.0.0.1:0"),
        ("CUECARD__PROFILE__SYNC", "off"),
        ("CUECARD__PROFILE__DEADLINE", "2s"),
        ("CUECARD__CXONE__MAX_MESSAGE_BYTES", "4000"),
    ];
    overrides.extend(level.map(|level| ("RUST_LOG", level)));
    overrides.extend(own);
    Process::serve(&environment(&simulator.base_url(), data.path(), &overrides))
}

/// An answer that repeats what it was not even sent, as a tenant that knows the conversation might.
fn repeats(status: u16) -> FaultKind {
    let body = json!({"error": "invalid_request", "message": format!("the text '{WORD} {NUMBER}' is not allowed")});
    FaultKind::Answer { status, retry_after: None, body: Some(body.to_string()) }
}

fn refuse(simulator: &RunningSimulator, routes: &[Route], status: u16) {
    simulator.clear_faults();
    for route in routes {
        simulator.inject(Fault { route: *route, times: UNTIL_CLEARED, fault: repeats(status) });
    }
}

/// That the word is nowhere in what the process wrote, and that what was to fail did.
fn assert_discreet(output: &str, happened: &[&str]) {
    for line in output.lines() {
        assert!(!line.contains(WORD) && !line.contains(NUMBER), "{line}");
    }
    for event in happened {
        assert!(output.contains(event), "{event} did not happen: {output}");
    }
}

/// Frames that can't be used, each with the word where somebody's text may stand.
fn bad_frames() -> Vec<Frame> {
    let fragment = |id: &str, text: &str| json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": id});
    let texts = [
        format!("{WORD} is no json"),
        format!("[\"{WORD}\"]"),
        json!({"type": WORD, "text": WORD}).to_string(),
        json!({"type": "DIALOG_STATE", "state": WORD, "interactionId": "call-1"}).to_string(),
        json!({"type": "TRANSCRIPT_FRAGMENT", "text": [WORD], "interactionId": "call-1"}).to_string(),
        json!({"type": "INSIGHT_ACCEPTED", "insightId": WORD, "action": WORD}).to_string(),
        fragment(&format!("{WORD} 1"), WORD).to_string(),
        fragment(&WORD.repeat(30), WORD).to_string(),
    ];
    texts.into_iter().map(Frame::Text).collect()
}

#[actix_rt::test]
async fn what_is_said_on_a_stream_is_not_logged_when_everything_fails() {
    let question = format!("Can I take my dog {WORD} on board, and does he need a cabin?");
    for level in LEVELS {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let own = [("CUECARD__PROFILE__BACKENDS", "index,search"), ("CUECARD_SILENCE", "off")];
        let service = serve(&simulator, &data, level, &own);
        until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        for frame in bad_frames() {
            simulator.send(frame).await.unwrap();
        }
        let ended = async |number: f64| {
            let what = format!("{number} questions have ended");
            service.admin.until(&what, |metrics| metrics.sum("cuecard_cards_total", &[]) == number).await;
        };
        for (number, status) in [(1, 400), (2, 403), (3, 500), (4, 429)] {
            refuse(&simulator, &[Route::Insights, Route::Search, Route::Feedback], status);
            say(&simulator, &format!("call-{number}"), &question).await;
            ended(f64::from(number)).await;
        }
        refuse(&simulator, &[Route::Feedback], 400);
        let verdict =
            json!({"type": "INSIGHT_ACCEPTED", "interactionId": "call-1", "insightId": "pets", "action": WORD});
        simulator.send(Frame::Text(verdict.to_string())).await.unwrap();
        let set_aside = [("reason", "set_aside")];
        service.admin.until("set aside", |metrics| metrics.sum("cuecard_dropped_total", &set_aside) == 1.0).await;
        let long = json!({"type": "TRANSCRIPT_FRAGMENT", "text": WORD.repeat(500), "interactionId": "call-1"});
        simulator.send(Frame::Text(long.to_string())).await.unwrap();
        until(&simulator, "a new handshake", |simulator| simulator.received_on(Route::Stream).len() == 2).await;
        service.terminate();
        let happened = [
            "a frame was dropped",
            r#""message":"refused""#,
            "a call to cxone failed",
            "a backend did not answer",
            "invalid_request",
            "not allowed",
            "set_aside",
            "too_large",
        ];
        assert_discreet(&service.output().await, &happened);
    }
}

/// Keywords are embedded behind the start; until then a longer question than a keyword finds nothing in the graph.
async fn until_found(caller: &Caller) {
    let question = json!({"interaction_id": "c-0", "agent_id": "a", "query": format!("dog on board {WORD}")});
    for attempt in 0.. {
        assert!(attempt < 600, "the keywords are never embedded");
        if caller.post("/agent-assist/query", &question).await.json()["status"] == "success" {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Questions of the three contracts that are asked over HTTP, good ones and bad ones.
async fn ask_everything(caller: &Caller) {
    let text = format!("dog on board {WORD}");
    let snippets = json!([{"snippet_id": WORD, "relevance_score": 0.5, "metadata": {WORD: WORD}}]);
    let bodies = [
        ("/assist/push", json!({"conversation_id": "c-1", "agent_id": "a", "query_text": text})),
        ("/assist/push", json!({"conversation_id": [WORD], "agent_id": "a", "query_text": text})),
        ("/assist/push", json!({"conversation_id": WORD.repeat(30), "agent_id": "a", "query_text": text})),
        ("/agent-assist/query", json!({"interaction_id": "c-1", "agent_id": "a", "query": text})),
        ("/agent-assist/query", json!({"interaction_id": "c-1", "agent_id": "a", "query": [text]})),
        ("/sessions/s-1/snippets/ranking", json!({"snippets": snippets})),
        ("/sessions/s-1/snippets/ranking", json!({"snippets": snippets, "callback_url": format!("http://{WORD}/")})),
        ("/sessions/s-1/snippets/ranking", json!({"snippets": snippets, WORD: WORD})),
        ("/sessions/s-1/snippets/quokkaberry/click", json!({"rank_position": WORD})),
        ("/quokkaberry", json!(WORD)),
    ];
    for (path, body) in bodies {
        let answer = caller.post(path, &body).await;
        assert!(answer.status >= 400, "{path}: {} {}", answer.status, answer.text);
    }
    let broken = format!("{{\"query_text\": \"{WORD}");
    assert_eq!(caller.send("/assist/push", "application/json", broken, None).await.status, 422);
}

#[actix_rt::test]
async fn what_is_asked_over_http_is_not_logged_when_everything_fails() {
    for level in LEVELS {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let service = serve(&simulator, &data, level, &[("CXONE_CONTRACT", "rag,graph,ranking")]);
        let caller = service.caller();
        until_found(&caller).await;
        for status in [400, 404, 500, 429] {
            refuse(&simulator, &[Route::Rag, Route::Graph, Route::Ranking], status);
            ask_everything(&caller).await;
        }
        service.terminate();
        let happened = [r#""message":"refused""#, r#""message":"failed""#, "a call to cxone failed", "not allowed"];
        assert_discreet(&service.output().await, &happened);
    }
}

#[actix_rt::test]
async fn a_card_that_is_said_repeated_or_typed_is_masked_at_debug_level_in_the_ledger_and_on_its_way_to_training() {
    const CARD: &str = "4526 0181 5908 3012";
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let service = serve(&simulator, &data, Some("debug"), &[]);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    let body = json!({"message": format!("the text 'with {CARD}' is not allowed")}).to_string();
    for route in [Route::Insights, Route::Feedback] {
        let fault = FaultKind::Answer { status: 400, retry_after: None, body: Some(body.clone()) };
        simulator.inject(Fault { route, times: UNTIL_CLEARED, fault });
    }
    say(&simulator, "call-1", &format!("Can I take my dog on board? I pay with {CARD}")).await;
    service.admin.until("it has ended", |metrics| metrics.sum("cuecard_cards_total", &[]) == 1.0).await;
    let action = format!("she pays with {CARD}");
    let verdict = json!({"type": "INSIGHT_REJECTED", "interactionId": "call-1", "insightId": "pets", "action": action});
    simulator.send(Frame::Text(verdict.to_string())).await.unwrap();
    let set_aside = [("reason", "set_aside")];
    service.admin.until("set aside", |metrics| metrics.sum("cuecard_dropped_total", &set_aside) == 1.0).await;
    let sent = &simulator.received_on(Route::Feedback)[0];
    assert_eq!(sent.body.as_ref().unwrap()["action"], "she pays with [card]");
    service.terminate();
    let output = service.output().await;
    assert!(output.contains("the text 'with [card]' is not allowed"), "cxone's own words stand there: {output}");
    for line in output.lines() {
        assert!(!line.contains(CARD), "{line}");
    }
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        let kept = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        assert!(!kept.windows(CARD.len()).any(|bytes| bytes == CARD.as_bytes()), "{}", path.display());
    }
}
