//! A CXone without a socket: it takes note of each call, holds it back at a gate, and answers as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuecard_cxone::Limits;
use cuecard_cxone::http::{Answer, Body, HttpClient, Request};
use cuecard_cxone::transport::TransportError;
use serde_json::Value;
use tokio::time::Instant;

use super::Gates;

/// What a call is to be answered with.
pub type Answered = Result<Answer, TransportError>;

/// A call as CXone got it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The body, where it was JSON.
    pub json: Value,
    /// The key that is the same on each attempt.
    pub idempotency_key: Option<String>,
    /// When it came.
    pub at: Instant,
}

type Decide = Arc<dyn Fn(&Call) -> Answered + Send + Sync>;
type GateOf = Box<dyn Fn(&Call) -> Option<String> + Send + Sync>;

/// See the module.
pub struct Cxone {
    calls: Mutex<Vec<Call>>,
    /// A call waits for the gate that this names; without a name it passes.
    gates: Arc<Gates>,
    gate_of: GateOf,
    decide: Mutex<Decide>,
    queued: Mutex<VecDeque<Answered>>,
    /// Calls that are being answered, now and at most.
    busy: Mutex<(usize, usize)>,
}

impl Cxone {
    /// Answers everything with 200 and an empty object, at once.
    pub fn new() -> Arc<Self> {
        Self::gated(|_| None)
    }

    /// The same behind gates.
    pub fn gated(gate_of: impl Fn(&Call) -> Option<String> + Send + Sync + 'static) -> Arc<Self> {
        let decide: Decide = Arc::new(|_| answer(200, "{}"));
        Arc::new(Self {
            calls: Mutex::default(),
            gates: Gates::new(),
            gate_of: Box::new(gate_of),
            decide: Mutex::new(decide),
            queued: Mutex::default(),
            busy: Mutex::default(),
        })
    }

    /// From now on calls are answered so, once what is queued is used up.
    pub fn answer_with(&self, decide: impl Fn(&Call) -> Answered + Send + Sync + 'static) {
        *self.decide.lock().unwrap() = Arc::new(decide);
    }

    /// The next calls are answered so.
    pub fn queue(&self, answers: impl IntoIterator<Item = Answered>) {
        self.queued.lock().unwrap().extend(answers);
    }

    /// Lets one call pass this gate.
    pub fn open(&self, gate: &str) {
        self.gates.open(gate);
    }

    /// What came so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The most calls that were answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.busy.lock().unwrap().1
    }

    /// A client whose calls come here.
    pub fn client(self: &Arc<Self>) -> HttpClient {
        let this = Arc::clone(self);
        // A test says itself how long a call takes.
        let limits = Limits { attempt_timeout: Duration::from_hours(24), ..Limits::default() };
        HttpClient::scripted(limits, move |request| {
            let (this, call) = (Arc::clone(&this), Call::of(request));
            async move { this.take(call).await }
        })
    }

    async fn take(self: Arc<Self>, call: Call) -> Answered {
        self.calls.lock().unwrap().push(call.clone());
        let _busy = Busy::new(&self.busy);
        let queued = self.queued.lock().unwrap().pop_front();
        if let Some(gate) = (self.gate_of)(&call) {
            self.gates.pass(&gate).await;
        }
        tokio::task::yield_now().await;
        let decide = Arc::clone(&self.decide.lock().unwrap());
        queued.unwrap_or_else(|| decide(&call))
    }
}

/// Counts a call as long as it is being answered.
struct Busy<'a>(&'a Mutex<(usize, usize)>);

impl<'a> Busy<'a> {
    fn new(busy: &'a Mutex<(usize, usize)>) -> Self {
        let (now, most) = &mut *busy.lock().unwrap();
        *now += 1;
        *most = (*most).max(*now);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // A test's answer may have panicked.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0 -= 1;
    }
}

impl Call {
    fn of(request: &Request) -> Self {
        let json = match &request.body {
            Body::Json(body) => serde_json::from_slice(body).unwrap(),
            Body::None | Body::Form(_) => Value::Null,
        };
        Self { json, idempotency_key: request.idempotency_key.clone(), at: Instant::now() }
    }

    /// A text at this place of the JSON body.
    pub fn text(&self, pointer: &str) -> String {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// An answer without headers.
#[allow(clippy::unnecessary_wraps, reason = "stands where a call may also fail")]
pub fn answer(status: u16, body: &'static str) -> Answered {
    Ok(Answer::scripted(status, &[], body))
}
