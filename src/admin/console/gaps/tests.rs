#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

/// A decision as it is written: the number is its id and its time.
struct Written {
    number: u32,
    call: &'static str,
    utterance: u64,
    outcome: Value,
    shown: Option<&'static str>,
    said: Option<&'static str>,
}

impl Written {
    fn silent(number: u32, said: Option<&'static str>, reason: &str) -> Self {
        let outcome = json!({"kind": "silent", "detail": reason});
        Self { number, call: "call", utterance: number.into(), outcome, shown: None, said }
    }

    fn delivered(number: u32, call: &'static str, utterance: u64, shown: &'static str) -> Self {
        let outcome = json!({"kind": "delivered", "detail": {"count": 1}});
        Self { number, call, utterance, outcome, shown: Some(shown), said: Some("where does the ferry leave") }
    }

    fn kept(&self) -> Kept {
        let article = |id: &str| json!({"id": id, "title": format!("About {id}"), "score": 0.5});
        let verdict = if self.shown.is_some() { json!({"cards": [1]}) } else { json!({"silent": "unsure"}) };
        let mut written = json!({
            "id": Uuid::from_u128(self.number.into()),
            "profile": "acme",
            "interaction": self.call,
            "utterance_number": self.utterance,
            "heard_at": format!("2026-01-01T00:00:{:02}Z", self.number),
            "outcome": self.outcome,
            "ranking": {"candidates": [article("nearest"), article(self.shown.unwrap_or("other"))], "verdict": verdict},
        });
        if let Some(said) = self.said {
            let turn = |speaker: &str, text: &str| json!({"speaker": speaker, "text": text});
            written["words"] = json!([turn("agent", "Hello."), turn("customer", said), turn("agent", "Let me see.")]);
        }
        Kept::read(&written.to_string()).unwrap()
    }
}

/// What is made of decisions in the order of their numbers.
fn gaps_of(written: &[Written], rejected: &[u32]) -> Gaps {
    let kept = written.iter().rev().map(Written::kept).collect();
    gaps(kept, &rejected.iter().map(|number| Uuid::from_u128((*number).into())).collect(), None)
}

#[test]
fn questions_about_one_thing_are_counted_together_with_the_most_typical_quoted_first() {
    let asked = |number, said| Written::silent(number, Some(said), "unsure");
    let gaps = gaps_of(
        &[
            asked(1, "Can I charge my electric car on the ferry?"),
            asked(2, "Do you sell gift vouchers?"),
            asked(3, "Is there charging for an electric car on board, my number is [phone]?"),
            asked(4, "Can I charge the electric car while we cross?"),
            asked(5, "I would like a gift voucher for my sister."),
            Written::silent(6, Some("Yes, that is right."), "not_asked"),
            Written::silent(7, Some("Can I charge my electric car on the ferry?"), "already_shown"),
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
        (vec![Written::silent(1, Some("pets"), "nothing_found")], vec![], vec![questions::Kind::Silent]),
        (vec![Written::silent(1, Some("pets"), "rejected")], vec![], vec![questions::Kind::Rejected]),
        (vec![delivered(1, "call", 1, "a")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a")], vec![1], vec![questions::Kind::Rejected]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 3, "b")], vec![], vec![questions::Kind::Replaced]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 4, "b")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "call", 2, "a")], vec![], vec![]),
        (vec![delivered(1, "call", 1, "a"), delivered(2, "other", 2, "b")], vec![], vec![]),
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
    let mut gaps = gaps_of(&[Written::silent(1, None, "unsure"), Written::silent(2, None, "unsure")], &[]);
    let cluster = gaps.clusters.remove(0);
    assert_eq!((gaps.questions, gaps.without_words, cluster.count, cluster.examples.len()), (2, 2, 2, 0));
    assert!(gaps.clusters.is_empty());
    assert_eq!(cluster.nearest.map(|article| article.id).as_deref(), Some("nearest"));
}

#[test]
fn what_was_masked_joins_no_two_questions_and_other_profiles_are_left_out() {
    let asked = |number, said| Written::silent(number, Some(said), "unsure");
    let written = [asked(1, "My [phone] [email] parking"), asked(2, "Their [phone] [email] breakfast")];
    let gaps = gaps_of(&written, &[]);
    assert_eq!(gaps.clusters.iter().map(|cluster| cluster.count).collect::<Vec<_>>(), [1, 1]);
    let kept = || written.iter().map(Written::kept).collect();
    assert_eq!(super::gaps(kept(), &HashSet::new(), Some("other")).questions, 0);
    assert_eq!(super::gaps(kept(), &HashSet::new(), Some("acme")).questions, 2);
}
