//! What the tests of several actors share: a recorder of outcomes, a bench that watches for panics, items to send.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use cuecard_cxone::token::Token;
use cuecard_engine::conversation::Utterance;
use cuecard_engine::knowledge::Article;
use cuecard_engine::{Backend, Candidate, Candidates, Query, Ranked, Scores};
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::GivingWay;
use crate::inbox::Inbox;
use crate::messages::{
    Ask, Content, Delivery, Extracted, InteractionKey, Outcome, OutcomeSink, ProfileName, Rankable, Refusal,
    RefusalCause, Ticket, TicketReport, WorkItem,
};
use crate::supervision::{
    ActorCell, ActorState, Escalation, Escalations, RestartPolicy, Restartable, escalations, supervise,
};
use crate::telemetry::Metrics;

/// Far beyond what anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// An eighth, a quarter and a half of the time for which a card is awaited.
pub const GIVING_WAY: GivingWay = GivingWay {
    newest_turn_after: Duration::from_millis(500),
    lexical_only_after: Duration::from_secs(1),
    drop_oldest_after: Duration::from_secs(2),
};

/// Keeps the outcomes that it is told.
#[derive(Default)]
pub struct Recorder {
    outcomes: Mutex<Vec<(TicketReport, Outcome)>>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().iter().map(|(_, outcome)| outcome.clone()).collect()
    }

    pub fn labels(&self) -> Vec<&'static str> {
        self.outcomes().iter().map(Outcome::label).collect()
    }

    /// How this item ended, once it has.
    pub fn outcome_of(&self, item: &WorkItem) -> Option<Outcome> {
        let outcomes = self.outcomes.lock().unwrap();
        let mut of_item = outcomes.iter().filter(|(report, _)| report.decision == item.decision);
        let (_, outcome) = of_item.next()?;
        assert!(of_item.next().is_none(), "one end for each ticket");
        Some(outcome.clone())
    }

    pub fn ticket(self: &Arc<Self>, item: &WorkItem) -> Ticket {
        Ticket::new(item, Arc::clone(self) as Arc<dyn OutcomeSink>, None)
    }
}

impl OutcomeSink for Recorder {
    fn opened(&self, _profile: &ProfileName) {}

    fn record(&self, report: &TicketReport, outcome: &Outcome) {
        self.outcomes.lock().unwrap().push((report.clone(), outcome.clone()));
    }
}

/// Runs one actor, and fails the test when it panicked more or less often than expected.
pub struct Bench {
    pub cell: Arc<ActorCell>,
    pub metrics: Metrics,
    pub escalation: Escalation,
    escalations: Escalations,
    expected_panics: u64,
}

impl Bench {
    pub fn new(name: &str) -> Self {
        Self::expecting(name, 0)
    }

    pub fn expecting(name: &str, expected_panics: u64) -> Self {
        let cell = ActorCell::new(name);
        let profiles = ["acme", "other"].map(ProfileName::new);
        let metrics = Metrics::new(&profiles, vec![Arc::clone(&cell)]).unwrap();
        let (escalation, escalations) = escalations();
        Self { cell, metrics, escalation, escalations, expected_panics }
    }

    pub fn supervise<A: Restartable>(&self, actor: A) -> Addr<A> {
        supervise(Arc::clone(&self.cell), RestartPolicy::default(), self.escalation.clone(), |_| actor)
    }

    /// Why an actor gave up.
    pub async fn escalated(&mut self) -> String {
        soon("an escalation", self.escalations.next()).await
    }

    /// Asserts that the actor was restarted and its address survived.
    pub fn assert_recovered<A: Restartable>(&self, address: &Addr<A>) {
        assert_eq!((self.cell.panics(), self.cell.restarts(), self.cell.state()), (1, 1, ActorState::Running));
        assert!(address.connected());
    }

    /// The value of one series, by its name and labels as they are rendered.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.render(0.0).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in {text}")).parse().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.cell.panics(), self.expected_panics, "{:?}", self.cell.report());
        }
    }
}

pub fn key(profile: &str, interaction: &str) -> InteractionKey {
    InteractionKey { profile: ProfileName::new(profile), interaction: interaction.parse().unwrap() }
}

/// A question that is worth an answer for four seconds.
pub fn item(profile: &str, interaction: &str, utterance_number: u64) -> WorkItem {
    let now = Instant::now();
    WorkItem {
        decision: Uuid::now_v7(),
        key: key(profile, interaction),
        utterance_number,
        agent_id: None,
        heard_at: Timestamp::now(),
        ask: Ask::Cards(Utterance::question("where is my order")),
        heard: now,
        deadline: now + Duration::from_secs(4),
    }
}

/// Two snippets to be ordered; `kb-2` is the better one.
pub fn ranking_item(profile: &str, session: &str) -> WorkItem {
    let request = r#"{"max_result_window": 10, "snippets": [
        {"snippet_id": "kb-1", "relevance_score": 0.25}, {"snippet_id": "kb-2", "relevance_score": 0.75}]}"#;
    WorkItem { ask: Ask::Order(serde_json::from_str(request).unwrap()), ..item(profile, session, 1) }
}

pub fn query() -> Query {
    Query {
        text: "where is my order".to_owned(),
        embedding: None,
        newest_embedding: None,
        key_phrases: Vec::new(),
        without_vectors: None,
    }
}

pub fn candidates() -> Candidates {
    Candidates { query: query(), candidates: Vec::new(), newest_turn_cosine: None, generation: Some(1) }
}

pub fn extracted(item: &WorkItem, recorder: &Arc<Recorder>) -> Extracted {
    Extracted { item: item.clone(), ticket: recorder.ticket(item), query: query() }
}

/// A candidate whose article is called after the backend that found it.
pub fn found_by(backend: Backend) -> Candidate {
    let article = Article { id: backend.name().to_owned(), ..Article::default() };
    let (article, scores) = (Arc::new(article), Scores::default());
    Candidate { article, passage: String::new(), backend, matched_by: None, scores }
}

pub fn rankable(item: &WorkItem, recorder: &Arc<Recorder>) -> Rankable {
    Rankable { item: item.clone(), ticket: recorder.ticket(item), found: Some(candidates()) }
}

pub fn delivery(item: &WorkItem, recorder: &Arc<Recorder>) -> Delivery {
    Delivery { item: item.clone(), ticket: recorder.ticket(item), content: Content::Cards(vec![card("article")]) }
}

pub fn card(article_id: &str) -> Ranked {
    let article = Article { id: article_id.to_owned(), title: "Orders".to_owned(), ..Article::default() };
    Ranked {
        article: Arc::new(article),
        passage: String::new(),
        backend: Backend::Index,
        matched_by: None,
        score: 0.5,
        scores: Scores::default(),
    }
}

/// What CXone says to a push that it refuses.
pub fn refusal(reason: &str) -> Refusal {
    let cause = RefusalCause::Status(400);
    Refusal { cause, reason: reason.to_owned(), answer: Bytes::new(), retry_after: None }
}

/// A token that lives for `seconds` and is renewed `margin` before its end.
pub fn token(secret: &str, seconds: u64, margin: Duration) -> Token {
    let answer = format!(r#"{{"access_token":"{secret}","expires_in":{seconds}}}"#);
    Token::from_answer(answer.as_bytes(), Instant::now(), margin).unwrap()
}

/// Gates that hold back whoever waits for them, by name, until they are opened.
#[derive(Default)]
pub struct Gates {
    gates: Mutex<HashMap<String, Arc<tokio::sync::Semaphore>>>,
}

impl Gates {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Lets one more pass.
    pub fn open(&self, name: &str) {
        self.gate(name).add_permits(1);
    }

    /// Waits for the gate to be opened.
    pub fn pass(&self, name: &str) -> impl Future<Output = ()> + use<> {
        let gate = self.gate(name);
        async move { gate.acquire().await.unwrap().forget() }
    }

    fn gate(&self, name: &str) -> Arc<tokio::sync::Semaphore> {
        let mut gates = self.gates.lock().unwrap();
        Arc::clone(gates.entry(name.to_owned()).or_insert_with(|| Arc::new(tokio::sync::Semaphore::new(0))))
    }
}

/// Waits for something that must come; on paused time the patience passes at once where nothing else happens.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let Ok(came) = tokio::time::timeout(PATIENCE, coming).await else { panic!("never came: {what}") };
    came
}

/// The next so many of what an inbox holds.
pub async fn take<M: 'static>(inbox: &Inbox<M>, count: usize) -> Vec<M> {
    soon("what the inbox is to hold", inbox.stream().take(count).collect()).await
}

/// Waits until `condition` holds; fails after a minute, naming what did not come about.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
