//! Metrics of an actor that panics and hangs. Nothing that the shipped program is sent makes its actors do so, so this one is a
//! test's own, under the service's supervision and behind the service's metrics, on a thread of its own that it may block.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, Supervised};
use actix_web::{App, HttpResponse, HttpServer, web};
use cuecard_actors::ledger::LedgerHealth;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{ActorCell, ActorState, Escalations, RestartPolicy, escalations, supervise};
use cuecard_actors::telemetry::{Metrics, Port};
use jiff::{SignedDuration, Timestamp};

use crate::support::{LOOK, PATIENCE};

/// What the actor is called.
pub const ACTOR: &str = "weak";

#[derive(Message)]
#[rtype(result = "()")]
struct Poison;

/// Ends when its sender is gone.
#[derive(Message)]
#[rtype(result = "()")]
struct Hang(Receiver<()>);

struct Weak;

impl Actor for Weak {
    type Context = Context<Self>;
}

impl Supervised for Weak {}

impl Handler<Poison> for Weak {
    type Result = ();

    fn handle(&mut self, _: Poison, _: &mut Context<Self>) {
        panic!("poisoned");
    }
}

impl Handler<Hang> for Weak {
    type Result = ();

    fn handle(&mut self, Hang(until_dropped): Hang, _: &mut Context<Self>) {
        // Nothing is ever sent.
        let _ = until_dropped.recv();
    }
}

/// A service's process, as far as its supervision and its metrics go.
struct Process {
    cell: Arc<ActorCell>,
    address: Addr<Weak>,
    thread: Arbiter,
    _escalations: Escalations,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.thread.stop();
    }
}

/// Its scrapes, which go on when it is started again.
pub struct Panicking {
    pub addr: SocketAddr,
    metrics: Arc<Mutex<Metrics>>,
    process: Process,
}

impl Panicking {
    /// Must be called on an arbiter.
    pub fn start() -> Self {
        let (process, metrics) = process();
        let metrics = Arc::new(Mutex::new(metrics));
        let shown = Arc::clone(&metrics);
        let scrape = move || {
            let text = shown.lock().unwrap().render(1.0).unwrap();
            std::future::ready(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
        };
        let server = HttpServer::new(move || App::new().route("/metrics", web::get().to(scrape.clone())));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        actix_rt::spawn(server.run());
        Self { addr, metrics, process }
    }

    /// From now on the port's certificate is valid for so long.
    pub fn valid_for(&self, time: Duration) {
        let end = Timestamp::now() + SignedDuration::try_from(time).unwrap();
        self.metrics.lock().unwrap().set_certificate(Port::Admin, end);
    }

    /// Its handler does not return before this is dropped.
    pub fn hang(&self) -> Sender<()> {
        let (hanging, until_dropped) = mpsc::channel();
        self.process.address.do_send(Hang(until_dropped));
        hanging
    }

    /// Panics so often, and is restarted each time.
    pub async fn panic(&self, times: u64) {
        let before = self.process.cell.restarts();
        for _ in 0..times {
            self.process.address.do_send(Poison);
        }
        self.until(|cell| cell.restarts() == before + times).await;
    }

    /// Panics until it is not restarted any more.
    pub async fn give_up(&self) {
        for _ in 0..=POLICY.max_restarts {
            self.process.address.do_send(Poison);
        }
        self.until(|cell| cell.state() == ActorState::Failed).await;
    }

    /// As a container runtime starts a service that ended itself.
    pub fn start_again(&mut self) {
        let (process, metrics) = process();
        self.process = process;
        *self.metrics.lock().unwrap() = metrics;
    }

    async fn until(&self, reached: impl Fn(&ActorCell) -> bool) {
        while !reached(&self.process.cell) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

const POLICY: RestartPolicy = RestartPolicy {
    max_restarts: 5,
    window: Duration::from_mins(1),
    first_backoff: Duration::from_millis(10),
    longest_backoff: Duration::from_millis(10),
};

fn process() -> (Process, Metrics) {
    let cell = ActorCell::new(ACTOR);
    let metrics = Metrics::new(&[] as &[ProfileName], vec![Arc::clone(&cell)]).unwrap();
    // There is no ledger, and so nothing wrong with one.
    metrics.set_ledger(&LedgerHealth::default(), std::iter::empty());
    let (escalation, escalations) = escalations();
    let (thread, watched) = (Arbiter::new(), Arc::clone(&cell));
    let (tell, started) = mpsc::channel();
    thread.spawn_fn(move || tell.send(supervise(watched, POLICY, escalation, |_| Weak)).unwrap());
    let address = started.recv_timeout(PATIENCE).unwrap();
    (Process { cell, address, thread, _escalations: escalations }, metrics)
}
