//! What a question costs that no article is written for, and one to ten thousand entities in one domain.
//!
//! Builds an index of ten thousand short articles, each about another entity, and of some that say little, in a directory of
//! its own: that takes minutes. Each input is asked again and again on one core, by an engine that remembers no text.
//!
//! Run: `cargo bench -p cuecard-engine --bench odd_words`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use cuecard_engine::conversation::Utterance;
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::evaluation::percentile;
use cuecard_engine::knowledge::{Article, Completeness, IndexHandle, Update, build};
use cuecard_engine::ranking::{Formula, Selectivity, SilenceRule};
use cuecard_engine::{BulkEncoder, Engine, Plan, SearchPool};
use tempfile::TempDir;

const ENTITIES: usize = 10_000;
/// The 99th percentile is then the second slowest of a hundred.
const QUESTIONS: usize = 200;
/// The longest question of a stream, as the settings have it.
const STREAM_BYTES: usize = 16 * 1024;
const SYLLABLES: [&str; 10] = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu"];

fn plan() -> Plan {
    Plan { silence: Some(SilenceRule::Selectivity(Selectivity::Medium)), ..Plan::of_index(Formula::Conversation) }
}

fn name(number: usize) -> String {
    let syllable = |place: u32| SYLLABLES[number / 10_usize.pow(place) % 10];
    format!("{}{}x {}{}r", syllable(3), syllable(2), syllable(1), syllable(0))
}

fn article(id: String, entity: &str, body: String) -> Article {
    let title = format!("Is there parking at the {entity}?");
    let (entity, domain) = (Some(entity.to_owned()), Some("hotel".to_owned()));
    Article { id, entity, domain, title, body, ..Article::default() }
}

fn articles() -> Vec<Article> {
    let named = |number| article(format!("parking-{number}"), &name(number), format!("Cars park in row {number}."));
    let mut articles: Vec<_> = (0..ENTITIES).map(named).collect();
    articles.push(article("the".to_owned(), "the", "The desk is open from nine to five.".to_owned()));
    articles.push(Article { id: "empty".to_owned(), title: "Breakfast".to_owned(), ..Article::default() });
    articles
}

fn inputs() -> Vec<(&'static str, String)> {
    let mut every_name: String = (0..ENTITIES).map(|number| name(number) + " ").collect();
    every_name.truncate(STREAM_BYTES);
    vec![
        ("a question that names an entity", format!("Is there parking at the {}?", name(4_711))),
        ("a question that names none", "Where can I leave my car?".to_owned()),
        ("the entity “the”", "Is there parking at the the?".to_owned()),
        ("1,200 names", every_name),
        ("spaces", " \t\n ".repeat(20)),
        ("1 MB of sentences", "Where can I leave my car? ".repeat(40_000)),
        ("1 MB of one word", "the ".repeat(260_000)),
        ("1 MB without a space", "the".repeat(350_000)),
        ("emoji alone", "🚗❓👩‍👩‍👧‍👦🇬🇷".repeat(3)),
        ("Arabic", "هل يوجد موقف سيارات في الفندق؟".to_owned()),
        ("Chinese", "酒店有停车场吗？".to_owned()),
        ("zero-width characters", "\u{200b}\u{200d}\u{feff}\u{2060}".to_owned()),
        ("zero-width between letters", "Is there park\u{200b}ing at the ba\u{200d}cex?".to_owned()),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let encoder = Encoder::load(&EncoderSettings { threads: 1, ..EncoderSettings::default() })?;
    let (directory, pool, plan) = (TempDir::new()?, SearchPool::new(1)?, Arc::new(plan()));
    let update = Update { source: "file:bench".to_owned(), articles: articles(), completeness: Completeness::Full };
    build(directory.path(), update, &BulkEncoder::new(encoder.clone()), &())?;
    let index = Arc::new(IndexHandle::open(directory.path(), None)?);
    println!("<!-- odd words -->\n| {QUESTIONS} questions each | p50 ms | p99 ms |\n|---|---|---|");
    for (what, text) in inputs() {
        let utterance = Utterance::question(text.as_str());
        let mut times = Vec::with_capacity(QUESTIONS);
        for _ in 0..QUESTIONS {
            // One that was asked before knows the text's embedding.
            let engine = Engine::of_index(encoder.clone(), pool.clone(), Arc::clone(&index));
            let start = Instant::now();
            engine.answer(&utterance, &plan).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("| {what} | {:.2} | {:.2} |", percentile(&times, 50.0), percentile(&times, 99.0));
    }
    Ok(())
}
