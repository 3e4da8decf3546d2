//! Who uses the service in a night: customers who ask, agents who judge the cards that they see, and a back end that has
//! its snippets ordered and clicked. Each notes what it was told, which is what the service must answer for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use cuecard_actors::cxone::ranking::ranking_checksum;
use cuecard_simulator::{Frame, Received, Route, RunningSimulator, Verdict};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::questions;

/// Between two customers' questions, two looks at the screen, and two rankings.
const PAUSE: Duration = Duration::from_millis(25);

/// A customer who asks again does so while the card still stands on the screen.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_secs(20);

/// A back end gives up on an answer, for example of a process that was killed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the sessions of rankings are called.
const SESSION: &str = "session-";

/// A feedback event, by its interaction and its insight: each card is judged once.
pub type Judged = (String, String);

/// A card that reached the screen.
#[derive(Debug, Clone)]
pub struct Shown {
    pub article: String,
    pub at: Instant,
}

/// A card that reached the screen though it stood there.
#[derive(Debug, Clone)]
pub struct ShownAgain {
    pub first: Instant,
    pub again: Instant,
    pub interaction: String,
}

/// What everybody was told.
#[derive(Debug, Default)]
pub struct Told {
    pub asked: u64,
    /// By interaction.
    pub shown: HashMap<String, Shown>,
    pub shown_again: Vec<ShownAgain>,
    /// How often each interaction, or session, was asked about.
    pub questions: HashMap<String, usize>,
    /// The keys of the pushes that were taken, by their interaction or session: each question is pushed under one.
    pub keys: HashMap<String, BTreeSet<String>>,
    /// Pushes that brought a card.
    pub cards: u64,
    pub judged: BTreeSet<Judged>,
    /// What the training endpoint took.
    pub arrived: BTreeSet<Judged>,
    /// Sessions whose order was acknowledged, each with the checksum of CXone's answer, as it was handed on.
    pub ranked: BTreeMap<String, Option<String>>,
    /// Sessions with a click that was acknowledged.
    pub clicked: BTreeSet<String>,
    /// How many answers of each status; 0 for none.
    pub answers: BTreeMap<u16, u64>,
    next_sequence: u64,
}

/// They live until the night is over; cheap to clone.
#[derive(Clone)]
pub struct People {
    pub told: Rc<RefCell<Told>>,
    simulator: Rc<RunningSimulator>,
    /// Where the API is; none while nothing answers there.
    api: Rc<RefCell<Option<String>>>,
    /// While it is set nobody asks anything new.
    silence: Rc<RefCell<bool>>,
}

impl People {
    pub fn new(simulator: Rc<RunningSimulator>, seed: u64) -> Self {
        let people = Self { told: Rc::default(), simulator, api: Rc::default(), silence: Rc::new(RefCell::new(true)) };
        actix_rt::spawn(people.clone().customers(StdRng::seed_from_u64(seed)));
        actix_rt::spawn(people.clone().agents(StdRng::seed_from_u64(seed + 1)));
        // Without TLS, but no client is made without a provider of it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for end in 0..2 {
            actix_rt::spawn(people.clone().back_end(end));
        }
        people
    }

    /// From now on they talk to this service, or to none.
    pub fn talk_to(&self, api: Option<String>) {
        *self.silence.borrow_mut() = api.is_none();
        *self.api.borrow_mut() = api;
    }

    /// Nobody asks anything new.
    pub fn fall_silent(&self) {
        *self.silence.borrow_mut() = true;
    }

    async fn customers(self, mut rng: StdRng) {
        let questions = questions();
        loop {
            actix_rt::time::sleep(PAUSE).await;
            if *self.silence.borrow() {
                continue;
            }
            let known = self.shown_lately(&mut rng).filter(|_| rng.random_ratio(1, 4));
            let (interaction, article) = known.unwrap_or_else(|| {
                let asked = self.told.borrow().asked;
                let (_, article) = questions.iter().choose(&mut rng).unwrap();
                (format!("call-{asked}"), article.clone())
            });
            let Some((question, _)) = questions.iter().find(|(_, answer)| *answer == article) else { continue };
            {
                let mut told = self.told.borrow_mut();
                told.asked += 1;
                *told.questions.entry(interaction.clone()).or_default() += 1;
            }
            let fragment = json!({
                "type": "TRANSCRIPT_FRAGMENT", "text": question, "interactionId": interaction, "participant": "CUSTOMER",
            });
            let turn_end = json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction});
            for frame in [fragment, turn_end] {
                // Nobody may be connected: then it is not heard.
                let _ = self.simulator.send(Frame::Text(frame.to_string())).await;
            }
        }
    }

    /// An interaction with a card on the screen, and its article.
    fn shown_lately(&self, rng: &mut StdRng) -> Option<(String, String)> {
        let told = self.told.borrow();
        let lately = told.shown.iter().filter(|(_, shown)| shown.at.elapsed() < ASKED_AGAIN_WITHIN);
        lately.choose(rng).map(|(interaction, shown)| (interaction.clone(), shown.article.clone()))
    }

    async fn agents(self, mut rng: StdRng) {
        loop {
            actix_rt::time::sleep(PAUSE).await;
            for (interaction, insight) in self.look() {
                if self.simulator.judge_card(&interaction, &insight, rng.random()).await.is_ok() {
                    self.told.borrow_mut().judged.insert((interaction, insight));
                }
            }
        }
    }

    /// Notes what arrived at CXone since the last look; gives the cards that nobody has judged yet.
    pub fn look(&self) -> Vec<Judged> {
        let mut told = self.told.borrow_mut();
        let arrived = self.simulator.received_from(told.next_sequence);
        told.next_sequence = arrived.last().map_or(told.next_sequence, |last| last.sequence + 1);
        arrived.into_iter().filter_map(|received| told.note(received)).collect()
    }

    async fn back_end(self, number: usize) {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().unwrap();
        for session in 0_u64.. {
            actix_rt::time::sleep(PAUSE).await;
            let api = self.api.borrow().clone().filter(|_| !*self.silence.borrow());
            let Some(api) = api else { continue };
            let session = format!("{SESSION}{number}-{session}");
            *self.told.borrow_mut().questions.entry(session.clone()).or_default() += 1;
            let path = format!("{api}/sessions/{session}/snippets");
            let ranked = self.post(&client, &format!("{path}/ranking"), &order()).await;
            let Some((200, answer)) = ranked else { continue };
            self.told.borrow_mut().ranked.insert(session.clone(), ranking_checksum(&answer));
            let clicked = self.post(&client, &format!("{path}/KB-2/click"), &json!({"rank_position": 2})).await;
            if matches!(clicked, Some((204, _))) {
                self.told.borrow_mut().clicked.insert(session);
            }
        }
    }

    /// The status and what came with it; none where the connection broke.
    async fn post(&self, client: &reqwest::Client, url: &str, body: &Value) -> Option<(u16, Vec<u8>)> {
        let sent = client.post(url).json(body).send().await;
        let status = sent.as_ref().map_or(0, |answer| answer.status().as_u16());
        *self.told.borrow_mut().answers.entry(status).or_default() += 1;
        let answer = sent.ok()?.bytes().await.ok()?;
        Some((status, answer.to_vec()))
    }
}

impl Told {
    /// Gives the card where an agent sees a new one.
    fn note(&mut self, received: Received) -> Option<Judged> {
        let is_taken = matches!(received.verdict, Verdict::Accepted | Verdict::Repeated);
        let body = received.body.filter(|_| is_taken)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match received.route {
            Route::Feedback => {
                self.arrived.insert((text(&body["interactionId"]), text(&body["insightId"])));
                None
            }
            Route::Insights if received.verdict == Verdict::Accepted => {
                let first = &body["insights"][0];
                let (interaction, article) = (text(&first["interactionId"]), text(&first["id"]));
                self.cards += 1;
                self.keys.entry(interaction.clone()).or_default().insert(received.idempotency_key?);
                let shown = Shown { article: article.clone(), at: received.at };
                let before = self.shown.insert(interaction.clone(), shown);
                match before {
                    Some(before) if before.article == article => {
                        self.shown_again.push(ShownAgain { first: before.at, again: received.at, interaction });
                        None
                    }
                    _ => Some((interaction, article)),
                }
            }
            Route::Ranking if received.verdict == Verdict::Accepted => {
                let session = received.path.split('/').find(|part| part.starts_with(SESSION))?.to_owned();
                self.keys.entry(session).or_default().insert(received.idempotency_key?);
                None
            }
            _ => None,
        }
    }
}

fn order() -> Value {
    let snippet = |id: &str, score: f64| json!({"snippet_id": id, "relevance_score": score});
    json!({"snippets": [snippet("KB-1", 0.9), snippet("KB-2", 0.5), snippet("KB-3", 0.1)]})
}
