//! `replay` of the contracts that are asked over HTTP, against a service of literals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::{Client, Dialect, start};
use crate::replay::{NO_ADMIN, admin, conversations, options};
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use cuecard_simulator::replay::{Load, ReplayOptions, replay};
use cuecard_simulator::{Article, Contract, RunningSimulator};
use serde_json::{Value, json};

/// The `status` of an answer whose card was pushed, whatever its caller is told.
const TAKEN: &str = "taken";

/// What the service does with its questions; the number counts from 0.
type Choose = fn(u64) -> (u16, Value);

fn push_all(_: u64) -> (u16, Value) {
    (200, json!({"status": "injected"}))
}

struct Service {
    dialect: Dialect,
    base: String,
    token: String,
    asked: AtomicU64,
    choose: Choose,
    questions: std::sync::Mutex<Vec<(String, Value)>>,
}

/// Answers as chosen; where that is a card, it pushes one first.
async fn answer(service: web::Data<Service>, request: HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let number = service.asked.fetch_add(1, Ordering::Relaxed);
    service.questions.lock().unwrap().push((request.path().to_owned(), body.0.clone()));
    let (status, answered) = (service.choose)(number);
    let is_silent = answered["status"] == "no_match" || answered["status"] == "no_results";
    let is_pushed = answered["status"] == TAKEN || status == 200 && !is_silent;
    if is_pushed {
        let named = ["conversation_id", "interaction_id"].iter().find_map(|name| body[name].as_str());
        let id = named.or_else(|| request.match_info().get("id")).unwrap();
        let client = Client {
            http: awc::Client::default(),
            base: service.base.clone(),
            id: String::new(),
            secret: String::new(),
        };
        let body = service.dialect.body(id, &["a", "b"]);
        let (pushed, why) = client.push(service.dialect, &service.token, &format!("{number}"), id, &body).await;
        assert_eq!(pushed, 200, "{why}");
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(answered)
}

async fn serve(simulator: &RunningSimulator, dialect: Dialect, choose: Choose) -> (String, web::Data<Service>) {
    let client = Client::of(simulator);
    let service = web::Data::new(Service {
        dialect,
        base: simulator.base_url(),
        token: client.token().await,
        asked: AtomicU64::new(0),
        choose,
        questions: std::sync::Mutex::default(),
    });
    let data = service.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/assist/push", web::post().to(answer))
            .route("/agent-assist/query", web::post().to(answer))
            .route("/sessions/{id}/snippets/ranking", web::post().to(answer))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let target = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    (target, service)
}

const CONTRACTS: [(Contract, Dialect); 3] =
    [(Contract::Rag, Dialect::Rag), (Contract::Graph, Dialect::Graph), (Contract::Ranking, Dialect::Ranking)];

async fn run(
    contract: Contract,
    dialect: Dialect,
    choose: Choose,
    with: ReplayOptions,
) -> (Value, Vec<(String, Value)>) {
    let simulator = start();
    let (target, service) = serve(&simulator, dialect, choose).await;
    let options = ReplayOptions { contract, target, ..with };
    let report = replay(&simulator, &conversations(3), &options, &mut |_| {}).await.unwrap();
    assert_eq!(simulator.num_unprompted(), 0, "every card answers a question");
    let questions = service.questions.lock().unwrap().clone();
    (serde_json::to_value(report).unwrap(), questions)
}

fn figures<const N: usize>(report: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| report[name].as_u64().unwrap())
}

#[actix_web::test]
async fn every_question_has_its_card() {
    for (contract, dialect) in CONTRACTS {
        for load in [Load::Rate(100.0), Load::Concurrency(2)] {
            let with = ReplayOptions { load, ..options(NO_ADMIN) };
            let (report, _) = run(contract, dialect, push_all, with).await;
            assert_eq!(figures(&report, ["turns", "cards", "lost"]), [6, 6, 0], "{contract:?} {load:?}");
            assert_eq!(figures(&report, ["duplicates", "violations"]), [0, 0], "{contract:?}");
            assert!(report["p50_ms"].as_f64().unwrap() > 0.0);
        }
    }
}

#[actix_web::test]
async fn questions_are_the_documents() {
    let first = async |contract, dialect| {
        let (load, connect_timeout) = (Load::Concurrency(1), Duration::MAX);
        let with = ReplayOptions { load, connect_timeout, ..options(NO_ADMIN) };
        run(contract, dialect, push_all, with).await.1.remove(0)
    };
    let text = "hello there my friend, what is this";
    let (path, body) = first(Contract::Rag, Dialect::Rag).await;
    assert_eq!(path, "/assist/push");
    assert_eq!(body, json!({"conversation_id": "c0", "agent_id": "agent-001", "query_text": text}));
    let (path, body) = first(Contract::Graph, Dialect::Graph).await;
    assert_eq!(path, "/agent-assist/query");
    assert_eq!(body, json!({"interaction_id": "c0", "query": text, "agent_id": "agent-001"}));
    let (path, body) = first(Contract::Ranking, Dialect::Ranking).await;
    assert_eq!(path, "/sessions/c0/snippets/ranking");
    assert_eq!((&body["max_result_window"], &body["snippets"].as_array().unwrap().len()), (&json!(10), &10));
}

#[actix_web::test]
async fn rankings_draw_from_the_articles_and_go_to_the_session() {
    let article = |number| Article { id: format!("a{number}"), title: String::new(), body: String::new(), url: None };
    let with = || ReplayOptions {
        load: Load::Concurrency(1),
        session: Some("s-1".to_owned()),
        articles: (0..20).map(article).collect(),
        seed: 5,
        ..options(NO_ADMIN)
    };
    let (report, questions) = run(Contract::Ranking, Dialect::Ranking, push_all, with()).await;
    assert_eq!(figures(&report, ["turns", "cards"]), [6, 6]);
    assert!(questions.iter().all(|(path, _)| path == "/sessions/s-1/snippets/ranking"));
    let id = questions[0].1["snippets"][0]["snippet_id"].as_str().unwrap();
    assert!(id.starts_with('a'), "{id}");
    let (_, again) = run(Contract::Ranking, Dialect::Ranking, push_all, with()).await;
    assert_eq!(questions, again, "the same seed asks the same");
}

#[actix_web::test]
async fn answers_explain_what_is_missing() {
    let choose = |number| match number {
        0 => (200, json!({"status": "no_match"})),
        1 => (200, json!({"status": "no_results"})),
        2 => (504, json!({"detail": "d"})),
        3 => (503, json!({"detail": "d"})),
        4 => (500, json!({"detail": "d"})),
        _ => (200, json!({"status": "injected"})),
    };
    let names = ["turns", "cards", "silent", "expired", "lost"];
    for (shed, lost) in [(None, 2), (Some(1), 1), (Some(9), 1)] {
        let admin = shed.map_or_else(|| NO_ADMIN.to_owned(), |shed| admin(&Arc::default(), shed));
        // A card comes before the answer to its question, so nothing is worth waiting for.
        let with = ReplayOptions { answer_timeout: Duration::from_millis(100), ..options(&admin) };
        let (report, _) = run(Contract::Rag, Dialect::Rag, choose, with).await;
        assert_eq!(figures(&report, names), [6, 1, 2, 1, lost], "{shed:?}");
    }
}

#[actix_web::test]
async fn an_answer_explains_only_a_turn_without_a_card() {
    let choose = |number| match number {
        0 | 1 => (504, json!({"status": TAKEN})),
        2 => (503, json!({"status": TAKEN})),
        3 => (500, json!({"detail": "lost"})),
        4 => (504, json!({"detail": "expired"})),
        _ => (200, json!({"status": "injected"})),
    };
    let admin = admin(&Arc::default(), 9);
    let with = ReplayOptions { answer_timeout: Duration::from_millis(100), ..options(&admin) };
    let (report, _) = run(Contract::Rag, Dialect::Rag, choose, with).await;
    assert_eq!(figures(&report, ["turns", "cards", "silent", "expired", "lost"]), [6, 4, 0, 1, 1]);
}
