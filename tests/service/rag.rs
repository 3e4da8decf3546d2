//! Contract 000 over real sockets: an agent asks, the passages go to CXone, and each answer of CXone becomes the one
//! that the contract has for it.

use cuecard_simulator::{Route, RunningSimulator};
use serde_json::{Value, json};

use crate::support::{Caller, Service, body_of, simulator};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const PATH: &str = "/assist/push";

fn question(conversation: &str) -> Value {
    json!({"conversation_id": conversation, "agent_id": "agent-7", "query_text": DOG})
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
