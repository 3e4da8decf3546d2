//! Keys and duplicates are told apart in every dialect, and every card finds its turn.

use crate::client::{Client, Dialect, PATIENCE, say, start, with_one_turn};
use cuecard_simulator::{RunningSimulator, Simulator, SimulatorSettings, Verdict};
use strum::IntoEnumIterator;

fn verdicts(simulator: &RunningSimulator, dialect: Dialect) -> Vec<Verdict> {
    simulator.received_on(dialect.route()).into_iter().map(|entry| entry.verdict).collect()
}

#[actix_web::test]
async fn a_repeated_key_is_answered_and_not_shown_again() {
    for dialect in Dialect::iter() {
        let simulator = start();
        let (client, token, _socket) = with_one_turn(&simulator).await;
        let body = dialect.body("i", &["a", "b"]);
        let first = client.push(dialect, &token, "k", "i", &body).await;
        let second = client.push(dialect, &token, "k", "i", &body).await;
        assert_eq!(first.0, 200, "{dialect:?}: {}", first.1);
        assert_eq!(first, second);
        assert_eq!(verdicts(&simulator, dialect), [Verdict::Accepted, Verdict::Repeated], "{dialect:?}");
        let (status, answered) = client.push(dialect, &token, "k", "i", &dialect.body("i", &["b", "a"])).await;
        assert_eq!(status, 400, "{dialect:?}: {answered}");
        let counts = (simulator.num_cards(), simulator.num_duplicates(), simulator.num_violations());
        assert_eq!(counts, (1, 0, 1), "{dialect:?}");
        assert_eq!(simulator.received_on(dialect.route())[0].idempotency_key.as_deref(), Some("k"));
    }
}

#[actix_web::test]
async fn the_same_cards_under_a_new_key_are_a_duplicate() {
    for dialect in Dialect::iter() {
        let simulator = start();
        let (client, token, _socket) = with_one_turn(&simulator).await;
        let body = dialect.body("i", &["a"]);
        for key in ["1", "2"] {
            assert_eq!(client.push(dialect, &token, key, "i", &body).await.0, 200, "{dialect:?}");
        }
        assert_eq!(verdicts(&simulator, dialect), [Verdict::Accepted, Verdict::Duplicate], "{dialect:?}");
        say(&simulator, "i", "and the other one").await;
        assert_eq!(client.push(dialect, &token, "3", "i", &body).await.0, 200);
        let counts = (simulator.num_turns(), simulator.num_cards(), simulator.num_duplicates());
        assert_eq!(counts, (2, 2, 1), "{dialect:?}");
        assert!(simulator.turns().iter().all(|turn| turn.card_after.is_some_and(|after| after < PATIENCE)));
    }
}

#[actix_web::test]
async fn answers_are_the_documents() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    for dialect in Dialect::iter() {
        let key = format!("{dialect:?}");
        let (_, body) = client.push(dialect, &token, &key, "i", &dialect.body("i", &["a"])).await;
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        if dialect == Dialect::Graph {
            assert_eq!((text("interactionId"), text("status")), ("i".to_owned(), "delivered".to_owned()));
            assert!(text("contentId").starts_with("CONT-"), "{body}");
            assert!(text("timestamp").parse::<jiff::Timestamp>().is_ok() && text("timestamp").ends_with('Z'), "{body}");
            assert_eq!(body.as_object().unwrap().len(), 4);
        } else {
            assert!(!text("id").is_empty(), "{dialect:?}: {body}");
        }
    }
}

#[actix_web::test]
async fn a_port_in_use_is_named() {
    let simulator = start();
    let settings = SimulatorSettings { address: simulator.address(), ..SimulatorSettings::default() };
    let error = Simulator::start(settings).err().unwrap().to_string();
    assert!(error.contains(&simulator.address().port().to_string()), "{error}");
    let address = simulator.address();
    simulator.stop();
    let settings = SimulatorSettings { address, ..SimulatorSettings::default() };
    assert!(Simulator::start(settings).is_ok(), "a stopped simulator frees its port");
}

#[actix_web::test]
async fn the_record_tells_whose_request_it_was() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, "k", &Dialect::Insights.body("i", &["a"])).await;
    client.push_insights("forged", "k", &Dialect::Insights.body("i", &["a"])).await;
    let owners: Vec<_> = simulator.received().into_iter().map(|entry| entry.client_id).collect();
    let own = Some(Client::of(&simulator).id);
    assert_eq!(owners, [own.clone(), own.clone(), own, None]);
}
