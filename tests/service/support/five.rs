//! One service with a profile for each contract, all of one tenant, and a question put to it by all five at once.

use std::time::Instant;

use cuecard::settings::Settings;
use cuecard_simulator::{Contract, Fault, FaultKind, Frame, Received, Route, RunningSimulator};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Caller, LOOK, PATIENCE, Service, environment, simulator};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");

pub const CONTRACTS: [Contract; 5] =
    [Contract::Rag, Contract::Snippets, Contract::Graph, Contract::Insights, Contract::Ranking];

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The caller was told, with this status and these words of CXone or of the contract.
    Told(u16, &'static str),
    /// The stream's card ended so.
    Card(&'static str),
}
use End::{Card, Told};

pub const SHOWN: [End; 5] = [
    Told(200, "\"injected\""),
    Card("delivered"),
    Told(200, "\"success\""),
    Card("delivered"),
    Told(200, "\"applied\""),
];

pub struct Five {
    pub simulator: RunningSimulator,
    pub service: Service,
    pub caller: Caller,
}

fn route(contract: Contract) -> Route {
    match contract {
        Contract::Rag => Route::Rag,
        Contract::Snippets => Route::Snippets,
        Contract::Graph => Route::Graph,
        Contract::Insights => Route::Insights,
        Contract::Ranking => Route::Ranking,
    }
}

/// The profiles, `shared` being settings of all of them.
pub fn launch(simulator: &RunningSimulator, shared: &str) -> Service {
    let (base, data) = (simulator.base_url(), TempDir::new().unwrap());
    let sections = format!(
        "[cxone]\nattempt_timeout = '600ms'\n[profile]\nbase_url = '{base}'\nsync = 'off'\n{shared}\n\
         [profiles.rag]\ncontract = 'rag'\n[profiles.snippets]\ncontract = 'snippets'\n\
         [profiles.graph]\ncontract = 'graph'\ngraph = '{GRAPH}'\n[profiles.insights]\ncontract = 'insights'\n\
         [profiles.ranking]\ncontract = 'ranking'\noauth_url = '{base}/api/v2/oauth/token'\n"
    );
    let file = data.path().join("cuecard.toml");
    std::fs::write(&file, sections).unwrap();
    let own = [("CXONE_CONTRACT", ""), ("CXONE_BASE_URL", ""), ("CUECARD_API_ADDR", "127.0.0.1:0")];
    let settings = Settings::load(Some(&file), environment("", data.path(), &own)).unwrap();
    Service::with(settings, data)
}

impl Five {
    pub async fn new(shared: &str) -> Self {
        Self::of(simulator(), shared).await
    }

    /// The same of a simulator that has its faults already.
    pub async fn of(simulator: RunningSimulator, shared: &str) -> Self {
        let service = launch(&simulator, shared);
        let caller = service.caller();
        let is_ready =
            |page: &Value| page["profiles"].as_array().unwrap().iter().all(|profile| profile["state"] == "ready");
        let start = Instant::now();
        loop {
            let page = service.admin.get("/readyz").await;
            if is_ready(&page.json()) && simulator.num_streams() >= 2 {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "not ready: {}", page.text);
            tokio::time::sleep(LOOK).await;
        }
        Self { simulator, service, caller }
    }

    pub fn inject(&self, times: u32, fault: &FaultKind) {
        for contract in CONTRACTS {
            self.simulator.inject(Fault { route: route(contract), times, fault: fault.clone() });
        }
    }

    pub fn pushes(&self, contract: Contract) -> Vec<Received> {
        self.simulator.received_on(route(contract))
    }

    /// Asks a question by every contract at once; gives how each ended.
    pub async fn ask(&self, interaction: &str) -> Vec<Ended> {
        join_all(CONTRACTS.map(|contract| self.ask_by(contract, interaction))).await
    }

    pub async fn ask_by(&self, contract: Contract, interaction: &str) -> Ended {
        let interaction = &format!("{interaction}-{}", contract.name());
        let fragment = json!({"type": "TRANSCRIPT_FRAGMENT", "text": DOG, "interactionId": interaction, "participant": "CUSTOMER"});
        let turn_end = json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction});
        let event = json!({
            "type": "interaction",
            "data": {"id": interaction, "state": "active", "channels": [{"transcript": DOG}]},
        });
        match contract {
            Contract::Rag => {
                let body = json!({"conversation_id": interaction, "agent_id": "agent-7", "query_text": DOG});
                self.post("/assist/push", &body).await
            }
            Contract::Graph => {
                let body = json!({"interaction_id": interaction, "agent_id": "agent-7", "query": "dog on board"});
                self.post("/agent-assist/query", &body).await
            }
            Contract::Ranking => {
                let snippets = json!([
                    {"snippet_id": "s-1", "relevance_score": 0.9, "boost_factor": 1.0, "metadata": {}},
                    {"snippet_id": "s-2", "relevance_score": 0.4, "boost_factor": 1.5, "metadata": {}},
                ]);
                let body = json!({"max_result_window": 10, "snippets": snippets});
                self.post(&format!("/sessions/{interaction}/snippets/ranking"), &body).await
            }
            Contract::Insights => self.say(contract, &[fragment, turn_end]).await,
            Contract::Snippets => self.say(contract, &[event]).await,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Ended {
        let answer = self.caller.post(path, body).await;
        Ended { status: Some(answer.status), words: answer.text, retry_after: answer.retry_after }
    }

    async fn say(&self, contract: Contract, frames: &[Value]) -> Ended {
        let before = self.cards(contract).await;
        for frame in frames {
            self.simulator.send(Frame::Text(frame.to_string())).await.unwrap();
        }
        let start = Instant::now();
        loop {
            let now = self.cards(contract).await;
            if let Some((outcome, _)) =
                now.iter().zip(&before).find(|((_, now), (_, before))| now > before).map(|pair| pair.0)
            {
                return Ended { status: None, words: (*outcome).to_owned(), retry_after: None };
            }
            assert!(start.elapsed() < PATIENCE, "{contract:?} comes to no end");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn cards(&self, contract: Contract) -> Vec<(&'static str, f64)> {
        let metrics = self.service.admin.metrics().await;
        let outcomes = ["delivered", "silent", "expired", "replaced", "shed", "refused", "failed", "stopping"];
        let count = |outcome| metrics.sum("cuecard_cards_total", &[("profile", contract.name()), ("outcome", outcome)]);
        outcomes.into_iter().map(|outcome| (outcome, count(outcome))).collect()
    }

    /// The row: so many requests meet `fault`, each question ends as `expected` after so many attempts.
    pub async fn row(&self, fault: &FaultKind, times: u32, attempts: usize, expected: &[End; 5]) -> Vec<Ended> {
        let before = CONTRACTS.map(|contract| self.pushes(contract).len());
        self.inject(times, fault);
        let ended = self.ask(&format!("call-{}", before.iter().sum::<usize>())).await;
        for (((contract, before), ended), expected) in CONTRACTS.iter().zip(before).zip(&ended).zip(expected) {
            ended.assert(*contract, expected);
            // What the simulator was slow to handle is recorded late.
            let is_recorded = |_: &RunningSimulator| self.pushes(*contract).len() >= before + attempts;
            assert!(self.simulator.until(PATIENCE, is_recorded).await, "{contract:?}: fewer than {attempts} attempts");
            let pushes = self.pushes(*contract).split_off(before);
            assert_eq!(pushes.len(), attempts, "{contract:?}: attempts");
            let keys: Vec<_> = pushes.iter().map(|push| push.idempotency_key.as_deref().unwrap()).collect();
            assert!(keys.iter().all(|key| *key == keys[0]), "{contract:?}: {keys:?}");
        }
        ended
    }
}

/// How a question ended.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<u16>,
    pub words: String,
    pub retry_after: Option<String>,
}

impl Ended {
    pub fn assert(&self, contract: Contract, expected: &End) {
        match expected {
            Told(status, words) => {
                assert_eq!(self.status, Some(*status), "{contract:?}: {}", self.words);
                assert!(self.words.contains(words), "{contract:?}: {}", self.words);
            }
            Card(outcome) => assert_eq!(self.words, *outcome, "{contract:?}"),
        }
    }
}
