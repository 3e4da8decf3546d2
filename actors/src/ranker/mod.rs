//! Ranker: from candidates in order to cards, or to silence.
//!
//! Takes [`Rankable`], gives [`Delivery`] to the Injector or ends the question as silent. It remembers what stands on the
//! screen of each interaction, so that nothing is pushed twice; a panic forgets only the interaction in hand. What takes
//! time, the order itself, was done on the search pool.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, StreamHandler, Supervised};
use cuecard_engine::knowledge::ContentHash;
use cuecard_engine::ranking::Screen;
use cuecard_engine::{Order, Ranking, Verdict};
use cuecard_failure_points::failure_point;
use tokio::time::Instant;
use uuid::Uuid;

use crate::inbox::{Inbox, NextStage};
use crate::messages::{
    Ask, CardRejected, Content, Delivery, Failure, InteractionKey, NotShown, Outcome, Rankable, Stage, WorkItem,
};
use crate::supervision::{Escalation, Keyed, Recovery};
use crate::tenant::Profile;

/// How often idle conversations are looked for.
const EVICTION_INTERVAL: Duration = Duration::from_mins(1);

/// See the module.
pub struct Ranker {
    deps: RankerDeps,
    screens: Keyed<InteractionKey, Screen>,
}

/// What an earlier process saw of a screen.
#[derive(Debug, Clone)]
pub struct SeenBefore {
    /// Where.
    pub key: InteractionKey,
    /// Of which article.
    pub article_id: String,
    /// When, by the clock of this process.
    pub at: Instant,
    /// What.
    pub event: ScreenEvent,
}

/// What happens to an article on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenEvent {
    /// It came there as the first card.
    Shown,
    /// The agent rejected it.
    Rejected,
}

/// What a Ranker works with.
pub struct RankerDeps {
    /// Where candidates come from.
    pub inbox: Inbox<Rankable>,
    /// Where cards go.
    pub injector: NextStage<Delivery>,
    /// Conversations remembered at most.
    pub conversations: usize,
    /// How long an idle conversation is remembered.
    pub forget_after: Duration,
    /// The way out when going on is no use.
    pub escalation: Escalation,
}

impl Ranker {
    /// A Ranker that remembers nothing yet.
    pub fn new(deps: RankerDeps) -> Self {
        Self { screens: Keyed::new(deps.conversations), deps }
    }

    /// A Ranker that knows what an earlier process saw of the screens, oldest first.
    pub fn restored(deps: RankerDeps, seen: impl IntoIterator<Item = SeenBefore>) -> Self {
        let mut ranker = Self::new(deps);
        for SeenBefore { key, article_id, at, event } in seen {
            ranker.screens.with(&key, at, |screen| match event {
                // Utterances are counted anew: nothing of an earlier process is taken back.
                ScreenEvent::Shown => screen.note(&article_id, 0, at.into_std()),
                ScreenEvent::Rejected => screen.reject(&article_id, at.into_std()),
            });
        }
        ranker
    }

    /// Judges and notes what goes to the screen, in one step.
    fn judge(&mut self, item: &WorkItem, order: Order, profile: &Profile) -> Ranking {
        let now = Instant::now();
        let (ranking, _) = self.screens.with(&item.key, now, |screen| {
            failure_point!(Ranker, item.key.interaction.as_str());
            let ranking = Ranking::judged(order, screen, now.into_std(), &profile.plan);
            let ranking = ranking.explored(profile.learning.explore, seed(item.decision));
            if let Some(first) = ranking.cards().first() {
                screen.note(&first.article().id, item.utterance_number, now.into_std());
            }
            ranking
        });
        ranking
    }

    fn hand_on(&mut self, delivery: Delivery) {
        let not_shown = NotShown::of(&delivery);
        if !self.deps.injector.hand_on(delivery, Stage::Rank)
            && let Some(not_shown) = not_shown
        {
            self.forget(&not_shown);
        }
    }

    fn forget(&mut self, not_shown: &NotShown) {
        // A conversation that is forgotten has nothing to take back, and shall make no room for itself.
        if !self.screens.contains(&not_shown.key) {
            return;
        }
        self.screens.with(&not_shown.key, Instant::now(), |screen| {
            screen.forget(&not_shown.article_id, not_shown.utterance_number);
        });
    }
}

impl Actor for Ranker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        context.run_interval(EVICTION_INTERVAL, |ranker, _| {
            ranker.screens.evict_idle(Instant::now(), ranker.deps.forget_after);
        });
    }
}

impl Supervised for Ranker {
    fn restarting(&mut self, _context: &mut Self::Context) {
        if self.screens.recover(Instant::now()) == Recovery::Escalate {
            self.deps.escalation.escalate("ranker", "panics on three different conversations within a minute");
        }
    }
}

impl StreamHandler<Rankable> for Ranker {
    fn handle(&mut self, rankable: Rankable, _context: &mut Self::Context) {
        let Rankable { item, mut ticket, order } = rankable;
        // Not judged: what nobody will see must not count as shown.
        if item.is_expired(Instant::now()) {
            return ticket.finish_in(Stage::Rank, Outcome::Expired(Stage::Rank));
        }
        let tenant = Arc::clone(ticket.tenant());
        let content = match (&item.ask, order) {
            (Ask::Order(request), _) => Ok(Content::Order(tenant.order(request))),
            (Ask::Cards(_), Some(order)) => {
                let ranking = Arc::new(self.judge(&item, order, &tenant.profile));
                ticket.note(|decision| decision.ranking = Some(Arc::clone(&ranking)));
                match ranking.verdict {
                    Verdict::Cards(_) if !tenant.profile.pushes => Err(Outcome::Withheld),
                    Verdict::Cards(_) => Ok(Content::Cards(Arc::clone(&ranking))),
                    Verdict::Silent(reason) => Err(Outcome::Silent(reason)),
                }
            }
            (Ask::Cards(_), None) => Err(Outcome::Failed(not_retrieved())),
        };
        ticket.leave(Stage::Rank);
        match content {
            Ok(content) => self.hand_on(Delivery { item, ticket, content }),
            Err(outcome) => ticket.finish(outcome),
        }
    }
}

/// Evenly drawn, and the same for the same question: a replay comes to the same cards.
fn seed(decision: Uuid) -> u64 {
    let hash = ContentHash::of_bytes(decision.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A question that reached the Ranker past the Retriever.
fn not_retrieved() -> Failure {
    Failure::NoBackend { reason: "no backend was asked".to_owned(), is_overload: false }
}

impl Handler<CardRejected> for Ranker {
    type Result = ();

    fn handle(&mut self, CardRejected { key, article_id }: CardRejected, _context: &mut Self::Context) {
        // Of a conversation that is forgotten nothing is remembered.
        if self.screens.contains(&key) {
            let now = Instant::now();
            self.screens.with(&key, now, |screen| screen.reject(&article_id, now.into_std()));
        }
    }
}

impl Handler<NotShown> for Ranker {
    type Result = ();

    fn handle(&mut self, not_shown: NotShown, _context: &mut Self::Context) {
        self.forget(&not_shown);
    }
}

#[cfg(test)]
mod tests;
