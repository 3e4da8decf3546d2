//! The ranker `conversation` over a real index and the real model: what was said before decides what is found now.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cuecard_engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::knowledge::{Article, Completeness, IndexHandle, Update, build};
use cuecard_engine::ranking::Formula;
use cuecard_engine::{
    Backend, BackendError, BackendName, BulkEncoder, Candidate, Effort, Engine, Found, IndexBackend, Order, Plan,
    Query, Scores, SearchPool,
};
use tempfile::TempDir;
use tokio::time::Instant;

use Speaker::{Agent, Customer};

fn article(id: &str, entity: &str, title: &str, body: &str) -> Article {
    let entity = (!entity.is_empty()).then(|| entity.to_owned());
    let (title, body) = (title.to_owned(), body.to_owned());
    Article { id: id.to_owned(), entity, domain: Some("hotel".to_owned()), title, body, ..Article::default() }
}

fn articles() -> Vec<Article> {
    let mut articles = vec![article("late-fee", "", "What is the late fee?", "The late fee is five euros.")];
    for (id, name) in [("acorn", "Acorn Lodge"), ("harbour", "Harbour View"), ("mill", "Old Mill Inn")] {
        articles.extend([
            article(
                &format!("{id}-parking"),
                name,
                "Is there parking?",
                "Cars park behind the house for ten euros a night.",
            ),
            article(&format!("{id}-pets"), name, "Are pets allowed?", "Dogs and cats are welcome in every room."),
            article(
                &format!("{id}-breakfast"),
                name,
                "When is breakfast served?",
                "From seven to ten in the dining room.",
            ),
        ]);
    }
    // Equal bodies would count as one answer.
    for (number, article) in articles.iter_mut().enumerate() {
        article.body = format!("{} Rule {number}.", article.body);
    }
    articles
}

/// Finds one article that no index holds.
struct Elsewhere;

#[async_trait]
impl Backend for Elsewhere {
    fn name(&self) -> BackendName {
        BackendName::Search
    }

    async fn find(&self, _: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
        let article = article("sauna", "", "Where is the sauna?", "The sauna is on the roof and opens at noon.");
        let (body, scores) = (article.body.clone(), Scores { search: Some(1.0), ..Scores::default() });
        let candidate = Candidate { scores, ..Candidate::new(Arc::new(article), body, BackendName::Search) };
        Ok(Found::of([candidate]))
    }
}

struct Fixture {
    engine: Engine,
    plan: Arc<Plan>,
    _directory: TempDir,
}

fn fixture(articles: Vec<Article>) -> Fixture {
    let (encoder, directory) = (Encoder::load(&EncoderSettings::default()).unwrap(), TempDir::new().unwrap());
    let update = Update { source: "file:test".to_owned(), articles, completeness: Completeness::Full };
    build(directory.path(), update, &BulkEncoder::new(encoder.clone()), &()).unwrap();
    let (index, pool) = (IndexHandle::open(directory.path(), None).unwrap(), SearchPool::new(1).unwrap());
    let index = Arc::new(IndexBackend::new(Arc::new(index), pool.clone()));
    let engine = Engine::new(encoder, pool, vec![index, Arc::new(Elsewhere)]);
    let plan = Plan::of_index(Formula::Conversation);
    Fixture { engine, plan: Arc::new(plan), _directory: directory }
}

fn utterance(turns: &[(Speaker, &str)]) -> Utterance {
    let turns = turns.iter().map(|(speaker, text)| Turn { speaker: *speaker, text: (*text).into() }).collect();
    Utterance { turns, flushed: FlushReason::State }
}

impl Fixture {
    async fn order(&self, turns: &[(Speaker, &str)], plan: &Arc<Plan>, effort: Effort) -> Order {
        let query = self.engine.extract(&utterance(turns), plan, effort).await;
        let found = self.engine.retrieve(query, plan, Instant::now() + Duration::from_mins(1)).await;
        self.engine.order(found, plan).await.unwrap()
    }

    async fn first(&self, turns: &[(Speaker, &str)]) -> String {
        self.order(turns, &self.plan, Effort::Full).await.ranked[0].article().id.clone()
    }
}

const PARKING: (Speaker, &str) = (Customer, "And can I leave my car there?");

#[tokio::test]
async fn what_was_named_is_told_with_who_said_it_and_where() {
    let fixture = fixture(articles());
    let turns = [(Agent, "Welcome to the Old Mill Inn."), (Customer, "Hello."), PARKING];
    let order = fixture.order(&turns, &fixture.plan, Effort::Full).await;
    let told: Vec<_> = order.heard.iter().map(|heard| (heard.name.as_str(), heard.speaker, heard.turns_back)).collect();
    assert_eq!(told, [("Old Mill Inn", Agent, 2)]);
}

#[tokio::test]
async fn the_entity_that_was_named_turns_ago_decides_between_articles_on_one_question() {
    let fixture = fixture(articles());
    let small_talk = (Agent, "Lovely, it is a nice place.");
    for (name, id) in [("Acorn Lodge", "acorn-parking"), ("the Old Mill Inn", "mill-parking")] {
        let booked = format!("I have booked a room at {name}.");
        assert_eq!(fixture.first(&[(Customer, &booked), small_talk, PARKING]).await, id);
    }
    let misheard = (Customer, "i booked the harbor view for sunday");
    assert_eq!(fixture.first(&[misheard, small_talk, PARKING]).await, "harbour-parking");
    let changed = [(Customer, "I was at Acorn Lodge once."), (Agent, "You have Harbour View this time."), PARKING];
    assert_eq!(fixture.first(&changed).await, "harbour-parking", "what was named later");
}

#[tokio::test]
async fn what_was_named_speaks_for_its_articles_and_against_those_of_others_on_the_same_question() {
    let fixture = fixture(articles());
    let part = |order: &Order, id: &str, name: &str| {
        let ranked = order.ranked.iter().find(|ranked| ranked.article().id == id).unwrap();
        ranked.features.iter().find(|feature| feature.name == name).unwrap().value
    };
    let turns = [(Customer, "We stay at Harbour View."), (Agent, "Lovely."), PARKING];
    let order = fixture.order(&turns, &fixture.plan, Effort::Full).await;
    assert!(part(&order, "harbour-parking", "named") > 0.8 && part(&order, "acorn-parking", "named") == 0.0);
    assert!(part(&order, "acorn-parking", "contradicted") > 0.7);
    assert_eq!(part(&order, "harbour-parking", "contradicted"), 0.0);
    let misheard = fixture.order(&[(Customer, "we are in the harbor")], &fixture.plan, Effort::Full).await;
    assert!(part(&misheard, "harbour-parking", "named") > 0.1);
}

#[tokio::test]
async fn words_and_names_decide_where_nothing_is_embedded() {
    let fixture = fixture(articles());
    let turns = [(Customer, "We stay at Harbour View."), (Customer, "What is the late fee?")];
    let order = fixture.order(&turns, &fixture.plan, Effort::LexicalOnly).await;
    let ids: Vec<_> = order.ranked.iter().take(4).map(|ranked| ranked.article().id.as_str()).collect();
    assert_eq!((ids[0], order.nearness.passage), ("late-fee", None));
    assert!(ids[1..].iter().all(|id| id.starts_with("harbour")), "{ids:?}");
}

#[tokio::test]
async fn what_customers_say_counts_for_more_where_the_turn_is_embedded_and_against_nobody_where_it_is_not() {
    let phrased = |article: Article| Article { asked_as: vec![format!("tell me, {}", article.title); 40], ..article };
    let fixture = fixture(articles().into_iter().map(phrased).collect());
    let of_best = |order: &Order, part: &str| {
        let features = &order.ranked[0].features;
        features.iter().find(|feature| feature.name == part).unwrap().value
    };
    let turns = [(Customer, "Tell me, what is the late fee?")];
    let embedded = fixture.order(&turns, &fixture.plan, Effort::Full).await;
    let by_words = fixture.order(&turns, &fixture.plan, Effort::LexicalOnly).await;
    for part in ["phrased_cosine", "phrased_call"] {
        assert!(of_best(&embedded, part) > 0.2, "{part} {}", of_best(&embedded, part));
        assert_eq!(of_best(&by_words, part), 0.0, "{part}");
    }
    assert_eq!(by_words.ranked[0].article().id, "late-fee");
}

#[tokio::test]
async fn what_customers_say_tells_articles_apart_that_mean_nearly_the_same() {
    let asked_as = |id: &str, phrases: [&str; 2]| {
        let (title, body) = ("Giving a router back".to_owned(), "Send the router back within thirty days.".to_owned());
        let asked_as = phrases.map(str::to_owned).to_vec();
        Article { id: id.to_owned(), title, body: format!("{body} Kind {id}."), asked_as, ..Article::default() }
    };
    let rented = asked_as("rented", ["the grey one that was lent to me", "it was only lent to me, the grey box"]);
    let bought = asked_as("bought", ["the black one that I paid for", "I paid for the black box myself"]);
    let fixture = fixture(vec![rented, bought]);
    let returning = (Customer, "I want to give the router back.");
    for (said, id) in [("It was lent to me.", "rented"), ("I paid for it.", "bought")] {
        for turns in [vec![returning, (Customer, said)], vec![(Customer, said), (Agent, "I see."), returning]] {
            let order = fixture.order(&turns, &fixture.plan, Effort::Full).await;
            let words = |place: usize| {
                let features = &order.ranked[place].features;
                features.iter().find(|feature| feature.name == "phrased_words").unwrap().value
            };
            assert_eq!(order.ranked[0].article().id, id, "{said}");
            assert!(words(0) > 0.0 && words(1) < 0.0, "{said} {} {}", words(0), words(1));
        }
    }
}

#[tokio::test]
async fn an_article_without_phrases_is_found_beside_others_that_have_many() {
    let how = ["what does it cost", "how much is it", "what do you charge me", "is there a price", "do I pay anything"];
    let when = ["if I come late", "when I am late", "for a late evening", "when it gets late", "for being late"];
    let talk = || how.iter().flat_map(|how| when.map(|when| format!("{how} {when}")));
    let phrased = |article: Article| {
        let asked_as = match article.id.as_str() {
            "late-fee" => Vec::new(),
            _ => talk().map(|phrase| format!("{}: {phrase}", article.title)).collect(),
        };
        Article { asked_as, ..article }
    };
    let fixture = fixture(articles().into_iter().map(phrased).collect());
    for (question, id) in [
        ("Do I pay anything for being late?", "late-fee"),
        ("What do I owe you when I come back late?", "late-fee"),
        ("What do you charge me for a late breakfast at Old Mill Inn?", "mill-breakfast"),
    ] {
        assert_eq!(fixture.first(&[(Customer, question)]).await, id, "{question}");
    }
}

#[tokio::test]
async fn the_best_are_those_of_all_with_falling_probability_and_what_stands_twice_is_one() {
    let mut twice = articles();
    let copy = Article { id: "acorn-parking-copy".to_owned(), ..twice[1].clone() };
    twice.push(copy);
    let fixture = fixture(twice);
    let turns = [(Customer, "I stay at Acorn Lodge, is there parking?")];
    let all = fixture.order(&turns, &fixture.plan, Effort::Full).await;
    assert_eq!(all.ranked.len(), articles().len(), "the copy is no answer of its own");
    assert!(all.ranked.is_sorted_by(|a, b| a.score >= b.score) && all.ranked.iter().all(|best| best.score > 0.0));
    let three = Arc::new(Plan { candidates: 3, ..Plan::clone(&fixture.plan) });
    let few = fixture.order(&turns, &three, Effort::Full).await;
    let ids = |order: &Order| order.ranked.iter().take(3).map(|best| best.article().id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&few), few.ranked.len()), (ids(&all), 3), "looking for fewer finds the same");
}

#[tokio::test]
async fn what_another_backend_found_is_told_by_its_text() {
    let fixture = fixture(articles());
    let both = vec![BackendName::Index, BackendName::Search];
    let both = Arc::new(Plan { backends: both, ..Plan::clone(&fixture.plan) });
    let first = |turns: [(Speaker, &'static str); 1]| {
        let (fixture, both) = (&fixture, &both);
        async move { fixture.order(&turns, both, Effort::Full).await.ranked[0].article().id.clone() }
    };
    assert_eq!(first([(Customer, "Where do I find the sauna on the roof?")]).await, "sauna");
    assert_eq!(first([(Customer, "What is the late fee?")]).await, "late-fee");
}

#[tokio::test]
async fn a_card_shows_the_sentence_that_answers() {
    let mut long = articles();
    long[0].body =
        "Bills come on the first of each month. They are sent by post or by mail. The late fee is five euros.".into();
    let fixture = fixture(long);
    let order = fixture.order(&[(Customer, "How much is the late fee?")], &fixture.plan, Effort::Full).await;
    assert_eq!(order.ranked[0].answer.as_deref(), Some("The late fee is five euros."));
}
