//! Which files and URLs are taken, and what the refusals say.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuecard_ledger::{Damaged, Ledger, LedgerError, LedgerOptions, LedgerState, QueueKind, erase, stats};
use sqlx::{AnyConnection, Connection, Executor, Row};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::deliveries::delivery;
use crate::rankings::entry;
use crate::retention::decision;
use crate::stores::Store;
use crate::{event, second};

fn url(directory: &TempDir) -> String {
    format!("sqlite:{}", directory.path().join("ledger.db").display())
}

async fn open(url: &str) -> Result<Ledger, LedgerError> {
    Ledger::open(url, LedgerOptions::default()).await
}

async fn fresh() -> (TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&url(&directory)).await.unwrap();
    (directory, ledger)
}

/// Why a file can't be opened, which whoever only looks at it is told too.
async fn refusal(path: &Path) -> String {
    let url = format!("sqlite:{}", path.display());
    let error = open(&url).await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Open { ledger: named, .. } if *named == path.display().to_string()),
        "{error:?}"
    );
    error.to_string()
}

/// The same of a file that is there.
async fn refusal_of_both(path: &Path) -> String {
    let looked = Ledger::inspect(&format!("sqlite:{}", path.display())).await.unwrap_err().to_string();
    let refused = refusal(path).await;
    assert_eq!(looked.split(" (").next(), refused.split(" (").next());
    refused
}

/// Every file of a directory with what it holds.
fn files(directory: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test]
async fn whoever_looks_is_told_what_a_start_would_find_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let look = async |expected| {
        let before = files(&directory);
        assert_eq!(Ledger::inspect(&url).await.unwrap(), expected);
        assert!(files(&directory) == before, "{expected:?}: something was written");
    };
    look(LedgerState::Missing).await;
    let ledger = open(&url).await.unwrap();
    ledger.feedback().store(event("a", "1", true)).await.unwrap();
    look(LedgerState::Unfolded).await;
    ledger.close().await;
    look(LedgerState::Current).await;
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let newest = "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
    sqlx::query(newest).execute(&pool).await.unwrap();
    pool.close().await;
    look(LedgerState::Older).await;
}

#[tokio::test]
async fn missing_directories_are_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/deep/ledger.db");
    for prefix in ["sqlite:", "sqlite://"] {
        let ledger = open(&format!("{prefix}{}", path.display())).await.unwrap();
        ledger.feedback().store(event("a", "1", true)).await.unwrap();
        ledger.close().await;
    }
    assert!(path.is_file());
}

#[tokio::test]
async fn open_and_its_calls_may_be_spawned() {
    let (directory, ledger) = fresh().await;
    ledger.close().await;
    let url = url(&directory);
    let opened = tokio::spawn(async move { open(&url).await }).await.unwrap().unwrap();
    tokio::spawn(async move { opened.feedback().store(event("a", "1", true)).await }).await.unwrap().unwrap();
}

#[tokio::test]
async fn another_scheme_is_refused_without_telling_the_password() {
    for (url, scheme) in [("mysql://cuecard:hunter2@db/ledger", "mysql"), ("ledger.db", ""), ("", "")] {
        let error = open(url).await.unwrap_err();
        assert!(matches!(&error, LedgerError::UnsupportedScheme { scheme: named } if named == scheme), "{error:?}");
        assert!(error.to_string().contains("sqlite:<path>"));
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn whoever_only_reads_is_told_that_there_is_no_file() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("typo.db").display());
    let error = stats(&url).await.unwrap_err().to_string();
    assert!(error.contains("there is no file") && error.contains("typo.db"), "{error}");
}

#[tokio::test]
async fn a_ledger_in_memory_is_refused() {
    let error = open("sqlite::memory:").await.unwrap_err();
    assert!(error.to_string().contains("name a file"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let message = refusal(&file.join("ledger.db")).await;
    assert!(message.contains("its directory can't be made"), "{message}");
}

#[tokio::test]
async fn a_directory_without_write_permission_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(directory.path().join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let message = refusal(&directory.path().join("ledger.db")).await;
    assert!(message.contains("let this user write"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    std::fs::write(&path, "not a database, but longer than the header of one would be, to be sure of it".repeat(9))
        .unwrap();
    let message = refusal_of_both(&path).await;
    assert!(message.contains("damaged") && message.contains("move it away"), "{message}");
}

/// A ledger whose second half is overwritten.
async fn damaged() -> TempDir {
    let (directory, ledger) = fresh().await;
    for number in 0..200 {
        ledger.feedback().store(event(&format!("call-{number}"), "article", true)).await.unwrap();
    }
    ledger.close().await;
    let path = directory.path().join("ledger.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    directory
}

#[tokio::test]
async fn damage_within_the_file_is_found() {
    let directory = damaged().await;
    let message = refusal_of_both(&directory.path().join("ledger.db")).await;
    assert!(message.contains("damaged"), "{message}");
}

#[tokio::test]
async fn a_damaged_file_is_kept_under_another_name_where_the_settings_say_so() {
    let directory = damaged().await;
    let before = std::fs::read(directory.path().join("ledger.db")).unwrap();
    let options = LedgerOptions { damaged: Damaged::SetAside, ..LedgerOptions::default() };
    let ledger = Ledger::open(&url(&directory), options).await.unwrap();
    ledger.feedback().store(event("a", "1", true)).await.unwrap();
    let aside = files(&directory).into_iter().find(|(path, _)| path.to_string_lossy().contains("ledger.db.damaged-"));
    assert!(aside.unwrap().1 == before, "it must be kept as it was");
}

/// Overwrites the rows and entries of all tables and indexes but the newest, which lie in the last pages of each; gives how
/// many pages. What waits in the queue is left: it is what there is to do.
async fn damage_all_but_the_newest(directory: &TempDir) -> usize {
    let mut raw = sqlx::SqlitePool::connect(&url(directory)).await.unwrap().acquire().await.unwrap();
    let leaves = "SELECT name, pageno FROM dbstat WHERE pagetype = 'leaf' AND name NOT LIKE '%queue%' ORDER BY path";
    let mut pages: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in raw.fetch_all(leaves).await.unwrap() {
        pages.entry(row.get(0)).or_default().push(row.get::<i64, _>(1) as usize);
    }
    drop(raw);
    let path = directory.path().join("ledger.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let old: Vec<usize> = pages.into_values().flat_map(|of_one| of_one.into_iter().rev().skip(3)).collect();
    for page in &old {
        bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    old.len()
}

#[tokio::test]
async fn a_start_reads_none_of_the_rows_of_years_but_the_newest() {
    let (directory, ledger) = fresh().await;
    for number in 1..=3000_u32 {
        let call = format!("call-{number}");
        assert!(ledger.deliveries().record_behind(delivery(number.into(), &call, &["a", "b"])));
        assert!(ledger.decisions().record_behind(decision(number.into(), &call, second(1_700_000_000))));
        assert!(ledger.feedback().store_behind(event(&call, "a", true)));
    }
    let mut rankings = JoinSet::new();
    for number in 0..1000 {
        let (rankings_kept, entry) = (ledger.rankings(), entry(&format!("session-{number}"), &["x", "y"]));
        rankings.spawn(async move { rankings_kept.record(entry, None).await.unwrap() });
    }
    rankings.join_all().await;
    ledger.close().await;
    let damaged = damage_all_but_the_newest(&directory).await;
    assert!(damaged > 300, "{damaged} pages");
    let ledger = open(&url(&directory)).await.unwrap();
    // What a service asks for before it is ready.
    assert_eq!(ledger.deliveries().acceptance().ratio(), Some(1.0));
    assert_eq!(ledger.queue(QueueKind::Feedback).pending_profiles(), [("main".to_owned(), 3000)]);
    assert_eq!(ledger.deliveries().since(second(0), 10).await.unwrap().len(), 10);
    assert_eq!(ledger.operator_actions().newest("main").await.unwrap(), []);
    ledger.verify().await.unwrap();
    assert!(ledger.health().damage.is_some(), "whoever reads all of it meets the damage");
}

#[tokio::test]
async fn damage_that_the_start_does_not_meet_is_found_by_a_check_of_all_pages() {
    let (directory, ledger) = fresh().await;
    ledger.verify().await.unwrap();
    assert_eq!(ledger.health().damage, None);
    for number in 0..400 {
        ledger.feedback().store(event(&format!("call-{number}"), "article", true)).await.unwrap();
    }
    ledger.close().await;
    let path = directory.path().join("ledger.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut raw = sqlx::SqlitePool::connect(&url(&directory)).await.unwrap().acquire().await.unwrap();
    let index = "SELECT rootpage FROM sqlite_schema WHERE name = 'feedback_by_card'";
    let page = raw.fetch_one(index).await.unwrap().get::<i64, _>(0) as usize;
    drop(raw);
    bytes[(page - 1) * 4096 + 8..page * 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let ledger = open(&url(&directory)).await.unwrap();
    ledger.verify().await.unwrap();
    assert!(ledger.health().damage.unwrap().contains("damaged"));
}

#[tokio::test]
async fn a_schema_of_a_server_is_one_services() {
    let Some(store) = Store::postgres().await else { return };
    assert_eq!(Ledger::inspect(&store.url).await.unwrap(), LedgerState::Older);
    let first = store.open().await;
    assert_eq!(Ledger::inspect(&store.url).await.unwrap(), LedgerState::Current);
    let message = store.try_open().await.unwrap_err().to_string();
    assert!(message.contains("another service uses it") && !message.contains("cuecard-tests"), "{message}");
    first.close().await;
    store.open().await;
}

/// The claim of a store's schema, as the server keeps it.
const CLAIMS: &str = "
    FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND objid = CAST(CAST(hashtext(current_schema()) AS BIGINT) & 4294967295 AS oid)";

async fn has_claim(raw: &mut AnyConnection) -> bool {
    raw.fetch_one(&*format!("SELECT COUNT(*) {CLAIMS}")).await.unwrap().get::<i64, _>(0) > 0
}

/// Ends the session that has the claim, as a server's operator does, or its crash. Waits up to ten seconds until it is gone: its
/// claim would be taken for a new one.
async fn end_session(raw: &mut AnyConnection) {
    raw.execute(&*format!("SELECT pg_terminate_backend(pid, 10000) {CLAIMS}")).await.unwrap();
}

/// Whatever is waited for comes within the seconds after which a session is looked at.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still not: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_session_ended_claims_its_schema_again() {
    let Some(store) = Store::postgres().await else { return };
    let (first, mut raw) = (store.open().await, store.raw().await);
    // Whether it writes or not.
    for writes in [true, false] {
        end_session(&mut raw).await;
        if writes {
            assert!(first.feedback().store_behind(event("call", "a", true)));
        }
        until("it is claimed again", async || has_claim(&mut raw).await).await;
        let message = store.try_open().await.unwrap_err().to_string();
        assert!(message.contains("another service uses it"), "{message}");
    }
    until("it is well again", async || first.health().failing.is_none()).await;
    assert_eq!(first.health().claimed_elsewhere, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_schema_another_session_has_says_so_and_writes_on() {
    let Some(store) = Store::postgres().await else { return };
    let (ledger, mut raw, mut other) = (store.open().await, store.raw().await, store.raw().await);
    end_session(&mut raw).await;
    let claim = "SELECT pg_try_advisory_lock(hashtext('cuecard ledger'), hashtext(current_schema()))";
    until("another one has it", async || other.fetch_one(claim).await.unwrap().get::<bool, _>(0)).await;
    until("it is known", async || ledger.health().claimed_elsewhere.is_some()).await;
    until("it is written", async || ledger.feedback().store(event("call", "a", true)).await.is_ok()).await;
    other.close().await.unwrap();
    until("it is its own again", async || ledger.health().claimed_elsewhere.is_none()).await;
}

#[tokio::test]
async fn what_a_service_has_in_hand_is_erased_by_that_service_alone() {
    let Some(store) = Store::postgres().await else { return };
    let service = store.open().await;
    let refused = erase(&store.url, "call", None).await.unwrap_err();
    assert!(matches!(refused, LedgerError::InService), "{refused}");
    service.close().await;
    until("it is erased", async || erase(&store.url, "call", None).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let message = open("postgres://cuecard:hunter2@127.0.0.1:1/ledger").await.unwrap_err().to_string();
    assert!(message.contains("ledger at 127.0.0.1:1") && message.contains("see that the server runs"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let (directory, ledger) = fresh().await;
    ledger.close().await;
    let path = directory.path().join("ledger.db");
    let pool = sqlx::SqlitePool::connect(&url(&directory)).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 0)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let message = refusal_of_both(&path).await;
    assert!(message.contains("9999") && message.contains("start the version that wrote it"), "{message}");
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    let (directory, ledger) = fresh().await;
    ledger.close().await;
    let path = directory.path().join("ledger.db");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let message = refusal(&path).await;
    assert!(message.contains("let this user write"), "{message}");
}
