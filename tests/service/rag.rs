//! Contract 000 over real sockets: an agent asks, the passages go to CXone, and each answer of CXone becomes the one
//! that the contract has for it.

use std::time::Duration;

use cuecard_simulator::{CutMoment, Fault, FaultKind, RetryAfter, Route, RunningSimulator};
use serde_json::{Value, json};

use crate::support::{Answered, Caller, Service, body_of, simulator};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const PATH: &str = "/assist/push";

fn question(conversation: &str) -> Value {
    json!({"conversation_id": conversation, "agent_id": "agent-7", "query_text": DOG})
}

fn inject(simulator: &RunningSimulator, times: u32, fault: FaultKind) {
    simulator.inject(Fault { route: Route::Rag, times, fault });
}

async fn service(simulator: &RunningSimulator) -> (Service, Caller) {
    Service::asked("rag", simulator, &[]).await
}

#[actix_rt::test]
async fn a_question_brings_three_passages_to_the_agents_desktop() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    let answer = caller.post(PATH, &question("conv-1")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let said = answer.json();
    assert_eq!((&said["status"], &said["chunks_returned"]), (&"injected".into(), &3.into()));
    let push = &simulator.received_on(Route::Rag)[0];
    let body = push.body.as_ref().unwrap();
    assert_eq!((&body["conversationId"], &body["agentId"]), (&"conv-1".into(), &"agent-7".into()));
    let text = body["content"][0]["data"]["text"].as_str().unwrap();
    let pets = body_of("pets");
    let expected =
        format!("Reference Context:\n[{}] {}", pets["url"].as_str().unwrap(), pets["body"].as_str().unwrap());
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(text.matches("\n\n[").count(), 2, "{text}");
    assert!(said["assist_id"].is_string(), "{said}");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn what_cxone_refuses_is_told_in_the_contracts_words() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    // (fault, times, status, detail, pushes)
    let twice = "Authentication expired";
    let table = [
        (FaultKind::status(401), 2, 401, twice, 2),
        (FaultKind::status(403), 1, 403, "Missing agentassists:write scope", 1),
        (FaultKind::status(400), 1, 400, "scripted fault", 1),
        (FaultKind::status(404), 1, 404, "scripted fault", 1),
        (FaultKind::status(409), 1, 409, "scripted fault", 1),
        (wait_told(RetryAfter::Seconds(1)), 3, 503, "CXone API rate limit exceeded after retries", 3),
        (wait_told(RetryAfter::Seconds(600)), 1, 503, "CXone API rate limit exceeded after retries", 1),
    ];
    for (fault, times, status, detail, pushes) in table {
        let before = simulator.received_on(Route::Rag).len();
        inject(&simulator, times, fault);
        let answer = caller.post(PATH, &question("conv-1")).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.detail().contains(detail), "{}", answer.text);
        assert_eq!(simulator.received_on(Route::Rag).len() - before, pushes, "{status}");
    }
    service.stop().await;
}

fn wait_told(retry_after: RetryAfter) -> FaultKind {
    FaultKind::Answer { status: 429, retry_after: Some(retry_after), body: None }
}

#[actix_rt::test]
async fn a_wait_beyond_the_deadline_is_told_at_once_with_its_length() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    inject(&simulator, 1, wait_told(RetryAfter::Seconds(600)));
    let answer = caller.post(PATH, &question("conv-1")).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("600")));
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
    service.stop().await;
}

#[actix_rt::test]
async fn what_passes_is_waited_out_and_the_caller_sees_success() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    let cut = |moment| FaultKind::Cut { moment };
    let table = [
        (FaultKind::status(401), 1),
        (FaultKind::status(500), 1),
        (FaultKind::status(503), 2),
        (wait_told(RetryAfter::Seconds(1)), 2),
        (cut(CutMoment::BeforeHandling), 1),
        (cut(CutMoment::AfterHandling), 1),
    ];
    for (number, (fault, times)) in table.into_iter().enumerate() {
        inject(&simulator, times, fault.clone());
        let answer = caller.post(PATH, &question(&format!("conv-{number}"))).await;
        assert_eq!(answer.json()["status"], "injected", "{fault:?}: {}", answer.text);
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_cxone_that_fails_to_the_end_is_told_with_its_own_words() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    inject(&simulator, 3, FaultKind::status(502));
    let answer = caller.post(PATH, &question("conv-1")).await;
    assert_eq!(answer.status, 502);
    assert!(answer.detail().contains("scripted fault"), "{}", answer.text);
    service.stop().await;
}

#[actix_rt::test]
async fn no_answer_in_time_is_a_504_and_an_open_circuit_a_503() {
    let simulator = simulator();
    let overrides = [("CUECARD__PROFILE__DEADLINE", "1500ms"), ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "500ms")];
    let (service, caller) = Service::asked("rag", &simulator, &overrides).await;
    inject(&simulator, u32::MAX, FaultKind::Delay { by: Duration::from_secs(20) });
    let answer = caller.post(PATH, &question("conv-1")).await;
    assert_eq!(answer.status, 504, "{}", answer.text);
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
    let opened = async |answer: &Answered| {
        let profile = service.admin.get("/readyz").await.json()["profiles"][0].clone();
        answer.status == 503
            && profile["state"] == "degraded"
            && profile["reason"].as_str().unwrap().contains("circuit")
    };
    for attempt in 0.. {
        assert!(attempt < 20, "the circuit does not open");
        let answer = caller.post(PATH, &question("conv-1")).await;
        if opened(&answer).await {
            assert!(answer.retry_after.is_some());
            break;
        }
    }
    service.stop().await;
}

#[actix_rt::test]
async fn refused_credentials_are_told_as_a_502() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    simulator.expire_tokens();
    simulator.inject(Fault { route: Route::Token, times: u32::MAX, fault: FaultKind::status(401) });
    let answer = caller.post(PATH, &question("conv-1")).await;
    assert_eq!((answer.status, answer.detail().as_str()), (502, "CXone refused the client credentials"));
    simulator.clear_faults();
    service.admin.until_profile("ready again", |_, profile| profile["state"] == "ready").await;
    service.stop().await;
}

#[actix_rt::test]
async fn nothing_found_is_no_match() {
    let simulator = simulator();
    // By words alone, none of which is in any article.
    let (service, caller) = Service::asked("rag", &simulator, &[("CUECARD_RANKER", "bm25")]).await;
    let mut body = question("conv-1");
    body["query_text"] = "Xylophon qwertz?".into();
    let answer = caller.post(PATH, &body).await;
    let expected = json!({"status": "no_match", "message": "No relevant knowledge base chunks found"});
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert!(simulator.received_on(Route::Rag).is_empty());
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_blank_text_or_id_is_a_400() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    // (field, detail)
    let table = [
        ("query_text", "Query text cannot be empty"),
        ("conversation_id", "conversation_id cannot be empty"),
        ("agent_id", "agent_id cannot be empty"),
    ];
    for (field, detail) in table {
        let mut body = question("conv-1");
        body[field] = " \n".into();
        let answer = caller.post(PATH, &body).await;
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail));
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn fifty_callers_whose_token_ended_cost_one_token_request() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    simulator.expire_tokens();
    let asking = (0..50).map(|number| {
        let caller = caller.clone();
        async move { caller.post(PATH, &question(&format!("conv-{number}"))).await.json()["status"].clone() }
    });
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|status| status == "injected"), "{answers:?}");
    assert_eq!(simulator.received_on(Route::Token).len(), 2, "the first, and one for all fifty");
    service.finish(&simulator).await;
}
