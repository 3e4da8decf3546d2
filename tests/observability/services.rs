//! The services that are watched, each a process of its own with a CXone of its own, and the calls that they hear.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use cuecard_simulator::{Article, Frame, Received, Route, RunningSimulator, Simulator, SimulatorSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{ARTICLES, PATIENCE, Process, environment};

/// What callers ask the service `healthy` with.
pub const KEY: &str = "the-key-of-the-desktop";

const QUESTIONS: [&str; 6] = [
    "Can I take my dog on board, and does he need a cabin?",
    "How long is my gift voucher valid?",
    "Our ferry arrived two hours late. Do we get any compensation for the delay?",
    "I have to cancel my booking. How much of it is refunded?",
    "Thank you very much, that is kind of you.",
    "Okay, great.",
];

/// A service and its CXone.
pub struct Watched {
    pub simulator: Rc<RunningSimulator>,
    pub process: Process,
    pub data: TempDir,
}

/// How a call is told.
#[derive(Clone, Copy)]
pub enum Told {
    /// As contract 003 has it.
    Insights,
    /// As contract 001 has it, which also says that a call is over.
    Snippets,
}

impl Watched {
    /// A service with these settings beside the usual ones.
    pub fn start(simulator: RunningSimulator, overrides: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let process = Process::serve(&environment(&simulator.base_url(), data.path(), overrides));
        Self { simulator: Rc::new(simulator), process, data }
    }

    pub fn addr(&self) -> SocketAddr {
        self.process.admin.addr()
    }

    pub async fn until_listening(&self) {
        assert!(self.simulator.until(PATIENCE, |simulator| simulator.num_streams() == 1).await);
    }

    /// Calls on a line, a new one each time, until the answer is dropped.
    pub fn calls(&self, line: &'static str, told: Told, every: Duration) -> Calls {
        let simulator = Rc::clone(&self.simulator);
        Calls(actix_rt::spawn(async move {
            for number in 0.. {
                tell(&simulator, line, told, number).await;
                tokio::time::sleep(every).await;
            }
        }))
    }

    /// The cards that reached the agents of contract 003: interaction and article.
    pub fn cards(&self) -> Vec<(String, String)> {
        let text = |insight: &Value, field: &str| insight[field].as_str().unwrap_or_default().to_owned();
        let of_push = |push: &Received| {
            let insights = push.body.as_ref().and_then(|body| body["insights"].as_array().cloned()).unwrap_or_default();
            insights.iter().map(|insight| (text(insight, "interactionId"), text(insight, "id"))).collect::<Vec<_>>()
        };
        self.simulator.received_on(Route::Insights).iter().flat_map(of_push).collect()
    }
}

/// Calls under way.
pub struct Calls(JoinHandle<()>);

impl Drop for Calls {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A call ends so many calls after it began: a card for one that is over would be refused.
const LASTS: usize = 30;

/// One call with one question, and the end of an earlier one. Where nobody listens it is not heard.
async fn tell(simulator: &RunningSimulator, line: &str, told: Told, number: usize) {
    let call = |number: usize| format!("call-{line}-{number}");
    let text = |number: usize| QUESTIONS[number % QUESTIONS.len()];
    let event = |number: usize, state: &str| {
        let channels = json!([{"transcript": text(number)}]);
        json!({"type": "interaction", "data": {"id": call(number), "state": state, "channels": channels}})
    };
    let frames = match told {
        Told::Snippets => {
            let ended = number.checked_sub(LASTS).map(|earlier| event(earlier, "ended"));
            [Some(event(number, "active")), ended].into_iter().flatten().collect()
        }
        Told::Insights => vec![
            json!({
                "type": "TRANSCRIPT_FRAGMENT", "text": text(number), "interactionId": call(number), "participant": "CUSTOMER",
            }),
            json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": call(number)}),
        ],
    };
    for frame in frames {
        let _ = simulator.send(Frame::Text(frame.to_string())).await;
    }
}

/// A CXone that has articles to be polled.
pub fn knowing() -> RunningSimulator {
    let articles = Article::load(ARTICLES.as_ref()).unwrap();
    Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap()
}
