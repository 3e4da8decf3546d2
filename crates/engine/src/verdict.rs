//! From an order to cards, or to silence and its reason: a look at the first few numbers, cheap enough for an actor.

use std::time::Instant;

use cuecard_ranking::{Screen, SilenceReason};
use serde::{Deserialize, Serialize};

use crate::order::{Order, Ranked};
use crate::plan::Plan;

/// A card replaces the one on the screen only where it is so many times as likely to answer.
const REPLACES_AT: f64 = 1.5;

/// All candidates in order and what the agent gets to see of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Best first.
    #[serde(flatten)]
    pub order: Order,
    /// Cards or silence.
    pub verdict: Verdict,
}

/// What an utterance comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Show so many, from the best on; never 0.
    Cards(usize),
    /// Show nothing.
    Silent(SilenceReason),
}

impl Verdict {
    /// Why nothing is shown, where nothing is.
    pub fn silence(self) -> Option<SilenceReason> {
        match self {
            Self::Cards(_) => None,
            Self::Silent(reason) => Some(reason),
        }
    }
}

impl Ranking {
    /// Judges what of an order is worth showing now, beside what is on the screen.
    pub fn judged(order: Order, screen: &Screen, now: Instant, plan: &Plan) -> Self {
        let verdict = judge(&order, screen, now, plan);
        Self { order, verdict }
    }

    /// What the agent gets to see, best first; nothing where it is silent.
    pub fn cards(&self) -> &[Ranked] {
        match self.verdict {
            Verdict::Cards(count) => &self.order.ranked[..count.min(self.order.ranked.len())],
            Verdict::Silent(_) => &[],
        }
    }
}

fn judge(order: &Order, screen: &Screen, now: Instant, plan: &Plan) -> Verdict {
    let Some(best) = order.ranked.first() else { return Verdict::Silent(SilenceReason::NothingFound) };
    if let Some(odds) = order.odds {
        if odds.probability < odds.least {
            let is_asked = order.wanted.as_ref().and_then(|wanted| wanted.log_odds).is_none_or(|odds| odds > 0.0);
            return Verdict::Silent(if is_asked { SilenceReason::Unsure } else { SilenceReason::NotAsked });
        }
    } else if let Some(rule) = plan.silence {
        if let Some(reason) = rule.judge(order.wanted.as_ref(), order.nearness.passage) {
            return Verdict::Silent(reason);
        }
        if order.ranker.gives_probabilities() && rule.is_unsure(best.score) {
            return Verdict::Silent(SilenceReason::Unsure);
        }
    }
    match screen.standing(now, plan.screen_time) {
        Some(standing) if stays(standing, best, order) => Verdict::Silent(SilenceReason::AlreadyShown),
        _ => Verdict::Cards(plan.cards.min(order.ranked.len())),
    }
}

/// Whether what stands on the screen is left there: it is the best, or hardly worse. Without the best its runners-up would
/// come as if they were the answer, and a card that changes for nothing is read twice.
fn stays(standing: &str, best: &Ranked, order: &Order) -> bool {
    let is_standing = |ranked: &&Ranked| ranked.article().id == standing;
    let still_fits = |ranked: &Ranked| order.ranker.gives_probabilities() && best.score < REPLACES_AT * ranked.score;
    order.ranked.iter().find(is_standing).is_some_and(|ranked| std::ptr::eq(ranked, best) || still_fits(ranked))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use cuecard_ranking::{Formula, Selectivity, SilenceRule};

    use super::*;
    use crate::backends::BackendName;
    use crate::candidates::{Candidate, Nearness, Scores};
    use crate::knowledge::Article;
    use crate::testing::plan;

    fn order(articles: &[&str]) -> Order {
        let ranked = articles.iter().map(|id| {
            let article = Arc::new(Article { id: (*id).to_owned(), ..Article::default() });
            let (passage, scores) = (String::new(), Scores::default());
            let candidate = Candidate {
                article,
                passage,
                backend: BackendName::Index,
                matched_by: None,
                scores,
                evidence: None,
                place: None,
            };
            Ranked { candidate, score: 0.5, features: Vec::new(), answer: None }
        });
        Order {
            ranker: Formula::Cosine,
            model: None,
            ranked: ranked.collect(),
            wanted: None,
            odds: None,
            nearness: Nearness::of_passage(Some(0.5)),
            generation: None,
        }
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

    #[test]
    fn an_article_that_seldom_answers_is_not_shown() {
        let silence = |probability, selectivity| {
            let silence = Some(SilenceRule::Selectivity(selectivity));
            let plan = Plan { silence, ..Plan::clone(&plan(&[BackendName::Index])) };
            let order = probable(&[("best", probability)]);
            Ranking::judged(order, &Screen::default(), Instant::now(), &plan).verdict.silence()
        };
        assert_eq!(silence(0.5, Selectivity::Medium), None);
        assert_eq!(silence(0.5, Selectivity::High), Some(SilenceReason::Unsure));
        assert_eq!(silence(0.05, Selectivity::Low), Some(SilenceReason::Unsure));
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
        assert_eq!((silent.verdict, silent.cards().len()), (Verdict::Silent(SilenceReason::Unsure), 0));
    }

    #[test]
    fn a_ranking_is_written_down_and_read_back() {
        let ranking =
            Ranking::judged(order(&["a", "b"]), &Screen::default(), Instant::now(), &plan(&[BackendName::Index]));
        let written = serde_json::to_value(&ranking).unwrap();
        assert_eq!((&written["verdict"]["cards"], &written["ranker"]), (&2.into(), &"cosine".into()));
        assert_eq!(serde_json::from_value::<Ranking>(written).unwrap(), ranking);
    }
}
