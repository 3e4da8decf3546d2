//! A tenant's list of articles and an index: what is known stays, what did not change costs nothing, and where the polls
//! stand counts only as long as the index is the one they were for.

use std::path::Path;

use crate::fake_encoder::FakeEncoder;
use cuecard_knowledge::sync::{SyncState, read_state, update, write_state};
use cuecard_knowledge::{Article, BuildReport, Completeness, Index, Update, build};
use serde_json::json;

const TENANT: &str = "cxone:acme";

fn local(id: &str, title: &str, body: &str) -> Article {
    Article {
        id: id.into(),
        title: title.into(),
        body: body.into(),
        entity: Some("Hotel Anna".into()),
        url: Some(format!("https://kb.example/{id}")),
        priority: Some(3.0),
        tags: vec!["stay".into()],
        extra: [("floor".to_owned(), json!(2))].into(),
        ..Article::default()
    }
}

fn remote(id: &str, title: &str, body: &str) -> Article {
    Article { id: id.into(), title: title.into(), body: body.into(), ..Article::default() }
}

fn index(directory: &Path) -> Index {
    Index::open(directory, None).unwrap()
}

fn publish(directory: &Path, encoder: &FakeEncoder, update: Update) -> BuildReport {
    build(directory, update, encoder, &()).unwrap()
}

fn synced(directory: &Path, encoder: &FakeEncoder, sent: Vec<Article>, whole: Completeness) -> BuildReport {
    let update = update(&index(directory), TENANT.to_owned(), sent, whole);
    publish(directory, encoder, update)
}

fn from_file(articles: Vec<Article>) -> Update {
    Update { source: "file:kb".into(), articles, completeness: Completeness::Full }
}

#[test]
fn the_same_articles_with_their_title_in_the_content_need_nothing_embedded() {
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    let articles = vec![local("a", "Parking", "The garage is free."), local("b", "Pets", "Dogs stay for 10 euros.")];
    publish(directory.path(), &encoder, from_file(articles.clone()));
    encoder.asked();
    let sent =
        vec![remote("a", "Parking", "Parking\nThe garage is free."), remote("b", "Pets", "Dogs stay for 10 euros.")];
    let report = synced(directory.path(), &encoder, sent, Completeness::Full);
    assert_eq!((report.embedded, report.articles), (0, 2));
    assert!(encoder.asked().is_empty());
    let index = index(directory.path());
    let kept: Vec<Article> = index.articles().map(|article| Article::clone(article)).collect();
    assert_eq!(kept, articles, "what the tenant does not send stays");
    assert_eq!(index.sources(0).collect::<Vec<_>>(), [TENANT, "file:kb"]);
}

#[test]
fn a_changed_article_keeps_its_local_fields_and_is_the_only_one_embedded() {
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    let both = [("a", "Parking", "The garage is free."), ("b", "Pets", "Dogs stay for 10 euros.")];
    synced_first(directory.path(), &encoder, &both);
    encoder.asked();
    let draft = Article { status: Some("draft".into()), ..remote("a", "Parking", "The garage is 5 euros a night.") };
    let sent = vec![draft, remote("b", both[1].1, both[1].2)];
    let report = synced(directory.path(), &encoder, sent, Completeness::Full);
    assert_eq!((report.changed, report.embedded, report.unchanged), (1, 1, 1));
    let index = index(directory.path());
    let changed = index.article(index.position("a").unwrap());
    assert_eq!(changed.body, "The garage is 5 euros a night.");
    assert_eq!((changed.entity.as_deref(), changed.priority), (Some("Hotel Anna"), Some(3.0)));
    assert_eq!(changed.status.as_deref(), Some("draft"), "what the tenant does send counts");
}

/// The tenant's list is the only source, but its articles carry fields that a file gave them once.
fn synced_first(directory: &Path, encoder: &FakeEncoder, articles: &[(&str, &str, &str)]) {
    let articles = articles.iter().map(|(id, title, body)| local(id, title, body)).collect();
    let update = Update { source: TENANT.into(), articles, completeness: Completeness::Full };
    publish(directory, encoder, update);
}

#[test]
fn a_full_list_removes_what_the_tenant_no_longer_holds_and_a_partial_one_nothing() {
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    publish(directory.path(), &encoder, from_file(vec![local("file", "Pets", "Dogs are welcome.")]));
    let two = vec![remote("a", "Parking", "Free."), remote("b", "Pool", "Open from 7 to 22.")];
    synced(directory.path(), &encoder, two, Completeness::Full);
    let ids = || index(directory.path()).articles().map(|article| article.id.clone()).collect::<Vec<_>>();
    synced(directory.path(), &encoder, vec![remote("b", "Pool", "Closed.")], Completeness::Partial);
    assert_eq!(ids(), ["a", "b", "file"]);
    synced(directory.path(), &encoder, vec![remote("b", "Pool", "Closed.")], Completeness::Full);
    assert_eq!(ids(), ["b", "file"], "the file's own article is none of the tenant's");
}

#[test]
fn where_the_polls_stand_is_worth_nothing_to_another_index() {
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    synced_first(directory.path(), &encoder, &[("a", "Parking", "Free."), ("b", "Pool", "Open.")]);
    let state = |source: &str| read_state(directory.path(), &index(directory.path()), source).unwrap();
    assert_eq!(state(TENANT), None);
    let last_modified = Some("Sat, 21 Nov 2026 07:00:00 GMT".to_owned());
    write_state(directory.path(), &index(directory.path()), TENANT, last_modified.clone()).unwrap();
    write_state(directory.path(), &index(directory.path()), "cxone:other", None).unwrap();
    assert_eq!(state(TENANT), Some(SyncState { last_modified, articles: 2 }));
    assert_eq!(state("cxone:other"), Some(SyncState { last_modified: None, articles: 0 }));
    let fewer = Update { source: TENANT.into(), articles: Vec::new(), completeness: Completeness::Full };
    publish(directory.path(), &encoder, fewer);
    assert_eq!(state(TENANT), None, "the index no longer holds what was polled");
    std::fs::write(directory.path().join("sync.json"), "{broken").unwrap();
    assert_eq!(state("cxone:other"), None, "a broken file costs one full answer");
}
