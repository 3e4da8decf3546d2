//! The chaos suite: the real program, built with failure points, over nights full of trouble; what it acknowledged must be
//! there in the morning, and nothing may have been shown twice.
//!
//! `make chaos` runs it. Where failure points are among the troubles, each is seen first to do what it says. A night is drawn from `--seed`: the same seed brings the same troubles in the same order, though
//! not to the same instant. Traffic goes to this machine alone and ends with the night. Exit code 1: a promise was broken.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
mod hub;
mod judging;
mod night;
mod people;
mod points;
mod report;
mod store;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the service's own tests use what this suite does not")]
mod support;
mod surroundings;
mod trouble;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use night::{Night, Tally};
use trouble::{Kind, Round};

#[derive(Debug, Parser)]
struct Options {
    /// What the troubles are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ends the night after so many rounds.
    #[arg(long, default_value_t = u32::MAX)]
    rounds: u32,
    /// Begins no round after so many seconds, once each trouble had one.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long a round lasts at most, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    longest: u64,
    /// Which troubles there are; all by default.
    #[arg(long, value_delimiter = ',')]
    troubles: Vec<Kind>,
    /// The ledger is a PostgreSQL server's, which is started for this night.
    #[arg(long)]
    postgres: bool,
    /// Where the report goes beside the terminal.
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Options {
    /// What brings the same night again.
    fn command(&self) -> String {
        let kinds: Vec<&str> = self.troubles.iter().map(<&str>::from).collect();
        let kinds = if kinds.is_empty() { "all".to_owned() } else { kinds.join(",") };
        let ledger = if self.postgres { "PostgreSQL" } else { "SQLite" };
        format!("seed {}, rounds of {} ms at most, troubles: {kinds}, ledger: {ledger}", self.seed, self.longest)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    actix_rt::System::new().block_on(run(options))
}

async fn run(options: Options) -> ExitCode {
    let kinds = if options.troubles.is_empty() { Kind::value_variants().to_vec() } else { options.troubles.clone() };
    let mut night = Night::begin(options.seed, kinds, options.postgres).await;
    if night.kinds.contains(&Kind::Points) {
        points::each_fires(&mut night).await;
        // Of the night itself nothing has happened yet.
        night.tally = Tally::default();
    }
    let begun = Instant::now();
    for number in 0..options.rounds {
        let is_over = number >= Round::fewest(&night.kinds) && begun.elapsed() > Duration::from_secs(options.seconds);
        if is_over || !night.account.broken.is_empty() {
            break;
        }
        let round = Round::draw(options.seed, number, &night.kinds, Duration::from_millis(options.longest));
        println!("{round:?}");
        night.round(round).await;
    }
    night.morning().await;
    let report = report::write(&options.command(), &night, begun.elapsed());
    println!("{report}");
    if let Some(path) = options.report {
        std::fs::write(path, &report).unwrap();
    }
    if night.account.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
