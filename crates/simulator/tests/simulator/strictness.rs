//! Every body, header, token and route that is not exactly the contract's is refused and recorded.

use crate::client::{Client, FEEDBACK, INSIGHTS, answer, feedback_body, push_body, start, with_one_turn};
use cuecard_simulator::{DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Route, RunningSimulator, Verdict};
use serde_json::{Value, json};

/// Names and values of a form.
type Form<'a> = &'a [(&'a str, &'a str)];

/// Copies of `body`, each with one field renamed, dropped, mistyped, or added.
fn mutations(body: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect(body, "", &mut |name, change| {
        let mut copy = body.clone();
        change(&mut copy);
        found.push((name, copy));
    });
    found
}

type Change<'a> = &'a dyn Fn(&mut Value);

fn collect(part: &Value, path: &str, keep: &mut dyn FnMut(String, Change<'_>)) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = |body: &mut Value| -> Value {
                    body.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name).unwrap()
                };
                keep(format!("{path}/{name} renamed"), &|body| {
                    let value = at(body);
                    body.pointer_mut(path).unwrap()[format!("{name}X")] = value;
                });
                keep(format!("{path}/{name} dropped"), &|body| drop(at(body)));
                keep(format!("{path}/{name} mistyped"), &|body| {
                    body.pointer_mut(path).unwrap()[name.as_str()] = mistyped(value);
                });
                keep(format!("{path}/{name} null"), &|body| {
                    body.pointer_mut(path).unwrap()[name.as_str()] = Value::Null;
                });
                collect(value, &format!("{path}/{name}"), keep);
            }
            keep(format!("{path} with one more"), &|body| {
                body.pointer_mut(path).unwrap()["extra"] = json!(1);
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}/{index}"), keep);
            }
        }
        _ => {}
    }
}

fn mistyped(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(7),
        other => json!(other.to_string()),
    }
}

fn last_verdict(simulator: &RunningSimulator, route: Route) -> Verdict {
    simulator.received_on(route).pop().unwrap().verdict
}

#[actix_web::test]
async fn one_changed_field_in_a_push_is_refused() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let good = push_body("i", &["a", "b"]);
    let changed = mutations(&good);
    // 3 fields around, 7 in each of 2 insights, 4 ways each, and one more in each of 3 objects.
    assert_eq!(changed.len(), (3 + 2 * 7) * 4 + 3);
    for (name, body) in &changed {
        let (status, body) = client.push(&token, name, body).await;
        assert_eq!(status, 400, "{name}");
        assert!(body["message"].as_str().unwrap().contains("at '"), "{name}: {body}");
        assert!(matches!(last_verdict(&simulator, Route::Insights), Verdict::Violation { .. }), "{name}");
    }
    assert_eq!(simulator.num_violations(), changed.len() as u64);
    assert_eq!(simulator.num_cards(), 0);
    let (status, body) = client.push(&token, "good", &good).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("delivered")));
    assert_eq!(simulator.num_cards(), 1);
}

#[actix_web::test]
async fn one_changed_field_in_feedback_is_refused() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let good = feedback_body("i");
    for (name, body) in mutations(&good) {
        assert_eq!(client.feedback(&token, &body).await.0, 400, "{name}");
    }
    assert_eq!(simulator.num_violations(), 4 * 4 + 1);
    assert_eq!(client.feedback(&token, &good).await.0, 204);
    assert_eq!(last_verdict(&simulator, Route::Feedback), Verdict::Accepted);
    assert_eq!(simulator.received_on(Route::Feedback).pop().unwrap().body, Some(good));
}

#[actix_web::test]
async fn token_requests() {
    let simulator = start();
    let client = Client::of(&simulator);
    let grant = ("grant_type", "client_credentials");
    let (id, secret) = (("client_id", DEFAULT_CLIENT_ID), ("client_secret", DEFAULT_CLIENT_SECRET));
    let table: &[(&str, Form<'_>, u16)] = &[
        ("good", &[grant, id, secret], 200),
        ("a scope", &[grant, id, secret, ("scope", "agentassist:read")], 400),
        ("another grant", &[("grant_type", "password"), id, secret], 400),
        ("no grant", &[id, secret], 400),
        ("no secret", &[grant, id], 400),
        ("a field twice", &[grant, id, secret, secret], 400),
        ("a renamed field", &[grant, id, ("clientSecret", DEFAULT_CLIENT_SECRET)], 400),
        ("a wrong secret", &[grant, id, ("client_secret", "guess")], 401),
        ("an unknown client", &[grant, ("client_id", "nobody"), secret], 401),
    ];
    for (name, form, expected) in table {
        let (status, body) = client.ask_token(form).await;
        assert_eq!(status, *expected, "{name}: {body}");
        assert_eq!(body["error"].is_string(), status != 200, "{name}: {body}");
    }
    assert_eq!(simulator.num_violations(), 8);
    let json = client.http.post(format!("{}/oauth/token", client.base)).send_json(&json!({})).await.unwrap();
    assert_eq!(json.status().as_u16(), 415);
    let kept = simulator.received_on(Route::Token)[0].body.clone().unwrap();
    assert_eq!(
        kept,
        json!({"grant_type": "client_credentials", "client_id": DEFAULT_CLIENT_ID, "client_secret": "***"})
    );
}

#[actix_web::test]
async fn a_token_answer_has_the_document_s_fields() {
    let simulator = start();
    let client = Client::of(&simulator);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_secret", DEFAULT_CLIENT_SECRET),
    ];
    let (_, body) = client.ask_token(&form).await;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "agentassist:read knowledge:read agentassist:write ai:training:write");
}

#[actix_web::test]
async fn headers_of_a_push() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let bearer = format!("Bearer {token}");
    let good = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("idempotency-key", "k"),
    ];
    let table: &[(&str, &str, u16)] = &[
        ("authorization", "Basic abc", 401),
        ("authorization", "Bearer forged", 401),
        ("authorization", "", 401),
        ("content-type", "text/plain", 415),
        ("accept", "*/*", 406),
        ("idempotency-key", "", 400),
        ("content-type", "application/json; charset=utf-8", 200),
    ];
    let body = push_body("i", &["a"]).to_string();
    for (changed, value, expected) in table {
        let mut request = client.http.post(format!("{}{INSIGHTS}", client.base));
        for (name, usual) in good {
            let value = if name == *changed { value } else { usual };
            request = request.insert_header((name, value));
        }
        let (status, answered) = answer(request.send_body(body.clone()).await.unwrap()).await;
        assert_eq!(status, *expected, "{changed}: '{value}': {answered}");
    }
    assert_eq!(simulator.num_violations(), 6);
}

#[actix_web::test]
async fn bodies_that_are_no_json_or_too_long() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    for (body, expected) in [("{".to_owned(), 400), (String::new(), 400), (" ".repeat(1024 * 1024 + 1), 413)] {
        let request = client
            .http
            .post(format!("{}{FEEDBACK}", client.base))
            .bearer_auth(&token)
            .insert_header(("content-type", "application/json"));
        let response = request.send_body(body).await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
    }
    assert_eq!(simulator.num_violations(), 3);
}

#[actix_web::test]
async fn other_routes_and_methods_are_violations() {
    let simulator = start();
    let client = Client::of(&simulator);
    let url = |path: &str| format!("{}{path}", client.base);
    let requests = [
        (client.http.get(url("/api/v2/agentassist/insight")), 404, Route::Unknown),
        (client.http.post(url("/oauth2/token")), 404, Route::Unknown),
        (client.http.get(url(INSIGHTS)), 405, Route::Insights),
        (client.http.put(url(FEEDBACK)), 405, Route::Feedback),
        (client.http.get(url("/oauth/token")), 405, Route::Token),
    ];
    let mut seen = 0;
    for (request, expected, route) in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{route:?}");
        seen += 1;
        assert_eq!(simulator.num_violations(), seen, "{route:?}");
        assert!(matches!(last_verdict(&simulator, route), Verdict::Violation { .. }));
    }
}

#[actix_web::test]
async fn interactions_must_be_known_and_live() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    assert_eq!(client.push(&token, "1", &push_body("nobody", &["a"])).await.0, 404);
    assert_eq!(client.feedback(&token, &feedback_body("nobody")).await.0, 404);
    assert_eq!(simulator.num_violations(), 2);
    assert!(simulator.end_interaction("i"));
    assert_eq!(client.push(&token, "2", &push_body("i", &["a"])).await.0, 404);
    assert!(matches!(last_verdict(&simulator, Route::Insights), Verdict::Refused { .. }));
    assert_eq!(client.feedback(&token, &feedback_body("i")).await.0, 204, "feedback may come late");
    assert_eq!(simulator.num_violations(), 2);
}
