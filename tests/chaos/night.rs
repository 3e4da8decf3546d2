//! A night: rounds of trouble over one service on one ledger, then a quiet end in which everything must come right.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cuecard_simulator::{Article, FaultName};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::account::Account;
use crate::judging::as_many_ends_as_questions;
use crate::people::People;
use crate::store::Store;
use crate::support::command::Launched;
use crate::support::{LOOK, PATIENCE, Process, environment, simulator};
use crate::surroundings::Surroundings;
use crate::trouble::{End, Kind, Round, Trouble};

/// The exit code of a service that gave up in order, for the container runtime to start it anew.
pub const GAVE_UP: i32 = 70;

/// A service that gives up is started anew; one that can't be started at all is no night's trouble.
const MOST_STARTS: usize = 5;

/// Less than the smallest jump of the clock, and far more than a log is behind.
const NO_JUMP: SignedDuration = SignedDuration::from_secs(15);

/// Where Debian's package libfaketime puts the library.
const FAKE_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// What happened in a night.
#[derive(Debug, Default)]
pub struct Tally {
    pub rounds: u32,
    pub kills: u32,
    pub kills_in_start: u32,
    pub stops: u32,
    pub accounts: u32,
    /// Ends with exit code 70 while failure points were armed.
    pub gave_up: u32,
    pub panics: u64,
    /// Failures that were injected, by their point.
    pub points: BTreeMap<String, u32>,
    pub starts: Vec<Duration>,
    /// What came, by the name of the trouble.
    pub troubles: BTreeMap<&'static str, u32>,
    /// Of each kind, how often it took effect: the service showed it, or met it.
    pub effects: BTreeMap<Kind, u64>,
    /// Requests that met a fault of CXone, by its kind.
    pub faults: BTreeMap<FaultName, u64>,
    /// Cards that came again within a second before a kill, and so could not be known after it.
    pub shown_again: u32,
    /// From the end of the last trouble until everything that waited had arrived.
    pub mended_after: Duration,
}

pub struct Night {
    /// The troubles that there are.
    pub kinds: Vec<Kind>,
    pub around: Surroundings,
    pub people: People,
    /// The tenant's articles are polled into it.
    index: TempDir,
    pub service: Option<Process>,
    /// When the service whose log is read next was started.
    started: Timestamp,
    /// What came last of what shows soon, while it has not.
    unseen: Option<Trouble>,
    /// Whether the running service may panic by itself.
    is_armed: bool,
    /// When a process ended, whatever ended it.
    pub kills: Vec<Instant>,
    pub account: Account,
    pub tally: Tally,
}

impl Night {
    /// Leaves out, and says so, what this machine or this ledger can't have.
    pub async fn begin(seed: u64, mut kinds: Vec<Kind>, with_server: bool) -> Self {
        let store = Store::new(with_server, kinds.contains(&Kind::Disk)).await;
        kinds.retain(|kind| {
            let lacks = match kind {
                Kind::Disk if !store.has_own_disk => "this user may mount no file system",
                Kind::Disk if with_server => "the ledger is a server's",
                Kind::Lock if with_server => "the ledger is no file",
                Kind::Database if !with_server => "the ledger is no server's; --postgres makes it one",
                Kind::Clock if !std::path::Path::new(FAKE_TIME).exists() => {
                    "libfaketime is missing (Debian: libfaketime)"
                }
                _ => return true,
            };
            println!("left out {}: {lacks}", <&str>::from(kind));
            false
        });
        let simulator = Rc::new(simulator());
        let people = People::new(Rc::clone(&simulator), seed);
        let index = TempDir::new().unwrap();
        copy(crate::support::index(), index.path());
        Self {
            kinds,
            around: Surroundings::new(simulator, store),
            people,
            index,
            service: None,
            started: Timestamp::now(),
            unseen: None,
            is_armed: false,
            kills: Vec::new(),
            account: Account::default(),
            tally: Tally::default(),
        }
    }

    /// What the service is started with.
    pub fn variables(&self, points: &str) -> Vec<(String, String)> {
        let base_url = self.around.simulator.base_url();
        let token_url = format!("{base_url}/api/v2/oauth/token");
        let index = self.index.path().to_str().unwrap();
        let (url, offset) = (self.around.store.url(), self.around.clock());
        let mut overrides = vec![
            // Each profile by its name, since one of them has a setting of its own.
            ("CXONE_CONTRACT", ""),
            ("CUECARD__PROFILES__INSIGHTS__CONTRACT", "insights"),
            ("CUECARD__PROFILES__RANKING__CONTRACT", "ranking"),
            ("CXONE_OAUTH_URL", token_url.as_str()),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", url.as_str()),
            ("CUECARD_INDEX", index),
            ("CUECARD__PROFILES__INSIGHTS__SYNC", "on"),
            ("CUECARD__PROFILE__POLL_INTERVAL", "1s"),
            ("FAILPOINTS", points),
            // Trouble lasts for parts of a second here, and what is silent is noticed within a round or two.
            ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1s"),
            ("CUECARD__CXONE__HANDSHAKE_TIMEOUT", "1s"),
            ("CUECARD__CXONE__PING_INTERVAL", "500ms"),
            ("CUECARD__CXONE__PONG_TIMEOUT", "500ms"),
            ("CUECARD__CXONE__ARTICLES_IDLE_TIMEOUT", "1s"),
        ];
        if self.kinds.contains(&Kind::Clock) {
            overrides.extend([
                ("LD_PRELOAD", FAKE_TIME),
                ("FAKETIME_TIMESTAMP_FILE", offset.as_str()),
                ("FAKETIME_NO_CACHE", "1"),
                // Wall time alone may jump.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("DONT_FAKE_MONOTONIC", "1"),
            ]);
        }
        environment(&base_url, self.around.store.directory(), &overrides)
    }

    pub async fn round(&mut self, round: Round) {
        self.tally.rounds += 1;
        self.change_an_article(round.number);
        if let Some(after) = round.killed_in_start.filter(|_| self.service.is_none()) {
            self.started = Timestamp::now();
            let started = Launched::serve(&[], &self.variables(&round.points));
            tokio::time::sleep(after).await;
            self.read_log(&started.kill());
            self.tally.kills_in_start += 1;
        }
        self.start(&round.points).await;
        let begun = Instant::now();
        for (at, trouble) in &round.troubles {
            tokio::time::sleep(at.saturating_sub(begun.elapsed())).await;
            self.suffer(trouble, round.awaits_effects).await;
        }
        tokio::time::sleep(round.lasts.saturating_sub(begun.elapsed())).await;
        self.look_for_effect().await;
        self.end(round.end).await;
        self.mend().await;
        if self.service.is_none() {
            self.note_committed(round.number).await;
        }
    }

    /// A service that answers: the one that runs, or one that is started.
    pub async fn start(&mut self, points: &str) {
        self.see_whether_it_ended().await;
        for _ in 0..MOST_STARTS {
            if self.service.is_some() {
                return;
            }
            let begun = Instant::now();
            self.started = Timestamp::now();
            self.is_armed = !points.is_empty();
            match Launched::serve(&[], &self.variables(points)).listening() {
                Ok(service) => match service.api_addr() {
                    Some(api) => {
                        self.tally.starts.push(begun.elapsed());
                        self.people.talk_to(Some(format!("http://{api}")));
                        self.service = Some(service);
                    }
                    None => self.ended(service).await,
                },
                Err(log) if self.is_armed => self.read_log(&log),
                Err(log) => {
                    self.read_log(&log);
                    self.account.breaks(format!("it does not start: {log}"));
                }
            }
        }
        if self.service.is_none() {
            self.account.breaks(format!("it did not start {MOST_STARTS} times"));
        }
    }

    /// What takes the ledger away has come only when the service shows it, and a fault of CXone when a request meets it. Where
    /// the effect is awaited, nothing else goes wrong before.
    async fn suffer(&mut self, trouble: &Trouble, awaits_effect: bool) {
        // What is shown already, or waits behind other faults, could not be told from this one.
        let can_be_told = if trouble.is_the_ledgers() {
            self.around.mend_ledger().await;
            self.ledger_is_well(awaits_effect).await
        } else {
            trouble.shows_soon() && self.around.met().is_empty()
        };
        if !self.around.bring(trouble).await {
            println!("in vain: {trouble:?}");
            return;
        }
        *self.tally.troubles.entry(trouble.name()).or_default() += 1;
        if matches!(trouble, Trouble::StreamEnds(_)) {
            *self.tally.effects.entry(Kind::Hub).or_default() += 1;
        }
        if can_be_told {
            self.unseen = Some(trouble.clone());
        }
        let begun = Instant::now();
        while awaits_effect && !self.look_for_effect().await {
            if begun.elapsed() > PATIENCE {
                let still = self.unseen.take();
                self.account.breaks(format!("the service never showed it: {still:?}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the running service says is wrong with its ledger.
    async fn wrong_with_the_ledger(&mut self) -> Option<String> {
        let service = self.service.as_mut()?;
        // It may end while it is asked.
        let readiness = service.admin.try_get("/readyz").await.ok()?;
        readiness.json()["ledger"]["reason"].as_str().map(str::to_owned)
    }

    /// Waits for it where it takes a while and that is asked for.
    async fn ledger_is_well(&mut self, waits: bool) -> bool {
        let begun = Instant::now();
        while self.wrong_with_the_ledger().await.is_some() {
            if !waits || begun.elapsed() > PATIENCE {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Whether nothing is waited for any more, because it took effect or the service has ended.
    async fn look_for_effect(&mut self) -> bool {
        let Some(trouble) = self.unseen.clone() else { return true };
        let has_come = if trouble.is_the_ledgers() {
            self.wrong_with_the_ledger().await.is_some_and(|reason| trouble.is_shown_by(&reason))
        } else {
            self.around.met().values().any(|requests| *requests > 0)
        };
        if has_come {
            self.unseen = None;
            // The requests that met a fault are counted when it is taken away.
            if trouble.is_the_ledgers() {
                *self.tally.effects.entry(trouble.kind()).or_default() += 1;
            }
        }
        has_come || self.service.as_mut().is_none_or(|service| service.has_ended().is_some())
    }

    /// Takes all troubles away but those that a process was started with.
    pub async fn mend(&mut self) {
        self.unseen = None;
        for (fault, requests) in self.around.mend().await {
            *self.tally.faults.entry(fault).or_default() += requests;
            *self.tally.effects.entry(Kind::Hub).or_default() += requests;
        }
    }

    pub async fn end(&mut self, end: End) {
        self.see_whether_it_ended().await;
        let Some(mut service) = self.service.take() else { return };
        match end {
            End::GoOn => self.service = Some(service),
            End::Kill => {
                let log = service.kill();
                self.tally.kills += 1;
                self.kills.push(Instant::now());
                self.people.talk_to(None);
                self.read_log(&log);
            }
            End::Terminate => {
                service.terminate();
                self.tally.stops += 1;
                self.ended(service).await;
            }
            End::Account => {
                self.people.fall_silent();
                self.mend().await;
                if let Err(why) = as_many_ends_as_questions(&mut service).await {
                    self.account.breaks(why);
                }
                self.tally.accounts += 1;
                service.terminate();
                self.ended(service).await;
            }
        }
    }

    async fn see_whether_it_ended(&mut self) {
        if let Some(service) = self.service.take_if(|service| service.has_ended().is_some()) {
            self.ended(service).await;
        }
    }

    /// It was told to end, or gave up.
    pub async fn ended(&mut self, mut service: Process) {
        let status = service.ended().await;
        let log = service.output().await;
        self.people.talk_to(None);
        self.kills.push(Instant::now());
        match status.code() {
            Some(0) => {}
            Some(GAVE_UP) if self.is_armed => self.tally.gave_up += 1,
            _ => {
                println!("{log}");
                self.account.breaks(format!("it ended with {status}"));
            }
        }
        self.read_log(&log);
    }

    /// Only what was injected may panic. Of each panic one line has its thread; where an actor caught it, another one its name.
    pub fn read_log(&mut self, log: &str) {
        for point in injected(log) {
            *self.tally.points.entry(point).or_default() += 1;
        }
        let allowed = self.started - NO_JUMP..=Timestamp::now() + NO_JUMP;
        if times(log).any(|time| !allowed.contains(&time)) {
            *self.tally.effects.entry(Kind::Clock).or_default() += 1;
        }
        for line in log.lines().filter(|line| line.contains("a thread panicked")) {
            self.tally.panics += 1;
            if !line.contains("crates/failure-points/") {
                self.account.breaks(format!("a panic that nobody injected: {line}"));
            }
        }
    }

    /// An article that no customer asks for is another one from now on.
    pub fn change_an_article(&self, number: u32) {
        let body = format!("The harbour master's office is open until {number} minutes past noon.");
        self.around.simulator.put_article(Article {
            id: "harbour".into(),
            title: "The harbour master".into(),
            body,
            url: None,
        });
    }
}

/// The points at which a log says that a failure was injected.
pub fn injected(log: &str) -> impl Iterator<Item = String> {
    log.lines().filter(|line| line.contains("a failure is injected")).filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some(line["point"].as_str()?.to_owned())
    })
}

/// When each line of a log was written, by the clock of its process.
fn times(log: &str) -> impl Iterator<Item = Timestamp> {
    log.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["timestamp"].as_str()?.parse().ok()
    })
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { std::fs::copy(from, to).map(drop).unwrap() }
    }
}
