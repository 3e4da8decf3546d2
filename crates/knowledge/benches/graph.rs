//! Lookups in the embedded graph: `cargo bench --profile release -p cuecard-knowledge --bench graph`.
//!
//! Both graphs have 100,000 nodes. In the plain one a query leads to four articles and two other queries that do the
//! same; in the crowded one a single query leads to 50,000 articles, which is the worst that two hops can meet. With the
//! servers of `scripts/services` the plain one is loaded into Neo4j and asked there too, over the loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use cuecard_knowledge::graph::{EmbeddedGraph, GraphFile, GraphSettings, Neo4jGraph, Neo4jSettings, read_graph};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const QUERIES: usize = 50_000;
const ARTICLES: usize = 50_000;

fn nodes(random: &mut StdRng) -> Vec<Value> {
    let queries = (0..QUERIES).map(|n| json!({"kind": "query", "keyword": format!("how do i fix problem {n}")}));
    let articles = (0..ARTICLES).map(|n| {
        let status = if random.random_bool(0.9) { "published" } else { "draft" };
        json!({"kind": "article", "id": format!("a{n}"), "status": status, "title": format!("Fixing {n}"),
            "url": format!("https://kb/{n}"), "summary": "What to do.", "priority": random.random_range(0..10)})
    });
    queries.chain(articles).collect()
}

fn relation(from: usize, relation_type: &str, to: &str) -> Value {
    json!({"kind": "relation", "from": format!("query:how do i fix problem {from}"), "type": relation_type, "to": to})
}

fn read(rows: &[Value]) -> GraphFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
    read_graph(file.path()).unwrap().0
}

fn plain() -> GraphFile {
    let mut random = StdRng::seed_from_u64(1);
    let mut rows = nodes(&mut random);
    for from in 0..QUERIES {
        for _ in 0..4 {
            rows.push(relation(from, "RESOLVES", &format!("article:a{}", random.random_range(0..ARTICLES))));
        }
        for _ in 0..2 {
            let to = format!("query:how do i fix problem {}", random.random_range(0..QUERIES));
            rows.push(relation(from, "SIMILAR_TO", &to));
        }
    }
    read(&rows)
}

fn crowded() -> GraphFile {
    let mut rows = nodes(&mut StdRng::seed_from_u64(2));
    rows.extend((0..ARTICLES).map(|to| relation(7, "RESOLVES", &format!("article:a{to}"))));
    read(&rows)
}

fn keywords() -> Vec<String> {
    (0..1_000).map(|n| format!("how do i fix problem {}", n * 49)).collect()
}

fn embedded(criterion: &mut Criterion) {
    let settings = GraphSettings::default();
    let (graph, keywords) = (EmbeddedGraph::new(plain()), keywords());
    let mut next = keywords.iter().cycle();
    criterion.bench_function("related, 100,000 nodes", |bencher| {
        bencher.iter(|| graph.related(next.next().unwrap(), &settings));
    });
    let graph = EmbeddedGraph::new(crowded());
    criterion.bench_function("related, 100,000 nodes, one query to 50,000 articles", |bencher| {
        bencher.iter(|| graph.related("how do i fix problem 7", &settings));
    });
}

fn neo4j(criterion: &mut Criterion) {
    let Ok(uri) = std::env::var("NEO4J_URI") else { return println!("Neo4j is left out: NEO4J_URI is not set") };
    let of = |name| std::env::var(name).unwrap_or_default();
    let timeout = Duration::from_secs(10);
    let server = Neo4jSettings { uri, user: of("NEO4J_USER"), password: of("NEO4J_PASSWORD").into(), timeout };
    let graph = Neo4jGraph::connect(&server).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let started = Instant::now();
    let load = runtime.block_on(graph.load(&plain(), &|_, _| {})).unwrap();
    println!("{load:?} in {:?}", started.elapsed());
    let (settings, keywords) = (GraphSettings::default(), keywords());
    let mut next = keywords.iter().cycle();
    criterion.bench_function("related, 100,000 nodes, Neo4j", |bencher| {
        bencher.iter(|| runtime.block_on(graph.related(next.next().unwrap(), &settings)).unwrap());
    });
}

criterion_group!(benches, embedded, neo4j);
criterion_main!(benches);
