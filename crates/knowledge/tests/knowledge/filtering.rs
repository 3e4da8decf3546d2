//! What a profile does not show is found on none of the ways to it: the exact scan, the nearest-neighbour graph, the words, a
//! collection that is asked live, a graph.

use cuecard_knowledge::chroma::{ChromaCollection, update as update_of};
use cuecard_knowledge::graph::{EmbeddedGraph, GraphSettings};
use cuecard_knowledge::{Article, ArticleFilter, BuildSettings, Completeness, Index, Update, build_with};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ALL;
use crate::fake_chroma::FakeChroma;
use crate::fake_encoder::FakeEncoder;
use crate::graph_rows::Rows;

fn filter(audience: &str, language: &str) -> ArticleFilter {
    ArticleFilter { audience: audience.parse().ok(), language: language.parse().ok() }
}

/// A hundred articles about parking, of which only every tenth is shown to all, with a few for some.
fn articles() -> Vec<Article> {
    let fields = |n: usize| match n {
        7 => json!({"audience": "agent"}),
        8 => json!({"audience": "customer", "status": "PUBLISHED"}),
        17 => json!({"language": "de"}),
        18 => json!({"language": "en-US"}),
        n if n % 10 == 0 => json!({}),
        n if n % 10 == 1 => json!({"status": "archived"}),
        _ => json!({"status": "draft"}),
    };
    let article = |n: usize| {
        let mut row = json!({"id": format!("{n:03}"), "title": "Parking", "body": format!("Cars park in garage {n}.")});
        row.as_object_mut().unwrap().extend(fields(n).as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    };
    (0..100).map(article).collect()
}

fn index(exact_below: usize, articles: Vec<Article>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    update(&directory, exact_below, articles);
    directory
}

fn update(directory: &TempDir, exact_below: usize, articles: Vec<Article>) {
    let update = Update { source: "file:kb".into(), articles, completeness: Completeness::Full };
    let settings = BuildSettings { exact_below, neighbour_threads: 1 };
    build_with(directory.path(), update, &FakeEncoder::new(), &settings, &()).unwrap();
}

/// The ids found by meaning and by words, which must be the same, sorted.
fn found(directory: &TempDir, k: usize, filter: &ArticleFilter) -> Vec<String> {
    let index = Index::open(directory.path(), None).unwrap();
    let id = |article: usize| index.article(article).id.clone();
    let vector = FakeEncoder::new().vector("Cars park in garage");
    let mut near: Vec<_> = index.nearest(&vector, k, filter).into_iter().map(|hit| id(hit.article)).collect();
    let mut words: Vec<_> = index.lexical("cars garage", k, filter).into_iter().map(|hit| id(hit.article)).collect();
    near.sort();
    words.sort();
    if k >= index.len() {
        assert_eq!(near, words, "{filter:?}");
    }
    near
}

#[test]
fn an_index_gives_what_is_published_and_for_the_profile() {
    let tens: Vec<String> = (0..10).map(|n| format!("{:03}", n * 10)).collect();
    let with = |more: &[&str]| {
        let mut ids = tens.clone();
        ids.extend(more.iter().map(|id| (*id).to_owned()));
        ids.sort();
        ids
    };
    // Without a nearest-neighbour graph and with one.
    for exact_below in [usize::MAX, 1] {
        let directory = index(exact_below, articles());
        for (filter, expected) in [
            (ALL, with(&["007", "008", "017", "018"])),
            (filter("agent", ""), with(&["007", "017", "018"])),
            (filter("customer", "de-AT"), with(&["008", "017"])),
            (filter("", "en"), with(&["007", "008", "018"])),
        ] {
            assert_eq!(found(&directory, 100, &filter), expected, "{filter:?}");
            // As many as are asked for come, although most of what is nearest is not shown.
            let few = found(&directory, 9, &filter);
            assert!(few.len() == 9 && few.iter().all(|id| expected.contains(id)), "{filter:?}: {few:?}");
        }
    }
}

#[test]
fn an_article_that_becomes_a_draft_is_gone_and_one_that_is_published_comes() {
    let directory = index(usize::MAX, articles());
    assert!(found(&directory, 100, &ALL).contains(&"010".to_owned()));
    let mut changed = articles();
    changed[10].status = Some("Draft".into());
    changed[11].status = Some("published".into());
    update(&directory, usize::MAX, changed);
    let after = found(&directory, 100, &ALL);
    assert!(!after.contains(&"010".to_owned()) && after.contains(&"011".to_owned()), "{after:?}");
}

fn record(id: &str, document: &Value, metadata: &Value) -> Value {
    json!({"id": id, "document": document, "metadata": metadata, "distance": 0.25})
}

async fn asked(records: Vec<Value>, k: usize, filter: &ArticleFilter) -> (Vec<String>, usize) {
    let server = FakeChroma::with(records).await;
    let collection = ChromaCollection::open(&server.settings, 2).await.unwrap();
    let lists = collection.query(&[&[1.0, 0.0], &[0.0, 1.0]], k, filter).await.unwrap();
    assert_eq!((lists.len(), &lists[0]), (2, &lists[1]), "a list for each vector");
    (lists[0].iter().map(|hit| format!("{} {}", hit.article.id, hit.passage())).collect(), server.num_queries())
}

#[tokio::test]
async fn a_collection_gives_what_can_be_read_and_is_for_the_profile() {
    let records = || {
        vec![
            record("none", &json!(null), &json!(null)),
            record("blank", &json!(" "), &json!({"source": "kb.pdf", "title": ""})),
            record("picture", &json!("<p><img src=\"data:image/png;base64,AAAA\"></p>"), &json!(null)),
            record("draft", &json!("Draft."), &json!({"status": "draft"})),
            record("agent", &json!("For agents."), &json!({"audience": "agent"})),
            record("german", &json!("Deutsch."), &json!({"language": "de-DE"})),
            record("title", &json!(null), &json!({"title": "Title"})),
            record("plain", &json!("<p>Plain &amp; simple.</p>"), &json!(null)),
        ]
    };
    let (hits, num_queries) = asked(records(), 20, &ALL).await;
    assert_eq!(hits, ["agent For agents.", "german Deutsch.", "title Title", "plain Plain & simple."]);
    assert_eq!(num_queries, 1, "a collection that has no more is not asked again");
    let (hits, _) = asked(records(), 20, &filter("customer", "en")).await;
    assert_eq!(hits, ["title Title", "plain Plain & simple."]);
    // The first five that are nearest are not shown, so more of them are asked for.
    assert_eq!(asked(records(), 1, &filter("customer", "en")).await, (vec!["title Title".to_owned()], 3));
}

/// A value of another type than it should be, as other clients write them.
#[tokio::test]
async fn a_record_that_cannot_be_read_costs_no_other() {
    let records = || {
        vec![
            record("good", &json!("Good."), &json!({"page": 1})),
            record("number", &json!(7), &json!(null)),
            record("list", &json!("L"), &json!(["a"])),
            json!({"id": 9, "document": "No id.", "distance": 0.3}),
            json!({"id": "nowhere", "document": "No distance.", "distance": "far"}),
            json!({"id": "vector", "document": "Odd vector.", "distance": 0.5, "embedding": [1.0, {}]}),
        ]
    };
    let server = FakeChroma::with(records()).await;
    let collection = ChromaCollection::open(&server.settings, 2).await.unwrap();
    let hits = collection.query(&[&[1.0, 0.0]], 9, &ALL).await.unwrap().remove(0);
    assert_eq!(hits.iter().map(|hit| hit.article.id.as_str()).collect::<Vec<_>>(), ["good", "vector"]);
    let (update, _, import) = update_of(collection.read_all().await.unwrap(), &FakeEncoder::new()).unwrap();
    let ids: Vec<_> = update.articles.iter().map(|article| article.id.as_str()).collect();
    assert_eq!((ids, import.records), (vec!["good", "nowhere", "vector"], 6));
    let named = [
        "records[1] (\"number\"): its document: invalid type: integer `7`, expected a string",
        "records[2] (\"list\"): its metadata: invalid type: sequence, expected a map",
        "records[3]: its id: invalid type: integer `9`, expected a string",
    ];
    assert_eq!((import.unreadable.count, import.unreadable.named.as_slice()), (3, named.map(str::to_owned).as_slice()));
}

#[test]
fn a_graph_gives_what_is_for_the_profile() {
    let mut rows = Rows::new("f");
    rows.query("q");
    for (id, fields) in [
        ("all", json!({"priority": 1})),
        ("agent", json!({"priority": 2, "audience": "Agent"})),
        ("customer", json!({"priority": 3, "audience": "customer", "language": "EN"})),
        ("german", json!({"priority": 4, "language": "de_AT", "audience": " "})),
        ("odd", json!({"priority": 5, "language": 7, "audience": ["agent"]})),
        ("unknown", json!({"priority": 6, "audience": "supervisors"})),
    ] {
        rows.article(id, &fields);
        rows.relation("?q", "RESOLVES", id);
    }
    let graph = EmbeddedGraph::new(rows.read().0);
    for (filter, expected) in [
        (ALL, vec!["unknown", "odd", "german", "customer", "agent", "all"]),
        (filter("agent", ""), vec!["unknown", "odd", "german", "agent", "all"]),
        (filter("", "en-GB"), vec!["unknown", "odd", "customer", "agent", "all"]),
    ] {
        let settings = GraphSettings { filter, limit: 9, ..GraphSettings::default() };
        let found = graph.related("f q", &settings);
        let ids: Vec<_> = found.iter().map(|article| article.id.strip_prefix("f ").unwrap()).collect();
        assert_eq!(ids, expected);
    }
}
