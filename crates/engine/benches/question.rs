//! What a whole question costs beside what the encoder alone takes for the texts that are new in it.
//!
//! Plays conversations turn by turn on one core, as the Buffer would hand them on. For each customer turn the texts that
//! were said since the one before are encoded alone first, then the question is answered as a whole; both encode the same.
//!
//! Run: `cargo bench -p cuecard-engine --bench question -- INDEX CONVERSATIONS`

use std::collections::HashSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuecard_engine::conversation::{Utterance, WindowLimits};
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::evaluation::{percentile, read_conversations};
use cuecard_engine::knowledge::IndexHandle;
use cuecard_engine::ranking::{Formula, Selectivity, SilenceRule};
use cuecard_engine::{Engine, Plan, SearchPool};

fn plan() -> Plan {
    Plan { silence: Some(SilenceRule::Selectivity(Selectivity::Medium)), ..Plan::of_index(Formula::Conversation) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let [_, index, conversations] = arguments.as_slice() else { return Err("give INDEX and CONVERSATIONS".into()) };
    let settings = EncoderSettings { threads: 1, ..EncoderSettings::default() };
    let encoder = Encoder::load(&settings)?;
    let index = Arc::new(IndexHandle::open(Path::new(index), None)?);
    let plan = Arc::new(plan());
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    let engine = Engine::of_index(encoder.clone(), SearchPool::new(1)?, index);
    let mut said = HashSet::new();
    for conversation in read_conversations(Path::new(conversations))? {
        for asked in conversation.asked(&WindowLimits::default()) {
            let new = new_texts(&asked.utterance, &mut said);
            let start = Instant::now();
            let pending: Vec<_> = new.iter().map(|text| encoder.encode(text)).collect::<Result<_, _>>()?;
            for pending in pending {
                pending.await?;
            }
            alone.push(start.elapsed());
            let start = Instant::now();
            engine.answer(&asked.utterance, &plan).await?;
            whole.push(start.elapsed());
        }
    }
    let (alone, whole) = (milliseconds(alone), milliseconds(whole));
    let at = |times: &[f64], percent| percentile(times, percent);
    let ratio = |percent| at(&whole, percent) / at(&alone, percent);
    println!("{} questions", whole.len());
    println!("<!-- question -->\n| | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|");
    for (name, times) in [("the encoder alone", &alone), ("the whole question", &whole)] {
        println!("| {name} | {:.2} | {:.2} | {:.2} |", at(times, 50.0), at(times, 95.0), at(times, 99.0));
    }
    println!("| question ÷ encoder | {:.2} | {:.2} | {:.2} |", ratio(50.0), ratio(95.0), ratio(99.0));
    println!("\np95 of the question against its p50: {:.2}", at(&whole, 95.0) / at(&whole, 50.0));
    Ok(())
}

/// Texts of the utterance that were never said before.
fn new_texts(utterance: &Utterance, said: &mut HashSet<String>) -> Vec<String> {
    let texts = utterance.turns.iter().map(|turn| turn.text.verbatim().to_owned());
    texts.filter(|text| said.insert(text.clone())).collect()
}

fn milliseconds(times: Vec<Duration>) -> Vec<f64> {
    let mut times: Vec<_> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times
}
