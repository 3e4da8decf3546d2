//! What the two ports say of themselves is true: an example of each call is taken, every answer fits its description, and
//! schemathesis finds none that does not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cuecard::access::KeyHash;
use cuecard::settings::Settings;
use cuecard_simulator::{
    Article, Fault, FaultKind, RejectReason, Route, RunningSimulator, Simulator, SimulatorSettings,
};
use futures_util::future::join_all;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{ARTICLES, LOOK, PATIENCE, Service, browser, build_index, check_page, environment, say, until};

/// Of whoever may do everything.
const KEY: &str = "opens-every-call-of-both-ports";
const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");
const CHECKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/schemathesis.toml");

const RIGHTS: [&str; 5] = ["query", "feedback", "knowledge", "operate", "metrics"];

/// The key that has this right alone.
fn key_of(right: &str) -> String {
    format!("opens-what-asks-for-{right}")
}

fn section_of(right: &str) -> String {
    format!("[access.keys.{right}]\nhash = '{}'\nrights = ['{right}']\n", KeyHash::of(&key_of(right)))
}

/// A service with a profile of each contract, both ports of which ask for a key, and something to show of everything.
struct Everything {
    simulator: RunningSimulator,
    service: Service,
    api: SocketAddr,
    client: Client,
}

/// A call with what its document gives as an example.
struct Example<'a> {
    method: Method,
    path: String,
    body: Option<&'a Value>,
    operation: &'a Value,
}

impl Everything {
    async fn new() -> Self {
        // Another test may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let articles = Article::load(ARTICLES.as_ref()).unwrap();
        let simulator = Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap();
        let (base, data) = (simulator.base_url(), TempDir::new().unwrap());
        // The polls write into it, so it is nobody else's.
        let index = data.path().join("index");
        build_index(ARTICLES.as_ref(), &index);
        let one_right: String = RIGHTS.iter().map(|right| section_of(right)).collect();
        let sections = format!(
            "[access]\nask = 'always'\n[access.keys.everybody]\nhash = '{}'\n\
             rights = ['query', 'feedback', 'knowledge', 'operate']\n\
             {one_right}[profile]\nbase_url = '{base}'\nsync = 'off'\nkeep_words = 'on'\n\
             [profiles.rag]\ncontract = 'rag'\n[profiles.snippets]\ncontract = 'snippets'\nsync = 'on'\n\
             [profiles.graph]\ncontract = 'graph'\ngraph = '{GRAPH}'\n[profiles.insights]\ncontract = 'insights'\n\
             [profiles.ranking]\ncontract = 'ranking'\noauth_url = '{base}/api/v2/oauth/token'\n",
            KeyHash::of(KEY)
        );
        let file = data.path().join("cuecard.toml");
        std::fs::write(&file, sections).unwrap();
        let own = [
            ("CXONE_CONTRACT", ""),
            ("CXONE_BASE_URL", ""),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
            ("CUECARD_INDEX", index.to_str().unwrap()),
        ];
        let settings = Settings::load(Some(&file), environment("", data.path(), &own)).unwrap();
        let service = Service::with(settings, data);
        let api = service.api_addr();
        let is_ready = |page: &Value| page["status"] == "ready";
        service.admin.until_page("/readyz", "all profiles", |page| is_ready(&page.json())).await;
        let client = Client::builder().timeout(PATIENCE).no_proxy().pool_max_idle_per_host(0);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { simulator, service, api, client }
    }

    /// A decision, and feedback that CXone would not take.
    async fn fill(&self) {
        self.simulator.inject(Fault { route: Route::Feedback, times: 1, fault: FaultKind::status(400) });
        say(&self.simulator, "call-1", "Can I take my dog on board, and does he need a cabin?").await;
        until(&self.simulator, "the card", |simulator| !simulator.received_on(Route::Insights).is_empty()).await;
        self.simulator.reject_card("call-1", "pets", RejectReason::Outdated).await.unwrap();
        let admin = self.service.admin.addr();
        self.until(admin, "/feedback/dead", |page| page["dead"].as_array().is_some_and(|dead| !dead.is_empty())).await;
        self.until(admin, "/deliveries", |page| page["deliveries"].as_array().is_some_and(|all| !all.is_empty())).await;
    }

    async fn until(&self, port: SocketAddr, path: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let page = self.read(port, path).await;
                if reached(&page) {
                    return page;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited for {path}"))
    }

    async fn read(&self, port: SocketAddr, path: &str) -> Value {
        self.send(Method::GET, port, path, None).await.json().await.unwrap()
    }

    async fn send(&self, method: Method, port: SocketAddr, path: &str, body: Option<&Value>) -> Response {
        let request = self.client.request(method, format!("http://{port}{path}")).bearer_auth(KEY);
        let request = if let Some(body) = body { request.json(body) } else { request };
        request.send().await.unwrap()
    }

    /// The document of a port, asked for without a key.
    async fn document(&self, port: SocketAddr) -> Value {
        let answer = self.client.get(format!("http://{port}/openapi.json")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    fn ports(&self) -> [SocketAddr; 2] {
        [self.api, self.service.admin.addr()]
    }

    async fn stop(self) {
        let violations = self.simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
        self.service.stop_unaccounted().await;
    }
}

/// Every operation of a document, with its path and method.
fn operations(document: &Value) -> impl Iterator<Item = (&str, Method, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.as_str(), method.to_uppercase().parse().unwrap(), operation))
    })
}

/// The example of each call; every parameter has one, and every body.
fn examples(document: &Value) -> Vec<Example<'_>> {
    let example = |(path, method, operation): (&str, Method, &'_ Value)| {
        let (mut path, mut query) = (path.to_owned(), Vec::new());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let value = match &parameter["example"] {
                Value::String(text) => text.clone(),
                Value::Null => panic!("{path}: no example of {name}"),
                other => other.to_string(),
            };
            match parameter["in"].as_str().unwrap() {
                "path" => path = path.replace(&format!("{{{name}}}"), &value),
                _ => query.push(format!("{name}={value}")),
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        (method, path)
    };
    operations(document)
        .map(|(path, method, operation)| {
            let (method, path) = example((path, method, operation));
            let body = operation.get("requestBody").map(|body| &body["content"]["application/json"]["example"]);
            assert_ne!(body, Some(&Value::Null), "{path}: no example of its body");
            Example { method, path, body, operation }
        })
        .collect()
}

/// What a response is, wherever it stands.
fn described<'a>(document: &'a Value, operation: &'a Value, status: u16) -> Option<&'a Value> {
    let response = operation["responses"].get(status.to_string())?;
    match response["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')),
        None => Some(response),
    }
}

/// That a value is as a schema of the document says, with no field beside those that a named one describes.
fn check_value(document: &Value, schema: &Value, value: &Value, what: &str) {
    let mut whole = schema.clone();
    if whole.get("$ref").is_some() {
        whole["unevaluatedProperties"] = json!(false);
    }
    whole["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{what}: {error}"));
    let wrong: Vec<_> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?} in {value}");
}

#[actix_rt::test]
async fn each_example_is_taken_and_answered_as_it_is_described() {
    let everything = Everything::new().await;
    everything.fill().await;
    let deliveries = everything.read(everything.service.admin.addr(), "/deliveries").await;
    let decision = deliveries["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let explained = everything.read(everything.service.admin.addr(), &format!("/explain/{decision}")).await;
    assert!(explained["why"].is_array() && explained["words"].is_array(), "{explained}");
    for port in everything.ports() {
        let document = everything.document(port).await;
        assert_eq!(document["openapi"], "3.1.0");
        for Example { method, path, body, operation } in examples(&document) {
            // The id of a decision is made when it is.
            let path = path.replace("0196a3f2-7d1c-7000-8000-000000000000", &decision);
            let answer = everything.send(method, port, &path, body).await;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            assert!(status < 400, "{path}: {status} {}", answer.text().await.unwrap());
            let described = described(&document, operation, status);
            let described = described.unwrap_or_else(|| panic!("{path}: {status} is not described"));
            let Some(content) = described["content"].as_object() else { continue };
            let content_type = headers["content-type"].to_str().unwrap().split(';').next().unwrap();
            let described = content.get(content_type).unwrap_or_else(|| panic!("{path}: {content_type}"));
            if content_type == "application/json" {
                check_value(&document, &described["schema"], &answer.json().await.unwrap(), &path);
            }
        }
    }
    everything.stop().await;
}

#[actix_rt::test]
async fn a_call_has_one_method_a_summary_and_examples_that_fit_their_descriptions() {
    let everything = Everything::new().await;
    for port in everything.ports() {
        let document = everything.document(port).await;
        let examples = examples(&document);
        assert!(examples.len() >= 8, "{} calls", examples.len());
        for Example { method, path, body, operation } in &examples {
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{path}");
            let other = if method == Method::GET { Method::POST } else { Method::GET };
            let refused = everything.send(other, port, path, None).await;
            let allowed = refused.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((refused.status().as_u16(), allowed.as_deref()), (405, Some(method.as_str())), "{path}");
            if let Some(body) = body {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                check_value(&document, schema, body, path);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = &response["content"]["application/json"];
                if let Some(example) = content.get("example") {
                    check_value(&document, &content["schema"], example, &format!("{path} {status}"));
                }
            }
        }
    }
    everything.stop().await;
}

#[actix_rt::test]
async fn the_document_says_which_rights_each_call_asks_for_and_strangers_are_refused() {
    let everything = Everything::new().await;
    for port in everything.ports() {
        let document = everything.document(port).await;
        for Example { method, path, body, operation } in examples(&document) {
            let request = everything.client.request(method.clone(), format!("http://{port}{path}"));
            let request = if let Some(body) = body { request.json(body) } else { request };
            let is_refused = request.send().await.unwrap().status() == 401;
            assert_eq!(is_refused, operation.get("security").is_some(), "{path}");
            for right in RIGHTS.iter().filter(|_| is_refused) {
                let request = everything.client.request(method.clone(), format!("http://{port}{path}"));
                let request = if let Some(body) = body { request.json(body) } else { request };
                let status = request.bearer_auth(key_of(right)).send().await.unwrap().status();
                let documented = operation["security"].as_array().unwrap().iter();
                let opens =
                    documented.flat_map(|each| each.as_object().unwrap().values()).any(|rights| rights[0] == *right);
                assert_eq!(status != 403, opens, "{path} with a key for {right}: {status}");
            }
            for requirement in operation["security"].as_array().into_iter().flatten() {
                for scheme in requirement.as_object().unwrap().keys() {
                    assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{path}: {scheme}");
                }
            }
        }
    }
    everything.stop().await;
}

#[actix_rt::test]
async fn what_a_call_and_its_port_refuse_with_the_same_status_is_both_described() {
    let everything = Everything::new().await;
    let document = everything.document(everything.api).await;
    let too_many = &document["paths"]["/agent-assist/query"]["post"]["responses"]["429"]["description"];
    assert_eq!(*too_many, "CXone's own 429; or the key has sent more requests than its `rate_limit`");
    everything.stop().await;
}

#[actix_rt::test]
async fn the_calls_of_the_api_stand_below_a_profile_too_and_those_of_the_document_do_not() {
    let everything = Everything::new().await;
    let document = everything.document(everything.api).await;
    assert_eq!(document["servers"][1]["url"], "./{profile}");
    for Example { method, path, body, operation } in examples(&document) {
        // Each profile here is called as its contract, and each contract is a group of calls.
        let below = format!("/{}{path}", operation["tags"][0].as_str().unwrap());
        let answer = everything.send(method, everything.api, &below, body).await;
        let has_own_server = operation.get("servers").is_some();
        assert_eq!(answer.status() == 404, has_own_server, "{below}: {}", answer.status());
    }
    everything.stop().await;
}

/// The program; `None` when the test is to be skipped.
fn schemathesis() -> Option<PathBuf> {
    let kept = std::env::var("API_CHECKS").expect("source scripts/env first");
    let program = Path::new(&kept).join("bin/schemathesis");
    if program.exists() {
        return Some(program);
    }
    assert!(
        std::env::var("CUECARD_SKIP_SERVICES").as_deref() == Ok("1"),
        "{} is not there; run scripts/setup databases, or skip with CUECARD_SKIP_SERVICES=1",
        program.display()
    );
    println!("skipped: schemathesis is not there and CUECARD_SKIP_SERVICES=1");
    None
}

#[actix_rt::test]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let Some(program) = schemathesis() else { return };
    let everything = Everything::new().await;
    everything.fill().await;
    let data = TempDir::new().unwrap();
    let tried = everything.ports().map(|port| {
        let mut command = Command::new(&program);
        command.args(["--config-file", CHECKS, "run", &format!("http://{port}/openapi.json"), "--url"]);
        command.arg(format!("http://{port}")).env("CUECARD_KEY", KEY).env("COLUMNS", "160");
        // It keeps what it found where it runs.
        command.current_dir(data.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        timeout(PATIENCE * 5, command.spawn().unwrap().wait_with_output())
    });
    for ended in join_all(tried).await {
        let ended = ended.expect("schemathesis ends").unwrap();
        let [told, complained] = [&ended.stdout, &ended.stderr].map(|text| String::from_utf8_lossy(text));
        println!("{told}");
        assert!(ended.status.success(), "{told}{complained}");
    }
    everything.stop().await;
}

#[actix_rt::test]
#[ignore = "a browser needs a machine that is not busy: `make pages-test`"]
async fn the_page_shows_every_call_with_its_example_to_anybody_at_any_width() {
    let Some(tools) = browser() else { return };
    let everything = Everything::new().await;
    let [api, admin] = everything.ports().map(|port| format!("http://{port}/"));
    check_page(&tools, "docs.mjs", json!({"api": api, "admin": admin})).await;
    everything.stop().await;
}
