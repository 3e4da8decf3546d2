//! How near a keyword must be to be what a question means: the titles of the articles are the keywords, and two files of
//! conversations say which last turns need an article and which need none.
//!
//! Run: `cargo run --release -p cuecard-engine --example keyword_cosine -- ARTICLES CONVERSATIONS QUIET`

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use cuecard_engine::BulkEncoder;
use cuecard_engine::conversation::WindowLimits;
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::evaluation::read_conversations;
use cuecard_engine::knowledge::graph::KeywordCatalog;
use cuecard_engine::knowledge::read_articles;

const LEVELS: [f32; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];

/// The share of the last customer turns that find a keyword, for each level.
fn found(encoder: &Encoder, catalog: &KeywordCatalog, conversations: &Path) -> Result<[f64; 5], Box<dyn Error>> {
    let (mut number, mut found) = (0.0, [0.0; LEVELS.len()]);
    for conversation in read_conversations(conversations)? {
        let Some(utterance) = conversation.utterance(&WindowLimits::default()) else { continue };
        let turn = utterance.newest_customer_turn();
        let encoding = encoder.encode_blocking(turn.verbatim())?;
        number += 1.0;
        for (level, found) in LEVELS.iter().zip(&mut found) {
            let keywords = catalog.resolve(turn.verbatim(), &[], Some(&encoding.embedding), *level);
            *found += f64::from(u8::from(!keywords.is_empty()));
        }
    }
    Ok(found.map(|found| found / number))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, articles, conversations, quiet] = arguments.as_slice() else {
        return Err("give ARTICLES, CONVERSATIONS and QUIET".into());
    };
    let encoder = Encoder::load(&EncoderSettings::default())?;
    let articles = read_articles(Path::new(articles))?.articles;
    let keywords: BTreeSet<String> = articles.into_iter().map(|article| article.title).collect();
    println!("{} keywords", keywords.len());
    let catalog = KeywordCatalog::build(keywords, &BulkEncoder::new(encoder.clone()), None)?;
    let needed = found(&encoder, &catalog, Path::new(conversations))?;
    let idle = found(&encoder, &catalog, Path::new(quiet))?;
    println!(
        "<!-- keyword cosine -->\n| min_keyword_cosine | turns that need one find a keyword | turns that need none |\n|---|---|---|"
    );
    for ((level, needed), idle) in LEVELS.iter().zip(needed).zip(idle) {
        println!("| {level:.1} | {needed:.3} | {idle:.3} |");
    }
    Ok(())
}
