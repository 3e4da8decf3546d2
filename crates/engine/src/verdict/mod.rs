//! From an order to cards, or to silence and its reason: a look at the first few numbers, cheap enough for an actor.

use std::time::Instant;

use cuecard_ranking::{Screen, SilenceReason};
use serde::{Deserialize, Serialize};

use crate::explore::explore;
use crate::order::{CardOdds, Order, Ranked};
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
    /// What that was judged by, beside the order.
    #[serde(default, skip_serializing_if = "Grounds::is_empty")]
    pub grounds: Grounds,
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

/// What a verdict was made on, where it is more than the order: which article was judged, what stood in the way of those before
/// it, and what it had to reach.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Grounds {
    /// The place of the article that was judged.
    #[serde(default, skip_serializing_if = "is_first")]
    pub place: usize,
    /// How probably it answers where what the agent rejected, and what stands on the screen while they are asked on, is known
    /// not to; and how probably it must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<CardOdds>,
    /// The least score of a turn that gets a card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_wanted: Option<f64>,
    /// The smallest cosine of a turn and its nearest passage that gets a card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_cosine: Option<f64>,
    /// The places before it that the agent rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<usize>,
    /// The place of what stood on the screen and decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<usize>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_first(place: &usize) -> bool {
    *place == 0
}

impl Grounds {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
        let (verdict, grounds) = Judge { order: &order, screen, now, plan }.verdict();
        Self { order, verdict, grounds, propensities: Vec::new() }
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
    fn verdict(&self) -> (Verdict, Grounds) {
        if self.order.ranked.is_empty() {
            return (Verdict::Silent(SilenceReason::NothingFound), Grounds::default());
        }
        let open = self.not_rejected();
        let Some(best) = open.first().copied() else {
            let rejected = self.rejected_before(self.order.ranked.len());
            return (Verdict::Silent(SilenceReason::Rejected), Grounds { rejected, ..Grounds::default() });
        };
        if let Some(reason) = self.silence(best) {
            return (Verdict::Silent(reason), self.grounds(best, None));
        }
        let standing = self.standing().filter(|standing| self.stays(*standing, best));
        match standing.map(|standing| self.asked_beside(standing, &open)) {
            Some(Some(other)) => (Verdict::Cards(vec![other]), self.grounds(other, standing)),
            Some(None) => {
                let grounds = Grounds { standing, ..self.grounds(best, None) };
                (Verdict::Silent(SilenceReason::AlreadyShown), grounds)
            }
            None => (Verdict::Cards(open.into_iter().take(self.plan.cards).collect()), self.grounds(best, None)),
        }
    }

    /// What an article is judged by that comes first, or beside what stands on the screen.
    fn grounds(&self, place: usize, beside: Option<usize>) -> Grounds {
        let rejected = self.rejected_before(place);
        let by_hand = self.plan.silence.filter(|_| beside.is_some() || self.learned(place).is_none());
        let is_asked = self.order.ranker.gives_probabilities() && !self.is_pinned(place);
        let least = by_hand.filter(|_| is_asked).and_then(|rule| rule.least_probability());
        let is_out =
            |ranked: &Ranked| self.is_rejected(ranked) || beside.is_some_and(|place| self.is_at(ranked, place));
        let answers = least.map(|least| CardOdds { probability: self.without(place, is_out), least });
        Grounds {
            place,
            answers,
            least_wanted: by_hand.and_then(|rule| rule.least_wanted()).filter(|_| self.order.wanted.is_some()),
            least_cosine: by_hand.and_then(|rule| rule.least_cosine()),
            rejected,
            standing: beside,
        }
    }

    fn rejected_before(&self, place: usize) -> Vec<usize> {
        (0..place).filter(|place| self.is_rejected(&self.order.ranked[*place])).collect()
    }

    fn is_at(&self, ranked: &Ranked, place: usize) -> bool {
        ranked.article().id == self.order.ranked[place].article().id
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
        if let Some(odds) = self.learned(best) {
            let is_asked = wanted.and_then(|wanted| wanted.log_odds).is_none_or(|log_odds| log_odds > 0.0);
            let reason = if is_asked { SilenceReason::Unsure } else { SilenceReason::NotAsked };
            return (odds.probability < odds.least).then_some(reason);
        }
        let is_unsure = || !is_pinned && self.is_unsure(self.without(best, |ranked| self.is_rejected(ranked)));
        // What comes before the best was rejected.
        let unsure = if best > 0 { SilenceReason::Rejected } else { SilenceReason::Unsure };
        rule.judge(wanted, self.order.nearness.passage).or_else(|| is_unsure().then_some(unsure))
    }

    /// What was learned of a card. It is about the first of the order, where that is first by what was learned.
    fn learned(&self, place: usize) -> Option<CardOdds> {
        self.order.odds.filter(|_| place == 0 && !self.is_pinned(place))
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
        let does_not_answer = |ranked: &Ranked| self.is_at(ranked, standing) || self.is_rejected(ranked);
        let is_sure = !self.is_unsure(self.without(best, does_not_answer));
        (fits(best)? > fits_standing + FITS_BETTER && is_sure).then_some(best)
    }
}

#[cfg(test)]
mod tests;
