#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use cuecard_ranking::conversation::Evidence;
use cuecard_ranking::{Baseline, Formula, Selectivity, SilenceRule, TurnSigns, Wanted};

use super::*;
use crate::backends::BackendName;
use crate::candidates::{Candidate, Nearness};
use crate::knowledge::Article;
use crate::order::CardOdds;
use crate::testing::plan;

fn order(articles: &[&str]) -> Order {
    let ranked = articles.iter().map(|id| {
        let article = Arc::new(Article { id: (*id).to_owned(), ..Article::default() });
        let candidate = Candidate::new(article, "", BackendName::Index);
        Ranked::new(candidate, 0.5, Vec::new())
    });
    Order { nearness: Nearness::of_passage(Some(0.5)), ..Order::new(Formula::Cosine, ranked.collect()) }
}

#[test]
fn where_the_best_stands_on_the_screen_its_runners_up_do_not_come_in_its_place() {
    let plan = plan(&[BackendName::Index]);
    let start = Instant::now();
    let shown_at = |screen: &Screen, seconds| {
        let now = start + Duration::from_secs(seconds);
        let ranking = Ranking::judged(order(&["best", "second"]), screen, now, &plan);
        match ranking.verdict {
            Verdict::Cards(_) => ranking.cards().iter().map(|card| card.article().id.clone()).collect(),
            Verdict::Silent(reason) => vec![reason.name().to_owned()],
        }
    };
    let mut screen = Screen::default();
    assert_eq!(shown_at(&screen, 0), ["best", "second"]);
    screen.note("second", 1, start);
    assert_eq!(shown_at(&screen, 1), ["best", "second"], "what was first before may stand behind the best");
    screen.note("best", 2, start);
    assert_eq!(shown_at(&screen, 59), ["already_shown"]);
    assert_eq!(shown_at(&screen, 60), ["best", "second"]);
}

fn probable(articles: &[(&str, f64)]) -> Order {
    let ids: Vec<_> = articles.iter().map(|(id, _)| *id).collect();
    let mut order = Order { ranker: Formula::Conversation, ..order(&ids) };
    for (ranked, (_, probability)) in order.ranked.iter_mut().zip(articles) {
        ranked.score = *probability;
    }
    order
}

#[test]
fn a_card_that_still_fits_is_replaced_only_by_one_that_is_clearly_likelier() {
    let (plan, now, mut screen) = (plan(&[BackendName::Index]), Instant::now(), Screen::default());
    screen.note("standing", 1, now);
    let silence = |articles| Ranking::judged(probable(articles), &screen, now, &plan).verdict.silence();
    let shown = Some(SilenceReason::AlreadyShown);
    assert_eq!(silence(&[("standing", 0.5), ("other", 0.3)]), shown);
    assert_eq!(silence(&[("other", 0.44), ("standing", 0.3)]), shown, "hardly better");
    assert_eq!(silence(&[("other", 0.46), ("standing", 0.3)]), None);
    assert_eq!(silence(&[("other", 0.2), ("third", 0.1)]), None, "what stands there does not fit at all");
}

fn fitting(articles: &[(&str, f64, f32)]) -> Order {
    let probabilities: Vec<_> = articles.iter().map(|(id, probability, _)| (*id, *probability)).collect();
    let mut order = probable(&probabilities);
    for (ranked, (.., newest_cosine)) in order.ranked.iter_mut().zip(articles) {
        ranked.candidate.evidence = Some(Evidence { newest_cosine: *newest_cosine, ..Evidence::default() });
    }
    order
}

#[test]
fn who_is_asked_on_with_the_best_before_their_eyes_gets_what_fits_the_newest_turn() {
    let selectivity = Some(SilenceRule::Selectivity(Selectivity::Low));
    let plan = Plan { silence: selectivity, ..Plan::clone(&plan(&[BackendName::Index])) };
    let (now, mut screen) = (Instant::now(), Screen::default());
    screen.note("standing", 1, now);
    let shown = |screen: &Screen, articles: &[(&str, f64, f32)]| -> Vec<String> {
        let ranking = Ranking::judged(fitting(articles), screen, now, &plan);
        ranking.cards().iter().map(|card| card.article().id.clone()).collect()
    };
    assert_eq!(shown(&screen, &[("standing", 0.6, 0.4), ("near", 0.25, 0.5), ("nearer", 0.24, 0.6)]), ["nearer"]);
    assert!(shown(&screen, &[("standing", 0.6, 0.6), ("other", 0.3, 0.6)]).is_empty(), "it does not fit better");
    assert!(shown(&screen, &[("standing", 0.6, 0.4), ("other", 0.05, 0.6)]).is_empty(), "it hardly answers");
    assert!(shown(&screen, &[("standing", 0.5, 0.4), ("rejected", 0.3, 0.4), ("other", 0.04, 0.6)]).is_empty());
    screen.reject("rejected", now);
    let beside_both = [("standing", 0.5, 0.4), ("rejected", 0.3, 0.4), ("other", 0.06, 0.6)];
    assert_eq!(shown(&screen, &beside_both), ["other"], "of what is left it is the likelier half");
    let mut pinned = fitting(&[("standing", 0.6, 0.4), ("near", 0.25, 0.6)]);
    pinned.ranked[0].candidate.is_pinned = true;
    let silence = Ranking::judged(pinned, &screen, now, &plan).verdict.silence();
    assert_eq!(silence, Some(SilenceReason::AlreadyShown), "an operator wants it there");
}

#[test]
fn what_the_agent_rejected_makes_room_for_the_next_for_a_while() {
    let selectivity = Some(SilenceRule::Selectivity(Selectivity::Medium));
    let plan = Plan { silence: selectivity, ..Plan::clone(&plan(&[BackendName::Index])) };
    let (start, mut screen) = (Instant::now(), Screen::default());
    screen.note("rejected", 1, start);
    screen.reject("rejected", start);
    let after = |seconds, articles: &[(&str, f64)]| {
        let now = start + Duration::from_secs(seconds);
        let ranking = Ranking::judged(probable(articles), &screen, now, &plan);
        ranking.cards().first().map(|card| card.article().id.clone()).ok_or(ranking.verdict.silence())
    };
    let rejected = Err(Some(SilenceReason::Rejected));
    assert_eq!(after(1, &[("rejected", 0.6), ("next", 0.3)]), Ok("next".to_owned()));
    assert_eq!(after(1, &[("rejected", 0.8), ("next", 0.08)]), rejected);
    assert_eq!(after(1, &[("rejected", 0.8)]), rejected);
    let far = Plan { silence: Some(SilenceRule::MinCosine(0.9)), ..Plan::clone(&plan) };
    let far = Ranking::judged(probable(&[("rejected", 0.6), ("next", 0.3)]), &screen, start, &far);
    assert_eq!(far.verdict.silence(), Some(SilenceReason::Unsure), "no article was judged");
    assert_eq!(after(plan.rejection_cooldown.as_secs(), &[("rejected", 0.8)]), Ok("rejected".to_owned()));
}

#[test]
fn the_grounds_of_a_verdict_have_the_numbers_that_it_was_made_on() {
    let selectivity = Some(SilenceRule::Selectivity(Selectivity::Medium));
    let plan = Plan { silence: selectivity, ..Plan::clone(&plan(&[BackendName::Index])) };
    let (now, mut screen) = (Instant::now(), Screen::default());
    let grounds = |screen: &Screen, order: Order| Ranking::judged(order, screen, now, &plan).grounds;
    let first = grounds(&screen, probable(&[("first", 0.6), ("next", 0.3)]));
    let odds = |probability, least| Some(CardOdds { probability, least });
    assert_eq!((first.place, first.answers, &first.rejected[..]), (0, odds(0.6, 0.5), &[][..]));

    screen.reject("first", now);
    let left = grounds(&screen, probable(&[("first", 0.6), ("next", 0.3)]));
    let probability = left.answers.unwrap().probability;
    assert!((probability - 0.75).abs() < 1e-9, "of what is left: {probability}");
    assert_eq!((left.place, &left.rejected[..], left.standing), (1, &[0][..], None));
    let none = grounds(&screen, probable(&[("first", 0.9)]));
    assert_eq!((none.answers, &none.rejected[..]), (None, &[0][..]));

    let mut screen = Screen::default();
    screen.note("standing", 1, now);
    let beside = grounds(&screen, fitting(&[("standing", 0.7, 0.4), ("near", 0.25, 0.6)]));
    assert_eq!((beside.place, beside.standing), (1, Some(0)));
    assert!((beside.answers.unwrap().probability - 0.25 / 0.3).abs() < 1e-9, "{beside:?}");
    let stays = grounds(&screen, probable(&[("other", 0.7), ("standing", 0.6)]));
    assert_eq!((stays.place, stays.standing), (0, Some(1)));

    let mut learned = probable(&[("first", 0.9)]);
    learned.odds = odds(0.9, 0.5);
    learned.wanted = Some(Wanted::of("Can I?", TurnSigns::default(), &Baseline::default()));
    assert_eq!(grounds(&Screen::default(), learned.clone()), Grounds::default(), "the odds say all");
    learned.odds = None;
    assert_eq!(grounds(&Screen::default(), learned).least_wanted, Some(0.8));
    let far = Plan { silence: Some(SilenceRule::MinCosine(0.9)), ..Plan::clone(&plan) };
    let far = Ranking::judged(probable(&[("first", 0.9)]), &Screen::default(), now, &far).grounds;
    assert_eq!((far.least_cosine, far.answers), (Some(0.9), None));
}

#[test]
fn what_is_pinned_comes_however_sure_it_is_but_only_where_a_card_is_wanted() {
    let selectivity = Some(SilenceRule::Selectivity(Selectivity::Medium));
    let plan = Plan { silence: selectivity, ..Plan::clone(&plan(&[BackendName::Index])) };
    let (now, mut screen) = (Instant::now(), Screen::default());
    screen.note("standing", 1, now);
    let judged = |screen: &Screen, turn: &str| {
        let mut order = probable(&[("pinned", 0.1), ("standing", 0.4)]);
        order.ranked[0].candidate.is_pinned = true;
        order.odds = Some(CardOdds { probability: 0.1, least: 0.5 });
        order.wanted = Some(Wanted::of(turn, TurnSigns::default(), &Baseline::default()));
        Ranking::judged(order, screen, now, &plan).verdict
    };
    let asks = "How do I get my money back?";
    assert_eq!(judged(&Screen::default(), asks), Verdict::Cards(vec![0, 1]));
    assert_eq!(judged(&screen, asks), Verdict::Cards(vec![0, 1]), "it replaces what stands there");
    assert_eq!(judged(&screen, "Great, thanks a lot."), Verdict::Silent(SilenceReason::NotAsked));
}

#[test]
fn an_article_that_seldom_answers_is_not_shown() {
    let silence = |probability, selectivity| {
        let silence = Some(SilenceRule::Selectivity(selectivity));
        let plan = Plan { silence, ..Plan::clone(&plan(&[BackendName::Index])) };
        let order = probable(&[("best", probability)]);
        Ranking::judged(order, &Screen::default(), Instant::now(), &plan).verdict.silence()
    };
    let unsure = Some(SilenceReason::Unsure);
    assert_eq!((silence(0.3, Selectivity::Low), silence(0.2, Selectivity::Low)), (None, unsure));
    assert_eq!((silence(0.7, Selectivity::Medium), silence(0.45, Selectivity::Medium)), (None, unsure));
    assert_eq!((silence(0.85, Selectivity::High), silence(0.7, Selectivity::High)), (None, unsure));
}

#[test]
fn cards_are_cut_and_silence_has_its_reason() {
    let judged =
        |articles: &[&str], plan: &Plan| Ranking::judged(order(articles), &Screen::default(), Instant::now(), plan);
    let two = Plan { cards: 2, ..Plan::clone(&plan(&[BackendName::Index])) };
    assert_eq!(judged(&["a", "b", "c"], &two).cards().len(), 2);
    assert_eq!(judged(&[], &two).verdict, Verdict::Silent(SilenceReason::NothingFound));
    let strict = Plan { silence: Some(SilenceRule::MinCosine(0.6)), ..two };
    let silent = judged(&["a"], &strict);
    assert_eq!(silent.cards().len(), 0);
    assert_eq!(silent.verdict, Verdict::Silent(SilenceReason::Unsure));
}

#[test]
fn a_ranking_is_written_down_and_read_back() {
    let ranking = Ranking::judged(order(&["a", "b"]), &Screen::default(), Instant::now(), &plan(&[BackendName::Index]));
    let written = serde_json::to_value(&ranking).unwrap();
    assert_eq!((&written["verdict"]["cards"], &written["ranker"]), (&serde_json::json!([0, 1]), &"cosine".into()));
    assert_eq!(serde_json::from_value::<Ranking>(written).unwrap(), ranking);
}
