//! An actor whose handler does not return, in the real program built with failure points: whoever asks sees which one it is, and
//! that it goes on again.

#![allow(clippy::unwrap_used)]

#[path = "service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the service's own tests use what this one does not")]
mod support;

use serde_json::json;
use tempfile::TempDir;

use support::{Process, environment, say, simulator, until};

/// Twice as long as a handler may take; long enough to look at it.
const HANGS: &str = "buffer=1*sleep(20000)";

#[actix_rt::test]
async fn a_handler_that_does_not_return_fails_the_probes_until_it_does() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let process = Process::serve(&environment(&simulator.base_url(), data.path(), &[("FAILPOINTS", HANGS)]));
    let admin = &process.admin;
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    admin.until_profile("ready", |status, profile| status == 200 && profile["state"] == "ready").await;
    assert_eq!(admin.get("/livez").await.status, 200);
    say(&simulator, "call-1", "Can I take my dog on board, and does he need a cabin?").await;
    let dead = admin.until_page("/livez", "that the buffer hangs", |page| page.status == 503).await;
    assert_eq!(dead.json(), json!({"status": "dead", "actors": ["buffer"]}), "whoever waits for it is not blamed");
    let ready = admin.get("/readyz").await;
    let reason = ready.json()["reasons"][0].as_str().unwrap_or_default().to_owned();
    assert_eq!((ready.status, &ready.json()["status"]), (503, &"hanging".into()), "{}", ready.text);
    assert!(reason.starts_with("buffer: hangs: its handler has not returned for 1"), "{reason}");
    let metrics = admin.metrics().await;
    let hanging = |actor: &[(&str, &str)]| metrics.sum("cuecard_actor_hanging", actor);
    assert_eq!((hanging(&[("actor", "buffer")]), hanging(&[])), (1.0, 1.0));
    admin.until_page("/livez", "that it goes on", |page| page.status == 200).await;
    admin.until_page("/readyz", "that it is ready", |page| page.json()["status"] == "ready").await;
    process.terminate();
    process.output().await;
}
