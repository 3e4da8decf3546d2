//! Articles that operators pin and mute by a call of the admin port: in effect at once, and after a restart.

use std::path::Path;

use cuecard_simulator::RunningSimulator;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Page, Service, first_article, say, shown, simulator, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// A service whose data directory outlives it.
async fn in_directory(simulator: &RunningSimulator, data: &Path) -> Service {
    Service::start(simulator, &[("CUECARD_DATA_DIR", data.to_str().unwrap())]).await
}

#[actix_rt::test]
async fn a_muted_article_is_not_shown_and_a_pinned_one_comes_first_also_after_a_restart() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let service = in_directory(&simulator, data.path()).await;
    say(&simulator, "call-1", DOG).await;
    assert_eq!(first_article(&until_shown(&simulator, 1).await[0]).1, "pets");

    let mute = json!({"article": "pets", "reason": "Ana: the rules for pets change today"});
    let muted = service.admin.tell("/profiles/insights/mute", &mute).await;
    assert_eq!((muted.status, &muted.json()["action"]), (200, &"mute".into()), "{}", muted.text);
    let pin = json!({"article": "bicycles", "reason": "Ana: a bicycle race today", "for": "4h"});
    let pinned = service.admin.tell("/profiles/insights/pin", &pin).await;
    assert!(pinned.json()["ends_at"].is_string(), "{}", pinned.text);
    service.stop().await;

    let service = in_directory(&simulator, data.path()).await;
    say(&simulator, "call-2", DOG).await;
    let push = until_shown(&simulator, 2).await.remove(1);
    assert_eq!(first_article(&push).1, "bicycles");
    let sent = push.body.as_ref().unwrap().to_string();
    assert!(!sent.contains("\"pets\""), "{sent}");
    let has_one = |page: &Page| page.json()["deliveries"].as_array().is_some_and(|listed| listed.len() == 1);
    let listed = service.admin.until_page("/deliveries?outcome=delivered", "the delivery", has_one).await;
    let decision = listed.json()["deliveries"][0]["id"].clone();
    let why = service.admin.get(&format!("/explain/{}", decision.as_str().unwrap())).await.json()["why"].to_string();
    assert!(
        why.contains("An operator pinned the first article") && why.contains("muted by an operator: pets"),
        "{why}"
    );

    for article in ["pets", "bicycles"] {
        let release = json!({"article": article, "reason": "Ana: over"});
        assert_eq!(service.admin.tell("/profiles/insights/release", &release).await.status, 200);
    }
    say(&simulator, "call-3", DOG).await;
    assert_eq!(first_article(&until_shown(&simulator, 3).await[2]).1, "pets");
    let marks = service.admin.get("/profiles/insights/marks").await.json();
    let said: Vec<_> = marks["marks"].as_array().unwrap().iter().map(|mark| mark["action"].clone()).collect();
    assert_eq!(said, ["release", "release"], "{marks}");
    assert_eq!(shown(&simulator).len(), 3);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_mark_that_is_no_use_is_refused_in_words() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let pets = |reason: &str| json!({"article": "pets", "reason": reason});
    for (path, body, status, said) in [
        ("/profiles/nobody/mute", pets("x"), 404, "/readyz lists the profiles"),
        ("/profiles/insights/mute", json!({"article": "pts", "reason": "x"}), 404, "no article with the id `pts`"),
        ("/profiles/insights/mute", pets(" "), 422, "who did it and why"),
        ("/profiles/insights/mute", json!({"article": "pets"}), 422, "reason"),
        (
            "/profiles/insights/pin",
            json!({"article": "pets", "reason": "x", "for": "long"}),
            422,
            "expected a duration",
        ),
        ("/profiles/insights/pin", json!({"article": "pets", "reason": "x", "for": "90000y"}), 422, "end of time"),
    ] {
        let page = service.admin.tell(path, &body).await;
        assert!(
            page.status == status && page.json()["detail"].as_str().unwrap().contains(said),
            "{path} {}",
            page.text
        );
    }
    assert_eq!(service.admin.get("/profiles/nobody/marks").await.status, 404);
    assert_eq!(service.admin.get("/profiles/insights/marks").await.json()["marks"], json!([]));
    service.finish(&simulator).await;
}
