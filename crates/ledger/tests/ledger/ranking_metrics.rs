//! The metrics count each snippet of a session once, and each profile by itself.

use cuecard_ledger::{Click, RankingEntry, RankingMetrics};

use crate::rankings::{click, entry, failed};
use crate::stores::{Store, on_both};

/// What happens, in order, and delivered pairs, those of them that were clicked, clicks, entries.
type Case = (&'static str, Vec<Step>, (u32, u32, u64, u64));

enum Step {
    Record(RankingEntry),
    Click(Click),
}

fn cases() -> Vec<Case> {
    use Step::{Click, Record};
    vec![
        ("nothing", vec![], (0, 0, 0, 0)),
        ("no click", vec![Record(entry("s", &["a", "b"]))], (2, 0, 0, 1)),
        ("one of two", vec![Record(entry("s", &["a", "b"])), Click(click("s", "a"))], (2, 1, 1, 1)),
        (
            "a second click on the same snippet",
            vec![Record(entry("s", &["a"])), Click(click("s", "a")), Click(click("s", "a"))],
            (1, 1, 2, 1),
        ),
        (
            "the same snippets delivered again",
            vec![Record(entry("s", &["a", "b"])), Click(click("s", "a")), Record(entry("s", &["b", "a"]))],
            (2, 1, 1, 2),
        ),
        (
            "the same snippet in two sessions",
            vec![Record(entry("s", &["a"])), Record(entry("t", &["a"])), Click(click("t", "a"))],
            (2, 1, 1, 2),
        ),
        ("a click on what was never delivered", vec![Click(click("s", "a"))], (0, 0, 1, 0)),
        (
            "one of each kind",
            vec![Record(entry("s", &["a"])), Click(click("s", "a")), Click(click("s", "b"))],
            (1, 1, 2, 1),
        ),
        (
            "a click before its delivery",
            vec![Click(click("s", "a")), Record(entry("s", &["a", "b"])), Record(entry("s", &["a"]))],
            (2, 1, 1, 2),
        ),
        ("a failed ranking", vec![Record(failed("s", &["a"])), Click(click("s", "a"))], (0, 0, 1, 1)),
        (
            "a failed ranking, then the same with success",
            vec![Record(failed("s", &["a"])), Click(click("s", "a")), Record(entry("s", &["a"]))],
            (1, 1, 1, 2),
        ),
    ]
}

on_both! {
    async fn metrics_count_distinct_snippets_of_sessions(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        for (name, steps, (delivered, clicked, clicks, count)) in cases() {
            for step in steps {
                match step {
                    Step::Record(entry) => rankings.record(RankingEntry { profile: name.into(), ..entry }, None).await.unwrap(),
                    Step::Click(click) => rankings.click(Click { profile: name.into(), ..click }).await.unwrap(),
                }
            }
            let metrics = rankings.metrics(name).await.unwrap();
            let rate = if delivered == 0 { 0.0 } else { f64::from(clicked) / f64::from(delivered) };
            assert_eq!(metrics.click_through_rate, rate, "{name}");
            assert_eq!((metrics.total_clicks_tracked, metrics.audit_entries_count), (clicks, count), "{name}");
        }
    }

    async fn the_average_latency_is_that_of_the_successes(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        rankings.record(RankingEntry { latency_ms: 900.0, ..failed("s", &[]) }, None).await.unwrap();
        assert_eq!(rankings.metrics("main").await.unwrap().average_latency_ms, 0.0);
        for latency_ms in [10.0, 20.5] {
            rankings.record(RankingEntry { latency_ms, ..entry("s", &["a"]) }, None).await.unwrap();
        }
        assert_eq!(rankings.metrics("main").await.unwrap().average_latency_ms, 15.25);
    }

    async fn profiles_with_the_same_sessions_stay_apart(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        rankings.record(entry("s", &["a", "b"]), None).await.unwrap();
        rankings.record(RankingEntry { profile: "other".into(), ..entry("s", &["a"]) }, None).await.unwrap();
        rankings.click(Click { profile: "other".into(), ..click("s", "a") }).await.unwrap();
        let theirs = rankings.metrics("other").await.unwrap();
        assert_eq!((theirs.click_through_rate, theirs.total_clicks_tracked, theirs.audit_entries_count), (1.0, 1, 1));
        let ours = rankings.metrics("main").await.unwrap();
        assert_eq!((ours.click_through_rate, ours.total_clicks_tracked, ours.audit_entries_count), (0.0, 0, 1));
        assert_eq!(rankings.metrics("nobody").await.unwrap(), RankingMetrics::default());
    }
}
