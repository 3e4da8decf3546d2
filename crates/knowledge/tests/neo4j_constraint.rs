//! The uniqueness constraint on keywords: made on first use, and when it can't be, counted while lookups go on.
//!
//! One test in a file of its own: it takes the constraint away from the whole database.
#![allow(clippy::unwrap_used)]

#[path = "knowledge/services/mod.rs"]
mod services;

use cuecard_knowledge::graph::{GraphSettings, Neo4jGraph};
use neo4rs::{Graph, query};

const NAMED: &str = "SHOW CONSTRAINTS YIELD name, type, labelsOrTypes, properties WHERE name = 'query_keyword_unique' \
     RETURN type + ' ' + labelsOrTypes[0] + ' ' + properties[0] AS constraint";

async fn constraint(database: &Graph) -> Option<String> {
    let row = database.execute(query(NAMED)).await.unwrap().next().await.unwrap()?;
    Some(row.get("constraint").unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_made_on_first_use_and_lookups_go_on_where_it_cannot_be() {
    let Some(settings) = services::neo4j_settings() else { return };
    let of = |name| std::env::var(name).unwrap_or_default();
    let database = Graph::new(of("NEO4J_URI"), of("NEO4J_USER"), of("NEO4J_PASSWORD")).unwrap();
    let keyword = services::unique("twice");
    let run = async |text: &str| database.run(query(text).param("keyword", keyword.as_str())).await.unwrap();

    run("DROP CONSTRAINT query_keyword_unique IF EXISTS").await;
    run("CREATE (:Query {keyword: $keyword}), (:Query {keyword: $keyword})-[:RESOLVES]->\
         (:Article {id: $keyword, title: 'T', status: 'published'})")
    .await;
    let ask = async |graph: &Neo4jGraph| {
        let found = graph.related(&keyword, &GraphSettings::default()).await.unwrap();
        assert_eq!(found.len(), 1);
    };
    let with_duplicates = Neo4jGraph::connect(&settings).unwrap();
    ask(&with_duplicates).await;
    services::until("the failure is counted", async || with_duplicates.constraint_failures() == 1).await;
    for _ in 0..3 {
        ask(&with_duplicates).await;
    }
    assert_eq!((with_duplicates.constraint_failures(), constraint(&database).await), (1, None));

    run("MATCH (q:Query {keyword: $keyword}) WHERE NOT (q)-->() DELETE q").await;
    let clean = Neo4jGraph::connect(&settings).unwrap();
    assert_eq!(constraint(&database).await, None, "connecting alone makes nothing");
    ask(&clean).await;
    services::until("the constraint is there", async || constraint(&database).await.is_some()).await;
    assert_eq!(constraint(&database).await.unwrap(), "UNIQUENESS Query keyword");
    assert_eq!(clean.constraint_failures(), 0);

    let again = Neo4jGraph::connect(&settings).unwrap();
    ask(&again).await;
    ask(&again).await;
    assert_eq!(again.constraint_failures(), 0);

    run("DROP CONSTRAINT query_keyword_unique").await;
    let prepared = Neo4jGraph::connect(&settings).unwrap();
    prepared.prepare().await.unwrap();
    assert!(constraint(&database).await.is_some(), "it is there before a profile is ready");
    ask(&prepared).await;
}
