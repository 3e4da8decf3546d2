//! A knowledge base of ten thousand entities in one domain, among them one that is called like the commonest word: whatever is
//! said gets cards or a silence with its reason.
#![allow(clippy::unwrap_used)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuecard_engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_engine::encoder::{Encoder, Encoding};
use cuecard_engine::knowledge::{Article, Completeness, IndexHandle, Update, build};
use cuecard_engine::ranking::{Formula, Selectivity, SilenceReason, SilenceRule};
use cuecard_engine::{BulkEncoder, Engine, Plan, Ranking, SearchPool, why};
use tempfile::TempDir;

const ENTITIES: usize = 10_000;
const DIMENSIONS: usize = 384;
const SYLLABLES: [&str; 10] = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu"];

/// A stand-in for meaning: texts that share words lie near one another.
fn encoding(text: &str) -> Encoding {
    let mut embedding = vec![0.0_f32; DIMENSIONS];
    for word in text.split_whitespace().map(str::to_lowercase) {
        let mut hasher = DefaultHasher::new();
        word.trim_matches(|character: char| !character.is_alphanumeric()).hash(&mut hasher);
        let hash = hasher.finish() as usize;
        embedding[hash % DIMENSIONS] += if hash & 0x1_0000 == 0 { 1.0 } else { -1.0 };
    }
    let length = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        return Encoding::along(0);
    }
    for value in &mut embedding {
        *value /= length;
    }
    Encoding { embedding, ..Encoding::along(0) }
}

/// Four syllables in two words, another pair for each number.
fn name(number: usize) -> String {
    let syllable = |place: u32| SYLLABLES[number / 10_usize.pow(place) % 10];
    format!("{}{}x {}{}r", syllable(3), syllable(2), syllable(1), syllable(0))
}

fn articles() -> Vec<Article> {
    let article = |id: String, entity: &str, body: String| Article {
        id,
        entity: Some(entity.to_owned()),
        domain: Some("hotel".to_owned()),
        title: format!("Is there parking at the {entity}?"),
        body,
        ..Article::default()
    };
    let named = |number| article(format!("parking-{number}"), &name(number), format!("Cars park in row {number}."));
    let mut articles: Vec<_> = (0..ENTITIES).map(named).collect();
    articles.push(article("the".to_owned(), "the", "The desk is open from nine to five.".to_owned()));
    articles.push(Article { id: "empty".to_owned(), title: "Breakfast".to_owned(), ..Article::default() });
    articles
}

struct Crowd {
    engine: Engine,
    plan: Arc<Plan>,
    _directory: TempDir,
}

impl Crowd {
    fn new() -> Self {
        let (encoder, directory) =
            (Encoder::scripted(|text| std::future::ready(Ok(encoding(&text)))), TempDir::new().unwrap());
        let update = Update { source: "file:test".to_owned(), articles: articles(), completeness: Completeness::Full };
        build(directory.path(), update, &BulkEncoder::new(encoder.clone()), &()).unwrap();
        let engine = Self::engine(encoder, directory.path());
        let plan = Plan {
            cards: 3,
            silence: Some(SilenceRule::Selectivity(Selectivity::Medium)),
            // The test is of what comes, however slow the machine.
            deadline: Duration::from_mins(5),
            ..Plan::of_index(Formula::Conversation)
        };
        Self { engine, plan: Arc::new(plan), _directory: directory }
    }

    fn engine(encoder: Encoder, index: &Path) -> Engine {
        let index = Arc::new(IndexHandle::open(index, None).unwrap());
        Engine::of_index(encoder, SearchPool::new(1).unwrap(), index)
    }

    async fn judged(&self, turns: &[&str]) -> Ranking {
        let turns = turns.iter().map(|text| Turn { speaker: Speaker::Customer, text: (*text).into() }).collect();
        let utterance = Utterance { turns, flushed: FlushReason::State };
        self.engine.answer(&utterance, &self.plan).await.unwrap().ranking
    }
}

#[tokio::test]
async fn whatever_is_said_to_ten_thousand_entities_gets_cards_or_a_silence_with_its_reason() {
    let crowd = Crowd::new();
    for number in [0, 4_711, ENTITIES - 1] {
        let asks = format!("Is there parking at the {}?", name(number));
        let ranking = crowd.judged(&["Good morning.", &asks]).await;
        let best = &ranking.order.ranked[0];
        assert_eq!(best.article().id, format!("parking-{number}"), "{}", why(&ranking).join("\n"));
        assert!(ranking.order.heard.iter().any(|heard| heard.name == name(number)), "{:?}", ranking.order.heard);
    }
    let said_often = "the ".repeat(250_000);
    let all_names: String = (0..ENTITIES).map(|number| name(number) + " ").collect();
    for (what, text) in [
        ("one word of all", "the"),
        ("its question", "Is there parking at the the?"),
        ("a syllable of many", "bax"),
        ("spaces", "   \t\n  "),
        ("nothing", ""),
        ("1 MB of one word", said_often.as_str()),
        ("every name", &all_names),
        ("emoji", "🚗❓👩‍👩‍👧‍👦"),
        ("another script", "هل يوجد موقف سيارات؟"),
        ("zero width", "\u{200b}\u{200d}\u{feff}\u{2060}"),
        ("zero width between", "park\u{200b}ing at the ba\u{200d}cex"),
    ] {
        let ranking = crowd.judged(&["Hello.", text]).await;
        let silence = ranking.verdict.silence();
        assert!(silence.is_some() || !ranking.cards().is_empty(), "{what}");
        let told = why(&ranking);
        let first = if silence.is_some() { "Silent: " } else { "Chosen: " };
        assert!(told[0].starts_with(first), "{what}: {told:?}");
        assert!(ranking.order.ranked.iter().all(|ranked| ranked.score.is_finite()), "{what}");
    }
    assert_eq!(crowd.judged(&["the the the"]).await.verdict.silence(), Some(SilenceReason::NotAsked));
}
