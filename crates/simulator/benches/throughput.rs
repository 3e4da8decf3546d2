//! How many calls a simulator answers on one core: accepted pushes of each dialect with validated bodies, and searches.
//!
//! Input: nothing, or `--articles FILE` for the search. Output: a line for each kind of call with what was reached beside
//! whatever else the machine does, and per second that the simulator's threads were on a CPU, which is what one core
//! gives when it has nothing else to do. The caller is one thread with 16 connections and as many calls under way.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cuecard_simulator::{
    Article, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, RunningSimulator, Simulator, SimulatorSettings,
};
use serde_json::{Value, json};

const CONNECTIONS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(4);
const NUM_INTERACTIONS: usize = 1000;
const NUM_CARDS: usize = 5;
const NUM_ARTICLES: usize = 12_000;

fn main() {
    let articles = articles();
    let simulator = Simulator::start(SimulatorSettings {
        articles: articles.clone(),
        interactions: (0..NUM_INTERACTIONS).map(|number| format!("call-{number}")).collect(),
        ..SimulatorSettings::default()
    })
    .unwrap();
    let token = token(&simulator);
    println!(
        "<!-- simulator -->\n| call | body, bytes | answers a second | per second of its CPU |\n|---|---|---|---|"
    );
    // One sequence of numbers over all calls: a key is never used twice.
    let mut next = 0;
    for (name, request) in requests(&token, &articles) {
        measure(&simulator, name, &mut next, &*request);
    }
    assert_eq!(simulator.num_violations(), 0, "{:#?}", simulator.violations().first());
}

/// From the file that was named, or made up.
fn articles() -> Vec<Article> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--articles");
    match arguments.nth(1).map(PathBuf::from) {
        Some(file) => Article::load(&file).unwrap(),
        None => (0..NUM_ARTICLES).map(made_up).collect(),
    }
}

/// Words of which the first are in most articles and the last in few, as in any language.
fn made_up(number: usize) -> Article {
    let word = |place: usize| format!("w{}", (number * 31 + place * 7919) % (1 << (place % 14 + 1)));
    let words = |count: usize| (0..count).map(word).collect::<Vec<_>>().join(" ");
    Article { id: format!("a{number}"), title: words(6), body: words(40), url: None }
}

/// The first eleven words of each article, as many as a customer says at a time.
fn queries(articles: &[Article]) -> Vec<String> {
    let words = |article: &Article| {
        let text = format!("{} {}", article.title, article.body);
        let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.take(11).collect::<Vec<_>>().join("+")
    };
    articles.iter().map(words).collect()
}

type MakeRequest = Box<dyn Fn(usize) -> String>;

/// For each kind of call the text of the request with a number.
fn requests(token: &str, articles: &[Article]) -> Vec<(&'static str, MakeRequest)> {
    let push = |path: fn(usize) -> String, body: fn(usize) -> Value| -> MakeRequest {
        let token = token.to_owned();
        Box::new(move |number| {
            let body = body(number % NUM_INTERACTIONS).to_string();
            let path = path(number % NUM_INTERACTIONS);
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nAccept: application/json\r\nX-CXone-Client-Version: 1.0.0\r\n\
                 Idempotency-Key: {number:032x}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        })
    };
    let token = token.to_owned();
    let queries = queries(articles);
    let search = move |number: usize| {
        let words = &queries[number % queries.len()];
        format!(
            "GET /api/v2/knowledge/articles/search?q={words}&language=en-US&page=1&pageSize=5 HTTP/1.1\r\n\
             Host: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
    };
    vec![
        ("rag", push(|_| "/api/v2/assist/agentassists".to_owned(), rag)),
        ("snippets", push(|id| format!("/api/v2/interactions/call-{id}/assist"), |_| snippets())),
        ("graph", push(|id| format!("/api/v2/agentassist/interactions/call-{id}/content"), |_| graph())),
        ("insights", push(|_| "/api/v2/agentassist/insights".to_owned(), insights)),
        ("ranking", push(|id| format!("/api/v2/agentassist/sessions/call-{id}/snippets/ranking"), ranking)),
        ("search", Box::new(search)),
    ]
}

const TEXT: &str = "You can cancel or change a booking up to two days before it begins, at no charge, in your account \
                    under bookings, or with the agent who made it for you.";

fn cards(card: impl Fn(usize) -> Value) -> Vec<Value> {
    (1..=NUM_CARDS).map(card).collect()
}

fn rag(id: usize) -> Value {
    let texts = [0, 1, 2].map(|number| format!("[kb-{number}] {TEXT}")).join("\n\n");
    json!({
        "conversationId": format!("call-{id}"), "agentId": "agent-1", "title": "RAG Knowledge Suggestion",
        "content": [{"type": "text", "data": {"text": format!("Reference Context:\n{texts}")}}],
    })
}

fn snippets() -> Value {
    json!({"messages": cards(|number| json!({"type": "card", "content": {
        "title": format!("KB Result {number}"), "body": format!("**Changing a booking**\n{TEXT}..."), "score": 0.8123,
    }}))})
}

fn graph() -> Value {
    json!({"content": cards(|number| json!({
        "title": format!("Changing a booking {number}"), "url": "https://kb.example/bookings", "description": TEXT,
        "type": "article", "displayType": "card",
        "metadata": {"source": "neo4j_knowledge_graph", "priority": number, "matchedBy": "exact"},
    }))})
}

fn insights(id: usize) -> Value {
    let insights = cards(|number| {
        json!({
            "id": format!("kb-{number}"), "title": "Changing a booking", "priority": number, "score": 0.8123,
            "citation": "https://kb.example/bookings", "snippet": &TEXT[..140], "interactionId": format!("call-{id}"),
        })
    });
    json!({"insights": insights, "displayType": "CARD", "autoDismiss": true})
}

fn ranking(id: usize) -> Value {
    let snippets: Vec<Value> = (0..10)
        .map(|number| {
            json!({
                "snippet_id": format!("KB-{number:03}"), "relevance_score": 1.0 - f64::from(number) / 100.0,
                "boost_factor": 1.2, "metadata": {"category": "billing"},
            })
        })
        .collect();
    json!({"session_id": format!("call-{id}"), "max_result_window": 10, "snippets": snippets})
}

fn measure(simulator: &RunningSimulator, name: &str, next: &mut usize, request: &dyn Fn(usize) -> String) {
    let connect = || {
        let connection = TcpStream::connect(simulator.address()).unwrap();
        connection.set_nodelay(true).unwrap();
        connection
    };
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect()).collect();
    run(&mut connections, next, WARM_UP, request);
    let (started, cpu) = (Instant::now(), simulator_cpu());
    let answers = run(&mut connections, next, MEASURED, request);
    let (wall, cpu) = (started.elapsed(), simulator_cpu().saturating_sub(cpu));
    let rate = |over: Duration| format!("{:.0}", answers as f64 / over.as_secs_f64());
    println!("| {name} | {} | {} | {} |", request(0).len(), rate(wall), rate(cpu));
}

/// Calls for so long; the number of answers, all of which must be 200.
fn run(connections: &mut [TcpStream], next: &mut usize, span: Duration, request: &dyn Fn(usize) -> String) -> usize {
    let until = Instant::now() + span;
    let mut answers = 0;
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < until {
        for connection in connections.iter_mut() {
            connection.write_all(request(*next).as_bytes()).unwrap();
            *next += 1;
        }
        for connection in connections.iter_mut() {
            let (status, _) = read_answer(connection, &mut buffer);
            assert_eq!(status, 200);
            answers += 1;
        }
    }
    answers
}

/// Status and body.
fn read_answer(connection: &mut TcpStream, buffer: &mut [u8]) -> (u16, String) {
    let mut answer = Vec::new();
    loop {
        let read = connection.read(buffer).unwrap();
        assert!(read > 0, "the connection ended");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if answer.len() >= end + 4 + length.parse::<usize>().unwrap() {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return (status, String::from_utf8_lossy(&answer[end + 4..]).into_owned());
        }
    }
}

fn token(simulator: &RunningSimulator) -> String {
    let form =
        format!("grant_type=client_credentials&client_id={DEFAULT_CLIENT_ID}&client_secret={DEFAULT_CLIENT_SECRET}");
    let mut connection = TcpStream::connect(simulator.address()).unwrap();
    write!(
        connection,
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let (status, body) = read_answer(&mut connection, &mut [0; 4096]);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned()
}

/// How long all threads but this one have been on a CPU; nothing where the system does not tell.
fn simulator_cpu() -> Duration {
    let own = std::fs::read_link("/proc/thread-self").ok().and_then(|path| path.file_name().map(ToOwned::to_owned));
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |task: &Path| {
        let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    let others = tasks.filter(|task| Some(task.file_name()) != own);
    Duration::from_nanos(others.map(|task| of_thread(&task.path())).sum())
}
