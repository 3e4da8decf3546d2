//! Why a ranking came out as it did, in sentences for whoever writes the articles.
//!
//! Read from the record of a decision alone, so that a live answer, a decision of last week and a question at the command line
//! are explained alike.

use std::collections::HashSet;

use cuecard_ranking::conversation::NONE_OF_THESE;
use cuecard_ranking::{SilenceReason, Wanted, WantedParts};

use crate::call::HeardName;
use crate::contributions::{Contribution, contributions, differences};
use crate::conversation::Speaker;
use crate::order::{Order, Ranked};
use crate::rules::BOOST;
use crate::verdict::{Grounds, Ranking, Verdict};

/// Parts that are named for and against an article beside another; the others say little.
const NAMED: usize = 4;
/// Log-odds below which a part makes no difference.
const LITTLE: f64 = 0.2;

/// Sentences, the most important first. They say what was chosen; whether it reached an agent the ranking does not know.
pub fn why(ranking: &Ranking) -> Vec<String> {
    let Ranking { order, grounds, .. } = ranking;
    let mut sentences = vec![verdict(ranking)];
    sentences.extend(passed_over(ranking));
    if let Some(judged) = order.ranked.get(judged(ranking)) {
        sentences.extend(made_of(judged, order));
        sentences.extend(what_told(judged, ranking));
    }
    sentences.extend(heard(order));
    sentences.extend(rules(order));
    sentences.extend(order.wanted.as_ref().map(|wanted| gate(wanted, grounds)));
    sentences.extend(cosine(ranking));
    // Where the article was judged by hand, what was learned is about another one.
    if let Some(odds) = order.odds.filter(|_| grounds.answers.is_none()) {
        let (probability, least) = (percent(odds.probability), percent(odds.least));
        sentences.push(format!(
            "By what was learned a card like this one is right {probability} of the time; {least} is needed."
        ));
    }
    if let Some(model) = &order.model {
        sentences.push(format!("Model {model} corrected the order."));
    }
    sentences
}

/// The place of the card that came first, or of the article that was found not worth showing.
fn judged(ranking: &Ranking) -> usize {
    match &ranking.verdict {
        Verdict::Cards(places) => places.first().copied().unwrap_or_default(),
        Verdict::Silent(_) => ranking.grounds.place,
    }
}

fn verdict(ranking: &Ranking) -> String {
    let place = judged(ranking);
    let judged = ranking.order.ranked.get(place).map(|judged| named(judged, ranking));
    match &ranking.verdict {
        Verdict::Cards(places) => {
            let Some(card) = judged else { return "Chosen: cards that are not on record any more.".to_owned() };
            let more = match places.len() {
                0 | 1 => String::new(),
                cards => format!(", and {} more below it", cards - 1),
            };
            format!("Chosen: {card}{more}.")
        }
        Verdict::Silent(reason) => {
            let whose = if place > 0 { "best of the others" } else { "best article" };
            let best = judged.map(|best| format!(" The {whose} was {best}.")).unwrap_or_default();
            format!("Silent: {}.{best}", in_words(*reason, ranking))
        }
    }
}

fn in_words(reason: SilenceReason, ranking: &Ranking) -> String {
    let words = match reason {
        SilenceReason::NothingFound => "nothing was found",
        SilenceReason::NotAsked => "the newest customer turn does not look like one that wants a card",
        SilenceReason::Unsure => "no article answers well enough",
        SilenceReason::AlreadyShown => {
            match ranking.grounds.standing.map(|place| (place, titled(place, &ranking.order))) {
                Some((place, _)) if place == ranking.grounds.place => "the best article stands on the screen",
                Some((_, Some(standing))) => return format!("{standing} stands on the screen and answers as well"),
                _ => "the best article stands on the screen, or what stands there answers as well",
            }
        }
        SilenceReason::Rejected => {
            "the agent rejected the best article a short while ago, and no other answers well enough"
        }
    };
    words.to_owned()
}

/// Why what stands before the judged article did not come.
fn passed_over(ranking: &Ranking) -> Vec<String> {
    let Ranking { order, grounds, verdict, .. } = ranking;
    let rejected: Vec<_> = grounds.rejected.iter().filter_map(|place| titled(*place, order)).collect();
    let mut sentences = Vec::new();
    if !rejected.is_empty() {
        let which = rejected.join(", ");
        sentences.push(format!("Rejected by the agent a short while ago, and taken not to answer: {which}."));
    }
    let is_card = matches!(verdict, Verdict::Cards(_));
    if let Some(standing) = grounds.standing.filter(|_| is_card).and_then(|place| titled(place, order)) {
        sentences.push(format!(
            "{standing} fits the whole call better and stands on the screen; who is asked on with it before their eyes is \
             asked something else, and this one lies clearly nearer to the newest turn."
        ));
    }
    // A record from before it was told which.
    if is_card && judged(ranking) > grounds.place {
        sentences.push("It is not the best for the whole call, which stands on the screen or was rejected.".to_owned());
    }
    sentences
}

fn titled(place: usize, order: &Order) -> Option<String> {
    let article = order.ranked.get(place)?.article();
    Some(format!("“{}” ({})", article.title, article.id))
}

/// An article with the number that it was judged by, or that it stands in the order by.
fn named(ranked: &Ranked, ranking: &Ranking) -> String {
    let Ranking { order, grounds, .. } = ranking;
    let is_judged = order.ranked.get(grounds.place).is_some_and(|judged| std::ptr::eq(judged, ranked));
    let score = match grounds.answers {
        _ if !order.ranker.gives_probabilities() => {
            format!("with a score of {:.3} by {}", ranked.score, order.ranker)
        }
        Some(answers) if is_judged => format!(
            "which answers with a probability of {}, where {} is needed",
            percent(answers.probability),
            percent(answers.least)
        ),
        _ => format!("which answers with a probability of {}", percent(ranked.score * share_left(ranking))),
    };
    let article = ranked.article();
    format!("“{}” ({}), {score}", article.title, article.id)
}

/// By how much the probabilities grow of those that are left, where others are known not to answer.
fn share_left(ranking: &Ranking) -> f64 {
    let Ranking { order, grounds, .. } = ranking;
    let judged = order.ranked.get(grounds.place).map(|judged| judged.score).filter(|score| *score > 0.0);
    grounds.answers.zip(judged).map_or(1.0, |(answers, score)| answers.probability / score)
}

/// What each part gave an article.
fn made_of(ranked: &Ranked, order: &Order) -> Option<String> {
    let parts = contributions(ranked, order);
    let sum: f64 = parts.iter().map(|part| part.adds).sum();
    let listed = listed(&parts, usize::MAX, |_| true)?;
    let title = &ranked.article().title;
    Some(format!(
        "What the score of “{title}” is made of: {listed}. In all {sum:.1}, where {NONE_OF_THESE:.1} stand for no article."
    ))
}

/// The parts that say something and hold, the largest first.
fn listed(parts: &[Contribution], most: usize, holds: fn(f64) -> bool) -> Option<String> {
    let parts = parts.iter().filter(|part| part.adds.abs() >= LITTLE && holds(part.adds)).take(most);
    let parts: Vec<_> = parts.map(|part| format!("{} ({:+.1})", part.says, part.adds)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What tells an article from the next one, or from the one that it came beside.
fn what_told(ranked: &Ranked, ranking: &Ranking) -> Vec<String> {
    let Ranking { order, grounds, verdict, .. } = ranking;
    let beside = grounds.standing.filter(|_| matches!(verdict, Verdict::Cards(_)));
    let Some(other) = order.ranked.get(beside.unwrap_or_else(|| judged(ranking) + 1)) else { return Vec::new() };
    let told = differences(ranked, other, order);
    let mut sentences = Vec::new();
    let other = if beside.is_some() {
        "what stands on the screen"
    } else {
        sentences.push(format!("The next one was {}.", named(other, ranking)));
        "the next one"
    };
    let (for_it, against_it) = (listed(&told, NAMED, |by| by > 0.0), listed(&told, NAMED, |by| by < 0.0));
    sentences.extend(for_it.map(|parts| format!("What spoke for it beside {other}: {parts}.")));
    sentences.extend(against_it.map(|parts| format!("What spoke against it: {parts}.")));
    sentences
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

/// What the turn looks like, what each sign of it is worth, and what was needed.
fn gate(wanted: &Wanted, grounds: &Grounds) -> String {
    let WantedParts { forms, closeness, certainty, length } = wanted.parts();
    // What was learned weighs otherwise.
    let is_by_hand = wanted.log_odds.is_none() || grounds.least_wanted.is_some();
    let worth = |adds: f64| if is_by_hand { format!(" ({adds:+.1})") } else { String::new() };
    let forms: Vec<_> = forms.iter().map(|(form, adds)| format!("{}{}", form.in_words(), worth(*adds))).collect();
    let forms = if forms.is_empty() { "nothing in particular".to_owned() } else { forms.join(", ") };
    let beside_usual = |says: [&str; 2], deviations: Option<f64>, adds: Option<f64>| {
        let (deviations, adds) = deviations.zip(adds)?;
        let says = says[usize::from(deviations < 0.0)];
        Some(format!("; {says} than usual by {:.1} deviations{}", deviations.abs(), worth(adds)))
    };
    let above = wanted.above_usual;
    let near = beside_usual(["articles lie nearer to it", "articles lie further from it"], above.closeness, closeness);
    let clear = ["the best stands out more clearly", "the best stands out less clearly"];
    let clear = beside_usual(clear, above.certainty, certainty);
    let length = if is_by_hand { format!("; its length{}", worth(length)) } else { String::new() };
    let score = match (wanted.log_odds, grounds.least_wanted) {
        (_, Some(least)) => format!("in all {:.1} for a card, where {least:.1} is needed", wanted.score),
        (Some(log_odds), None) => format!("by what was learned a card is wanted with log-odds of {log_odds:.1}"),
        (None, None) => format!("in all {:.1} for a card", wanted.score),
    };
    let signs = [near, clear].into_iter().flatten().collect::<String>();
    format!("The newest customer turn looks like {forms}{signs}{length}: {score}.")
}

/// The cosine that decided, where one did.
fn cosine(ranking: &Ranking) -> Option<String> {
    let least = ranking.grounds.least_cosine?;
    let nearest = ranking.order.nearness.passage?;
    Some(format!("The newest turn and its nearest passage have a cosine of {nearest:.2}, where {least:.2} is needed."))
}

fn percent(probability: f64) -> String {
    format!("{:.0} %", 100.0 * probability)
}

#[cfg(test)]
mod tests;
