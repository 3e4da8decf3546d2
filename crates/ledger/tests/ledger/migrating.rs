//! A file of an earlier version is brought to this one's form with everything that it holds.

use cuecard_ledger::QueueKind::Feedback;
use cuecard_ledger::{Acceptance, FeedbackPayload, ItemId, judged_deliveries};
use sqlx::migrate::Migrator;
use sqlx::{Executor, Row};

use crate::rankings::kept;
use crate::second;
use crate::stores::Store;

/// What the version before decisions were kept wrote.
const EARLIER: &str = "
    INSERT INTO deliveries (id, decision, profile, interaction, utterance, delivered_at_us, cxone_id, latency_ms, num_words, num_turns)
    VALUES (x'00000000000000000000000000000001', x'00000000000000000000000000000001', 'main', 'call', 1, 1000000, NULL, 12, 7, 3);
    INSERT INTO impressions (delivery, article_id, rank, score, wire_id, content_hash, features)
    VALUES (x'00000000000000000000000000000001', 'a', 1, 0.5, 'a', 'h', '{\"cosine\":0.5}'),
           (x'00000000000000000000000000000001', 'b', 2, 0.25, 'b', 'h', '{}');
    INSERT INTO feedback (profile, interaction, insight, action, accepted, heard_at_us, delivery, state, attempts, retry_at_us, reason)
    VALUES ('main', 'call', 'a', 'REJECTED', 0, 1, x'00000000000000000000000000000001', 'delivered', 1, NULL, NULL),
           ('main', 'call', 'a', 'ACCEPTED', 1, 2, x'00000000000000000000000000000001', 'pending', 2, 5000000, '503'),
           ('main', 'quick', 'c', 'ACCEPTED', 1, 3, NULL, 'set_aside', 1, NULL, '422');
    INSERT INTO ranking_audit (profile, session, at_us, snippet_count, latency_us, max_window, status, checksum, delivered)
    VALUES ('main', 's', 1, 2, 12340, 10, 'success', 'c0ffee', '[\"x\",\"y\"]'), ('main', 't', 2, 1, 0, 10, 'failed', NULL, '[]');
    INSERT INTO ranking_sessions (profile, session) VALUES ('main', 's');
    INSERT INTO ranking_clicks (session, snippet, rank_position, clicked_at_us) VALUES (1, 'x', 1, 3);
    INSERT INTO ranked_snippets VALUES (1, 'x', 1, 1), (1, 'y', 1, 0);
    INSERT INTO ranking_totals VALUES ('main', 2, 1, 12340, 1, 2, 1)";

#[tokio::test]
async fn everything_of_an_earlier_version_is_there_after_the_start() {
    let (store, migrations) = (Store::sqlite(), tempfile::tempdir().unwrap());
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for file in std::fs::read_dir(all).unwrap().map(|file| file.unwrap()) {
        if file.file_name().to_string_lossy().as_ref() < "0006" {
            std::fs::copy(file.path(), migrations.path().join(file.file_name())).unwrap();
        }
    }
    let pool = sqlx::SqlitePool::connect(&format!("{}?mode=rwc", store.url)).await.unwrap();
    Migrator::new(migrations.path()).await.unwrap().run(&pool).await.unwrap();
    pool.execute(EARLIER).await.unwrap();
    pool.close().await;

    let ledger = store.open().await;
    assert_eq!(ledger.deliveries().acceptance(), Acceptance { accepted: 1, rejected: 0 });
    let judged = judged_deliveries(&store.url, "main").await.unwrap();
    let verdicts: Vec<_> = judged[0].cards.iter().map(|card| (&*card.impression.article_id, card.accepted)).collect();
    assert_eq!((judged.len(), verdicts), (1, vec![("a", Some(true)), ("b", None)]));
    assert_eq!(judged[0].cards[0].impression.features["cosine"], 0.5);

    let queue = ledger.queue(Feedback);
    assert!(queue.due("main", second(4), 10).await.unwrap().is_empty());
    let due = queue.due("main", second(5), 10).await.unwrap();
    let payload: FeedbackPayload = serde_json::from_str(&due[0].payload).unwrap();
    assert_eq!((due.len(), due[0].attempts, payload.insight.as_str(), payload.accepted), (1, 2, "a", true));
    assert_eq!((payload.action.verbatim(), payload.heard_at_us), ("ACCEPTED", 2));
    let dead = queue.dead(ItemId(0), 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].item.key.as_str(), dead[0].reason.as_str()), (1, "quick", "422"));

    let sessions: Vec<_> =
        kept(&store, "main").await.into_iter().map(|entry| (entry.session, entry.delivered)).collect();
    assert_eq!(sessions, [("t".to_owned(), vec![]), ("s".to_owned(), vec!["x".to_owned(), "y".to_owned()])]);
    let metrics = ledger.rankings().metrics("main").await.unwrap();
    assert_eq!((metrics.audit_entries_count, metrics.total_clicks_tracked, metrics.click_through_rate), (2, 1, 0.5));
    let foreign = store.raw().await.fetch_all("PRAGMA foreign_key_check").await.unwrap();
    assert!(foreign.is_empty(), "{} rows hang on nothing", foreign.len());
    let rows = store.raw().await.fetch_one("SELECT COUNT(*) FROM ranked_snippets").await.unwrap();
    assert_eq!(rows.get::<i64, _>(0), 2);
}
