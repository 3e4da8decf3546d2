//! Contract 003 as it should go: what is said brings its card, what the agent thinks of it comes back to CXone.

use std::collections::BTreeSet;
use std::time::Duration;

use cuecard::settings::Settings;
use cuecard_simulator::{Conversation, Fault, FaultKind, Pace, Received, RetryAfter, Route, RunningSimulator, Verdict};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    CONVERSATIONS, Service, body_of, environment, first_article, pushes, questions, say, send, shown, simulator, until,
    until_shown,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const DELAY: &str = "Our ferry arrived two hours late. Do we get any compensation for the delay?";
const VOUCHER: &str = "How long is my gift voucher valid?";
const GOODBYE: &str = "Lovely, thank you so much, bye bye.";

fn fragment(interaction: Option<&str>, participant: &str, text: &str) -> Value {
    let mut frame = json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "participant": participant});
    if let Some(interaction) = interaction {
        frame["interactionId"] = interaction.into();
    }
    frame
}

fn state(interaction: &str, state: &str) -> Value {
    json!({"type": "DIALOG_STATE", "state": state, "interactionId": interaction})
}

/// Feedback that the training endpoint took.
fn learned(simulator: &RunningSimulator) -> Vec<Received> {
    let calls = simulator.received_on(Route::Feedback);
    calls.into_iter().filter(|call| call.verdict == Verdict::Accepted).collect()
}

#[actix_rt::test]
async fn played_conversations_bring_the_right_card_first() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let conversations = Conversation::load(CONVERSATIONS.as_ref()).unwrap();
    simulator.play(conversations.clone(), Pace::instant()).finished().await;
    let cards = until_shown(&simulator, conversations.len()).await;
    let expected: BTreeSet<_> = conversations
        .iter()
        .zip(questions())
        .map(|(conversation, (_, gold))| (conversation.id.clone(), gold))
        .collect();
    let brought: BTreeSet<_> = cards
        .iter()
        .map(first_article)
        .map(|(interaction, article)| (interaction.to_owned(), article.to_owned()))
        .collect();
    assert_eq!(brought, expected);
    assert_eq!(simulator.num_cards(), conversations.len() as u64);
    assert_eq!(simulator.num_unprompted(), 0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_card_carries_what_the_article_says() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__PROFILE__CARDS", "2")]).await;
    say(&simulator, "call-1", DELAY).await;
    let push = until_shown(&simulator, 1).await.remove(0);
    let body = push.body.unwrap();
    let article = body_of("delays");
    let first_words: String = article["body"].as_str().unwrap().chars().take(150).collect();
    let to_the_last_whole_word = format!("{}…", first_words.rsplit_once(' ').unwrap().0);
    let first = &body["insights"][0];
    assert_eq!((&body["displayType"], &body["autoDismiss"]), (&json!("CARD"), &json!(true)));
    assert_eq!(body["insights"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["id"], &first["title"], &first["citation"], &first["snippet"]),
        (&article["id"], &article["title"], &article["url"], &json!(to_the_last_whole_word))
    );
    assert_eq!((&first["priority"], &body["insights"][1]["priority"]), (&json!(1), &json!(2)));
    assert!(first["score"].as_f64() > body["insights"][1]["score"].as_f64());
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn what_the_agent_thinks_reaches_the_training_endpoint() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, "call-1", DOG).await;
    // Once it is delivered it is written down, too, and verdicts find it.
    let delivered = [("outcome", "delivered")];
    service.admin.until("a card", |metrics| metrics.sum("cuecard_cards_total", &delivered) == 1.0).await;
    let before = Timestamp::now();
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    send(&simulator, json!({"type": "INSIGHT_REJECTED", "interactionId": "call-1", "insightId": "cabins"})).await;
    let own_word = json!({
        "type": "INSIGHT_ACCEPTED", "interactionId": "call-1", "insightId": "delays", "action": "ACCEPTED_AND_READ_OUT",
    });
    send(&simulator, own_word).await;
    until(&simulator, "three verdicts", |simulator| learned(simulator).len() == 3).await;
    let expected = [("pets", "ACCEPTED"), ("cabins", "REJECTED"), ("delays", "ACCEPTED_AND_READ_OUT")];
    for (call, (article, action)) in learned(&simulator).iter().zip(expected) {
        let mut body = call.body.clone().unwrap();
        let timestamp: Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        let (heard, now) = (timestamp.as_millisecond(), Timestamp::now().as_millisecond());
        assert!(heard >= before.as_millisecond() && heard <= now, "{timestamp}");
        body.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(body, json!({"interactionId": "call-1", "insightId": article, "action": action}));
    }
    service
        .admin
        .until("the verdicts are counted", |metrics| {
            metrics.sum("cuecard_feedback_total", &[("action", "accepted")]) == 2.0
                && metrics.sum("cuecard_feedback_total", &[("action", "rejected")]) == 1.0
                && metrics.sum("cuecard_feedback_forwarding_total", &[("result", "forwarded")]) == 3.0
                && metrics.sum("cuecard_feedback_pending", &[]) == 0.0
                && metrics.num_series("cuecard_acceptance_ratio", &[]) == 1
        })
        .await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn feedback_that_cxone_will_never_take_is_set_aside_and_the_next_goes_on() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    for status in [400, 404, 422] {
        simulator.inject(Fault { route: Route::Feedback, times: 1, fault: FaultKind::status(status) });
    }
    for article in ["pets", "cabins", "children", "meals"] {
        simulator.judge_card("call-1", article, false).await.unwrap();
    }
    until(&simulator, "the fourth verdict", |simulator| learned(simulator).len() == 1).await;
    assert_eq!(learned(&simulator)[0].body.as_ref().unwrap()["insightId"], "meals");
    assert_eq!(simulator.received_on(Route::Feedback).len(), 4);
    let set_aside = [("actor", "feedback_logger"), ("reason", "set_aside")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_dropped_total", &set_aside), 3.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn words_without_an_interaction_belong_to_the_next_state_that_names_one() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    send(&simulator, fragment(None, "CUSTOMER", "How long is my gift")).await;
    send(&simulator, fragment(None, "CUSTOMER", "voucher valid?")).await;
    send(&simulator, json!({"type": "DIALOG_STATE", "state": "TURN_END"})).await;
    send(&simulator, state("call-1", "CUSTOMER_SILENT")).await;
    let cards = until_shown(&simulator, 1).await;
    assert_eq!(first_article(&cards[0]), ("call-1", "vouchers"));
    // Both halves are needed: neither alone is about bicycles.
    send(&simulator, fragment(Some("call-2"), "CUSTOMER", "Can I bring my")).await;
    send(&simulator, fragment(None, "CUSTOMER", "bicycle on the ferry?")).await;
    send(&simulator, state("call-2", "AGENT_SILENT")).await;
    let cards = until_shown(&simulator, 2).await;
    assert_eq!(first_article(&cards[1]), ("call-2", "bicycles"));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_pause_ends_an_utterance_without_a_state() {
    // (pause after the last word, pause after the first)
    for (after_last, after_first) in [("200ms", "20m"), ("20m", "200ms")] {
        let simulator = simulator();
        let overrides =
            [("CUECARD__BUFFER__PAUSE_AFTER_LAST", after_last), ("CUECARD__BUFFER__PAUSE_AFTER_FIRST", after_first)];
        let service = Service::start(&simulator, &overrides).await;
        send(&simulator, fragment(Some("call-1"), "CUSTOMER", VOUCHER)).await;
        let cards = until_shown(&simulator, 1).await;
        assert_eq!(first_article(&cards[0]), ("call-1", "vouchers"));
        // A state after the flush brings nothing new.
        send(&simulator, state("call-1", "TURN_END")).await;
        say(&simulator, "call-2", DOG).await;
        until(&simulator, "the next card", |simulator| shown(simulator).len() == 2).await;
        assert_eq!(first_article(&shown(&simulator)[1]), ("call-2", "pets"));
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn an_agent_never_asks() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    send(&simulator, fragment(Some("call-1"), "AGENT", DELAY)).await;
    send(&simulator, state("call-1", "TURN_END")).await;
    say(&simulator, "call-2", DOG).await;
    until_shown(&simulator, 1).await;
    assert_eq!(service.admin.metrics().await.sum("cuecard_utterances_total", &[]), 1.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn nothing_is_shown_where_nothing_fits_unless_silence_is_off() {
    for (silence, silent, delivered) in [("on", 1.0, 0.0), ("off", 0.0, 1.0)] {
        let simulator = simulator();
        let service = Service::start(&simulator, &[("CUECARD_SILENCE", silence)]).await;
        say(&simulator, "call-1", GOODBYE).await;
        service
            .admin
            .until("the question ends", |metrics| {
                metrics.sum("cuecard_silences_total", &[("reason", "unsure")]) == silent
                    && metrics.sum("cuecard_cards_total", &[("outcome", "silent")]) == silent
                    && metrics.sum("cuecard_cards_total", &[("outcome", "delivered")]) == delivered
                    && metrics.sum("cuecard_utterances_total", &[]) == 1.0
            })
            .await;
        assert_eq!(pushes(&simulator).len() as f64, delivered);
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn an_article_just_shown_is_not_shown_again() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__PROFILE__CARDS", "1")]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    // Asked again it brings nothing, not the next best either; another conversation has not seen it.
    say(&simulator, "call-1", DOG).await;
    let repeated = [("reason", "already_shown")];
    let silenced = service.admin.until("silence", |scrape| scrape.sum("cuecard_silences_total", &repeated) >= 1.0);
    silenced.await;
    say(&simulator, "call-2", DOG).await;
    let cards = until_shown(&simulator, 2).await;
    let brought: Vec<_> = cards.iter().map(first_article).collect();
    assert_eq!(brought, [("call-1", "pets"), ("call-2", "pets")]);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn two_cards_of_one_conversation_never_overtake_each_other() {
    let simulator = simulator();
    let overrides = [("CUECARD__PROFILE__CARDS", "1"), ("CUECARD__PROFILE__WINDOW", "1")];
    let service = Service::start(&simulator, &overrides).await;
    let slow = FaultKind::Delay { by: Duration::from_millis(500) };
    simulator.inject(Fault { route: Route::Insights, times: 1, fault: slow });
    say(&simulator, "call-1", DOG).await;
    service.admin.until_pushing(&simulator).await;
    say(&simulator, "call-1", VOUCHER).await;
    let cards = until_shown(&simulator, 2).await;
    let order: Vec<_> = cards.iter().map(first_article).collect();
    assert_eq!(order, [("call-1", "pets"), ("call-1", "vouchers")]);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn conversations_at_the_same_time_do_not_mix() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__PROFILE__CARDS", "1")]).await;
    let questions = questions();
    let calls: Vec<_> = (0..questions.len()).map(|number| format!("call-{number}")).collect();
    let words: Vec<Vec<&str>> = questions.iter().map(|(asked, _)| asked.split_whitespace().collect()).collect();
    // A word of each conversation in turn.
    for place in 0..words.iter().map(Vec::len).max().unwrap() {
        for (call, words) in calls.iter().zip(&words) {
            if let Some(word) = words.get(place) {
                send(&simulator, fragment(Some(call), "CUSTOMER", word)).await;
            }
        }
    }
    for call in &calls {
        send(&simulator, state(call, "TURN_END")).await;
    }
    let cards = until_shown(&simulator, calls.len()).await;
    let brought: BTreeSet<_> = cards.iter().map(first_article).collect();
    let expected = calls.iter().map(String::as_str).zip(questions.iter().map(|(_, gold)| gold.as_str())).collect();
    assert_eq!(brought, expected);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn two_tenants_with_the_same_interaction_ids_are_kept_apart() {
    let (north, south) = (simulator(), simulator());
    let data = TempDir::new().unwrap();
    let file = data.path().join("cuecard.toml");
    let section = |name: &str, simulator: &RunningSimulator| {
        format!("[profiles.{name}]\nbase_url = \"{}\"\n", simulator.base_url())
    };
    std::fs::write(&file, section("north", &north) + &section("south", &south)).unwrap();
    let settings = Settings::load(Some(&file), environment("", data.path(), &[])).unwrap();
    let service = Service::with(settings, data);
    for simulator in [&north, &south] {
        until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    }
    // One tenant's trouble holds no other tenant up.
    refuse_for_a_minute(&north);
    say(&north, "call-1", DOG).await;
    say(&south, "call-1", VOUCHER).await;
    assert_eq!(first_article(&until_shown(&south, 1).await[0]), ("call-1", "vouchers"));
    let outcome = |profile: &'static str, outcome: &'static str| [("profile", profile), ("outcome", outcome)];
    service
        .admin
        .until("each tenant's own outcome", |metrics| {
            metrics.sum("cuecard_cards_total", &outcome("north", "expired")) == 1.0
                && metrics.sum("cuecard_cards_total", &outcome("south", "delivered")) == 1.0
        })
        .await;
    assert!(shown(&north).is_empty());
    assert_eq!(north.num_violations(), 0);
    service.finish(&south).await;
}

fn refuse_for_a_minute(simulator: &RunningSimulator) {
    let retry_after = Some(RetryAfter::Seconds(60));
    let fault = FaultKind::Answer { status: 429, retry_after, body: None };
    simulator.inject(Fault { route: Route::Insights, times: 1, fault });
}
