//! A profile that is watched before agents see it: everything happens but the push, and a second ranker answers beside.

use crate::support::{Page, Service, pushes, say, simulator};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

#[actix_rt::test]
async fn cards_are_withheld_and_stand_with_the_decision_beside_those_of_a_second_ranker() {
    let simulator = simulator();
    let settings = [("CUECARD__PROFILE__PUSH", "off"), ("CUECARD__PROFILE__SHADOW_RANKER", "bm25")];
    let service = Service::start(&simulator, &settings).await;
    say(&simulator, "call-1", DOG).await;
    let has_one = |page: &Page| page.json()["deliveries"].as_array().is_some_and(|listed| listed.len() == 1);
    let page = service.admin.until_page("/deliveries?outcome=withheld", "the card", has_one).await;
    let decision = &page.json()["deliveries"][0];
    for ranking in ["ranking", "shadow"] {
        assert_eq!(decision[ranking]["candidates"][0]["id"], "pets", "{decision}");
        assert!(decision[ranking]["verdict"]["cards"].is_array(), "{decision}");
    }
    let rankers = (&decision["ranking"]["ranker"], &decision["shadow"]["ranker"]);
    assert_eq!(rankers, (&"conversation".into(), &"bm25".into()));
    let explained = service.admin.get(&format!("/explain/{}", decision["id"].as_str().unwrap())).await.json();
    assert!(explained["shadow_why"][0].as_str().unwrap().starts_with("Chosen: "), "{explained}");
    let metrics = service.admin.metrics().await;
    assert_eq!(metrics.sum("cuecard_shadow_total", &[("result", "same")]), 1.0);
    assert_eq!(metrics.sum("cuecard_cards_total", &[("outcome", "withheld")]), 1.0);
    assert!(pushes(&simulator).is_empty());
    service.finish(&simulator).await;
}
