//! One table of graphs and lookups, run against the embedded graph and a real Neo4j: both give the same.

use crate::graph_rows::Rows;
use crate::services;
use cuecard_knowledge::ArticleFilter;
use cuecard_knowledge::graph::{EmbeddedGraph, GraphArticle, GraphSettings, Neo4jGraph};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// A graph and what is found in it.
struct Case {
    what: &'static str,
    queries: &'static [&'static str],
    articles: fn() -> Vec<(&'static str, Value)>,
    /// `from TYPE to`; a name with a question mark in front is a query.
    relations: &'static [&'static str],
    lookups: fn() -> Vec<Lookup>,
}

/// Keyword, settings and the ids found, in order.
type Lookup = (&'static str, GraphSettings, Vec<&'static str>);

/// With the settings of contract 002.
fn finds(keyword: &'static str, ids: &[&'static str]) -> Lookup {
    (keyword, GraphSettings::default(), ids.to_vec())
}

fn within(max_hops: usize, keyword: &'static str, ids: &[&'static str]) -> Lookup {
    (keyword, GraphSettings { max_hops, ..GraphSettings::default() }, ids.to_vec())
}

fn plain(ids: &[&'static str]) -> Vec<(&'static str, Value)> {
    ids.iter().map(|&id| (id, json!({}))).collect()
}

const CASES: &[Case] = &[
    Case {
        what: "hops count relations, whatever lies between, and stop where they should",
        queries: &["q", "r", "s"],
        articles: || plain(&["a", "b", "c", "d"]),
        relations: &[
            "?q RELATED_TO ?r",
            "?r RELATED_TO ?s",
            "?r RESOLVES a",
            "?s RESOLVES c",
            "?q RESOLVES b",
            "b SIMILAR_TO d",
        ],
        lookups: || {
            vec![
                finds("q", &["a", "b", "d"]),
                within(1, "q", &["b"]),
                within(3, "q", &["a", "b", "c", "d"]),
                finds("s", &["c"]),
            ]
        },
    },
    Case {
        what: "relations are followed forwards only and only those that are named",
        queries: &["q"],
        articles: || plain(&["a", "b", "c"]),
        relations: &["a RESOLVES ?q", "?q MENTIONS b", "?q RELATED_TO c"],
        lookups: || {
            let only = |names: &[&str]| {
                let relations = names.iter().map(|&name| name.to_owned()).collect();
                GraphSettings { relations, ..GraphSettings::default() }
            };
            vec![
                finds("q", &["c"]),
                ("q", only(&["MENTIONS"]), vec!["b"]),
                ("q", only(&["NEVER_SEEN"]), vec![]),
                ("q", only(&["NEVER_SEEN", "RELATED_TO", "MENTIONS"]), vec!["b", "c"]),
            ]
        },
    },
    Case {
        what: "the status is compared as it is, and a path may lead through an article that is not shown",
        queries: &["q"],
        articles: || {
            vec![
                ("draft", json!({"status": "draft"})),
                ("upper", json!({"status": "Published"})),
                ("none", json!({"status": null})),
                ("behind", json!({})),
            ]
        },
        relations: &["?q RESOLVES draft", "?q RESOLVES upper", "?q RESOLVES none", "draft SIMILAR_TO behind"],
        lookups: || {
            let drafts = GraphSettings { status: "draft".into(), ..GraphSettings::default() };
            vec![finds("q", &["behind"]), ("q", drafts, vec!["draft"])]
        },
    },
    Case {
        what: "priority descending, none last, ties by title and then by id, then the limit",
        queries: &["q"],
        articles: || {
            vec![
                ("none-b", json!({"title": "B"})),
                ("none-a", json!({"title": "A"})),
                ("nine", json!({"priority": 9, "title": "Z"})),
                ("nine-and-a-half", json!({"priority": 9.5, "title": "Z"})),
                ("tie-2", json!({"priority": 9.0, "title": "T"})),
                ("tie-1", json!({"priority": 9, "title": "T"})),
                ("below", json!({"priority": -1, "title": "A"})),
            ]
        },
        relations: &[
            "?q RESOLVES none-b",
            "?q RESOLVES none-a",
            "?q RESOLVES nine",
            "?q RESOLVES nine-and-a-half",
            "?q RESOLVES tie-2",
            "?q RESOLVES tie-1",
            "?q RESOLVES below",
        ],
        lookups: || {
            let most = |limit| GraphSettings { limit, ..GraphSettings::default() };
            let all = vec!["nine-and-a-half", "tie-1", "tie-2", "nine", "below", "none-a", "none-b"];
            vec![
                finds("q", &all[..5]),
                ("q", most(100), all.clone()),
                ("q", most(1), all[..1].to_vec()),
                ("q", most(0), vec![]),
            ]
        },
    },
    Case {
        what: "titles are compared by code point, not as UTF-16 has them",
        queries: &["q"],
        articles: || {
            let titles = [("a", "\u{1F600}"), ("b", "\u{FF5E}"), ("c", "é"), ("d", "e\u{301}"), ("e", "Z"), ("f", "")];
            titles.map(|(id, title)| (id, json!({"title": title, "summary": "s"}))).into()
        },
        relations: &[
            "?q RESOLVES a",
            "?q RESOLVES b",
            "?q RESOLVES c",
            "?q RESOLVES d",
            "?q RESOLVES e",
            "?q RESOLVES f",
        ],
        lookups: || {
            let all = GraphSettings { limit: 10, ..GraphSettings::default() };
            vec![("q", all, vec!["f", "e", "d", "c", "b", "a"])]
        },
    },
    Case {
        what: "cycles, self loops and several ways give each article once",
        queries: &["q", "r"],
        articles: || plain(&["a", "b"]),
        relations: &[
            "?q RELATED_TO ?q",
            "?q RELATED_TO ?r",
            "?r RELATED_TO ?q",
            "?q RESOLVES a",
            "?q RELATED_TO a",
            "?q SIMILAR_TO a",
            "?r RESOLVES a",
            "a SIMILAR_TO a",
            "a SIMILAR_TO b",
            "b SIMILAR_TO a",
            "b RELATED_TO ?q",
        ],
        lookups: || vec![finds("q", &["a", "b"]), within(1, "q", &["a"]), within(5, "r", &["a", "b"])],
    },
    Case {
        what: "a keyword is found as it is written and nothing else is",
        queries: &["Paßwort zurücksetzen", "パスワード 🔑", "it's \"quoted\" \\ $keyword", "lonely"],
        articles: || plain(&["a", "b", "c"]),
        relations: &[
            "?Paßwort zurücksetzen RESOLVES a",
            "?パスワード 🔑 RESOLVES b",
            "?it's \"quoted\" \\ $keyword RESOLVES c",
        ],
        lookups: || {
            vec![
                finds("Paßwort zurücksetzen", &["a"]),
                finds("paßwort zurücksetzen", &[]),
                finds("パスワード 🔑", &["b"]),
                finds("it's \"quoted\" \\ $keyword", &["c"]),
                finds("lonely", &[]),
                finds("not in the graph", &[]),
                finds("", &[]),
            ]
        },
    },
    Case {
        what: "all that is known of an article comes with it",
        queries: &["q"],
        articles: || {
            let all = json!({"title": "T &amp; U", "url": "https://kb/1", "summary": "<p>S</p>", "priority": 3.25,
                "updated": "2024-01-15", "audience": "agent", "language": "en"});
            vec![("full", all), ("bare", json!({"title": "B", "url": "", "summary": " ", "updated": ""}))]
        },
        relations: &["?q RESOLVES full", "?q RESOLVES bare"],
        lookups: || vec![finds("q", &["full", "bare"])],
    },
    Case {
        what: "a filter leaves out what is for other readers or in another language, and nothing that does not say",
        queries: &["q"],
        articles: || {
            vec![
                ("all", json!({"priority": 1})),
                ("agent", json!({"priority": 2, "audience": " Agent"})),
                ("customer", json!({"priority": 3, "audience": "customer", "language": "EN-us"})),
                ("german", json!({"priority": 4, "language": "de_AT", "audience": ""})),
                ("unknown", json!({"priority": 0, "language": "fr", "audience": "supervisors"})),
            ]
        },
        relations: &[
            "?q RESOLVES all",
            "?q RESOLVES agent",
            "?q RESOLVES customer",
            "?q RESOLVES german",
            "?q RESOLVES unknown",
        ],
        lookups: || {
            let only = |audience: &str, language: &str, limit| {
                let filter = ArticleFilter { audience: audience.parse().ok(), language: language.parse().ok() };
                GraphSettings { filter, limit, ..GraphSettings::default() }
            };
            vec![
                ("q", only("agent", "", 5), vec!["german", "agent", "all", "unknown"]),
                ("q", only("", "en", 2), vec!["customer", "agent"]),
                ("q", only("customer", "de", 5), vec!["german", "all"]),
            ]
        },
    },
];

fn rows_of(case: &Case, prefix: &str) -> Rows {
    let mut rows = Rows::new(prefix);
    // Relations first: the order of rows must not matter.
    for relation in case.relations {
        let (from_and_type, to) = relation.rsplit_once(' ').unwrap();
        let (from, relation_type) = from_and_type.rsplit_once(' ').unwrap();
        rows.relation(from, relation_type, to);
    }
    for keyword in case.queries {
        rows.query(keyword);
    }
    for (id, rest) in (case.articles)() {
        rows.article(id, &rest);
    }
    rows
}

fn ids(articles: &[GraphArticle], prefix: &str) -> Vec<String> {
    articles.iter().map(|article| article.id.strip_prefix(prefix).unwrap_or("?").to_owned()).collect()
}

#[test]
fn the_embedded_graph_answers_the_table() {
    for case in CASES {
        let rows = rows_of(case, "t");
        let (file, report) = rows.read();
        assert_eq!(report.file.bad_rows, [], "{}", case.what);
        let graph = EmbeddedGraph::new(file);
        for (keyword, settings, expected) in (case.lookups)() {
            let found = graph.related(&format!("{}{keyword}", rows.prefix), &settings);
            assert_eq!(ids(&found, &rows.prefix), expected, "{}: {keyword} {settings:?}", case.what);
        }
    }
}

#[tokio::test]
async fn neo4j_answers_the_table_with_the_same_articles() {
    let Some(neo4j) = services::neo4j() else { return };
    for case in CASES {
        let rows = rows_of(case, &services::unique("t"));
        let (file, _) = rows.read();
        neo4j.load(&file, &|_, _| {}).await.unwrap();
        let graph = EmbeddedGraph::new(file);
        for (keyword, settings, expected) in (case.lookups)() {
            let keyword = format!("{}{keyword}", rows.prefix);
            let found = neo4j.related(&keyword, &settings).await.unwrap();
            assert_eq!(ids(&found, &rows.prefix), expected, "{}: {keyword} {settings:?}", case.what);
            assert_eq!(found, graph.related(&keyword, &settings), "{}", case.what);
        }
    }
}

const TYPES: [&str; 4] = ["RELATED_TO", "SIMILAR_TO", "RESOLVES", "OTHER"];

fn random_rows(random: &mut StdRng, prefix: &str) -> Rows {
    let mut rows = Rows::new(prefix);
    let names: Vec<String> = (0..5).map(|n| format!("?q{n}")).chain((0..8).map(|n| format!("a{n}"))).collect();
    (0..5).for_each(|n| rows.query(&format!("q{n}")));
    for n in 0..8 {
        let priority = random.random_bool(0.7).then(|| random.random_range(0..3));
        let status = if random.random_bool(0.8) { "published" } else { "draft" };
        let title = format!("T{}", random.random_range(0..3));
        rows.article(&format!("a{n}"), &json!({"priority": priority, "status": status, "title": title}));
    }
    for _ in 0..random.random_range(25..60) {
        let mut name = || names.choose(random).unwrap().clone();
        let (from, to) = (name(), name());
        rows.relation(&from, TYPES.choose(random).unwrap(), &to);
    }
    rows
}

fn random_settings(random: &mut StdRng) -> GraphSettings {
    let num_types = random.random_range(1..=3);
    let relations = TYPES.choose_multiple(random, num_types).map(|&name| name.to_owned()).collect();
    let (max_hops, limit) = (random.random_range(1..=4), random.random_range(0..=9));
    GraphSettings { max_hops, relations, limit, ..GraphSettings::default() }
}

#[tokio::test]
async fn both_agree_on_graphs_that_nobody_thought_of() {
    let Some(neo4j) = services::neo4j() else { return };
    let mut random = StdRng::seed_from_u64(20_240_115);
    let mut found_any = 0;
    for _ in 0..10 {
        let rows = random_rows(&mut random, &services::unique("r"));
        let (file, _) = rows.read();
        neo4j.load(&file, &|_, _| {}).await.unwrap();
        let graph = EmbeddedGraph::new(file);
        for _ in 0..20 {
            let keyword = format!("{}q{}", rows.prefix, random.random_range(0..5));
            let settings = random_settings(&mut random);
            let (embedded, asked) =
                (graph.related(&keyword, &settings), neo4j.related(&keyword, &settings).await.unwrap());
            assert_eq!(asked, embedded, "{keyword} {settings:?}");
            found_any += usize::from(embedded.len() > 1);
        }
    }
    assert!(found_any > 40, "only {found_any} of 200 lookups found several articles");
}

#[tokio::test]
async fn loading_twice_changes_nothing_and_a_changed_article_is_replaced() {
    let Some(neo4j) = services::neo4j() else { return };
    let prefix = services::unique("l");
    let load = async |priority: Value, url: Value| {
        let mut rows = Rows::new(&prefix);
        rows.query("q");
        rows.article("a", &json!({"priority": priority, "url": url}));
        rows.relation("?q", "RESOLVES", "a");
        let steps = std::sync::Mutex::new(Vec::new());
        let told = |done, total| steps.lock().unwrap().push((done, total));
        let load = neo4j.load(&rows.read().0, &told).await.unwrap();
        assert_eq!((load.queries, load.articles, load.relations), (1, 1, 1));
        assert_eq!(steps.into_inner().unwrap(), [(0, 3), (1, 3), (2, 3), (3, 3)]);
        neo4j.related(&format!("{prefix} q"), &GraphSettings::default()).await.unwrap()
    };
    let first = load(json!(7), json!("https://kb/7")).await;
    assert_eq!((first.len(), first[0].priority, first[0].url.as_deref()), (1, Some(7.0), Some("https://kb/7")));
    assert_eq!(load(json!(7), json!("https://kb/7")).await, first);
    let changed = load(json!(null), json!(null)).await;
    assert_eq!((changed.len(), changed[0].priority, changed[0].url.as_deref()), (1, None, None));
}

#[tokio::test]
async fn a_load_of_many_rows_comes_in_batches_and_its_keywords_are_read_back() {
    let Some(neo4j) = services::neo4j() else { return };
    let mut rows = Rows::new(&services::unique("m"));
    for n in 0..2_500 {
        rows.query(&format!("q{n}"));
    }
    // Three of these fill a batch of text.
    for n in 0..5 {
        rows.article(&format!("a{n}"), &json!({"summary": "x".repeat(900_000)}));
        rows.relation("?q7", "RESOLVES", &format!("a{n}"));
    }
    let (file, _) = rows.read();
    neo4j.load(&file, &|_, _| {}).await.unwrap();
    let of_mine = |keywords: Vec<String>| keywords.iter().filter(|keyword| keyword.starts_with(&rows.prefix)).count();
    assert_eq!(of_mine(neo4j.keywords().await.unwrap()), 2_500);
    let graph = EmbeddedGraph::new(file);
    assert_eq!(of_mine(graph.keywords().map(str::to_owned).collect()), 2_500);
    let keyword = format!("{}q7", rows.prefix);
    let found = neo4j.related(&keyword, &GraphSettings::default()).await.unwrap();
    assert_eq!(found, graph.related(&keyword, &GraphSettings::default()));
}

#[tokio::test]
async fn articles_that_no_load_made_have_an_id_and_odd_properties_count_as_absent() {
    let Some(neo4j) = services::neo4j() else { return };
    let keyword = services::unique("hand made");
    let database = foreign_connection();
    let cypher = "MERGE (q:Query {keyword: $keyword}) \
        CREATE (q)-[:RESOLVES]->(:Article {status: 'published', title: 'one', priority: '9', url: ['x'], updated: date('2024-01-15')}) \
        CREATE (q)-[:RESOLVES]->(:Article {status: 'published', priority: 'high', summary: 7})";
    database.run(neo4rs::query(cypher).param("keyword", keyword.as_str())).await.unwrap();
    let found = neo4j.related(&keyword, &GraphSettings::default()).await.unwrap();
    let (one, other) = (&found[0], &found[1]);
    assert_eq!((one.title.as_str(), one.priority, one.url.as_deref()), ("one", Some(9.0), None));
    assert_eq!(one.updated.as_deref(), Some("2024-01-15"));
    assert_eq!((other.title.as_str(), other.priority, other.summary.as_deref()), ("", None, Some("7")));
    assert!(!one.id.is_empty() && one.id != other.id);
}

/// A connection that does what no method of ours does.
fn foreign_connection() -> neo4rs::Graph {
    let of = |name| std::env::var(name).unwrap_or_default();
    neo4rs::Graph::new(of("NEO4J_URI"), of("NEO4J_USER"), of("NEO4J_PASSWORD")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ask_at_once_from_several_threads() {
    let Some(neo4j) = services::neo4j() else { return };
    let mut rows = Rows::new(&services::unique("p"));
    for n in 0..32 {
        rows.query(&format!("q{n}"));
        rows.article(&format!("a{n}"), &json!({}));
        rows.relation(&format!("?q{n}"), "RESOLVES", &format!("a{n}"));
    }
    neo4j.load(&rows.read().0, &|_, _| {}).await.unwrap();
    let ask = |n| {
        let (neo4j, prefix): (Neo4jGraph, _) = (neo4j.clone(), rows.prefix.clone());
        tokio::spawn(async move {
            let found = neo4j.related(&format!("{prefix}q{n}"), &GraphSettings::default()).await.unwrap();
            assert_eq!(ids(&found, &prefix), [format!("a{n}")]);
        })
    };
    for asked in (0..32).map(ask).collect::<Vec<_>>() {
        asked.await.unwrap();
    }
}
