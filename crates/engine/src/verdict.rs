//! From an order to cards, or to silence and its reason: a look at the first few numbers, cheap enough for an actor.

use std::time::Instant;

use cuecard_ranking::{Screen, SilenceReason};
use serde::{Deserialize, Serialize};

use crate::explore::explore;
use crate::order::{Order, Ranked};
use crate::plan::Plan;

/// A card replaces the one on the screen only where it is so many times as likely to answer.
const REPLACES_AT: f64 = 1.5;

/// How much nearer to the newest turn another article must lie than the one on the screen to come beside it: a cosine.
const FITS_BETTER: f32 = 0.12;

/// All candidates in order and what the agent gets to see of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Best first.
    #[serde(flatten)]
    pub order: Order,
    /// Cards or silence.
    pub verdict: Verdict,
    /// For each card how probable its place was, where cards are swapped now and then; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub propensities: Vec<f64>,
}

/// What an utterance comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Show those at these places of the order, the first on top; never none.
    Cards(Vec<usize>),
    /// Show nothing.
    Silent(SilenceReason),
}

impl Verdict {
    /// Why nothing is shown, where nothing is.
    pub fn silence(&self) -> Option<SilenceReason> {
        match self {
            Self::Cards(_) => None,
            Self::Silent(reason) => Some(*reason),
        }
    }
}

impl Ranking {
    /// Judges what of an order is worth showing now, beside what is on the screen.
    pub fn judged(order: Order, screen: &Screen, now: Instant, plan: &Plan) -> Self {
        let verdict = Judge { order: &order, screen, now, plan }.verdict();
        Self { order, verdict, propensities: Vec::new() }
    }

    /// The same with two neighbours below the first card swapped by this chance. The seed is evenly drawn.
    #[must_use]
    pub fn explored(mut self, chance: f64, seed: u64) -> Self {
        if let Verdict::Cards(places) = &mut self.verdict
            && chance > 0.0
        {
            self.propensities = explore(places, chance, seed);
        }
        self
    }

    /// What the agent gets to see, the card on top first; nothing where it is silent.
    pub fn cards(&self) -> Vec<&Ranked> {
        match &self.verdict {
            Verdict::Cards(places) => places.iter().filter_map(|place| self.order.ranked.get(*place)).collect(),
            Verdict::Silent(_) => Vec::new(),
        }
    }
}

/// Judges an order.
struct Judge<'a> {
    order: &'a Order,
    screen: &'a Screen,
    now: Instant,
    plan: &'a Plan,
}

impl Judge<'_> {
    fn verdict(&self) -> Verdict {
        if self.order.ranked.is_empty() {
            return Verdict::Silent(SilenceReason::NothingFound);
        }
        let open = self.not_rejected();
        let Some(best) = open.first().copied() else { return Verdict::Silent(SilenceReason::Rejected) };
        if let Some(reason) = self.silence(best) {
            return Verdict::Silent(reason);
        }
        match self.standing().filter(|standing| self.stays(*standing, best)) {
            Some(standing) => match self.asked_beside(standing, &open) {
                Some(other) => Verdict::Cards(vec![other]),
                None => Verdict::Silent(SilenceReason::AlreadyShown),
            },
            None => Verdict::Cards(open.into_iter().take(self.plan.cards).collect()),
        }
    }

    /// The places of those that the agent did not reject a short while ago.
    fn not_rejected(&self) -> Vec<usize> {
        let ranked = self.order.ranked.iter().enumerate();
        ranked.filter(|(_, ranked)| !self.is_rejected(ranked)).map(|(place, _)| place).collect()
    }

    fn is_rejected(&self, ranked: &Ranked) -> bool {
        self.screen.is_rejected(&ranked.article().id, self.now, self.plan.rejection_cooldown)
    }

    /// Why the best of those that may come is not worth showing, if it is not.
    fn silence(&self, best: usize) -> Option<SilenceReason> {
        let rule = self.plan.silence?;
        let wanted = self.order.wanted.as_ref();
        let is_pinned = self.is_pinned(best);
        // What was learned is about the first of the order, where that is first by what was learned.
        if let Some(odds) = self.order.odds.filter(|_| best == 0 && !is_pinned) {
            let is_asked = wanted.and_then(|wanted| wanted.log_odds).is_none_or(|log_odds| log_odds > 0.0);
            let reason = if is_asked { SilenceReason::Unsure } else { SilenceReason::NotAsked };
            return (odds.probability < odds.least).then_some(reason);
        }
        let is_unsure = || !is_pinned && self.is_unsure(self.without(best, |ranked| self.is_rejected(ranked)));
        // What comes before the best was rejected.
        let unsure = if best > 0 { SilenceReason::Rejected } else { SilenceReason::Unsure };
        rule.judge(wanted, self.order.nearness.passage).or_else(|| is_unsure().then_some(unsure))
    }

    /// The probability of an article where these are known not to answer.
    fn without(&self, place: usize, do_not_answer: impl Fn(&Ranked) -> bool) -> f64 {
        let others = self.order.ranked.iter().filter(|ranked| do_not_answer(ranked));
        let rest = 1.0 - others.map(|ranked| ranked.score).sum::<f64>();
        self.order.ranked[place].score / rest.max(f64::EPSILON)
    }

    fn is_pinned(&self, place: usize) -> bool {
        self.order.ranked[place].candidate.is_pinned
    }

    fn is_unsure(&self, probability: f64) -> bool {
        let rule = self.plan.silence.filter(|_| self.order.ranker.gives_probabilities());
        rule.is_some_and(|rule| rule.is_unsure(probability))
    }

    /// The place of what stands on the screen.
    fn standing(&self) -> Option<usize> {
        let standing = self.screen.standing(self.now, self.plan.screen_time)?;
        self.order.ranked.iter().position(|ranked| ranked.article().id == standing)
    }

    /// Whether what stands on the screen is left there: it is the best, or hardly worse. Without the best its runners-up would
    /// come as if they were the answer, and a card that changes for nothing is read twice.
    fn stays(&self, standing: usize, best: usize) -> bool {
        let score = |place: usize| self.order.ranked[place].score;
        let is_compared = self.order.ranker.gives_probabilities() && !self.is_pinned(best);
        standing == best || is_compared && score(best) < REPLACES_AT * score(standing)
    }

    /// What fits the newest turn better than what stands on the screen, which fits the call: who has a card before their eyes
    /// and is asked on is asked something else, so what stands there does not answer.
    fn asked_beside(&self, standing: usize, open: &[usize]) -> Option<usize> {
        let fits = |place: usize| self.order.ranked[place].candidate.evidence.map(|evidence| evidence.newest_cosine);
        // What an operator wants first is not replaced by what fits better.
        let fits_standing = fits(standing).filter(|_| !self.is_pinned(standing))?;
        let others = open.iter().copied().filter(|place| *place != standing);
        let best = others.max_by(|a, b| fits(*a).unwrap_or(-1.0).total_cmp(&fits(*b).unwrap_or(-1.0)))?;
        let shown = self.order.ranked[standing].article();
        let does_not_answer = |ranked: &Ranked| ranked.article().id == shown.id || self.is_rejected(ranked);
        let is_sure = !self.is_unsure(self.without(best, does_not_answer));
        (fits(best)? > fits_standing + FITS_BETTER && is_sure).then_some(best)
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(after(1, &[("rejected", 0.8), ("next", 0.1)]), rejected);
        assert_eq!(after(1, &[("rejected", 0.8)]), rejected);
        let far = Plan { silence: Some(SilenceRule::MinCosine(0.9)), ..Plan::clone(&plan) };
        let far = Ranking::judged(probable(&[("rejected", 0.6), ("next", 0.3)]), &screen, start, &far);
        assert_eq!(far.verdict.silence(), Some(SilenceReason::Unsure), "no article was judged");
        assert_eq!(after(plan.rejection_cooldown.as_secs(), &[("rejected", 0.8)]), Ok("rejected".to_owned()));
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
        assert_eq!((silence(0.7, Selectivity::Medium), silence(0.6, Selectivity::Medium)), (None, unsure));
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
        let ranking =
            Ranking::judged(order(&["a", "b"]), &Screen::default(), Instant::now(), &plan(&[BackendName::Index]));
        let written = serde_json::to_value(&ranking).unwrap();
        assert_eq!((&written["verdict"]["cards"], &written["ranker"]), (&serde_json::json!([0, 1]), &"cosine".into()));
        assert_eq!(serde_json::from_value::<Ranking>(written).unwrap(), ranking);
    }
}
