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

/// A first card that an earlier process put on the screen.
#[derive(Debug, Clone)]
pub struct ShownBefore {
    /// Where.
    pub key: InteractionKey,
    /// Which.
    pub article_id: String,
    /// When, by the clock of this process.
    pub at: Instant,
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

    /// A Ranker that knows what an earlier process put on the screens, oldest first.
    pub fn restored(deps: RankerDeps, shown: impl IntoIterator<Item = ShownBefore>) -> Self {
        let mut ranker = Self::new(deps);
        for ShownBefore { key, article_id, at } in shown {
            // Utterances are counted anew: nothing of an earlier process is taken back.
            ranker.screens.with(&key, at, |screen| screen.note(&article_id, 0, at.into_std()));
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_failure_points::FailurePoint;
    use tokio::time::{advance, pause};

    use super::*;
    use crate::inbox::stage;
    use crate::tenant::Learning;
    use crate::testing::{
        Bench, Recorder, TenantParts, card, inject_panics, item, key, order_of, rankable, ranking_item, take, until,
    };
    use cuecard_engine::ranking::SilenceReason;

    struct Fixture {
        bench: Bench,
        recorder: Arc<Recorder>,
        candidates: NextStage<Rankable>,
        cards: Inbox<Delivery>,
        address: actix::Addr<Ranker>,
    }

    /// Every question finds the article `article`; interactions whose name begins with `bad` panic.
    fn fixture(expected_panics: u64) -> Fixture {
        pause();
        inject_panics(FailurePoint::Ranker, "bad");
        let bench = Bench::expecting("ranker", expected_panics);
        let (candidates, inbox) = stage(9);
        let (injector, cards) = stage(9);
        let deps = RankerDeps {
            inbox,
            injector,
            conversations: 100,
            forget_after: Duration::from_mins(15),
            escalation: bench.escalation.clone(),
        };
        let address = bench.supervise(Ranker::new(deps));
        Fixture { bench, recorder: Recorder::new(), candidates, cards, address }
    }

    impl Fixture {
        fn ask(&self, interaction: &str, utterance: u64) -> WorkItem {
            let item = item("acme", interaction, utterance);
            self.candidates.hand_on(rankable(&item, &self.recorder), Stage::Retrieve);
            item
        }

        fn waiting_cards(&self) -> usize {
            self.cards.depth()()
        }

        /// Whether the next utterance of this interaction is silenced by what it saw already.
        async fn remembers(&self, interaction: &str) -> bool {
            let before = self.waiting_cards();
            let item = self.ask(interaction, 2);
            until("it is ranked", || self.waiting_cards() > before || self.recorder.outcome_of(&item).is_some()).await;
            self.waiting_cards() == before
        }
    }

    /// The Ranker has no work outside itself: what is in flight is a conversation that has seen a card, and a message
    /// about another one in the mailbox.
    #[actix::test]
    async fn a_panic_costs_the_item_in_hand_and_no_memory_of_others() {
        let fixture = fixture(1);
        for interaction in ["seen", "unseen"] {
            fixture.ask(interaction, 1);
        }
        until("both are ranked", || fixture.waiting_cards() == 2).await;
        let bad = fixture.ask("bad", 1);
        fixture.ask("one", 1);
        fixture.ask("two", 1);
        until("the bad one ends", || fixture.recorder.outcome_of(&bad).is_some()).await;
        // It waits for the restart.
        let not_shown = NotShown { key: key("acme", "unseen"), utterance_number: 1, article_id: "article".to_owned() };
        fixture.address.do_send(not_shown);
        until("the two behind it are ranked", || fixture.waiting_cards() == 4).await;
        assert_eq!(fixture.recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        fixture.bench.assert_recovered(&fixture.address);
        assert!(fixture.remembers("seen").await, "its memory survived");
        assert!(!fixture.remembers("unseen").await, "the message in the mailbox was heard");
    }

    #[actix::test]
    async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
        let fixture = fixture(11);
        fixture.ask("seen", 1);
        take(&fixture.cards, 1).await;
        let poison = async |number| {
            let bad = fixture.ask("bad", number);
            until("it ends", || fixture.recorder.outcome_of(&bad).is_some()).await;
            assert_eq!(fixture.recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        };
        let works = async |number| {
            assert!(fixture.remembers("seen").await, "what other conversations have seen survived");
            fixture.ask(&format!("good-{number}"), 1);
            take(&fixture.cards, 1).await;
        };
        fixture.bench.panic_until_it_gives_up(poison, works).await;
    }

    #[actix::test]
    async fn a_rejected_card_does_not_come_again_in_its_call() {
        let fixture = fixture(0);
        fixture.ask("a", 1);
        until("it is ranked", || fixture.waiting_cards() == 1).await;
        for interaction in ["a", "unknown"] {
            fixture.address.do_send(CardRejected { key: key("acme", interaction), article_id: "article".to_owned() });
        }
        fixture.ask("unknown", 1);
        until("a call that was unknown gets its card", || fixture.waiting_cards() == 2).await;
        let again = fixture.ask("a", 2);
        until("the repetition is silenced", || fixture.recorder.outcome_of(&again).is_some()).await;
        assert_eq!(fixture.recorder.outcome_of(&again), Some(Outcome::Silent(SilenceReason::Rejected)));
    }

    #[actix::test]
    async fn a_profile_that_pushes_nothing_withholds_its_cards_and_counts_them_as_shown() {
        let fixture = fixture(0);
        let tenant = TenantParts { pushes: false, ..TenantParts::new("acme") }.build();
        let recorder = Recorder::of(std::iter::once(tenant).collect());
        for (utterance, expected) in [(1, Outcome::Withheld), (2, Outcome::Silent(SilenceReason::AlreadyShown))] {
            let question = item("acme", "a", utterance);
            fixture.candidates.hand_on(rankable(&question, &recorder), Stage::Retrieve);
            until("it ends", || recorder.outcome_of(&question).is_some()).await;
            assert_eq!(recorder.outcome_of(&question), Some(expected));
        }
        assert_eq!(
            (fixture.waiting_cards(), recorder.metric(r#"cuecard_cards_total{outcome="withheld",profile="acme"}"#)),
            (0, 1)
        );
    }

    #[actix::test]
    async fn cards_below_the_first_are_swapped_now_and_then_and_that_is_written_down() {
        let fixture = fixture(0);
        let learning = Learning { explore: 0.3, ..Learning::default() };
        let tenant = TenantParts { learning, ..TenantParts::new("acme") }.build();
        let recorder = Recorder::of(std::iter::once(tenant).collect());
        let mut swapped = 0;
        for call in 0..100 {
            let question = item("acme", &format!("call-{call}"), 1);
            let order = Some(order_of(["a", "b", "c"].map(card).to_vec()));
            let rankable = Rankable { order, ..rankable(&question, &recorder) };
            fixture.candidates.hand_on(rankable, Stage::Retrieve);
            let delivery = take(&fixture.cards, 1).await.remove(0);
            let Content::Cards(ranking) = &delivery.content else { panic!("no cards") };
            let ids: Vec<_> = ranking.cards().iter().map(|card| card.article().id.clone()).collect();
            let is_swapped = ids == ["a", "c", "b"];
            assert!(is_swapped || ids == ["a", "b", "c"], "{ids:?}");
            let expected = if is_swapped { [1.0, 0.3, 0.3] } else { [1.0, 0.7, 0.7] };
            assert_eq!(ranking.propensities, expected);
            swapped += u32::from(is_swapped);
            delivery.ticket.finish(Outcome::Replaced);
        }
        assert!((10..60).contains(&swapped), "{swapped} of 100");
    }

    #[actix::test]
    async fn given_snippets_are_ordered_whatever_was_shown() {
        let fixture = fixture(0);
        for _ in 0..2 {
            let item = ranking_item("acme", "s-1");
            fixture.candidates.hand_on(rankable(&item, &fixture.recorder), Stage::Extract);
            let delivery = take(&fixture.cards, 1).await.remove(0);
            let Content::Order(order) = &delivery.content else { panic!("no order") };
            let ids: Vec<_> = order.snippets.iter().map(|snippet| snippet.snippet_id.as_str()).collect();
            assert_eq!(ids, ["kb-2", "kb-1"], "the better one first");
            delivery.ticket.finish(Outcome::Replaced);
        }
    }

    #[actix::test]
    async fn a_card_that_reached_the_screen_comes_once_and_one_that_did_not_comes_again() {
        let fixture = fixture(0);
        fixture.ask("a", 1);
        let again = fixture.ask("a", 2);
        until("the repetition is silenced", || fixture.recorder.outcome_of(&again).is_some()).await;
        assert_eq!(fixture.recorder.outcome_of(&again), Some(Outcome::Silent(SilenceReason::AlreadyShown)));
        let not_shown = NotShown { key: key("acme", "a"), utterance_number: 1, article_id: "article".to_owned() };
        fixture.address.send(not_shown.clone()).await.unwrap();
        assert!(!fixture.remembers("a").await);
        let elsewhere = NotShown { key: key("other", "a"), ..not_shown };
        fixture.address.send(elsewhere).await.unwrap();
        assert!(fixture.remembers("a").await, "the same id of another tenant is another conversation");
    }

    #[actix::test]
    async fn what_the_injector_never_got_was_not_shown() {
        let fixture = fixture(0);
        // Nine wait, and there is no room for more.
        for number in 0..9 {
            fixture.ask(&format!("other-{number}"), 1);
        }
        until("all are ranked", || fixture.waiting_cards() == 9).await;
        let unsent = fixture.ask("a", 1);
        until("it ends", || fixture.recorder.outcome_of(&unsent).is_some()).await;
        assert_eq!(fixture.recorder.outcome_of(&unsent), Some(Outcome::Failed(Failure::InboxFull)));
        drop(take(&fixture.cards, 9).await);
        // It grows late while it waits for the Ranker.
        let late = fixture.ask("b", 1);
        advance(Duration::from_secs(4)).await;
        until("it ends", || fixture.recorder.outcome_of(&late).is_some()).await;
        assert_eq!(fixture.recorder.outcome_of(&late), Some(Outcome::Expired(Stage::Rank)));
        assert_eq!(fixture.recorder.stages_of(&late), [(Stage::Rank, 4)], "its wait counts");
        for interaction in ["a", "b"] {
            assert!(!fixture.remembers(interaction).await, "{interaction}");
        }
    }

    #[actix::test]
    async fn a_second_conversation_that_panics_clears_the_memory_and_a_third_escalates() {
        let fixture = fixture(3);
        fixture.ask("seen", 1);
        fixture.ask("bad-1", 1);
        until("the first panic is over", || fixture.bench.cell.restarts() == 1).await;
        assert!(fixture.remembers("seen").await);
        fixture.ask("bad-2", 1);
        until("the second panic is over", || fixture.bench.cell.restarts() == 2).await;
        assert!(!fixture.remembers("seen").await, "all memory may be at risk");
        fixture.ask("bad-3", 1);
        let reason = fixture.bench.escalated().await;
        assert!(reason.starts_with("ranker: "), "{reason}");
    }
}
