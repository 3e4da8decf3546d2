//! What operators look at: the dashboards, rules and alerts of `grafana/`, checked as files, and against a real Prometheus that
//! scrapes real services under traffic and faults.

#![allow(clippy::unwrap_used)]

mod alerts;
mod breaking;
mod dashboards;
mod drills;
mod names;
mod prometheus;
mod rules;
mod services;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "what the tests of the service share, of which these use a part")]
mod support;

use std::path::{Path, PathBuf};

/// Of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Whether this machine has a Prometheus for the tests; says so where it is to do without.
fn may_skip() -> bool {
    let skips = std::env::var_os("CUECARD_SKIP_SERVICES").is_some_and(|value| value == "1");
    if skips {
        println!("skipped: CUECARD_SKIP_SERVICES=1 leaves Prometheus out");
    }
    skips
}
