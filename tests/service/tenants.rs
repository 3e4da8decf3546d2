//! Several tenants side by side: the same ids on both sides, and nothing crosses.

use cuecard::settings::Settings;
use cuecard_simulator::{Fault, FaultKind, Frame, Received, Route, RunningSimulator, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Service, build_index, environment, simulator, until};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

struct Tenants {
    north: RunningSimulator,
    south: RunningSimulator,
    service: Service,
    _south_index: TempDir,
}

/// Two tenants of contract 003, each with an index of its own; south's has an article that north's lacks.
async fn tenants() -> Tenants {
    let (north, south, south_index, data) =
        (simulator(), simulator(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let articles = south_index.path().join("articles.jsonl");
    let row =
        json!({"id": "south-pets", "title": "Dogs in the south", "body": "In the south a dog sails in any cabin."});
    std::fs::write(&articles, row.to_string()).unwrap();
    let index = south_index.path().join("index");
    build_index(&articles, &index);
    let sections = format!(
        "[profiles.north]\ncontract = 'insights'\nbase_url = '{}'\n\
         [profiles.south]\ncontract = 'insights'\nbase_url = '{}'\nindex = '{}'\n",
        north.base_url(),
        south.base_url(),
        index.display()
    );
    let file = data.path().join("cuecard.toml");
    std::fs::write(&file, sections).unwrap();
    let variables = environment("", data.path(), &[("CXONE_CONTRACT", ""), ("CXONE_BASE_URL", "")]);
    let service = Service::with(Settings::load(Some(&file), variables).unwrap(), data);
    for simulator in [&north, &south] {
        until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    }
    Tenants { north, south, service, _south_index: south_index }
}

async fn say(simulator: &RunningSimulator, text: &str) {
    let fragment = json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": "call-1"});
    for frame in [fragment, json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": "call-1"})] {
        simulator.send(Frame::Text(frame.to_string())).await.unwrap();
    }
}

fn shown(simulator: &RunningSimulator) -> Vec<Received> {
    let pushes = simulator.received_on(Route::Insights);
    pushes.into_iter().filter(|push| push.verdict == Verdict::Accepted).collect()
}

fn articles(push: &Received) -> Vec<String> {
    let insights = push.body.as_ref().unwrap()["insights"].as_array().unwrap().clone();
    insights.iter().map(|insight| insight["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_rt::test]
async fn the_same_interaction_of_two_tenants_is_two_conversations() {
    let Tenants { north, south, service, _south_index } = tenants().await;
    // Half of the question is said in the north, half in the south.
    let half = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "Can I take my dog on board?", "interactionId": "call-1"});
    north.send(Frame::Text(half.to_string())).await.unwrap();
    say(&south, DOG).await;
    until(&south, "south's card", |simulator| shown(simulator).len() == 1).await;
    assert_eq!(articles(&shown(&south)[0]), ["south-pets"]);
    assert!(shown(&north).is_empty(), "nothing ended there");
    say(&north, "Does he need a cabin?").await;
    until(&north, "north's card", |simulator| shown(simulator).len() == 1).await;
    let cards = articles(&shown(&north)[0]);
    assert!(cards[0] == "pets" && !cards.contains(&"south-pets".to_owned()), "{cards:?}");
    // What south has seen says nothing of north: each gets its card once more only when it is due there.
    say(&south, DOG).await;
    let silent = [("profile", "south"), ("reason", "already_shown")];
    service.admin.until("silence", |metrics| metrics.sum("cuecard_silences_total", &silent) == 1.0).await;
    service.admin.check_account().await;
    assert_eq!((north.num_violations(), south.num_violations()), (0, 0));
    service.stop().await;
}

#[actix_rt::test]
async fn one_tenants_trouble_holds_no_other_up() {
    let Tenants { north, south, service, _south_index } = tenants().await;
    let busy =
        FaultKind::Answer { status: 429, retry_after: Some(cuecard_simulator::RetryAfter::Seconds(600)), body: None };
    north.inject(Fault { route: Route::Insights, times: u32::MAX, fault: busy });
    say(&north, DOG).await;
    let expired = [("profile", "north"), ("outcome", "expired")];
    service.admin.until("north is held", |metrics| metrics.sum("cuecard_cards_total", &expired) == 1.0).await;
    say(&south, DOG).await;
    until(&south, "south's card", |simulator| shown(simulator).len() == 1).await;
    service.stop().await;
}

#[actix_rt::test]
async fn feedback_goes_back_to_the_tenant_that_it_came_from() {
    let Tenants { north, south, service, _south_index } = tenants().await;
    for (simulator, insight) in [(&north, "pets"), (&south, "south-pets")] {
        say(simulator, DOG).await;
        until(simulator, "a card", |simulator| shown(simulator).len() == 1).await;
        simulator.judge_card("call-1", insight, true).await.unwrap();
    }
    for (simulator, insight) in [(&north, "pets"), (&south, "south-pets")] {
        until(simulator, "feedback", |simulator| !simulator.received_on(Route::Feedback).is_empty()).await;
        let learned: Vec<Value> =
            simulator.received_on(Route::Feedback).iter().filter_map(|call| call.body.clone()).collect();
        assert_eq!(learned.len(), 1);
        assert_eq!(learned[0]["insightId"], insight);
    }
    service.stop().await;
}
