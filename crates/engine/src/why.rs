//! Why a ranking came out as it did, in sentences for whoever writes the articles.
//!
//! Read from the record of a decision alone, so that a live answer, a decision of last week and a question at the command line
//! are explained alike.

use std::collections::HashSet;

use cuecard_ranking::conversation::part;
use cuecard_ranking::{Feature, SilenceReason, Wanted};

use crate::call::HeardName;
use crate::conversation::Speaker;
use crate::order::{Order, Ranked};
use crate::rules::BOOST;
use crate::verdict::{Ranking, Verdict};

/// Parts that are named for and against an article; the others say little.
const NAMED: usize = 4;
/// Log-odds below which a part makes no difference.
const LITTLE: f64 = 0.2;

/// Sentences, the most important first. They say what was chosen; whether it reached an agent the ranking does not know.
pub fn why(ranking: &Ranking) -> Vec<String> {
    let order = &ranking.order;
    let mut sentences = vec![verdict(ranking)];
    let mut by_rank = order.ranked.iter();
    if let (Some(best), Some(next)) = (by_rank.next(), by_rank.next()) {
        sentences.extend(what_told(best, next, order));
    }
    sentences.extend(heard(order));
    sentences.extend(rules(order));
    sentences.extend(order.wanted.as_ref().map(gate));
    if let Some(odds) = order.odds {
        let (probability, least) = (percent(odds.probability), percent(odds.least));
        sentences.push(format!(
            "By what was learned a card like this one is right {probability} of the time; {least} are asked for."
        ));
    }
    if let Some(model) = &order.model {
        sentences.push(format!("Model {model} corrected the order."));
    }
    sentences
}

fn verdict(ranking: &Ranking) -> String {
    let order = &ranking.order;
    match &ranking.verdict {
        Verdict::Cards(_) => match ranking.cards().split_first() {
            Some((first, others)) => {
                let place = order.ranked.iter().position(|ranked| std::ptr::eq(ranked, *first)).unwrap_or_default();
                let instead = match place {
                    0 => "",
                    _ => " It is not the best for the whole call, which stands on the screen or was rejected.",
                };
                let more =
                    if others.is_empty() { String::new() } else { format!(", and {} more below it", others.len()) };
                format!("Chosen: {}{more}.{instead}", named(first, order))
            }
            None => "Chosen: cards that are not on record any more.".to_owned(),
        },
        Verdict::Silent(reason) => {
            let best = order.ranked.first().map(|best| format!(" The best article was {}.", named(best, order)));
            format!("Silent: {}.{}", in_words(*reason), best.unwrap_or_default())
        }
    }
}

fn in_words(reason: SilenceReason) -> &'static str {
    match reason {
        SilenceReason::NothingFound => "nothing was found",
        SilenceReason::NotAsked => "the newest customer turn does not look like one that wants a card",
        SilenceReason::Unsure => "no article answers well enough",
        SilenceReason::AlreadyShown => "the best article stands on the screen, or what stands there answers as well",
        SilenceReason::Rejected => {
            "the agent rejected the best article a short while ago, and no other answers well enough"
        }
    }
}

fn named(ranked: &Ranked, order: &Order) -> String {
    let article = ranked.article();
    let score = if order.ranker.gives_probabilities() {
        format!("which answers with a probability of {}", percent(ranked.score))
    } else {
        format!("with a score of {:.3} by {}", ranked.score, order.ranker)
    };
    format!("“{}” ({}), {score}", article.title, article.id)
}

/// What tells the best article from the next one.
fn what_told(best: &Ranked, next: &Ranked, order: &Order) -> Vec<String> {
    let mut told: Vec<(f64, &'static str)> =
        best.features.iter().filter_map(|feature| difference(feature, &next.features)).collect();
    told.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let list = |holds: fn(f64) -> bool| {
        let parts = told.iter().filter(|(by, _)| by.abs() >= LITTLE && holds(*by)).take(NAMED);
        parts.map(|(by, says)| format!("{says} ({by:+.1})")).collect::<Vec<_>>().join("; ")
    };
    let mut sentences = vec![format!("The next one was {}.", named(next, order))];
    let (for_it, against_it) = (list(|by| by > 0.0), list(|by| by < 0.0));
    if !for_it.is_empty() {
        sentences.push(format!("What spoke for the best beside the next one: {for_it}."));
    }
    if !against_it.is_empty() {
        sentences.push(format!("What spoke against it: {against_it}."));
    }
    sentences
}

/// By how much a part sets two articles apart, in log-odds, and what it says in words.
fn difference(feature: &Feature, other: &[Feature]) -> Option<(f64, &'static str)> {
    let (weight, says) = part(&feature.name)?;
    let other = other.iter().find(|other| other.name == feature.name)?;
    Some((f64::from(weight) * (feature.value - other.value), says))
}

/// What was said of what the articles are about, and where.
fn heard(order: &Order) -> Option<String> {
    let place = |turns_back| match turns_back {
        0 => "in the newest turn".to_owned(),
        1 => "a turn before the newest".to_owned(),
        turns_back => format!("{turns_back} turns before the newest"),
    };
    let name = |heard: &HeardName| {
        let speaker = match heard.speaker {
            Speaker::Customer => "the customer",
            Speaker::Agent => "the agent",
        };
        let in_part = if heard.share < 0.99 { " in part" } else { "" };
        format!("{}{in_part} by {speaker} {}", heard.name, place(heard.turns_back))
    };
    // Several articles may be about one thing.
    let mut said = HashSet::new();
    let names: Vec<String> = order.heard.iter().map(name).filter(|name| said.insert(name.clone())).collect();
    (!names.is_empty()).then(|| format!("Named in the call: {}.", names.join("; ")))
}

/// What people decided, as far as it touched this order.
fn rules(order: &Order) -> Vec<String> {
    let best = order.ranked.first();
    let pinned = best
        .filter(|best| best.candidate.is_pinned)
        .map(|_| "An operator pinned the first article, so it comes before the others.".to_owned());
    let features = best.map(|best| best.features.as_slice()).unwrap_or_default();
    let boosts = features.iter().filter_map(|feature| Some((feature.name.strip_prefix(BOOST)?, feature.value)));
    let boosts: Vec<String> = boosts.map(|(name, value)| format!("{name} ({value:+.1})")).collect();
    let list = |says: &str, what: &[String]| (!what.is_empty()).then(|| format!("{says}: {}.", what.join(", ")));
    let boosted = list("The settings boosted the first article", &boosts);
    let muted = list("Found, but muted by an operator", &order.muted);
    [pinned, boosted, muted].into_iter().flatten().collect()
}

fn gate(wanted: &Wanted) -> String {
    let forms: Vec<&str> = wanted.forms.iter().map(|form| form.in_words()).collect();
    let forms = if forms.is_empty() { "nothing in particular".to_owned() } else { forms.join(", ") };
    let near = |deviations: f64| {
        let side = if deviations < 0.0 { "further from it" } else { "nearer to it" };
        format!("; articles lie {side} than usual (by {:.1} deviations)", deviations.abs())
    };
    let near = wanted.above_usual.closeness.map(near).unwrap_or_default();
    let score = match wanted.log_odds {
        Some(log_odds) => format!("by what was learned a card is wanted with log-odds of {log_odds:.1}"),
        None => format!("in all {:.1} for a card", wanted.score),
    };
    format!("The newest customer turn looks like {forms}{near}: {score}.")
}

fn percent(probability: f64) -> String {
    format!("{:.0} %", 100.0 * probability)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Instant;

    use cuecard_ranking::conversation::Evidence;
    use cuecard_ranking::{Baseline, Formula, MeasuredTurn, Screen, Selectivity, SilenceRule, TurnSigns};

    use super::*;
    use crate::backends::BackendName;
    use crate::candidates::{Candidate, Nearness};
    use crate::knowledge::Article;
    use crate::plan::Plan;
    use crate::testing::plan;

    fn ranked(id: &str, score: f64, evidence: Evidence) -> Ranked {
        let article = Article { id: id.into(), title: format!("All about {id}"), ..Article::default() };
        let candidate = Candidate::new(Arc::new(article), "", BackendName::Index);
        let mut features = evidence.features();
        features.push(Feature { name: "boost: tag billing".into(), value: 0.5 });
        Ranked::new(candidate, score, features)
    }

    fn told(turn: &str, probability: f64) -> Vec<String> {
        let best = Evidence { newest_cosine: 0.7, named: 0.0, ..Evidence::default() };
        let next = Evidence { newest_cosine: 0.5, named: 1.0, ..Evidence::default() };
        let signs = TurnSigns { is_first: false, measured: MeasuredTurn::of(Some(0.66), None) };
        let order = Order {
            wanted: Some(Wanted::of(turn, signs, &Baseline::default())),
            nearness: Nearness::of_passage(Some(0.6)),
            heard: vec![
                HeardName { name: "Acorn Lodge".to_owned(), share: 1.0, speaker: Speaker::Agent, turns_back: 3 },
                HeardName { name: "Mill".to_owned(), share: 0.5, speaker: Speaker::Customer, turns_back: 0 },
                HeardName { name: "Acorn Lodge".to_owned(), share: 1.0, speaker: Speaker::Agent, turns_back: 3 },
            ],
            muted: vec!["fines".to_owned()],
            ..Order::new(Formula::Conversation, vec![ranked("refunds", probability, best), ranked("fees", 0.1, next)])
        };
        let silence = Some(SilenceRule::Selectivity(Selectivity::Medium));
        let plan = Plan { silence, ..Plan::clone(&plan(&[BackendName::Index])) };
        let ranking = Ranking::judged(order, &Screen::default(), Instant::now(), &plan);
        // As it is read back from a record.
        why(&serde_json::from_value(serde_json::to_value(&ranking).unwrap()).unwrap())
    }

    #[test]
    fn a_card_is_explained_by_what_tells_it_from_the_next_one() {
        let sentences = told("How do I get my money back?", 0.75).join("\n");
        for part in [
            "Chosen: “All about refunds” (refunds), which answers with a probability of 75 %",
            "The settings boosted the first article: tag billing (+0.5).",
            "Found, but muted by an operator: fines.",
            "Named in the call: Acorn Lodge by the agent 3 turns before the newest; Mill in part by the customer in the newest turn.",
            "The next one was “All about fees”",
            "means something like its nearest passage (+3.4)",
            "What spoke against it: its entity was named (-2.0)",
            "looks like a question",
            "nearer to it than usual (by 1.0 deviations)",
        ] {
            assert!(sentences.contains(part), "{part}:\n{sentences}");
        }
    }

    #[test]
    fn a_silence_is_explained_too() {
        let silent = told("Great, thanks, bye.", 0.75).join("\n");
        assert!(
            silent.contains("Silent: the newest customer turn does not look") && silent.contains("a greeting"),
            "{silent}"
        );
        assert!(told("How do I get my money back?", 0.2)[0].contains("Silent: no article answers well enough"));
    }
}
