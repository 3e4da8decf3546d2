//! Where the databases of `scripts/services` are. Without them a test fails with what to run, or, with
//! `CUECARD_SKIP_SERVICES=1`, says openly that it skips.

use std::sync::atomic::{AtomicU32, Ordering};

/// What the environment says of a service; `None` when the test is to be skipped.
pub fn address(name: &str) -> Option<String> {
    if let Ok(address) = std::env::var(name) {
        return Some(address);
    }
    assert!(
        std::env::var("CUECARD_SKIP_SERVICES").as_deref() == Ok("1"),
        "{name} is not set; run eval \"$(scripts/services start)\", or skip with CUECARD_SKIP_SERVICES=1"
    );
    println!("skipped: {name} is not set and CUECARD_SKIP_SERVICES=1");
    None
}

/// Other tests use the same database at the same time, hence names of one's own.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
