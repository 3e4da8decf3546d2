//! A service of which parts fail for good, by the failure points that its program is built with for the drills: one actor
//! hangs, another panics now and then and at last gives up. The certificate of its API is hardly valid any more.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cuecard_simulator::{Fault, FaultKind, RetryAfter, Route, UNTIL_CLEARED};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::services::{KEY, Watched};
use crate::support::{Process, Scrape, environment, say, simulator, until_shown};

/// Of the two actors.
pub const HANGS: &str = "buffer";
pub const PANICS: &str = "ranker";

/// The first message hangs for twice as long as a handler may take. Then one question passes, ten panic, the push of one more is
/// in flight, and the eleventh panic is one too many.
const POINTS: &str = "buffer=1*sleep(20000);ranker=1*off->10*return->1*off->return";
/// Panics that an actor is restarted after.
const RIDDEN_OUT: u32 = 10;

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// The exit code of a service whose actor gave up.
const GAVE_UP: Option<i32> = Some(70);

/// See the module.
pub struct Breaking {
    service: Watched,
    certificate: TempDir,
    num_panics: u32,
}

impl Breaking {
    pub fn start() -> Self {
        let (cxone, certificate) = (simulator(), TempDir::new().unwrap());
        write_certificate(certificate.path(), Duration::from_hours(24));
        let settings = settings(&cxone.base_url(), certificate.path(), &[("FAILPOINTS", POINTS)]);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Self { service: Watched::start(cxone, &settings), certificate, num_panics: 0 }
    }

    pub fn addr(&self) -> SocketAddr {
        self.service.addr()
    }

    pub async fn until_listening(&self) {
        self.service.until_listening().await;
    }

    /// From now on the certificate is one that is valid for so long; the service takes up files that change.
    pub fn renew_for(&self, time: Duration) {
        write_certificate(self.certificate.path(), time);
    }

    /// A customer says something, which the first actor hangs over.
    pub async fn hang(&self) {
        say(&self.service.simulator, "first", DOG).await;
    }

    /// What hung over it goes on, and its card comes.
    pub async fn until_it_goes_on(&self) {
        until_shown(&self.service.simulator, 1).await;
    }

    /// So many questions, over each of which the second actor panics; it is restarted each time.
    pub async fn panic(&mut self, times: u32) {
        for _ in 0..times {
            self.num_panics += 1;
            say(&self.service.simulator, "bad", DOG).await;
            let failed = f64::from(self.num_panics);
            let ended = |metrics: &Scrape| metrics.sum("cuecard_cards_total", &[("outcome", "failed")]) == failed;
            self.service.process.admin.until("it has panicked", ended).await;
        }
    }

    /// Panics until it is not restarted any more. A push in flight holds up the end of the process.
    pub async fn give_up(&mut self) {
        self.panic(RIDDEN_OUT - self.num_panics).await;
        let wait = FaultKind::Answer { status: 429, retry_after: Some(RetryAfter::Seconds(1)), body: None };
        self.service.simulator.inject(Fault { route: Route::Insights, times: UNTIL_CLEARED, fault: wait });
        say(&self.service.simulator, "held", DOG).await;
        let is_held = |injector: &Value| injector["in_flight"] == 1;
        let admin = &self.service.process.admin;
        admin.until_page("/actors/injector", "a push in flight", |page| is_held(&page.json())).await;
        self.panic(1).await;
    }

    /// The process ends in order, and another takes its place and its port, as a container runtime starts it. Nothing of that one
    /// fails.
    pub async fn start_again(&mut self) {
        let service = &mut self.service;
        service.simulator.clear_faults();
        assert_eq!(service.process.ended().await.code(), GAVE_UP);
        let admin = service.addr().to_string();
        let base_url = service.simulator.base_url();
        let settings = settings(&base_url, self.certificate.path(), &[("CUECARD_ADMIN_ADDR", &admin)]);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        service.process = Process::serve(&environment(&base_url, service.data.path(), &settings));
    }
}

/// Nothing is given up, and nothing ends, for want of time.
fn settings<'a>(base_url: &str, certificate: &Path, more: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let file = |name: &str| certificate.join(name).to_str().unwrap().to_owned();
    let own = [
        // The one is heard, the other opens the API.
        ("CXONE_CONTRACT", "insights,ranking".to_owned()),
        ("CXONE_OAUTH_URL", format!("{base_url}/api/v2/oauth/token")),
        ("CUECARD_API_ADDR", "127.0.0.1:0".to_owned()),
        ("CUECARD_API_KEYS", KEY.to_owned()),
        ("CUECARD__API__TLS_CERTIFICATE", file("certificate.pem")),
        ("CUECARD__API__TLS_KEY", file("key.pem")),
        ("CUECARD__PROFILE__DEADLINE", "1h".to_owned()),
        ("CUECARD__SHUTDOWN__GRACE", "1h".to_owned()),
        ("CUECARD__SUPERVISION__WINDOW", "1h".to_owned()),
    ];
    own.into_iter().chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect()
}

fn write_certificate(place: &Path, valid_for: Duration) {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = (SystemTime::now() + valid_for).into();
    let key = KeyPair::generate().unwrap();
    std::fs::write(place.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(place.join("certificate.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
}
