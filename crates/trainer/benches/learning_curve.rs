//! How much a model of few labels is worth: the order that it gives the labelled conversations which it was not learned from,
//! beside the formula's.
//!
//! Conversations are drawn by whole dialogues until there are so many; each draw is judged on all others, with the whole
//! correction that was learned and with shares of it.
//!
//! Run: `cargo bench --profile release -p cuecard-trainer --bench learning_curve -- NAME INDEX CONVERSATIONS [COUNT...]`

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cuecard_trainer::engine::conversation::WindowLimits;
use cuecard_trainer::engine::encoder::{Encoder, EncoderSettings};
use cuecard_trainer::engine::evaluation::{Conversation, beginnings, read_conversations};
use cuecard_trainer::engine::knowledge::IndexHandle;
use cuecard_trainer::engine::ranking::model::{Model, Source};
use cuecard_trainer::engine::ranking::{Formula, Selectivity, SilenceRule};
use cuecard_trainer::engine::{Engine, Plan, SearchPool};
use cuecard_trainer::{Example, Labelled, Lessons, collect, mix, right_at};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// Labelled conversations that are learned from.
const COUNTS: [usize; 5] = [25, 50, 100, 200, 400];
/// Each count is drawn so often: few labels differ much in what they teach.
const DRAWS: u64 = 3;
/// What is kept of the correction.
const SHARES: [f32; 4] = [0.25, 0.5, 0.75, 1.0];

fn plan() -> Plan {
    Plan { silence: Some(SilenceRule::Selectivity(Selectivity::Medium)), ..Plan::of_index(Formula::Conversation) }
}

/// Mean reciprocal rank within 5, and the share that is right at once.
#[derive(Default, Clone, Copy)]
struct Figures {
    mrr_at_5: f64,
    recall_at_1: f64,
}

impl Figures {
    fn of(model: Option<&Model>, examples: &[&Example]) -> Self {
        let places: Vec<Option<usize>> = examples.iter().map(|example| right_at(model, example)).collect();
        let mean = |value: fn(usize) -> f64| {
            places.iter().flatten().map(|place| value(*place)).sum::<f64>() / places.len().max(1) as f64
        };
        Self {
            mrr_at_5: mean(|place| if place <= 5 { 1.0 / place as f64 } else { 0.0 }),
            recall_at_1: mean(|place| f64::from(u8::from(place == 1))),
        }
    }

    fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self { mrr_at_5: mean(|figures| figures.mrr_at_5), recall_at_1: mean(|figures| figures.recall_at_1) }
    }
}

impl fmt::Display for Figures {
    /// As people write shares: without the 0.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |figure: f64| format!("{figure:.3}").trim_start_matches('0').to_owned();
        write!(formatter, "{}/{}", short(self.mrr_at_5), short(self.recall_at_1))
    }
}

/// The newest of each.
fn last(figures: &[Vec<Figures>]) -> String {
    figures.iter().filter_map(|figures| figures.last()).map(Figures::to_string).collect::<Vec<_>>().join(" ")
}

/// Whole dialogues in an order of chance: so many of their conversations, and the others.
fn drawn(examples: &[Vec<Example>], beginnings: &[usize], count: usize, draw: u64) -> [Vec<usize>; 2] {
    let mut dialogues: Vec<usize> = beginnings.to_vec();
    dialogues.sort_unstable();
    dialogues.dedup();
    dialogues.shuffle(&mut StdRng::seed_from_u64(draw));
    let mut parts = [Vec::new(), Vec::new()];
    for dialogue in dialogues {
        let of_dialogue = (0..examples.len()).filter(|place| beginnings[*place] == dialogue);
        let part = usize::from(parts[0].len() >= count);
        parts[part].extend(of_dialogue);
    }
    parts
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let [_, name, index, conversations, counts @ ..] = arguments.as_slice() else {
        return Err("give NAME, INDEX and CONVERSATIONS".into());
    };
    let counts: Vec<usize> = if counts.is_empty() {
        COUNTS.to_vec()
    } else {
        counts.iter().map(|it| it.parse()).collect::<Result<_, _>>()?
    };
    let encoder = Encoder::load(&EncoderSettings::default())?;
    let (identity, dimensions) = (encoder.model().identity(), encoder.model().dimensions);
    let index = Arc::new(IndexHandle::open(Path::new(index), None)?);
    let engine = Engine::of_index(encoder, SearchPool::new(1)?, index);
    let conversations = read_conversations(Path::new(conversations))?;
    let all: Vec<&Conversation> = conversations.iter().collect();
    let beginnings = beginnings(&all);
    let labelled: Vec<Labelled<'_>> = (0..all.len())
        .map(|place| Labelled { conversation: all[place], is_quiet: false, dialogue: &all[beginnings[place]].id })
        .collect();
    let examples = collect(&engine, &plan(), WindowLimits::default(), &labelled, &|| ()).await?;
    let of = |places: &[usize]| -> Vec<&Example> { places.iter().flat_map(|place| &examples[*place]).collect() };

    println!("<!-- learning curve {name} -->");
    let shares: Vec<String> = SHARES.iter().map(|share| format!("{share}")).collect();
    println!("| labelled conversations | formula | {} |", shares.join(" | "));
    println!("|---|---{}|", "|---".repeat(SHARES.len()));
    for count in counts {
        let mut figures = vec![Vec::new(); 1 + SHARES.len()];
        for draw in 0..DRAWS {
            let [seen, unseen] = drawn(&examples, &beginnings, count, draw);
            let (lessons, unseen) = (of(&seen), of(&unseen));
            let lessons = Lessons { examples: lessons, encoder: identity.clone(), dimensions, source: Source::Labels };
            let model = lessons.learn()?;
            figures[0].push(Figures::of(None, &unseen));
            for (share, figures) in SHARES.iter().zip(&mut figures[1..]) {
                let mut mixed = model.clone();
                mix(&mut mixed, share / model.trained.share);
                figures.push(Figures::of(Some(&mixed), &unseen));
            }
            eprintln!("draw {} of {count} conversations: {}", draw + 1, last(&figures));
        }
        let cells: Vec<String> = figures.iter().map(|figures| Figures::mean(figures).to_string()).collect();
        println!("| {count} | {} |", cells.join(" | "));
    }
    Ok(())
}
