//! What agents do with cards is kept with what chose them, and a model is learned from that.

use std::collections::BTreeMap;

use cuecard_actors::engine::knowledge::{ContentHash, read_articles};
use cuecard_actors::engine::ranking::conversation::Evidence;
use cuecard_actors::ledger::{
    DeliveryRecord, Impression, Ledger, LedgerOptions, NewFeedback, QuestionRecord, judged_deliveries,
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{ARTICLES, Service, index, run, say, schema, simulator};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

#[actix_rt::test]
async fn an_accepted_card_is_kept_with_what_it_was_chosen_by() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let overrides = [
        ("CUECARD_DATA_DIR", data.path().to_str().unwrap()),
        ("CUECARD__PROFILE__EXPLORE", "0.2"),
        ("CUECARD__PROFILE__KEEP_QUESTION_VECTORS", "on"),
    ];
    let service = Service::start(&simulator, &overrides).await;
    say(&simulator, "call-1", DOG).await;
    let delivered = [("outcome", "delivered")];
    service.admin.until("a card", |metrics| metrics.sum("cuecard_cards_total", &delivered) == 1.0).await;
    simulator.judge_card("call-1", "pets", true).await.unwrap();
    let forwarded = [("result", "forwarded")];
    let forwarding = "cuecard_feedback_forwarding_total";
    service.admin.until("the verdict", |metrics| metrics.sum(forwarding, &forwarded) == 1.0).await;
    service.finish(&simulator).await;

    let url = format!("sqlite:{}", data.path().join("ledger.db").display());
    let judged = judged_deliveries(&url, "insights").await.unwrap();
    let [delivery] = judged.as_slice() else { panic!("{judged:?}") };
    let question = delivery.question.as_ref().unwrap();
    assert_eq!((question.num_words, question.num_turns, question.vector.as_ref().unwrap().len()), (13, 1, 384));
    let first = &delivery.cards[0];
    assert_eq!((first.impression.article_id.as_str(), first.impression.rank, first.accepted), ("pets", 1, Some(true)));
    assert!(delivery.cards[1..].iter().all(|card| card.accepted.is_none()));
    let shown = &first.impression;
    assert_eq!((shown.propensity, shown.probability), (Some(1.0), Some(shown.score)));
    assert!(Evidence::of_features(&shown.features).unwrap().newest_cosine > 0.4, "{shown:?}");
    let pets = read_articles(ARTICLES.as_ref()).unwrap().articles.into_iter().find(|article| article.id == "pets");
    assert_eq!(shown.content_hash, ContentHash::of_article(&pets.unwrap()).short());
}

/// A push of these cards, of which the one that has the words of the question is the second.
fn push(number: u128, profile: &str, articles: &[&str]) -> DeliveryRecord {
    let card = |(place, article): (usize, &&str)| {
        let words = if place == 1 { 0.8 } else { 0.1 };
        let evidence = Evidence { newest_cosine: 0.6 - 0.1 * place as f32, newest_words: words, ..Evidence::default() };
        let features = evidence.features().into_iter().map(|feature| (feature.name.into_owned(), feature.value));
        Impression {
            article_id: (*article).to_owned(),
            wire_id: (*article).to_owned(),
            rank: place as u32 + 1,
            score: 0.5,
            features: features.collect::<BTreeMap<_, _>>(),
            ..Impression::default()
        }
    };
    DeliveryRecord {
        id: Uuid::from_u128(number),
        profile: profile.to_owned(),
        interaction: format!("call-{number}"),
        utterance: 1,
        impressions: articles.iter().enumerate().map(card).collect(),
        question: Some(QuestionRecord { num_words: 5, num_turns: 1, vector: None }),
        delivered_at: Timestamp::UNIX_EPOCH,
        cxone_id: None,
        latency_ms: 1,
    }
}

#[actix_rt::test]
async fn a_model_is_learned_from_what_agents_accept_and_says_what_it_lacks() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("ledger.db").display().to_string();
    learns_and_says_what_it_lacks(&format!("sqlite:{file}"), &file).await;
}

#[actix_rt::test]
async fn a_model_is_learned_from_a_ledger_on_a_server() {
    if let Some(url) = schema().await {
        learns_and_says_what_it_lacks(&url, &url).await;
    }
}

/// From the ledger of this URL, which the command line calls so.
async fn learns_and_says_what_it_lacks(url: &str, named: &str) {
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(url, LedgerOptions::default()).await.unwrap();
    // One of the cards is of an article that was deleted since, and all of the other profile's are of another index.
    let shown = |number| match number {
        1..=60 => ("insights", ["pets", "bicycles", "check-in", "unicorns"]),
        _ => ("elsewhere", ["dragons", "griffins", "unicorns", "mermaids"]),
    };
    for number in 1..=62 {
        let (profile, articles) = shown(number);
        ledger.deliveries().record(push(number, profile, &articles)).await.unwrap();
        let feedback = NewFeedback {
            event: Uuid::new_v4(),
            profile: profile.to_owned(),
            interaction: format!("call-{number}"),
            insight: articles[1].to_owned(),
            action: "ACCEPTED".into(),
            accepted: true,
            heard_at: Timestamp::UNIX_EPOCH,
        };
        ledger.feedback().store(feedback).await.unwrap();
    }
    let model = directory.path().join("model.json");
    let train = |profile: &str, more: &[&str]| {
        let fixed = ["train", "--index", index().to_str().unwrap(), "--feedback", named, "--profile", profile];
        run(&[&fixed[..], &["--out", model.to_str().unwrap()], more].concat(), &[])
    };
    // The service has the ledger open.
    let learned = train("insights", &[]);
    assert_eq!(learned.code, Some(0), "{}", learned.stderr);
    for said in [
        "with the place of the card as a feature",
        "left out: the gate",
        "those that keep_words keeps",
        "left out: the adapter",
        "left out: 60 cards whose articles the index does not hold: `unicorns`",
        "better",
    ] {
        assert!(learned.stdout.contains(said), "{said}: {}", learned.stdout);
    }
    let report: Value = serde_json::from_str(&train("insights", &["--json"]).stdout).unwrap();
    let gain = &report["gains"][0];
    assert!(gain["before"].as_f64() < gain["after"].as_f64(), "{report}");
    for (profile, more, said) in [
        ("insights", &["--unbias", "propensity"][..], "explore = 0.05"),
        ("nobody", &[], "no feedback on cards of profile `nobody`"),
        (
            "elsewhere",
            &[],
            "none of the articles that the feedback is on: `dragons`, `griffins`, `mermaids`, `unicorns`",
        ),
    ] {
        let refused = train(profile, more);
        assert!(refused.code == Some(1) && refused.stderr.contains(said), "{}", refused.stderr);
    }
    ledger.close().await;
}
