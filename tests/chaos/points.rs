//! Before the night: each failure point that there is makes the program fail where it says. One that nothing passes would be
//! a trouble that never comes.

use std::collections::BTreeSet;
use std::time::Instant;

use cuecard_failure_points::FailurePoint;
use strum::VariantArray;

use crate::night::{GAVE_UP, Night, injected};
use crate::support::command::Launched;
use crate::support::{LOOK, PATIENCE};

/// Starts a service in which every point fails once, and waits until each has; the ledger's, with which a service ends, in
/// another one.
pub async fn each_fires(night: &mut Night) {
    let (last, first): (Vec<_>, Vec<_>) =
        FailurePoint::VARIANTS.iter().copied().partition(|point| *point == FailurePoint::LedgerCommit);
    for points in [first, last] {
        fire(night, &points).await;
    }
}

async fn fire(night: &mut Night, points: &[FailurePoint]) {
    let expected: BTreeSet<String> = points.iter().map(|point| point.name().to_owned()).collect();
    let armed: Vec<_> = points.iter().map(|point| format!("{}=1*return->off", point.name())).collect();
    let mut service = Launched::serve(&[], &night.variables(&armed.join(";"))).listening().unwrap();
    let api = service.api_addr().map(|api| format!("http://{api}"));
    night.people.talk_to(api);
    let (begun, mut articles) = (Instant::now(), u32::MAX);
    let missing = loop {
        let fired: BTreeSet<String> = injected(&service.logged()).collect();
        let missing: Vec<_> = expected.difference(&fired).cloned().collect();
        if missing.is_empty() || begun.elapsed() > PATIENCE || service.has_ended().is_some() {
            break missing;
        }
        night.change_an_article(articles);
        articles -= 1;
        tokio::time::sleep(LOOK * 10).await;
    };
    night.people.talk_to(None);
    if points.contains(&FailurePoint::LedgerCommit) {
        let ended = service.ended().await;
        if ended.code() != Some(GAVE_UP) {
            night.account.breaks(format!("a ledger without its writer ended the service with {ended}"));
        }
    }
    if !missing.is_empty() {
        night.account.breaks(format!("failure points that nothing passed: {missing:?}"));
    }
    night.read_log(&service.kill());
}
