//! Words that no article is written for: each gets an answer or a silence with its reason, and none an error.

use std::collections::BTreeSet;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Page, Service, build_index, say, simulator};

/// Articles that say little about themselves, beside one that answers.
const ARTICLES: &str = r#"
{"id": "pets", "title": "Taking a dog or cat on board", "body": "Dogs and cats travel in a pet cabin or stay in your car."}
{"id": "empty", "title": "Cabins", "body": ""}
{"id": "the", "entity": "the", "title": "Opening hours of the", "body": "The desk is open from nine to five."}
{"id": "mark", "entity": "?!", "title": "?!", "body": "…"}
{"id": "greek", "entity": "Αθήνα", "domain": "λιμάνι", "title": "Πλοία για την Αθήνα", "body": "Τα πλοία φεύγουν στις οκτώ."}
"#;

/// A graph of some of them; one of its keywords stands in every sentence.
const GRAPH: &str = r#"
{"kind": "query", "keyword": "dog on board"}
{"kind": "query", "keyword": "the"}
{"kind": "article", "id": "pets", "status": "published", "title": "Taking a dog or cat on board", "summary": "Dogs and cats travel in a pet cabin."}
{"kind": "article", "id": "empty", "status": "published", "title": "Cabins", "summary": ""}
{"kind": "relation", "from": "query:dog on board", "type": "RESOLVES", "to": "article:pets"}
{"kind": "relation", "from": "query:the", "type": "RESOLVES", "to": "article:empty"}
"#;

fn odd() -> Vec<(&'static str, String)> {
    vec![
        ("one-space", " ".to_owned()),
        ("spaces", "\u{a0}\u{2003} \t \n".to_owned()),
        ("zero-width", "\u{200b}\u{200d}\u{feff}\u{2060}".to_owned()),
        ("zero-width-between", "c\u{200b}an my d\u{200d}og come on bo\u{feff}ard?".to_owned()),
        ("emoji", "🐶🚢❓👩‍👩‍👧‍👦🇬🇷".to_owned()),
        ("greek", "Πότε φεύγει το πλοίο για την Αθήνα;".to_owned()),
        ("arabic", "هل يمكنني إحضار كلبي على متن السفينة؟".to_owned()),
        ("chinese", "我可以带狗上船吗？".to_owned()),
        ("marks", "?!… --- ???".to_owned()),
        ("controls", "\u{0}\u{1}\u{7f}\u{202e}dog".to_owned()),
        ("one-word", "the".repeat(20_000)),
        ("long", "can my dog come on board? ".repeat(35_000)),
    ]
}

#[actix_rt::test]
async fn odd_words_get_an_answer_or_a_silence_and_the_next_question_its_card() {
    let (simulator, directory) = (simulator(), TempDir::new().unwrap());
    let (articles, index) = (directory.path().join("articles.jsonl"), directory.path().join("index"));
    std::fs::write(&articles, ARTICLES.trim_start()).unwrap();
    build_index(&articles, &index);
    let overrides = [("CUECARD_INDEX", index.to_str().unwrap()), ("CUECARD__PROFILE__MIN_COSINE", "auto")];
    let service = Service::start(&simulator, &overrides).await;
    for (name, text) in odd() {
        say(&simulator, name, &text).await;
    }
    say(&simulator, "after", "Can I take my dog on board?").await;
    let ended = |page: &Page, name: &str| page.text.contains(&format!("\"interaction\":\"{name}\""));
    let odd_names = odd().into_iter().map(|(name, _)| name);
    // What is nothing but space is no question. The others may end in any order.
    let heard: Vec<_> =
        odd_names.filter(|name| !name.ends_with("space") && *name != "spaces").chain(["after"]).collect();
    let is_over = |page: &Page| heard.iter().all(|name| ended(page, name));
    let page = service.admin.until_page("/deliveries", "the ends of all questions", is_over).await;
    let decisions = page.json()["deliveries"].as_array().unwrap().clone();
    let ended = |name: &str| decisions.iter().filter(|decision| decision["interaction"] == name).count();
    let unheard: BTreeSet<&str> = odd().iter().map(|(name, _)| *name).filter(|name| ended(name) == 0).collect();
    assert_eq!(unheard, BTreeSet::from(["one-space", "spaces"]));
    for decision in &decisions {
        let (kind, name) = (decision["outcome"]["kind"].as_str().unwrap(), &decision["interaction"]);
        assert!(["delivered", "silent"].contains(&kind), "{name}: {}", decision["outcome"]);
    }
    let after = decisions.iter().find(|decision| decision["interaction"] == "after").unwrap();
    assert_eq!(after["ranking"]["candidates"][0]["id"], "pets", "{after}");
    service.finish(&simulator).await;
}

/// The same words asked over HTTP, where 1 MB of them is let in.
#[actix_rt::test]
async fn odd_words_over_http_get_an_answer_or_nothing_found_and_blank_ones_are_refused_by_name() {
    let (simulator, directory) = (simulator(), TempDir::new().unwrap());
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (articles, index, graph) = (place("articles.jsonl"), place("index"), place("graph.jsonl"));
    std::fs::write(&articles, ARTICLES.trim_start()).unwrap();
    std::fs::write(&graph, GRAPH.trim_start()).unwrap();
    build_index(articles.as_ref(), index.as_ref());
    for (contract, path, id, text, answers) in [
        ("rag", "/assist/push", "conversation_id", "query_text", ["injected", "no_match"]),
        ("graph", "/agent-assist/query", "interaction_id", "query", ["success", "no_results"]),
    ] {
        let overrides = [
            ("CUECARD_INDEX", index.as_str()),
            ("CUECARD_GRAPH", &graph),
            ("CUECARD__API__MAX_BODY_BYTES", "4194304"),
            ("CUECARD__PROFILE__MIN_COSINE", "auto"),
        ];
        let (service, caller) = Service::asked(contract, &simulator, &overrides).await;
        for (name, words) in odd() {
            let answer = caller.post(path, &json!({id: name, text: words, "agent_id": "agent-7"})).await;
            if name == "one-space" || name == "spaces" {
                assert!(
                    answer.status == 400 && answer.detail().contains("empty"),
                    "{contract} {name}: {}",
                    answer.text
                );
                continue;
            }
            let status = answer.json()["status"].clone();
            assert!(
                answer.status == 200 && answers.contains(&status.as_str().unwrap()),
                "{contract} {name}: {}",
                answer.text
            );
        }
        let asked = json!({id: "after", text: "Can I take my dog on board?", "agent_id": "agent-7"});
        assert_eq!(caller.post(path, &asked).await.json()["status"], answers[0], "{contract}");
        service.finish(&simulator).await;
    }
}
