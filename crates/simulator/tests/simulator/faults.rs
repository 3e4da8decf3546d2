//! What a client meets when faults are scripted, on every route.

use std::time::{Duration, Instant};

use crate::client::{Client, Dialect, FEEDBACK, feedback_body, insights_body, start, with_one_turn};
use awc::error::{PayloadError, SendRequestError};
use cuecard_simulator::{
    Article, CutMoment, Fault, FaultKind, RetryAfter, Route, RunningSimulator, UNTIL_CLEARED, Verdict,
};
use futures_util::StreamExt;
use strum::IntoEnumIterator;

fn fault(route: Route, times: u32, fault: FaultKind) -> Fault {
    Fault { route, times, fault }
}

#[actix_web::test]
async fn scripted_answers_come_first_and_run_out() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.inject(fault(Route::Insights, 2, FaultKind::status(503)));
    simulator.inject(fault(
        Route::Insights,
        1,
        FaultKind::Answer { status: 200, retry_after: None, body: Some("ok".into()) },
    ));
    simulator.inject(fault(Route::Stream, 1, FaultKind::status(429)));
    let body = insights_body("i", &["a"]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.push_insights(&token, "k", &body).await.0);
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
    let received = simulator.received_on(Route::Insights);
    let scripted = received.iter().filter(|entry| entry.verdict == Verdict::Scripted).count();
    assert_eq!((scripted, received[3].verdict.clone()), (3, Verdict::Accepted));
    assert!(received.iter().all(|entry| entry.body == Some(body.clone())), "bodies of refused attempts are kept");
    assert_eq!(client.connect(&token).await.err(), Some(429));
    assert!(client.connect(&token).await.is_ok());
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn retry_after_in_seconds_as_a_date_and_as_it_stands() {
    let simulator = start();
    let client = Client::of(&simulator);
    let forms =
        [RetryAfter::Seconds(7), RetryAfter::DateIn(Duration::from_mins(1)), RetryAfter::Literal("soon".into())];
    let mut seen = Vec::new();
    for form in forms {
        simulator.inject(fault(
            Route::Token,
            1,
            FaultKind::Answer { status: 429, retry_after: Some(form), body: None },
        ));
        let response = client.http.post(format!("{}/oauth/token", client.base)).send().await.unwrap();
        seen.push(response.headers().get("retry-after").unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!((seen[0].as_str(), seen[2].as_str()), ("7", "soon"));
    assert!(seen[1].ends_with(" GMT"), "{}", seen[1]);
}

#[actix_web::test]
async fn a_cut_before_has_no_effect_and_a_cut_after_has() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let body = insights_body("i", &["a"]);
    for (moment, cards, then) in
        [(CutMoment::BeforeHandling, 0, Verdict::Scripted), (CutMoment::AfterHandling, 1, Verdict::Accepted)]
    {
        simulator.inject(fault(Route::Insights, 1, FaultKind::Cut { moment }));
        let sent = request(&client, Route::Insights, &token, &body.to_string()).await;
        assert!(sent.is_err(), "{moment:?}: no answer comes");
        assert_eq!(simulator.num_cards(), cards, "{moment:?}");
        let last = simulator.received_on(Route::Insights).pop().unwrap();
        assert_eq!((last.verdict, last.status), (then, None));
    }
    assert_eq!(request(&client, Route::Insights, &token, &body.to_string()).await.unwrap().status().as_u16(), 200);
    assert_eq!((simulator.num_cards(), simulator.num_duplicates()), (1, 0), "the repetition is not shown again");
}

#[actix_web::test]
async fn a_delayed_request_is_handled_later() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let by = Duration::from_millis(120);
    simulator.inject(fault(Route::Feedback, 1, FaultKind::Delay { by }));
    let started = Instant::now();
    assert_eq!(client.feedback(&token, &feedback_body("i")).await.0, 204);
    assert!(started.elapsed() >= by);
}

/// A good request to a route that is no stream, under a key of its own.
async fn request(
    client: &Client,
    route: Route,
    token: &str,
    body: &str,
) -> Result<
    awc::ClientResponse<impl futures_util::Stream<Item = Result<actix_web::web::Bytes, PayloadError>> + use<>>,
    SendRequestError,
> {
    let (method, path) = match route {
        Route::Token => ("POST", "/oauth/token".to_owned()),
        Route::Session => ("GET", "/api/v2/agentassist/sessions/i".to_owned()),
        Route::Articles => ("GET", "/api/v2/knowledge/articles".to_owned()),
        Route::Search => ("GET", "/api/v2/knowledge/articles/search?q=x&language=en-US&page=1&pageSize=5".to_owned()),
        Route::Feedback => ("POST", FEEDBACK.to_owned()),
        push => ("POST", dialect(push).path("i")),
    };
    let method = awc::http::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client.http.request(method, client.url(&path));
    for (name, value) in Dialect::Ranking.headers(token, &format!("{route:?}")) {
        request = request.insert_header((name, value));
    }
    if route == Route::Token {
        request = request.insert_header(("content-type", "application/x-www-form-urlencoded"));
    }
    request.send_body(body.to_owned()).await
}

fn dialect(route: Route) -> Dialect {
    Dialect::iter().find(|dialect| dialect.route() == route).unwrap()
}

/// Every route that answers a request, and a good body for it.
fn routes() -> Vec<(Route, String)> {
    let form = "grant_type=client_credentials&client_id=cxone-sim-client&client_secret=cxone-sim-secret";
    let pushes = Dialect::iter().map(|dialect| (dialect.route(), dialect.body("i", &["a"]).to_string()));
    let others = [
        (Route::Token, form.to_owned()),
        (Route::Session, String::new()),
        (Route::Feedback, feedback_body("i").to_string()),
        (Route::Articles, String::new()),
        (Route::Search, String::new()),
    ];
    pushes.chain(others).collect()
}

#[actix_web::test]
async fn every_status_comes_on_every_route() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    for (route, body) in routes() {
        for status in [400, 401, 403, 404, 409, 429, 500, 503] {
            simulator.inject(fault(route, 1, FaultKind::status(status)));
            let answered = request(&client, route, &token, &body).await.unwrap().status().as_u16();
            assert_eq!(answered, status, "{route:?}");
        }
        let not_json = FaultKind::Answer { status: 200, retry_after: None, body: Some("<html>".into()) };
        simulator.inject(fault(route, 1, not_json));
        let mut answered = request(&client, route, &token, &body).await.unwrap();
        assert_eq!((answered.status().as_u16(), answered.body().await.unwrap().as_ref()), (200, &b"<html>"[..]));
        let good = request(&client, route, &token, &body).await.unwrap().status();
        assert!(good.is_success(), "{route:?}: {good}");
    }
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn every_second_answer_is_a_fault_until_cleared() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.inject_every(2, fault(Route::Session, UNTIL_CLEARED, FaultKind::status(429)));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(request(&client, Route::Session, &token, "").await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 429, 200, 429, 200]);
    assert_eq!(simulator.pending_faults()[0].every, 2);
    simulator.clear_faults_on(Route::Session);
    assert!(simulator.pending_faults().is_empty());
}

#[actix_web::test]
async fn an_answer_cut_in_its_body_promises_more_than_comes() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let article = |number| Article { id: format!("{number}"), title: "t".into(), body: "x".repeat(1000), url: None };
    simulator.replace_articles((0..100).map(article).collect());
    for (route, body) in routes() {
        simulator.inject(fault(route, 1, FaultKind::Cut { moment: CutMoment::InBody }));
        let sent = request(&client, route, &token, &body).await;
        if route == Route::Feedback {
            assert!(sent.is_err(), "an answer without a body is cut as a whole");
            continue;
        }
        let mut response = sent.unwrap();
        let promised: usize = response.headers().get("content-length").unwrap().to_str().unwrap().parse().unwrap();
        let mut came = 0;
        // Not every client calls a body that ends early an error; this one ends it.
        while let Some(Ok(part)) = response.next().await {
            came += part.len();
        }
        assert!(came > 0 && came < promised, "{route:?}: {came} of {promised}");
    }
    assert_eq!((simulator.num_cards(), simulator.num_duplicates()), (1, 4), "the requests took effect");
    assert!(simulator.received_on(Route::Articles).pop().unwrap().status.is_none());
}

#[actix_web::test]
async fn an_answer_may_never_come() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.inject(fault(Route::Rag, 1, FaultKind::NoAnswer));
    let body = Dialect::Rag.body("i", &["a"]).to_string();
    let sent = tokio::time::timeout(Duration::from_millis(100), request(&client, Route::Rag, &token, &body)).await;
    assert!(sent.is_err(), "it waits");
    assert_eq!(simulator.num_cards(), 0);
    let entry = simulator.received_on(Route::Rag).pop().unwrap();
    assert_eq!((entry.verdict, entry.status), (Verdict::Scripted, None));
    assert_eq!(request(&client, Route::Rag, &token, &body).await.unwrap().status().as_u16(), 200);
}

#[actix_web::test]
async fn both_handshakes_meet_faults() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    for route in [Route::Stream, Route::Events] {
        let connect = async |simulator: &RunningSimulator, fault_kind: FaultKind| {
            simulator.inject(fault(route, 1, fault_kind));
            match route {
                Route::Stream => client.connect(&token).await.err(),
                _ => client.connect_events(&token).await.err(),
            }
        };
        assert_eq!(connect(&simulator, FaultKind::status(503)).await, Some(503), "{route:?}");
        let slow = FaultKind::Delay { by: Duration::from_millis(80) };
        let began = Instant::now();
        assert_eq!(connect(&simulator, slow).await, None);
        assert!(began.elapsed() >= Duration::from_millis(80));
    }
}
