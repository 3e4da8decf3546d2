//! Asking the service as an agent's desktop would: contracts 000, 002 and 004.
//!
//! Input: an interaction and what the customer said in it; for 004 articles and a seed, from which the snippets to order
//! are drawn, the same for the same seed. Output: the question in the interactions at the moment when it is sent, and the count
//! of what the answers said: a turn without a card whose answer explains that is no lost one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use awc::error::SendRequestError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::admin::{Outcome, Outcomes};
use super::options::{ReplayError, ReplayOptions, base_url};
use crate::base::contracts::Contract;
use crate::serve::files::Article;
use crate::serve::hub::Hub;
use crate::serve::simulator::RunningSimulator;

/// The service's own deadline for HTTP callers is 15 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Questions open at once; a rate that fills this is far beyond what is answered.
const MAX_OPEN: usize = 10_000;
/// Snippets in one ranking request.
const NUM_SNIPPETS: usize = 10;
/// Who asks.
const AGENT_ID: &str = "agent-001";

/// What the answers said, cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers {
    /// 200 with the word that nothing was found.
    pub(super) silent: u64,
    /// 504: no card before the deadline.
    pub(super) expired: u64,
    /// 503: explained only when the service says that it sheds.
    pub(super) unavailable: u64,
    /// Everything else that is no success, by what it was.
    pub(super) failed: BTreeMap<String, u64>,
}

/// What one answer said.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Pushed,
    Silent,
    Expired,
    Unavailable,
    Failed(String),
}

impl Said {
    /// A card that came leaves nothing to explain, whatever its caller was told.
    fn beside_a_card(self) -> Self {
        if matches!(self, Self::Failed(_)) { self } else { Self::Pushed }
    }
}

impl Answers {
    fn add(&mut self, said: Said) {
        match said {
            Said::Pushed => {}
            Said::Silent => self.silent += 1,
            Said::Expired => self.expired += 1,
            Said::Unavailable => self.unavailable += 1,
            Said::Failed(what) => *self.failed.entry(what).or_default() += 1,
        }
    }

    /// The turns without a card that they explain, beside what the service counts itself.
    pub(super) fn explain(&self, counted: &Outcomes) -> Outcomes {
        let mut explained = Outcomes::default();
        explained.add(Outcome::Silent, self.silent);
        explained.add(Outcome::Expired, self.expired);
        explained.add(Outcome::Shed, self.unavailable.min(counted.count(Outcome::Shed)));
        explained
    }
}

/// Asks one service.
pub(super) struct Asker {
    http: awc::Client,
    hub: Arc<Hub>,
    contract: Contract,
    target: String,
    headers: Vec<(String, String)>,
    client: Arc<str>,
    session: Option<String>,
    snippets: RefCell<SnippetMaker>,
    answers: RefCell<Answers>,
    open: Arc<Semaphore>,
}

impl Asker {
    /// Must be called inside an actix system.
    pub(super) fn new(simulator: &RunningSimulator, options: &ReplayOptions) -> Result<Self, ReplayError> {
        let target = base_url("--target", &options.target)?;
        Ok(Self {
            http: awc::Client::builder().timeout(ANSWER_TIMEOUT).connector(awc::Connector::new().limit(0)).finish(),
            hub: Arc::clone(simulator.hub()),
            contract: options.contract,
            target,
            headers: options.target_headers.clone(),
            client: options.client_id.as_str().into(),
            session: options.session.clone(),
            snippets: RefCell::new(SnippetMaker::new(&options.articles, options.seed)),
            answers: RefCell::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
        })
    }

    /// Whether anything answers at the target.
    pub(super) async fn reach(&self) -> Result<(), String> {
        let answer = self.http.get(&self.target).timeout(Duration::from_secs(2)).send().await;
        answer.map(|_| ()).map_err(|error| error.to_string())
    }

    pub(super) fn answers(&self) -> Answers {
        self.answers.borrow().clone()
    }

    /// Questions whose answer is still awaited.
    pub(super) fn num_open(&self) -> usize {
        MAX_OPEN - self.open.available_permits()
    }

    /// Asks in a task of its own, which goes on when nobody waits for it, as soon as there is room for one more question.
    pub(super) async fn begin(asker: &Rc<Self>, id: &str, text: &str) -> JoinHandle<()> {
        // The semaphore is never closed.
        let place = Arc::clone(&asker.open).acquire_owned().await;
        let (asker, id, text) = (Rc::clone(asker), id.to_owned(), text.to_owned());
        actix_rt::spawn(async move {
            let said = asker.ask(&id, &text).await;
            asker.answers.borrow_mut().add(said);
            drop(place);
        })
    }

    async fn ask(&self, id: &str, text: &str) -> Said {
        let id = self.session.as_deref().unwrap_or(id);
        let (path, body) = self.question(id, text);
        let mut request = self.http.post(format!("{}{path}", self.target));
        for (name, value) in &self.headers {
            request = request.insert_header((name.as_str(), value.as_str()));
        }
        let turn = self.hub.update(|state| state.note_question(&self.client, id, text, Instant::now()));
        let said = match request.send_json(&body).await {
            Ok(mut response) => {
                let body = response.body().await.unwrap_or_default();
                read(response.status().as_u16(), &body)
            }
            Err(SendRequestError::Timeout) => Said::Failed("no answer".to_owned()),
            Err(error) => Said::Failed(error.to_string()),
        };
        let has_card = self.hub.change_quietly(|state| state.tenant(&self.client).interactions.has_card(id, turn));
        if has_card { said.beside_a_card() } else { said }
    }

    fn question(&self, id: &str, text: &str) -> (String, Value) {
        match self.contract {
            Contract::Graph => {
                ("/agent-assist/query".to_owned(), json!({"interaction_id": id, "query": text, "agent_id": AGENT_ID}))
            }
            Contract::Ranking => {
                (format!("/sessions/{id}/snippets/ranking"), self.snippets.borrow_mut().ranking_request())
            }
            _ => ("/assist/push".to_owned(), json!({"conversation_id": id, "agent_id": AGENT_ID, "query_text": text})),
        }
    }
}

fn read(status: u16, body: &[u8]) -> Said {
    match status {
        200..=299 => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let is_silent = matches!(body["status"].as_str(), Some("no_match" | "no_results"));
            if is_silent { Said::Silent } else { Said::Pushed }
        }
        503 => Said::Unavailable,
        504 => Said::Expired,
        status => Said::Failed(format!("answer {status}")),
    }
}

/// Makes ranking requests.
struct SnippetMaker {
    ids: Vec<String>,
    random: StdRng,
}

impl SnippetMaker {
    /// Draws from `articles`, or from ten fixed snippets when there are fewer than that.
    fn new(articles: &[Article], seed: u64) -> Self {
        let fixed = || (1..=NUM_SNIPPETS).map(|number| format!("KB-{number:03}")).collect();
        let ids: Vec<String> = articles.iter().map(|article| article.id.clone()).collect();
        let ids = if ids.len() < NUM_SNIPPETS { fixed() } else { ids };
        Self { ids, random: StdRng::seed_from_u64(seed) }
    }

    /// Ten different snippets with scores of 0 to 1 and boosts of 0.5 to 1.5.
    fn ranking_request(&mut self) -> Value {
        let first = self.random.random_range(0..self.ids.len());
        let snippets: Vec<Value> = (0..NUM_SNIPPETS).map(|offset| self.snippet(first + offset)).collect();
        json!({"max_result_window": NUM_SNIPPETS, "snippets": snippets})
    }

    fn snippet(&mut self, place: usize) -> Value {
        json!({
            "snippet_id": self.ids[place % self.ids.len()],
            "relevance_score": f64::from(self.random.random_range(0..=10_000)) / 10_000.0,
            "boost_factor": f64::from(self.random.random_range(50..=150)) / 100.0,
            "metadata": {"source": "cxone-sim"},
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_an_answer_says() {
        let table = [
            (200, r#"{"status":"injected","assist_id":null,"chunks_returned":3}"#, Said::Pushed),
            (200, r#"{"status":"no_match","message":"m"}"#, Said::Silent),
            (200, r#"{"status":"no_results","message":"m"}"#, Said::Silent),
            (200, r#"{"id":"RANK-1"}"#, Said::Pushed),
            (503, r#"{"detail":"d"}"#, Said::Unavailable),
            (504, "", Said::Expired),
            (502, "x", Said::Failed("answer 502".to_owned())),
        ];
        for (status, body, said) in table {
            assert_eq!(read(status, body.as_bytes()), said, "{status} {body}");
        }
    }

    #[test]
    fn requests_keep_the_contract_s_rules_and_repeat_with_their_seed() {
        let article =
            |number| Article { id: format!("a{number}"), title: String::new(), body: String::new(), url: None };
        let articles: Vec<_> = (0..25).map(article).collect();
        for articles in [&articles[..], &articles[..3]] {
            let (mut one, mut same) = (SnippetMaker::new(articles, 7), SnippetMaker::new(articles, 7));
            for _ in 0..50 {
                let request = one.ranking_request();
                assert_eq!(request, same.ranking_request());
                let snippets = request["snippets"].as_array().unwrap();
                let ids: HashSet<&str> =
                    snippets.iter().map(|snippet| snippet["snippet_id"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), NUM_SNIPPETS);
                let within = |snippet: &Value| {
                    let (score, boost) = (&snippet["relevance_score"], &snippet["boost_factor"]);
                    (0.0..=1.0).contains(&score.as_f64().unwrap()) && (0.5..=1.5).contains(&boost.as_f64().unwrap())
                };
                assert!(snippets.iter().all(within), "{request}");
            }
        }
        assert_ne!(SnippetMaker::new(&[], 1).ranking_request(), SnippetMaker::new(&[], 2).ranking_request());
    }
}
