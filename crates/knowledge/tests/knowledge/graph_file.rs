//! The sample of a graph file, and what is said of one from which no answer can come.

use std::path::Path;

use cuecard_knowledge::graph::{EmbeddedGraph, GraphSettings};
use cuecard_knowledge::read_articles;
use serde_json::json;

use crate::graph_rows::Rows;

#[test]
fn the_sample_loads_whole_and_its_keywords_lead_to_articles_of_the_demonstration() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let (graph, report) = EmbeddedGraph::read(&demo.join("graph.jsonl")).unwrap();
    assert_eq!(report.file.bad_rows, []);
    assert_eq!(graph.unreachable(&GraphSettings::default()), None);
    let known = read_articles(&demo.join("articles.jsonl")).unwrap().articles;
    let keywords: Vec<_> = graph.keywords().map(str::to_owned).collect();
    assert_eq!(keywords.len(), report.queries);
    for keyword in keywords {
        let found = graph.related(&keyword, &GraphSettings::default());
        assert!(!found.is_empty(), "{keyword}");
        for article in found {
            assert!(known.iter().any(|known| known.id == article.id && known.title == article.title), "{article:?}");
        }
    }
    let found = graph.related("lost sim", &GraphSettings::default());
    let ids: Vec<_> = found.iter().map(|article| article.id.as_str()).collect();
    assert_eq!(ids, ["sim-lost-contract", "sim-lost-prepaid"]);
}

#[test]
fn what_no_keyword_leads_to_is_counted_with_its_reason() {
    let mut rows = Rows::new("u");
    for keyword in ["q", "r", "s"] {
        rows.query(keyword);
    }
    for (id, fields) in [
        ("found", json!({})),
        ("alone", json!({})),
        ("mentioned", json!({})),
        ("too far", json!({})),
        ("draft", json!({"status": "Published"})),
        ("none", json!({"status": null})),
        ("blank", json!({"status": ""})),
    ] {
        rows.article(id, &fields);
    }
    let ways = ["RESOLVES found", "RESOLVES draft", "RESOLVES none", "RESOLVES blank", "MENTIONS mentioned"];
    for (relation_type, to) in ways.iter().filter_map(|way| way.split_once(' ')) {
        rows.relation("?q", relation_type, to);
    }
    rows.relation("found", "SEE_ALSO", "?r");
    rows.relation("found", "SIMILAR_TO", "draft");
    rows.relation("draft", "SIMILAR_TO", "too far");
    let unreachable = |graph: &EmbeddedGraph| graph.unreachable(&GraphSettings::default()).unwrap().to_string();
    let graph = EmbeddedGraph::new(rows.read().0);
    // Two relations lead from q over the draft.
    assert_eq!(graph.related("u q", &GraphSettings::default()).len(), 2);
    assert_eq!(
        unreachable(&graph),
        "5 of 7 articles are found by no keyword: 2 have no status, 1 another one than \"published\", 2 no path of at \
         most 2 relations RELATED_TO, SIMILAR_TO, RESOLVES from a query; 2 relations of other types are not followed: \
         MENTIONS, SEE_ALSO"
    );
    let mut rows = Rows::new("v");
    rows.query("q");
    rows.article("a", &json!({}));
    rows.relation("?q", "FOUND_BY", "a");
    let said = unreachable(&EmbeddedGraph::new(rows.read().0));
    assert!(
        said.starts_with("1 of 1 articles") && said.ends_with("1 relations of other types are not followed: FOUND_BY")
    );
}
