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
    restored(expected_panics, |_| Vec::new())
}

/// The same of a Ranker that an earlier process left this, by the time of its start.
fn restored(expected_panics: u64, seen: impl FnOnce(Instant) -> Vec<SeenBefore>) -> Fixture {
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
    let address = bench.supervise(Ranker::restored(deps, seen(Instant::now())));
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
async fn what_an_earlier_process_saw_of_the_screens_is_known_until_its_time_is_over() {
    let (minute, cooldown) = (Duration::from_mins(1), Duration::from_mins(10));
    let before = |now: Instant, interaction: &str, age: Duration, event| SeenBefore {
        key: key("acme", interaction),
        article_id: "article".to_owned(),
        at: now.checked_sub(age).unwrap(),
        event,
    };
    let fixture = restored(0, |now| {
        vec![
            before(now, "was-rejected", cooldown, ScreenEvent::Rejected),
            before(now, "rejected", cooldown.saturating_sub(minute), ScreenEvent::Shown),
            before(now, "rejected", cooldown.saturating_sub(minute), ScreenEvent::Rejected),
            before(now, "was-shown", minute, ScreenEvent::Shown),
            before(now, "shown", minute / 2, ScreenEvent::Shown),
        ]
    });
    for (interaction, reason) in [("rejected", SilenceReason::Rejected), ("shown", SilenceReason::AlreadyShown)] {
        let question = fixture.ask(interaction, 1);
        until("it is silenced", || fixture.recorder.outcome_of(&question).is_some()).await;
        assert_eq!(fixture.recorder.outcome_of(&question), Some(Outcome::Silent(reason)), "{interaction}");
    }
    for interaction in ["was-rejected", "was-shown", "new"] {
        fixture.ask(interaction, 1);
    }
    until("the others get their card", || fixture.waiting_cards() == 3).await;
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
