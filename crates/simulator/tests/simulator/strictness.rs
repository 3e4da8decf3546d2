//! Every body, header, token and route that is not exactly the contract's is refused and recorded.

use crate::client::{Client, Dialect, FEEDBACK, answer, feedback_body, start, with_one_turn};
use crate::mutations::{Kind, Mutation, mutations};
use cuecard_simulator::{Received, Route, RunningSimulator, Simulator, SimulatorSettings, Verdict};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

fn last_verdict(simulator: &RunningSimulator, route: Route) -> Verdict {
    simulator.received_on(route).pop().unwrap().verdict
}

fn is_violation(entry: &Received) -> bool {
    matches!(entry.verdict, Verdict::Violation { .. })
}

/// Whether the contract allows the changed body.
fn is_allowed(dialect: Dialect, mutation: &Mutation) -> bool {
    let parent = mutation.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    match mutation.kind {
        Kind::Dropped => Dialect::is_optional(&mutation.path),
        Kind::Renamed => dialect.is_free(parent),
        Kind::Mistyped | Kind::Nulled | Kind::OneMore => false,
    }
}

#[actix_web::test]
async fn one_changed_field_in_a_push_is_refused() {
    // Fields and objects of a push of two articles: four ways each for a field, one for an object.
    let table = [
        (Dialect::Rag, 7, 3),
        (Dialect::Snippets, 1 + 2 * 5, 1 + 2 * 2),
        (Dialect::Graph, 1 + 2 * 10, 1 + 2 * 2),
        (Dialect::Insights, 3 + 2 * 7, 1 + 2),
        (Dialect::Ranking, 3 + 2 * 5, 1 + 2 * 2),
    ];
    for (dialect, num_fields, num_objects) in table {
        let simulator = start();
        let (client, token, _socket) = with_one_turn(&simulator).await;
        let good = dialect.body("i", &["a", "b"]);
        let changed = mutations(&good);
        assert_eq!(changed.len(), num_fields * 4 + num_objects, "{dialect:?}");
        let mut refused = 0;
        for mutation in changed.iter().filter(|mutation| !is_allowed(dialect, mutation)) {
            let name = format!("{dialect:?} {} {:?}", mutation.path, mutation.kind);
            let (status, body) = client.push(dialect, &token, &name.replace(' ', "-"), "i", &mutation.body).await;
            assert_eq!(status, 400, "{name}: {body}");
            assert!(body["message"].as_str().unwrap().contains("at '"), "{name}: {body}");
            assert!(is_violation(&simulator.received_on(dialect.route()).pop().unwrap()), "{name}");
            refused += 1;
        }
        assert_eq!((simulator.num_violations(), simulator.num_cards()), (refused, 0), "{dialect:?}");
        let (status, body) = client.push(dialect, &token, "good", "i", &good).await;
        assert_eq!(status, 200, "{dialect:?}: {body}");
        assert_eq!(last_verdict(&simulator, dialect.route()), Verdict::Accepted);
        assert_eq!(simulator.received_on(dialect.route()).pop().unwrap().body, Some(good));
        assert_eq!(simulator.num_cards(), 1, "{dialect:?}: the card of the turn, whatever the dialect");
    }
}

#[actix_web::test]
async fn what_the_contracts_allow_is_taken() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    for dialect in [Dialect::Graph, Dialect::Ranking] {
        let good = dialect.body("i", &["a", "b"]);
        let allowed: Vec<_> = mutations(&good).into_iter().filter(|mutation| is_allowed(dialect, mutation)).collect();
        assert!(!allowed.is_empty());
        for mutation in allowed {
            let key = format!("{dialect:?}{}{:?}", mutation.path, mutation.kind);
            let (status, body) = client.push(dialect, &token, &key, "i", &mutation.body).await;
            assert_eq!(status, 200, "{key}: {body}");
        }
    }
    let mut untitled = Dialect::Graph.body("i", &["a", "a"]);
    untitled["content"][0]["title"] = json!("");
    assert_eq!(client.push(Dialect::Graph, &token, "untitled", "i", &untitled).await.0, 200);
    let alike = Dialect::Graph.body("i", &["a", "a"]);
    assert_eq!(client.push(Dialect::Graph, &token, "alike", "i", &alike).await.0, 200, "two articles may read alike");
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn values_that_no_contract_sends_are_refused() {
    let set = |dialect: Dialect, path: &str, value: Value| {
        let mut body = dialect.body("i", &["a", "b"]);
        *body.pointer_mut(path).unwrap() = value;
        (dialect, body)
    };
    let six = Dialect::Graph.body("i", &["a", "b", "c", "d", "e", "f"]);
    let table = [
        set(Dialect::Rag, "/conversationId", json!("a/b")),
        set(Dialect::Rag, "/agentId", json!(" ")),
        set(Dialect::Rag, "/title", json!("Suggestion")),
        set(Dialect::Rag, "/content/0/type", json!("html")),
        set(Dialect::Rag, "/content/0/data/text", json!("[a] no heading")),
        set(Dialect::Rag, "/content/0/data/text", json!("Reference Context:\nno source")),
        set(Dialect::Rag, "/content", json!([])),
        set(Dialect::Snippets, "/messages", json!([])),
        set(Dialect::Snippets, "/messages/1/content/title", json!("KB Result 1")),
        set(Dialect::Snippets, "/messages/0/content/body", json!("About a\nwords...")),
        set(Dialect::Snippets, "/messages/0/content/body", json!("**About a**\nwords")),
        set(Dialect::Snippets, "/messages/0/content/body", json!(format!("**a**\n{}...", "x".repeat(201)))),
        set(Dialect::Snippets, "/messages/0/content/score", json!(0.81234)),
        set(Dialect::Graph, "/content", json!([])),
        (Dialect::Graph, six),
        set(Dialect::Graph, "/content/0/metadata/source", json!("wiki")),
        set(Dialect::Graph, "/content/0/metadata/priority", json!(1.5)),
        set(Dialect::Graph, "/content/0/metadata/matchedBy", json!("guess")),
        set(Dialect::Graph, "/content/0/displayType", json!("text")),
        set(Dialect::Insights, "/displayType", json!("TEXT")),
        set(Dialect::Insights, "/autoDismiss", json!(false)),
        set(Dialect::Insights, "/insights/0/snippet", json!("x".repeat(151))),
        set(Dialect::Insights, "/insights/1/priority", json!(1)),
        set(Dialect::Insights, "/insights/1/id", json!("a")),
        set(Dialect::Insights, "/insights/1/interactionId", json!("j")),
        set(Dialect::Ranking, "/session_id", json!("j")),
        set(Dialect::Ranking, "/max_result_window", json!(0)),
        set(Dialect::Ranking, "/max_result_window", json!(51)),
        set(Dialect::Ranking, "/max_result_window", json!(1)),
        set(Dialect::Ranking, "/snippets", json!([])),
        set(Dialect::Ranking, "/snippets/0/relevance_score", json!(1.0001)),
        set(Dialect::Ranking, "/snippets/0/relevance_score", json!(0.12345)),
        set(Dialect::Ranking, "/snippets/0/relevance_score", json!(0.1)),
        set(Dialect::Ranking, "/snippets/1/relevance_score", json!(-0.1)),
        set(Dialect::Ranking, "/snippets/0/boost_factor", json!(-1.0)),
        set(Dialect::Ranking, "/snippets/0/snippet_id", json!(" ")),
        set(Dialect::Ranking, "/snippets/0/metadata", json!({"a": 1})),
    ];
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let count = table.len() as u64;
    for (dialect, body) in table {
        let (status, answered) = client.push(dialect, &token, "k", "i", &body).await;
        assert_eq!(status, 400, "{dialect:?} {body}: {answered}");
    }
    assert_eq!((simulator.num_violations(), simulator.num_cards()), (count, 0));
    let twice = Dialect::Ranking.body("i", &["a", "a"]);
    assert_eq!(client.push(Dialect::Ranking, &token, "k", "i", &twice).await.0, 409, "a repeated snippet");
    assert!(matches!(last_verdict(&simulator, Route::Ranking), Verdict::Violation { .. }));
}

#[actix_web::test]
async fn ids_in_the_path_must_be_safe() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    for id in ["a%20b", "a%2Fb", "%C3%BC", "a+b", &"x".repeat(201)] {
        for dialect in [Dialect::Snippets, Dialect::Graph, Dialect::Ranking] {
            let status = client.push(dialect, &token, "k", id, &dialect.body("i", &["a"])).await.0;
            assert_eq!(status, 400, "{dialect:?} {id}");
        }
        assert_eq!(client.get(&token, &format!("/api/v2/agentassist/sessions/{id}")).await.0, 400, "{id}");
    }
    assert_eq!(simulator.num_violations(), 5 * 4);
    let good = "A.b_c~d:e@f-1";
    let status = client.push(Dialect::Graph, &token, "k", good, &Dialect::Graph.body(good, &["a"])).await.0;
    assert_eq!(status, 200);
}

#[actix_web::test]
async fn one_changed_field_in_feedback_is_refused() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let good = feedback_body("i");
    for Mutation { path, kind, body } in mutations(&good) {
        assert_eq!(client.feedback(&token, &body).await.0, 400, "{path} {kind:?}");
    }
    assert_eq!(simulator.num_violations(), 4 * 4 + 1);
    assert_eq!(client.feedback(&token, &good).await.0, 204);
    assert_eq!(last_verdict(&simulator, Route::Feedback), Verdict::Accepted);
    assert_eq!(simulator.received_on(Route::Feedback).pop().unwrap().body, Some(good));
}

#[actix_web::test]
async fn headers_of_a_push() {
    let wrong: &[(&str, &str, u16)] = &[
        ("authorization", "Basic abc", 401),
        ("authorization", "Bearer forged", 401),
        ("authorization", "", 401),
        ("content-type", "text/plain", 415),
        ("content-type", "", 415),
        ("accept", "*/*", 406),
        ("accept", "", 406),
        ("idempotency-key", "", 400),
        ("idempotency-key", &"k".repeat(256), 400),
        ("x-cxone-client-version", "", 400),
        ("x-cxone-client-version", "latest", 400),
        ("content-type", "application/json; charset=utf-8", 200),
    ];
    for dialect in Dialect::iter() {
        let simulator = start();
        let (client, token, _socket) = with_one_turn(&simulator).await;
        let good = dialect.headers(&token, "k");
        let body = dialect.body("i", &["a"]).to_string();
        let mut refused = 0;
        for (changed, value, expected) in wrong.iter().filter(|(name, ..)| good.iter().any(|(own, _)| own == name)) {
            let mut request = client.http.post(client.url(&dialect.path("i")));
            for (name, usual) in &good {
                let value = if name == changed { value } else { usual.as_str() };
                // An empty value stands for a header that is not there.
                if !value.is_empty() {
                    request = request.insert_header((*name, value));
                }
            }
            let (status, answered) = answer(request.send_body(body.clone()).await.unwrap()).await;
            assert_eq!(status, *expected, "{dialect:?} {changed}: '{value}': {answered}");
            refused += u64::from(*expected != 200);
        }
        assert_eq!(simulator.num_violations(), refused, "{dialect:?}");
    }
}

#[actix_web::test]
async fn bodies_that_are_no_json_or_too_long() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let paths = Dialect::iter().map(|dialect| (dialect.path("i"), dialect.headers(&token, "k")));
    let feedback = (FEEDBACK.to_owned(), Dialect::Insights.headers(&token, "k"));
    for (path, headers) in paths.chain([feedback]) {
        for (body, expected) in [("{".to_owned(), 400), (String::new(), 400), (" ".repeat(1024 * 1024 + 1), 413)] {
            let mut request = client.http.post(client.url(&path));
            for (name, value) in &headers {
                request = request.insert_header((*name, value.as_str()));
            }
            assert_eq!(request.send_body(body).await.unwrap().status().as_u16(), expected, "{path}");
        }
    }
    assert_eq!(simulator.num_violations(), 6 * 3);
}

#[actix_web::test]
async fn other_routes_and_methods_are_violations() {
    let simulator = start();
    let client = Client::of(&simulator);
    let get = |path: &str| client.http.get(client.url(path));
    let requests = [
        (get("/api/v2/agentassist/insight"), 404, Route::Unknown),
        (client.http.post(client.url("/oauth/tokens")), 404, Route::Unknown),
        (get("/api/v2/agentassist/interactions/i"), 404, Route::Unknown),
        (get(&Dialect::Rag.path("i")), 405, Route::Rag),
        (get(&Dialect::Snippets.path("i")), 405, Route::Snippets),
        (get(&Dialect::Graph.path("i")), 405, Route::Graph),
        (get(&Dialect::Insights.path("i")), 405, Route::Insights),
        (get(&Dialect::Ranking.path("i")), 405, Route::Ranking),
        (client.http.put(client.url(FEEDBACK)), 405, Route::Feedback),
        (get("/oauth/token"), 405, Route::Token),
        (client.http.post(client.url("/api/v2/agentassist/sessions/i")), 405, Route::Session),
        (client.http.post(client.url("/api/v2/knowledge/articles")), 405, Route::Articles),
        (client.http.post(client.url("/api/v2/knowledge/articles/search")), 405, Route::Search),
        (client.http.post(client.url("/api/v2/interactions/events")), 405, Route::Events),
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
async fn a_stray_look_is_no_call_of_the_client() {
    let simulator = start();
    let client = Client::of(&simulator);
    let look = |path: &str| client.http.get(client.url(path));
    for path in ["/nonsense", "/favicon.ico", "/_sim"] {
        assert_eq!(look(path).send().await.unwrap().status().as_u16(), 404, "{path}");
    }
    assert_eq!((simulator.num_violations(), simulator.received().len()), (0, 0));
    let posted = client.http.post(client.url("/nonsense")).send().await.unwrap();
    let with_token = look("/nonsense").bearer_auth("t").send().await.unwrap();
    assert_eq!((posted.status().as_u16(), with_token.status().as_u16()), (404, 404));
    assert_eq!(simulator.num_violations(), 2);
}

#[actix_web::test]
async fn interactions_must_be_known_and_live() {
    let settings = SimulatorSettings {
        known_interactions_only: true,
        interactions: vec!["known".to_owned()],
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).unwrap();
    let client = Client::of(&simulator);
    let token = client.token().await;
    for dialect in Dialect::iter() {
        let statuses =
            async |id: &str, key: &str| client.push(dialect, &token, key, id, &dialect.body(id, &["a"])).await.0;
        let key = |name: &str| format!("{name}{dialect:?}");
        assert_eq!(statuses("nobody", &key("u")).await, 404, "{dialect:?}");
        assert_eq!(statuses("known", &key("k")).await, 200, "{dialect:?}");
    }
    simulator.open_interaction("later");
    assert_eq!(client.feedback(&token, &feedback_body("nobody")).await.0, 404);
    assert_eq!(simulator.num_violations(), 6);
    assert!(simulator.end_interaction("later"));
    for dialect in Dialect::iter() {
        let key = format!("e{dialect:?}");
        assert_eq!(client.push(dialect, &token, &key, "later", &dialect.body("later", &["a"])).await.0, 404);
        assert!(matches!(last_verdict(&simulator, dialect.route()), Verdict::Refused { .. }), "{dialect:?}");
    }
    assert_eq!(client.feedback(&token, &feedback_body("later")).await.0, 204, "feedback may come late");
    assert_eq!(simulator.num_violations(), 6);
}

#[actix_web::test]
async fn an_interaction_of_rag_graph_and_ranking_comes_into_being_by_the_first_push() {
    for dialect in Dialect::iter() {
        let simulator = start();
        let client = Client::of(&simulator);
        let token = client.token().await;
        let (status, body) = client.push(dialect, &token, "k", "new", &dialect.body("new", &["a"])).await;
        let expected = if dialect.brings_into_being() { 200 } else { 404 };
        assert_eq!(status, expected, "{dialect:?}: {body}");
        let unprompted = u64::from(dialect.brings_into_being());
        assert_eq!((simulator.num_unprompted(), simulator.num_duplicates()), (unprompted, 0), "{dialect:?}");
    }
}
