#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use cuecard_actors::decisions::KeptDecision;
use cuecard_actors::engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_actors::engine::knowledge::Article;
use cuecard_actors::engine::ranking::{Formula, SilenceReason};
use cuecard_actors::engine::{BackendName, Candidate, Grounds, Order, Ranked, Ranking, Verdict};
use cuecard_actors::messages::{Ask, Decision, InteractionKey, Outcome, ProfileName, Receipt, Versions, WorkItem};
use tokio::time::Instant;

use super::*;

/// A decision that is written down: the number is its id and its time.
struct Written {
    number: u32,
    call: &'static str,
    utterance: u64,
    outcome: Outcome,
    shown: Option<&'static str>,
    said: Option<&'static str>,
}

impl Written {
    fn silent(number: u32, said: Option<&'static str>, reason: SilenceReason) -> Self {
        Self { number, call: "call", utterance: number.into(), outcome: Outcome::Silent(reason), shown: None, said }
    }

    fn delivered(number: u32, call: &'static str, utterance: u64, shown: &'static str) -> Self {
        let outcome = Outcome::Delivered(Receipt::default());
        Self { number, call, utterance, outcome, shown: Some(shown), said: Some("where does the ferry leave") }
    }

    /// As the service writes it, and as it is read back.
    fn json(&self) -> String {
        let now = Instant::now();
        let turn = |speaker, text: &str| Turn { speaker, text: text.into() };
        let said = self.said.unwrap_or("something");
        let turns =
            vec![turn(Speaker::Agent, "Hello."), turn(Speaker::Customer, said), turn(Speaker::Agent, "Let me see.")];
        let item = WorkItem {
            decision: Uuid::from_u128(self.number.into()),
            key: InteractionKey { profile: ProfileName::new("acme"), interaction: self.call.parse().unwrap() },
            utterance_number: self.utterance,
            agent_id: None,
            heard_at: format!("2026-01-01T00:00:{:02}Z", self.number).parse().unwrap(),
            ask: Ask::Cards(Arc::new(Utterance { turns, flushed: FlushReason::State })),
            heard: now,
            deadline: now,
        };
        let ranked = |id: &str| {
            let article = Article { id: id.to_owned(), title: format!("About {id}"), ..Article::default() };
            Ranked::new(Candidate::new(Arc::new(article), "", BackendName::Index), 0.5, Vec::new())
        };
        let order = Order::new(Formula::Cosine, vec![ranked("nearest"), ranked(self.shown.unwrap_or("other"))]);
        let verdict = match self.shown {
            Some(_) => Verdict::Cards(vec![1]),
            None => Verdict::Silent(SilenceReason::Unsure),
        };
        let ranking = Some(Arc::new(Ranking { order, verdict, grounds: Grounds::default(), propensities: Vec::new() }));
        let decision = Decision {
            outcome: self.outcome.clone(),
            ranking,
            ..Decision::opened(&item, Arc::new(Versions::default()))
        };
        KeptDecision::json(&decision, self.said.is_some()).unwrap()
    }

    fn kept(&self) -> Kept {
        Kept::read(&self.json()).unwrap()
    }
}

/// What was read of decisions in the order of their numbers.
fn read_of(written: &[Written]) -> Read {
    let newest_first: Vec<_> = written.iter().rev().map(Written::json).collect();
    Read::of(newest_first.iter().map(|json| Some(json.as_str())))
}

/// What is made of decisions in the order of their numbers.
fn gaps_of(written: &[Written], rejected: &[u32]) -> Gaps {
    gaps(read_of(written), &rejected.iter().map(|number| Uuid::from_u128((*number).into())).collect(), None)
}

#[test]
fn questions_about_one_thing_are_counted_together_with_the_most_typical_quoted_first() {
    let asked = |number, said| Written::silent(number, Some(said), SilenceReason::Unsure);
    let gaps = gaps_of(
        &[
            asked(1, "Can I charge my electric car on the ferry?"),
            asked(2, "Do you sell gift vouchers?"),
            asked(3, "Is there charging for an electric car on board, my number is [phone]?"),
            asked(4, "Can I charge the electric car while we cross?"),
            asked(5, "I would like a gift voucher for my sister."),
            Written::silent(6, Some("Yes, that is right."), SilenceReason::NotAsked),
            Written::silent(7, Some("Can I charge my electric car on the ferry?"), SilenceReason::AlreadyShown),
        ],
        &[],
    );
    assert_eq!((gaps.looked_through, gaps.questions, gaps.without_words, gaps.more), (7, 5, 0, 0));
    let seen: Vec<_> = gaps.clusters.iter().map(|cluster| (cluster.count, cluster.examples.len())).collect();
    assert_eq!(seen, [(3, 3), (2, 2)]);
    assert!(gaps.clusters[0].examples.iter().all(|example| example.text.contains("electric car")));
    assert!(gaps.clusters[1].examples.iter().all(|example| example.text.contains("voucher")));
    assert_eq!(gaps.clusters[0].nearest.as_ref().map(|article| article.title.as_str()), Some("About nearest"));
}

#[test]
fn a_gap_is_silence_over_what_was_found_a_rejection_or_another_card_soon_after() {
    // (decisions, rejected, how each gap came about)
    let delivered = Written::delivered;
    let table = [
        (vec![Written::silent(1, Some("pets"), SilenceReason::NothingFound)], vec![], vec![questions::Kind::Silent]),
        (vec![Written::silent(1, Some("pets"), SilenceReason::Rejected)], vec![], vec![questions::Kind::Rejected]),
        (vec![delivered(1, "call", 1, "a")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a")], vec![1], vec![questions::Kind::Rejected]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 3, "b")], vec![], vec![questions::Kind::Replaced]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 4, "b")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 2, "a")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "other", 2, "b")], vec![], vec![]),
        // The same id again, counted anew: the later card says nothing of the earlier one.
        (vec![delivered(1, "call", 3, "a"), delivered(2, "call", 1, "b")], vec![], vec![]),
    ];
    for (number, (decisions, rejected, expected)) in table.into_iter().enumerate() {
        let kept: Vec<Kept> = decisions.iter().map(Written::kept).collect();
        let rejected = rejected.into_iter().map(|number: u32| Uuid::from_u128(number.into())).collect();
        let kinds: Vec<_> = unanswered(&kept, &rejected).iter().map(|question| question.kind).collect();
        assert_eq!(kinds, expected, "row {number}");
    }
}

#[test]
fn without_words_questions_are_told_apart_by_the_nearest_article_and_nothing_is_quoted() {
    let mut gaps = gaps_of(
        &[Written::silent(1, None, SilenceReason::Unsure), Written::silent(2, None, SilenceReason::Unsure)],
        &[],
    );
    let cluster = gaps.clusters.remove(0);
    assert_eq!((gaps.questions, gaps.without_words, cluster.count, cluster.examples.len()), (2, 2, 2, 0));
    assert!(gaps.clusters.is_empty());
    assert_eq!(cluster.nearest.map(|article| article.id).as_deref(), Some("nearest"));
}

#[test]
fn what_was_masked_joins_no_two_questions_and_other_profiles_are_left_out() {
    let asked = |number, said| Written::silent(number, Some(said), SilenceReason::Unsure);
    let written = [asked(1, "My [phone] [email] parking"), asked(2, "Their [phone] [email] breakfast")];
    let gaps = gaps_of(&written, &[]);
    assert_eq!(gaps.clusters.iter().map(|cluster| cluster.count).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(super::gaps(read_of(&written), &HashSet::new(), Some("other")).questions, 0);
    assert_eq!(super::gaps(read_of(&written), &HashSet::new(), Some("acme")).questions, 2);
}

#[test]
fn what_another_version_wrote_is_counted_and_costs_no_other() {
    let json = Written::silent(1, Some("Where do I park?"), SilenceReason::Unsure).json();
    let read = Read::of([Some(r#"{"id":"7"}"#), Some(&json), Some("no json"), None].into_iter());
    let gaps = gaps(read, &HashSet::new(), None);
    assert_eq!((gaps.looked_through, gaps.unreadable, gaps.questions), (1, 3, 1));
}
