//! A night: rounds of trouble over one service on one ledger, then a quiet end in which everything must come right.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cuecard_simulator::{Article, Fault, RunningSimulator};
use tempfile::TempDir;

use crate::account::{Account, Kept};
use crate::people::{People, ShownAgain};
use crate::store::Store;
use crate::support::command::Launched;
use crate::support::{LOOK, PATIENCE, Process, environment, simulator};
use crate::trouble::{End, Kind, Round, Trouble};

/// The exit code of a service that gave up in order, for the container runtime to start it anew.
pub const GAVE_UP: i32 = 70;

/// A service that gives up is started anew; one that can't be started at all is no night's trouble.
const MOST_STARTS: usize = 5;

/// What is written at once is in the ledger by then, so a card that was shown so long before a kill is known after it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

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
    /// By the name of the trouble.
    pub troubles: BTreeMap<&'static str, u32>,
    /// Of each kind, how often it came.
    pub kinds: BTreeMap<Kind, u64>,
    /// Cards that came again within a second before a kill, and so could not be known after it.
    pub shown_again: u32,
    /// From the end of the last trouble until everything that waited had arrived.
    pub mended_after: Duration,
}

pub struct Night {
    /// The troubles that there are.
    pub kinds: Vec<Kind>,
    simulator: Rc<RunningSimulator>,
    pub people: People,
    store: Store,
    /// What libfaketime reads the time's offset from.
    clock: TempDir,
    /// The tenant's articles are polled into it.
    index: TempDir,
    service: Option<Process>,
    /// Whether the running service may panic by itself.
    is_armed: bool,
    kills: Vec<Instant>,
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
        let (clock, index) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        copy(crate::support::index(), index.path());
        let mut night = Self {
            kinds,
            simulator,
            people,
            store,
            clock,
            index,
            service: None,
            is_armed: false,
            kills: Vec::new(),
            account: Account::default(),
            tally: Tally::default(),
        };
        night.set_clock(0);
        night
    }

    fn set_clock(&mut self, seconds: i64) {
        std::fs::write(self.clock.path().join("offset"), format!("{seconds:+}")).unwrap();
    }

    /// What the service is started with.
    pub fn variables(&self, points: &str) -> Vec<(String, String)> {
        let token_url = format!("{}/api/v2/oauth/token", self.simulator.base_url());
        let index = self.index.path().to_str().unwrap();
        let (url, offset) = (self.store.url(), self.clock.path().join("offset").display().to_string());
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
            // Trouble lasts for parts of a second here.
            ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1s"),
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
        environment(&self.simulator.base_url(), self.store.directory(), &overrides)
    }

    pub async fn round(&mut self, round: Round) {
        self.tally.rounds += 1;
        self.change_an_article(round.number);
        if let Some(after) = round.killed_in_start.filter(|_| self.service.is_none()) {
            let started = Launched::serve(&[], &self.variables(&round.points));
            tokio::time::sleep(after).await;
            self.read_log(&started.kill());
            self.tally.kills_in_start += 1;
        }
        self.start(&round.points).await;
        let begun = Instant::now();
        for (at, trouble) in &round.troubles {
            tokio::time::sleep(at.saturating_sub(begun.elapsed())).await;
            self.suffer(trouble).await;
        }
        tokio::time::sleep(round.lasts.saturating_sub(begun.elapsed())).await;
        self.end(round.end).await;
        self.mend().await;
        if self.service.is_none() {
            self.note_committed(round.number).await;
        }
    }

    /// A service that answers: the one that runs, or one that is started.
    async fn start(&mut self, points: &str) {
        self.see_whether_it_ended().await;
        for _ in 0..MOST_STARTS {
            if self.service.is_some() {
                return;
            }
            let begun = Instant::now();
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

    async fn suffer(&mut self, trouble: &Trouble) {
        let name = match trouble {
            Trouble::Hub { .. } => "wrong answers of CXone",
            Trouble::StreamEnds(_) => "streams ended",
            Trouble::TokensRevoked => "tokens revoked",
            Trouble::DiskFull => "full disks",
            Trouble::LedgerLocked => "ledgers held by another process",
            Trouble::DatabaseStopped => "PostgreSQL stopped",
            Trouble::ClockJumps(_) => "jumps of the clock",
        };
        *self.tally.troubles.entry(name).or_default() += 1;
        *self.tally.kinds.entry(trouble.kind()).or_default() += 1;
        match trouble {
            Trouble::Hub { route, times, every, fault } => {
                self.simulator.inject_every(*every, Fault { route: *route, times: *times, fault: fault.clone() });
            }
            Trouble::StreamEnds(how) => self.simulator.end_streams(*how).await,
            Trouble::TokensRevoked => self.simulator.expire_tokens(),
            Trouble::DiskFull => self.store.fill_disk(),
            Trouble::LedgerLocked => self.store.hold().await,
            Trouble::DatabaseStopped => {
                if let Some(server) = &mut self.store.server {
                    server.stop();
                }
            }
            Trouble::ClockJumps(seconds) => self.set_clock(*seconds),
        }
    }

    /// Takes all troubles away but those that a process was started with.
    async fn mend(&mut self) {
        self.simulator.clear_faults();
        self.store.free_disk();
        self.store.let_go().await;
        if let Some(server) = &mut self.store.server {
            server.resume().await;
        }
        self.set_clock(0);
    }

    async fn end(&mut self, end: End) {
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
    async fn ended(&mut self, mut service: Process) {
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
        self.simulator.put_article(Article {
            id: "harbour".into(),
            title: "The harbour master".into(),
            body,
            url: None,
        });
    }

    /// A night in which something did not happen says nothing about it.
    fn judge_what_happened(&mut self) {
        let told = self.people.told.borrow();
        let mut happened = vec![
            ("cards", told.cards),
            ("verdicts", told.arrived.len() as u64),
            ("rankings", told.ranked.len() as u64),
            ("clicks", told.clicked.len() as u64),
        ];
        drop(told);
        for kind in &self.kinds {
            let times = match kind {
                Kind::Kill => u64::from(self.tally.kills),
                Kind::Points => self.tally.panics,
                others => self.tally.kinds.get(others).copied().unwrap_or_default(),
            };
            happened.push((kind.into(), times));
        }
        for (what, _) in happened.into_iter().filter(|(_, times)| *times == 0) {
            self.account.breaks(format!("nothing of {what} happened: the night was too short"));
        }
    }

    async fn note_committed(&mut self, round: u32) {
        match Kept::read(&self.store.url()).await {
            Ok(kept) => self.account.note(kept),
            // Before the first start that came so far there is none.
            Err(error) if self.tally.starts.is_empty() => println!("round {round}: no ledger yet ({error})"),
            Err(error) => self.account.breaks(format!("round {round}: the ledger can't be read: {error}")),
        }
        self.judge_shown_again();
    }

    /// What stands on a screen may come again only where it was shown too late to be written before the process ended, or
    /// where something broke the memory of it.
    fn judge_shown_again(&mut self) {
        let again = std::mem::take(&mut self.people.told.borrow_mut().shown_again);
        let has_other_troubles = self.kinds.iter().any(|kind| *kind != Kind::Kill);
        for ShownAgain { first, again, interaction } in again {
            let after = again - first;
            // The process that showed it first, if another one showed it again.
            match self.kills.iter().copied().find(|kill| (first..again).contains(kill)) {
                _ if has_other_troubles => self.tally.shown_again += 1,
                Some(kill) if kill - first < WRITTEN_WITHIN => self.tally.shown_again += 1,
                Some(kill) => {
                    let before = kill - first;
                    let told =
                        format!("{interaction} saw its card again {after:?} later, shown {before:?} before a kill");
                    self.account.breaks(told);
                }
                None => {
                    self.account.breaks(format!("{interaction} saw its card again {after:?} later, without a kill"))
                }
            }
        }
    }

    /// The last round: without trouble everything comes right.
    pub async fn morning(&mut self) {
        let begun = Instant::now();
        self.mend().await;
        self.end(End::Terminate).await;
        self.start("").await;
        self.people.fall_silent();
        let Some(mut service) = self.service.take() else { return };
        let url = self.store.url();
        for waited in [as_many_ends_as_questions(&mut service).await, nothing_waits(&url).await] {
            if let Err(why) = waited {
                self.account.breaks(why);
            }
        }
        self.tally.mended_after = begun.elapsed();
        service.terminate();
        self.ended(service).await;
        self.people.look();
        self.judge_what_happened();
        match Kept::read(&self.store.url()).await {
            Ok(kept) => self.account.close(&self.people.told.borrow(), &kept),
            Err(error) => self.account.breaks(format!("the ledger can't be read: {error}")),
        }
        let (violations, duplicates) = (self.simulator.violations(), self.simulator.num_duplicates());
        if let Some(first) = violations.first() {
            self.account.breaks(format!("{} violations of a contract, for example {first:?}", violations.len()));
        }
        if duplicates > 0 {
            self.account.breaks(format!("{duplicates} cards came that no turn waited for"));
        }
    }
}

/// The points at which a log says that a failure was injected.
pub fn injected(log: &str) -> impl Iterator<Item = String> {
    log.lines().filter(|line| line.contains("a failure is injected")).filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["point"].as_str()?.to_owned())
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

/// Waits until it is so.
async fn until(
    service: &mut Process,
    what: &str,
    is_so: impl Fn(&crate::support::Scrape) -> bool,
) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = service.has_ended() {
            return Err(format!("it ended with {status} before there were {what}"));
        }
        if is_so(&service.admin.metrics().await) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("never {what}"))
}

async fn as_many_ends_as_questions(service: &mut Process) -> Result<(), String> {
    until(service, "as many ends as questions", |metrics| {
        metrics.sum("cuecard_utterances_total", &[]) == metrics.sum("cuecard_cards_total", &[])
    })
    .await
}

/// Asks the ledger, since what a metric says at the start may not have been counted yet.
async fn nothing_waits(url: &str) -> Result<(), String> {
    let begun = Instant::now();
    let mut waiting = 0;
    while begun.elapsed() < PATIENCE {
        waiting = Kept::read(url).await.map_err(|error| format!("the ledger can't be read: {error}"))?.waiting;
        if waiting == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{waiting} feedback events never arrived"))
}
