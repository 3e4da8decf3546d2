//! What goes wrong: drawn from a seed and the number of the round alone, so that a round can be had again.

use std::time::Duration;

use cuecard_failure_points::FailurePoint;
use cuecard_simulator::{FaultKind, Route, StreamEnd};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use strum::VariantArray;

use crate::hub;

/// Kinds of trouble, of which a night has those that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The process is killed at any moment, its start included.
    Kill,
    /// Actors and the ledger's writer panic or stand still at a failure point.
    Points,
    /// CXone answers wrongly, late, or not at all; its streams end; its tokens are revoked.
    Hub,
    /// The disk under the data directory is full.
    Disk,
    /// Another process holds the ledger's file.
    Lock,
    /// The PostgreSQL server under the ledger stops, and starts again.
    Database,
    /// The clock jumps.
    Clock,
}

/// One thing that goes wrong while a round lasts.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    Hub {
        route: Route,
        times: u32,
        every: u32,
        fault: FaultKind,
    },
    StreamEnds(StreamEnd),
    TokensRevoked,
    DiskFull,
    LedgerLocked,
    DatabaseStopped,
    /// By so many seconds.
    ClockJumps(i64),
}

impl Trouble {
    /// What it is asked for as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hub { .. } | Self::StreamEnds(_) | Self::TokensRevoked => Kind::Hub,
            Self::DiskFull => Kind::Disk,
            Self::LedgerLocked => Kind::Lock,
            Self::DatabaseStopped => Kind::Database,
            Self::ClockJumps(_) => Kind::Clock,
        }
    }

    /// What the report calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hub { .. } => "wrong answers of CXone",
            Self::StreamEnds(_) => "streams ended",
            Self::TokensRevoked => "tokens revoked",
            Self::DiskFull => "full disks",
            Self::LedgerLocked => "ledgers held by another process",
            Self::DatabaseStopped => "PostgreSQL stopped",
            Self::ClockJumps(_) => "jumps of the clock",
        }
    }

    /// Whether it takes the ledger away, which the service has to show.
    pub fn is_the_ledgers(&self) -> bool {
        matches!(self, Self::DiskFull | Self::LedgerLocked | Self::DatabaseStopped)
    }

    /// Whether it shows as soon as the service does anything.
    pub fn shows_soon(&self) -> bool {
        self.is_the_ledgers() || matches!(self, Self::Hub { route, .. } if hub::is_busy(*route))
    }

    /// Whether it is the one that the service names as what is wrong with its ledger.
    pub fn is_shown_by(&self, reason: &str) -> bool {
        match self {
            Self::DiskFull => reason.contains("disk"),
            Self::LedgerLocked => reason.contains("locked"),
            // A lost connection has many words.
            others => others.is_the_ledgers(),
        }
    }
}

/// Troubles other than kills and failure points, which a round has anyway.
fn others(kinds: &[Kind]) -> Vec<Kind> {
    kinds.iter().copied().filter(|kind| !matches!(kind, Kind::Kill | Kind::Points)).collect()
}

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Kill,
    /// SIGTERM under traffic.
    Terminate,
    /// SIGTERM once all that was heard has its end, which is checked.
    Account,
    GoOn,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    pub number: u32,
    /// Of a start in vain: when it is killed.
    pub killed_in_start: Option<Duration>,
    /// The variable `FAILPOINTS` of the process that is started.
    pub points: String,
    /// Each with its moment, in their order.
    pub troubles: Vec<(Duration, Trouble)>,
    /// Whether what shows soon lasts until it has; else the round may be over before.
    pub awaits_effects: bool,
    pub lasts: Duration,
    pub end: End,
}

impl Round {
    /// So many rounds at least has a night in which each of these kinds comes.
    pub fn fewest(kinds: &[Kind]) -> u32 {
        others(kinds).len() as u32
    }

    /// The round of this number.
    pub fn draw(seed: u64, number: u32, kinds: &[Kind], longest: Duration) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ (u64::from(number) << 32));
        let has = |kind| kinds.contains(&kind);
        let lasts = longest.mul_f64(rng.random());
        let killed_in_start =
            (has(Kind::Kill) && rng.random_ratio(1, 8)).then(|| Duration::from_millis(rng.random_range(0..600)));
        let points = if has(Kind::Points) { points(&mut rng) } else { String::new() };
        let others = others(kinds);
        let num_troubles = if others.is_empty() { 0 } else { rng.random_range(0..=3) };
        let trouble = |rng: &mut StdRng| {
            let kind = others.choose(rng).copied().unwrap_or(Kind::Hub);
            (lasts.mul_f64(rng.random()), trouble(rng, kind))
        };
        let mut troubles: Vec<_> = (0..num_troubles).map(|_| trouble(&mut rng)).collect();
        let end = match rng.random_range(0..10) {
            0..7 if has(Kind::Kill) => End::Kill,
            0..3 | 7 => End::Terminate,
            3..5 | 8 => End::Account,
            _ => End::GoOn,
        };
        // However short a night is, each kind comes in one of its first rounds, amid traffic, and is seen.
        let first = others.get(number as usize).map(|kind| (longest / 2, seen_soon(&mut rng, *kind)));
        let awaits_effects = first.is_some() || rng.random_ratio(1, 2);
        troubles.extend(first);
        troubles.sort_by_key(|(at, _)| *at);
        Self { number, killed_in_start, points, troubles, awaits_effects, lasts, end }
    }
}

/// Up to three points, each of which fails once after a while, or delays what passes now and then.
fn points(rng: &mut StdRng) -> String {
    let num_points = rng.random_range(0..=3);
    let drawn = FailurePoint::VARIANTS.choose_multiple(rng, num_points).copied().collect::<Vec<_>>();
    let actions: Vec<_> = drawn.iter().map(|point| format!("{}={}", point.name(), action(rng, *point))).collect();
    actions.join(";")
}

/// Three panics at most in a process, so that it never comes to the ten after which a service gives up.
fn action(rng: &mut StdRng, point: FailurePoint) -> String {
    // A writer of the ledger that panics ends the service, so it is made to wait mostly.
    let panics = rng.random_ratio(if point == FailurePoint::LedgerCommit { 1 } else { 5 }, 8);
    if panics {
        return format!("{}*off->1*return->off", rng.random_range(0..20));
    }
    format!("{}%sleep({})", rng.random_range(1..20), rng.random_range(1..150))
}

fn trouble(rng: &mut StdRng, kind: Kind) -> Trouble {
    match kind {
        Kind::Disk => Trouble::DiskFull,
        Kind::Lock => Trouble::LedgerLocked,
        Kind::Database => Trouble::DatabaseStopped,
        Kind::Clock => Trouble::ClockJumps(*[-86_400, -3_600, -30, 30, 3_600, 86_400].choose(rng).unwrap()),
        Kind::Hub | Kind::Kill | Kind::Points => match rng.random_range(0..8) {
            0..2 => Trouble::StreamEnds(*StreamEnd::VARIANTS.choose(rng).unwrap()),
            2 => Trouble::TokensRevoked,
            _ => faults(rng, hub::fault),
        },
    }
}

/// One of this kind that shows as soon as the service does anything.
fn seen_soon(rng: &mut StdRng, kind: Kind) -> Trouble {
    match kind {
        Kind::Hub => faults(rng, hub::met_soon),
        others => trouble(rng, others),
    }
}

fn faults(rng: &mut StdRng, draw: impl Fn(&mut StdRng) -> (Route, FaultKind)) -> Trouble {
    let (times, every) = (rng.random_range(1..30), rng.random_range(1..4));
    let (route, fault) = draw(rng);
    Trouble::Hub { route, times, every, fault }
}
