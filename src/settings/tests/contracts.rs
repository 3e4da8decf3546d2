//! What each contract brings along.

use cuecard_actors::cxone::{Dialect, StreamKind};
use secrecy::ExposeSecret;

use super::*;

#[test]
fn each_contract_has_the_documents_defaults() {
    let base = ("CXONE_BASE_URL", "https://tenant.example");
    let graph = ("CUECARD_GRAPH", "graph.jsonl");
    let oauth = ("CXONE_OAUTH_URL", "https://login.example/token");
    let every = [("CXONE_CONTRACT", "rag,snippets,graph,insights,ranking"), TENANT[1], TENANT[2], base, oauth, graph];
    let settings = load(None, &every).unwrap();
    let seen: Vec<_> = settings
        .profiles
        .iter()
        .map(|profile| {
            let plan = &profile.plan;
            let (name, deadline) = (profile.name.as_str(), plan.deadline.as_secs());
            (name, plan.cards, plan.ranker.name(), deadline, plan.silence.is_some(), profile.knowledge.sync.is_some())
        })
        .collect();
    // (profile, cards, ranker, deadline, silence, polls)
    let expected = [
        ("graph", 5, "priority", 15, false, false),
        ("insights", 5, "conversation", 4, true, false),
        ("rag", 3, "cosine", 15, false, false),
        ("ranking", 10, "cosine", 15, false, false),
        ("snippets", 3, "snippets", 4, true, true),
    ];
    assert_eq!(seen, expected);
    let form = |name: &str| {
        let profile = settings.profiles.iter().find(|profile| profile.name.as_str() == name).unwrap();
        profile.connection.token_form().expose_secret().to_owned()
    };
    assert!(form("rag").ends_with("&scope=agentassists%3Awrite"), "{}", form("rag"));
    assert!(!form("insights").contains("scope"), "{}", form("insights"));
}

#[test]
fn a_stream_of_one_contract_goes_with_the_dialect_of_another() {
    let mixed = [("CUECARD__PROFILE__DIALECT", "graph"), ("CUECARD__PROFILE__BACKENDS", "index, search")];
    let settings = load(None, &[&TENANT[..], &mixed].concat()).unwrap();
    let profile = &settings.profiles[0];
    assert_eq!((profile.dialect, profile.stream), (Dialect::Graph, Some(StreamKind::Insights)));
    let form = profile.connection.token_form().expose_secret().to_owned();
    let scopes = "agentassist%3Aread+ai%3Atraining%3Awrite+knowledge%3Aread+agentassist%3Ainteractions%3Awrite";
    assert!(form.ends_with(&format!("&scope={scopes}")), "{form}");
    let asked = [("CXONE_CONTRACT", "rag"), TENANT[1], TENANT[2], ("CUECARD__PROFILE__STREAM", "insights")];
    assert!(complaint(None, &asked).contains("`stream`"));
}

#[test]
fn boosts_are_read_from_a_list_and_from_one_text() {
    let file = "[profiles.insights]\nboost_tags = ['credit card=0.5', 'a=b=-1']\n";
    let environment = ("CUECARD__PROFILE__BOOST_ARTICLES", "kb-1=2, kb-2=-0.5,");
    let settings = load(Some(file), &[&TENANT[..], &[environment]].concat()).unwrap();
    let boosts = &settings.profiles[0].plan.boosts;
    let named = |boosts: &std::collections::BTreeMap<String, f64>| {
        boosts.iter().map(|(name, boost)| (name.clone(), *boost)).collect::<Vec<_>>()
    };
    assert_eq!(named(&boosts.tags), [("a=b".to_owned(), -1.0), ("credit card".to_owned(), 0.5)]);
    assert_eq!(named(&boosts.articles), [("kb-1".to_owned(), 2.0), ("kb-2".to_owned(), -0.5)]);
}
