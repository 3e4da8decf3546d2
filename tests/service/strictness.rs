//! Every call that cuecard makes, taken as it was sent: a simulator takes the copy, and refuses it with any one field
//! renamed. The copies are sent by plain HTTP, so that no code of the client has a part in it.

use std::cell::Cell;

use cuecard_simulator::{
    Article, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Paging, Received, Route, RunningSimulator, Simulator,
    SimulatorSettings, Verdict,
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::support::{ARTICLES, PATIENCE, Service, say, send, simulator, until};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");
/// The interaction of every call.
const CALL: &str = "call-1";

/// A simulator that is asked by plain HTTP.
struct Judge {
    simulator: RunningSimulator,
    client: Client,
    token: String,
    pushes: Cell<u32>,
}

impl Judge {
    async fn start(paging: Paging) -> Self {
        let articles = Article::load(ARTICLES.as_ref()).unwrap();
        let settings = SimulatorSettings { articles, paging, ..SimulatorSettings::default() };
        let simulator = Simulator::start(settings).unwrap();
        simulator.open_interaction(CALL);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        let form = format!(
            "grant_type=client_credentials&client_id={DEFAULT_CLIENT_ID}&client_secret={DEFAULT_CLIENT_SECRET}"
        );
        let request = client.post(format!("{}/oauth/token", simulator.base_url())).body(form);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { simulator, client, token, pushes: Cell::new(0) }
    }

    /// The same path as in a call that was sent elsewhere.
    fn url(&self, sent: &Received) -> String {
        format!("{}{}", self.simulator.base_url(), sent.path)
    }

    /// A call as it was sent, with this body, under a key of its own.
    fn json(&self, sent: &Received, body: &Value) -> RequestBuilder {
        self.pushes.set(self.pushes.get() + 1);
        let request = self.client.post(self.url(sent)).bearer_auth(&self.token).body(body.to_string());
        request
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("idempotency-key", format!("copy-{}", self.pushes.get()))
            .header("x-cxone-client-version", "1.0.0")
    }

    fn form(&self, sent: &Received, fields: &[(String, String)]) -> RequestBuilder {
        let form = Url::parse_with_params("http://form", fields).unwrap();
        let request = self.client.post(self.url(sent)).body(form.query().unwrap().to_owned());
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    fn question(&self, sent: &Received, parameters: &[(String, String)]) -> RequestBuilder {
        let url = Url::parse_with_params(&self.url(sent), parameters).unwrap();
        self.client.get(url).bearer_auth(&self.token)
    }

    async fn takes(&self, route: Route, request: RequestBuilder) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{route:?} as it was sent: {status} {}", answer.text().await.unwrap());
        assert_eq!(self.verdict(route), Verdict::Accepted, "{route:?}");
    }

    async fn refuses(&self, route: Route, field: &str, request: RequestBuilder) {
        let status = request.send().await.unwrap().status().as_u16();
        assert_eq!(status, 400, "{route:?} with {field} renamed");
        let verdict = self.verdict(route);
        assert!(matches!(verdict, Verdict::Violation { .. }), "{route:?} with {field} renamed: {verdict:?}");
    }

    fn verdict(&self, route: Route) -> Verdict {
        self.simulator.received_on(route).pop().unwrap().verdict
    }
}

/// Copies of a body, each with one field renamed, by the field's path. Names that a caller chose are left out.
fn renamed(body: &Value, is_free: &dyn Fn(&str) -> bool) -> Vec<(String, Value)> {
    let mut copies = Vec::new();
    for (object, name) in fields(body, "") {
        if is_free(&object) {
            continue;
        }
        let mut copy = body.clone();
        let parent = copy.pointer_mut(&object).unwrap().as_object_mut().unwrap();
        let value = parent.remove(&name).unwrap();
        parent.insert(format!("{name}_"), value);
        copies.push((format!("{object}/{name}"), copy));
    }
    copies
}

/// Every field as the path of its object and its name.
fn fields(part: &Value, path: &str) -> Vec<(String, String)> {
    match part {
        Value::Object(fields_of) => fields_of
            .iter()
            .flat_map(|(name, value)| {
                let mut found = vec![(path.to_owned(), name.clone())];
                found.extend(fields(value, &format!("{path}/{name}")));
                found
            })
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, item)| fields(item, &format!("{path}/{index}"))).collect()
        }
        _ => Vec::new(),
    }
}

/// Copies of a form or a query, each with one name changed.
fn renamed_pairs(pairs: &[(String, String)]) -> Vec<(String, Vec<(String, String)>)> {
    let copy = |index: usize| {
        let mut copy = pairs.to_vec();
        copy[index].0.push('_');
        (pairs[index].0.clone(), copy)
    };
    (0..pairs.len()).map(copy).collect()
}

/// What a simulator was asked for on a route, once the first call has arrived.
async fn first(simulator: &RunningSimulator, route: Route) -> Received {
    until(simulator, "a call", |simulator| !simulator.received_on(route).is_empty()).await;
    simulator.received_on(route).remove(0)
}

/// Where the contract ranking asks for tokens; the others don't read it.
fn own_token_url(simulator: &RunningSimulator) -> String {
    format!("{}/api/v2/oauth/token", simulator.base_url())
}

/// Starts a service of a contract that is asked over HTTP, asks it, and gives its push.
async fn asked(contract: &str, route: Route, overrides: &[(&str, &str)], path: &str, question: &Value) -> Received {
    let simulator = simulator();
    let own_server = own_token_url(&simulator);
    let overrides = [overrides, &[("CXONE_OAUTH_URL", own_server.as_str())]].concat();
    let (service, caller) = Service::asked(contract, &simulator, &overrides).await;
    let answer = caller.post(path, question).await;
    assert_eq!(answer.status, 200, "{contract}: {}", answer.text);
    let push = first(&simulator, route).await;
    service.finish(&simulator).await;
    push
}

async fn rag() -> Received {
    let question = json!({"conversation_id": CALL, "agent_id": "agent-7", "query_text": DOG});
    asked("rag", Route::Rag, &[], "/assist/push", &question).await
}

async fn graph() -> Received {
    let question = json!({"interaction_id": CALL, "query": "dog on board", "agent_id": "agent-7"});
    asked("graph", Route::Graph, &[("CUECARD_GRAPH", GRAPH)], "/agent-assist/query", &question).await
}

async fn ranking() -> Received {
    let snippet = |id: &str, score: f64| {
        json!({
            "snippet_id": id, "relevance_score": score, "boost_factor": 1.1, "metadata": {"category": "billing"},
        })
    };
    let order = json!({"max_result_window": 15, "snippets": [snippet("KB-1", 0.9), snippet("KB-2", 0.5)]});
    asked("ranking", Route::Ranking, &[], &format!("/sessions/{CALL}/snippets/ranking"), &order).await
}

async fn snippets() -> Received {
    let simulator = simulator();
    let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD__PROFILE__SYNC", "off")];
    let service = Service::start(&simulator, &overrides).await;
    let data = json!({"id": CALL, "state": "active", "channels": [{"transcript": DOG}]});
    send(&simulator, json!({"type": "interaction", "data": data})).await;
    let push = first(&simulator, Route::Snippets).await;
    service.finish(&simulator).await;
    push
}

/// A push and what the agent thinks of its card.
async fn insights() -> [Received; 2] {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, CALL, DOG).await;
    let push = first(&simulator, Route::Insights).await;
    simulator.judge_card(CALL, "pets", true).await.unwrap();
    let feedback = first(&simulator, Route::Feedback).await;
    service.finish(&simulator).await;
    [push, feedback]
}

#[actix_rt::test]
async fn a_push_or_feedback_with_one_field_renamed_is_refused() {
    let [insights, feedback] = insights().await;
    let judge = Judge::start(Paging::Whole).await;
    for sent in [rag().await, snippets().await, graph().await, insights, ranking().await, feedback] {
        let (route, body) = (sent.route, sent.body.clone().unwrap());
        judge.takes(route, judge.json(&sent, &body)).await;
        let is_free = |object: &str| route == Route::Ranking && object.ends_with("/metadata");
        let copies = renamed(&body, &is_free);
        assert!(copies.len() >= 4, "{route:?}: {body}");
        for (field, copy) in copies {
            judge.refuses(route, &field, judge.json(&sent, &copy)).await;
        }
    }
}

/// The fields of a token request as they were sent; the record hides the secret.
fn form_of(sent: &Received) -> Vec<(String, String)> {
    let fields = sent.body.as_ref().unwrap().as_object().unwrap().iter();
    let pair = |(name, value): (&String, &Value)| {
        let value = if name == "client_secret" { DEFAULT_CLIENT_SECRET } else { value.as_str().unwrap() };
        (name.clone(), value.to_owned())
    };
    fields.map(pair).collect()
}

#[actix_rt::test]
async fn a_token_request_with_one_field_renamed_is_refused() {
    // (contract, fields sent)
    let table = [("rag", 4), ("snippets", 4), ("graph", 4), ("insights", 3), ("ranking", 4)];
    let judge = Judge::start(Paging::Whole).await;
    for (contract, number) in table {
        let simulator = simulator();
        let own_server = own_token_url(&simulator);
        let overrides = [
            ("CXONE_CONTRACT", contract),
            ("CXONE_OAUTH_URL", own_server.as_str()),
            ("CUECARD_GRAPH", GRAPH),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
        ];
        let service = Service::launch(&simulator.base_url(), &overrides);
        let sent = first(&simulator, Route::Token).await;
        let form = form_of(&sent);
        assert_eq!(form.len(), number, "{contract}: {form:?}");
        judge.takes(Route::Token, judge.form(&sent, &form)).await;
        for (field, copy) in renamed_pairs(&form) {
            judge.refuses(Route::Token, &format!("{contract} {field}"), judge.form(&sent, &copy)).await;
        }
        service.stop().await;
    }
}

/// The parameters of a question as they were sent.
fn parameters_of(sent: &Received) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://question/?{}", sent.query.as_deref().unwrap_or_default())).unwrap();
    url.query_pairs().into_owned().collect()
}

#[actix_rt::test]
async fn a_search_with_one_parameter_renamed_is_refused() {
    let simulator = simulator();
    simulator.replace_articles(Article::load(ARTICLES.as_ref()).unwrap());
    let service = Service::start(&simulator, &[("CUECARD__PROFILE__BACKENDS", "search")]).await;
    say(&simulator, CALL, DOG).await;
    let sent = first(&simulator, Route::Search).await;
    let parameters = parameters_of(&sent);
    assert_eq!(parameters.len(), 4, "{parameters:?}");
    let judge = Judge::start(Paging::Whole).await;
    judge.takes(Route::Search, judge.question(&sent, &parameters)).await;
    for (name, copy) in renamed_pairs(&parameters) {
        judge.refuses(Route::Search, &name, judge.question(&sent, &copy)).await;
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_poll_with_one_parameter_renamed_is_refused() {
    // (paging, parameters of the second page)
    for (paging, number) in [(Paging::NextLink(7), 1), (Paging::PageNumber(7), 2)] {
        let articles = Article::load(ARTICLES.as_ref()).unwrap();
        let settings = SimulatorSettings { articles, paging, ..SimulatorSettings::default() };
        let (simulator, index) = (Simulator::start(settings).unwrap(), TempDir::new().unwrap());
        let index = index.path().join("index");
        let overrides = [("CXONE_CONTRACT", "snippets"), ("CUECARD_INDEX", index.to_str().unwrap())];
        let service = Service::start(&simulator, &overrides).await;
        service.admin.until("articles", |metrics| metrics.sum("cuecard_index_articles", &[]) == 20.0).await;
        let sent = simulator.received_on(Route::Articles).remove(1);
        let parameters = parameters_of(&sent);
        assert_eq!(parameters.len(), number, "{paging:?}: {parameters:?}");
        let judge = Judge::start(paging).await;
        judge.takes(Route::Articles, judge.question(&sent, &parameters)).await;
        for (name, copy) in renamed_pairs(&parameters) {
            judge.refuses(Route::Articles, &name, judge.question(&sent, &copy)).await;
        }
        service.finish(&simulator).await;
    }
}
