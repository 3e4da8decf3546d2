//! What the tests of several actors share: tenants, a recorder of outcomes, a bench that watches for panics, items to send.

#![allow(clippy::unwrap_used)]

mod cxone;
mod log;
mod tenants;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Addr;
use async_channel::Receiver;
use cuecard_cxone::token::Token;
use cuecard_engine::conversation::Utterance;
use cuecard_engine::knowledge::Article;
use cuecard_engine::ranking::Formula;
use cuecard_engine::{BackendName, Candidate, Grounds, Order, Query, Ranked, Ranking, Verdict};
use cuecard_failure_points::FailurePoint;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

pub use cxone::{Answered, Call, Cxone, answer};
pub use log::Logged;
pub use tenants::{TenantParts, give_tokens, give_tokens_after, plan, tenants};

use crate::admission::LoadShedding;
use crate::decisions::{Decisions, Tapped};
use crate::inbox::Inbox;
use crate::messages::{
    Ask, Content, Decision, Delivery, Extracted, InteractionKey, Outcome, ProfileName, Rankable, Stage, Ticket,
    WorkItem,
};
use crate::supervision::{
    ActorCell, ActorState, Escalation, Escalations, RestartPolicy, Restartable, escalations, supervise,
};
use crate::telemetry::Metrics;
use crate::tenant::Tenants;

/// Far beyond what anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// An eighth, a quarter and a half of the time for which a card is awaited.
pub const LOAD_SHEDDING: LoadShedding = LoadShedding {
    newest_turn_after: Duration::from_millis(500),
    lexical_only_after: Duration::from_secs(1),
    drop_oldest_after: Duration::from_secs(2),
};

/// Takes note of how questions end.
pub struct Recorder {
    metrics: Metrics,
    decisions: Decisions,
    ended: Receiver<Tapped>,
    seen: Mutex<Vec<Decision>>,
    tenants: Tenants,
}

impl Recorder {
    /// For the questions of the tenants `acme` and `other`.
    pub fn new() -> Arc<Self> {
        Self::of(tenants())
    }

    /// For the questions of these tenants.
    pub fn of(tenants: Tenants) -> Arc<Self> {
        let metrics = Metrics::new(&["acme", "other"].map(ProfileName::new), Vec::new()).unwrap();
        let (decisions, ended) = Decisions::new(metrics.clone());
        Arc::new(Self { metrics, decisions, ended, seen: Mutex::default(), tenants })
    }

    /// Where tickets say how they end.
    pub fn sink(&self) -> Decisions {
        self.decisions.clone()
    }

    /// Whose questions these are.
    pub fn tenants(&self) -> Tenants {
        self.tenants.clone()
    }

    /// What ended so far, in its order.
    pub fn decisions(&self) -> Vec<Decision> {
        let mut seen = self.seen.lock().unwrap();
        while let Ok(Tapped::Ended(decision)) = self.ended.try_recv() {
            seen.push(*decision);
        }
        seen.clone()
    }

    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// The value of one series of these questions.
    pub fn metric(&self, series: &str) -> u64 {
        read_metric(&self.metrics, series)
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.decisions().into_iter().map(|decision| decision.outcome).collect()
    }

    pub fn labels(&self) -> Vec<&'static str> {
        self.outcomes().iter().map(Outcome::label).collect()
    }

    /// How this item ended, once it has.
    pub fn outcome_of(&self, item: &WorkItem) -> Option<Outcome> {
        self.decision_of(item).map(|decision| decision.outcome)
    }

    /// What is known of this item, once it has ended.
    pub fn decision_of(&self, item: &WorkItem) -> Option<Decision> {
        let mut of_item = self.decisions().into_iter().filter(|decision| decision.id == item.decision);
        let decision = of_item.next()?;
        assert!(of_item.next().is_none(), "one end for each ticket");
        Some(decision)
    }

    /// The stages whose time counts for this item, in whole seconds, once it has ended.
    pub fn stages_of(&self, item: &WorkItem) -> Vec<(Stage, u64)> {
        let decision = self.decision_of(item).unwrap();
        decision.stages.iter().map(|time| (time.stage, time.took.as_secs())).collect()
    }

    pub fn ticket(&self, item: &WorkItem) -> Ticket {
        self.ticket_for(item, None)
    }

    pub fn ticket_for(&self, item: &WorkItem, reply: Option<oneshot::Sender<Outcome>>) -> Ticket {
        let tenant = self.tenants.get(&item.key.profile).unwrap();
        Ticket::new(item, tenant, self.sink(), reply)
    }
}

/// Runs one actor, and fails the test when it panicked more or less often than expected.
pub struct Bench {
    pub cell: Arc<ActorCell>,
    pub metrics: Metrics,
    pub escalation: Escalation,
    /// Gone once somebody has waited for one.
    escalations: Cell<Option<Escalations>>,
    expected_panics: u64,
}

impl Bench {
    pub fn new(name: &str) -> Self {
        Self::expecting(name, 0)
    }

    pub fn expecting(name: &str, expected_panics: u64) -> Self {
        let cell = ActorCell::new(name);
        let profiles = ["acme", "other", "bad", "worse"].map(ProfileName::new);
        let metrics = Metrics::new(&profiles, vec![Arc::clone(&cell)]).unwrap();
        let (escalation, escalations) = escalations();
        Self { cell, metrics, escalation, escalations: Cell::new(Some(escalations)), expected_panics }
    }

    pub fn supervise<A: Restartable>(&self, actor: A) -> Addr<A> {
        supervise(Arc::clone(&self.cell), RestartPolicy::default(), self.escalation.clone(), |_| actor)
    }

    /// Why an actor gave up.
    pub async fn escalated(&self) -> String {
        let mut escalations = self.escalations.take().unwrap();
        soon("an escalation", escalations.next()).await
    }

    /// Has the actor panic ten times within a minute over what `poison` sends, which it survives each time, as `works` shows;
    /// and an eleventh time, which is its end.
    pub async fn panic_until_it_gives_up(&self, poison: impl AsyncFn(u64), works: impl AsyncFn(u64)) {
        for number in 1..=10 {
            poison(number).await;
            until("it restarted", || self.cell.restarts() == number).await;
            works(number).await;
            assert_eq!(
                (self.cell.panics(), self.cell.restarts(), self.cell.state()),
                (number, number, ActorState::Running)
            );
        }
        poison(11).await;
        let reason = self.escalated().await;
        assert!(reason.contains("too many panics"), "{reason}");
        assert_eq!((self.cell.panics(), self.cell.restarts(), self.cell.state()), (11, 10, ActorState::Failed));
    }

    /// Asserts that the actor was restarted and its address survived.
    pub fn assert_recovered<A: Restartable>(&self, address: &Addr<A>) {
        assert_eq!((self.cell.panics(), self.cell.restarts(), self.cell.state()), (1, 1, ActorState::Running));
        assert!(address.connected());
    }

    /// The value of one series, by its name and labels as they are rendered.
    pub fn metric(&self, series: &str) -> u64 {
        read_metric(&self.metrics, series)
    }
}

pub fn read_metric(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.render(0.0).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no series {series} in {text}")).parse().unwrap()
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
        ask: Ask::Cards(Arc::new(Utterance::question("where is my order"))),
        heard: now,
        deadline: now + Duration::from_secs(4),
    }
}

/// A question that is worth an answer for an hour.
pub fn patient_item(profile: &str, interaction: &str, utterance_number: u64) -> WorkItem {
    let item = item(profile, interaction, utterance_number);
    WorkItem { deadline: item.heard + Duration::from_hours(1), ..item }
}

/// Two snippets to be ordered; `kb-2` is the better one.
pub fn ranking_item(profile: &str, session: &str) -> WorkItem {
    let request = r#"{"max_result_window": 10, "snippets": [
        {"snippet_id": "kb-1", "relevance_score": 0.25}, {"snippet_id": "kb-2", "relevance_score": 0.75}]}"#;
    WorkItem { ask: Ask::Order(serde_json::from_str(request).unwrap()), ..item(profile, session, 1) }
}

pub fn query() -> Query {
    Query { text: "where is my order".into(), ..Query::default() }
}

pub fn extracted(item: &WorkItem, recorder: &Recorder) -> Extracted {
    Extracted { item: item.clone(), ticket: recorder.ticket(item), query: query() }
}

/// A candidate whose article has this id.
pub fn candidate(article_id: &str, backend: BackendName) -> Candidate {
    let article = Article { id: article_id.to_owned(), title: "Orders".to_owned(), ..Article::default() };
    Candidate::new(Arc::new(article), "", backend)
}

pub fn card(article_id: &str) -> Ranked {
    Ranked::new(candidate(article_id, BackendName::Index), 0.5, Vec::new())
}

pub fn order_of(ranked: Vec<Ranked>) -> Order {
    Order { generation: Some(1), ..Order::new(Formula::Cosine, ranked) }
}

/// A ranking that shows all of these.
pub fn ranking_of(ranked: Vec<Ranked>) -> Ranking {
    let verdict = Verdict::Cards((0..ranked.len()).collect());
    Ranking { order: order_of(ranked), verdict, grounds: Grounds::default(), propensities: Vec::new() }
}

/// The article `article` was found.
pub fn rankable(item: &WorkItem, recorder: &Recorder) -> Rankable {
    Rankable { item: item.clone(), ticket: recorder.ticket(item), order: Some(order_of(vec![card("article")])) }
}

pub fn delivery(item: &WorkItem, recorder: &Recorder) -> Delivery {
    let content = Content::Cards(Arc::new(ranking_of(vec![card("article")])));
    Delivery { item: item.clone(), ticket: recorder.ticket(item), content }
}

/// Sets a failure point for keys that begin so, here and in every test of this process: always to the same.
pub fn inject_panics(point: FailurePoint, start: &str) {
    fail::cfg(point.name(), &format!("return({start})")).unwrap();
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
