#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use cuecard_ranking::conversation::Evidence;
use cuecard_ranking::{Baseline, Feature, Formula, MeasuredTurn, Screen, Selectivity, SilenceRule, TurnSigns};

use super::*;
use crate::backends::BackendName;
use crate::candidates::{Candidate, Nearness};
use crate::knowledge::Article;
use crate::order::CardOdds;
use crate::plan::Plan;
use crate::testing::plan;

fn ranked(id: &str, score: f64, evidence: Evidence) -> Ranked {
    let article = Article { id: id.into(), title: format!("All about {id}"), ..Article::default() };
    let mut candidate = Candidate::new(Arc::new(article), "", BackendName::Index);
    candidate.evidence = Some(evidence);
    let mut features = evidence.features();
    features.push(Feature { name: "boost: tag billing".into(), value: 0.5 });
    Ranked::new(candidate, score, features)
}

/// Two articles, of which the second was named and the first lies nearer to the turn.
fn order(turn: &str, probabilities: [f64; 2]) -> Order {
    let best = Evidence { newest_cosine: 0.7, named: 0.0, ..Evidence::default() };
    let next = Evidence { newest_cosine: 0.5, named: 1.0, ..Evidence::default() };
    let signs = TurnSigns { is_first: false, measured: MeasuredTurn::of(Some(0.66), None) };
    let ranked = vec![ranked("refunds", probabilities[0], best), ranked("fees", probabilities[1], next)];
    Order {
        wanted: Some(Wanted::of(turn, signs, &Baseline::default())),
        nearness: Nearness::of_passage(Some(0.6)),
        ..Order::new(Formula::Conversation, ranked)
    }
}

/// As it is read back from a record.
fn explained(order: Order, screen: &Screen, silence: SilenceRule) -> String {
    let plan = Plan { silence: Some(silence), ..Plan::clone(&plan(&[BackendName::Index])) };
    let ranking = Ranking::judged(order, screen, Instant::now(), &plan);
    why(&serde_json::from_value(serde_json::to_value(&ranking).unwrap()).unwrap()).join("\n")
}

fn told(order: Order) -> String {
    explained(order, &Screen::default(), SilenceRule::Selectivity(Selectivity::Medium))
}

fn assert_says(sentences: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentences.contains(part), "{part}:\n{sentences}");
    }
}

const ASKS: &str = "How do I get my money back?";

#[test]
fn a_card_is_explained_by_its_parts_and_by_what_tells_it_from_the_next_one() {
    let order = Order {
        heard: vec![
            HeardName { name: "Acorn Lodge".to_owned(), share: 1.0, speaker: Speaker::Agent, turns_back: 3 },
            HeardName { name: "Mill".to_owned(), share: 0.5, speaker: Speaker::Customer, turns_back: 0 },
            HeardName { name: "Acorn Lodge".to_owned(), share: 1.0, speaker: Speaker::Agent, turns_back: 3 },
        ],
        muted: vec!["fines".to_owned()],
        ..order(ASKS, [0.75, 0.1])
    };
    assert_says(
        &told(order),
        &[
            "Chosen: “All about refunds” (refunds), which answers with a probability of 75 %, where 50 % is needed",
            "What the score of “All about refunds” is made of: the newest turn means something like its nearest passage \
             (+11.9); the settings boost it, tag billing (+0.5). In all 12.4, where 8.0 stand for no article.",
            "The settings boosted the first article: tag billing (+0.5).",
            "Found, but muted by an operator: fines.",
            "Named in the call: Acorn Lodge by the agent 3 turns before the newest; Mill in part by the customer in the newest turn.",
            "The next one was “All about fees” (fees), which answers with a probability of 10 %.",
            "means something like its nearest passage (+3.4)",
            "What spoke against it: its entity was named (-2.0)",
        ],
    );
}

#[test]
fn each_sign_of_a_turn_has_its_weight_and_the_sum_what_is_needed() {
    let asks = told(order(ASKS, [0.75, 0.1]));
    assert_says(
        &asks,
        &[
            "looks like a question (+1.1), one that an article may answer (+0.6); articles lie nearer to it than usual by \
             1.0 deviations (+1.2); its length (+0.2): in all 3.1 for a card, where 0.8 is needed.",
        ],
    );
    let mut learned = order(ASKS, [0.75, 0.1]);
    learned.wanted = learned.wanted.map(|wanted| Wanted { log_odds: Some(1.5), ..wanted });
    learned.odds = Some(CardOdds { probability: 0.8, least: 0.6 });
    let learned = told(learned);
    assert_says(&learned, &["a question, one", "with log-odds of 1.5.", "is right 80 % of the time; 60 % is needed"]);
    assert!(!learned.contains("(+1.1)") && !learned.contains("50 %"), "by hand nothing was judged:\n{learned}");
    let far = explained(order(ASKS, [0.75, 0.1]), &Screen::default(), SilenceRule::MinCosine(0.7));
    assert_says(&far, &["Silent: no article answers", "have a cosine of 0.60, where 0.70 is needed."]);
}

#[test]
fn a_silence_is_explained_too_with_the_probability_that_was_needed() {
    let silent = told(order("Great, thanks, bye.", [0.75, 0.1]));
    assert_says(&silent, &["Silent: the newest customer turn does not look", "a greeting or thanks (-0.8)"]);
    let unsure = told(order(ASKS, [0.2, 0.1]));
    let best = "The best article was “All about refunds” (refunds), which answers with a probability of 20 %, where 50 % is needed";
    assert_says(&unsure, &["Silent: no article answers well enough", best, "is made of"]);
}

#[test]
fn what_a_model_learned_is_a_part_like_the_others() {
    let mut order = Order { model: Some("7f".to_owned()), ..order(ASKS, [0.75, 0.1]) };
    for (ranked, value) in order.ranked.iter_mut().zip([2.5, -1.0]) {
        ranked.features.push(Feature { name: "learned".into(), value });
    }
    let learned = "what was learned from other calls";
    let told = told(order);
    assert_says(&told, &[&format!("{learned} (+2.5)"), &format!("beside the next one: {learned} (+3.5)"), "Model 7f"]);
}

#[test]
fn after_a_rejection_the_number_is_that_among_those_that_are_left() {
    let mut screen = Screen::default();
    screen.reject("refunds", Instant::now());
    let told = |probabilities, third| {
        let mut order = order(ASKS, probabilities);
        order.ranked.push(ranked("fines", third, Evidence::default()));
        explained(order, &screen, SilenceRule::Selectivity(Selectivity::Medium))
    };
    let card = told([0.6, 0.3], 0.04);
    assert_says(
        &card,
        &[
            "Chosen: “All about fees” (fees), which answers with a probability of 75 %, where 50 % is needed",
            "Rejected by the agent a short while ago, and taken not to answer: “All about refunds” (refunds).",
            "What the score of “All about fees” is made of",
            "The next one was “All about fines” (fines), which answers with a probability of 10 %.",
            "What spoke for it beside the next one: the newest turn means something like its nearest passage (+8.5)",
        ],
    );
    let silent = told([0.6, 0.16], 0.04);
    assert_says(
        &silent,
        &[
            "Silent: the agent rejected",
            "The best of the others was “All about fees” (fees), which answers with a \
          probability of 40 %, where 50 % is needed.",
        ],
    );
}

#[test]
fn a_card_that_comes_beside_another_is_compared_with_that_one() {
    let mut screen = Screen::default();
    screen.note("fees", 1, Instant::now());
    let mut called = order(ASKS, [0.6, 0.3]);
    called.ranked.swap(0, 1);
    (called.ranked[0].score, called.ranked[1].score) = (0.6, 0.3);
    let rule = SilenceRule::Selectivity(Selectivity::Low);
    let plan = Plan { silence: Some(rule), ..Plan::clone(&plan(&[BackendName::Index])) };
    let ranking = Ranking::judged(called, &screen, Instant::now(), &plan);
    let beside = why(&ranking).join("\n");
    assert_says(
        &beside,
        &[
            "Chosen: “All about refunds” (refunds), which answers with a probability of 75 %",
            "“All about fees” (fees) fits the whole call better and stands on the screen",
            "What spoke for it beside what stands on the screen: the newest turn means something like its nearest passage",
            "What spoke against it: its entity was named (-2.0)",
        ],
    );
    screen.note("refunds", 2, Instant::now());
    let stands = explained(order(ASKS, [0.75, 0.1]), &screen, rule);
    assert_says(&stands, &["Silent: the best article stands on the screen."]);
    screen.note("fees", 3, Instant::now());
    let mut alike = order(ASKS, [0.4, 0.35]);
    alike.ranked.iter_mut().for_each(|ranked| ranked.candidate.evidence = Some(Evidence::default()));
    let as_well = explained(alike, &screen, rule);
    assert_says(&as_well, &["Silent: “All about fees” (fees) stands on the screen and answers as well."]);
}
