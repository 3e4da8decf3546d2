//! `cuecard ask`

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cuecard_actors::cxone::shown_text;
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::engine::ranking::Screen;
use cuecard_actors::engine::{Effort, Engine, Order, Plan, Query, Ranked, Ranking, why};
use cuecard_actors::messages::Stage;
use serde_json::json;

use super::in_service::InService;
use super::knowledge;
use super::progress::Progress;
use crate::cli::AskArgs;
use crate::exit::ExitCode;
use crate::logging;

/// Characters of a text that the terminal shows: as many as the roomiest card does.
const SHOWN: usize = 200;

/// Asks one question and prints the cards, and what silence would have made of it.
pub fn run(arguments: &AskArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    if arguments.text.trim().is_empty() {
        anyhow::bail!("the question is empty; give it in the words of a customer");
    }
    let service = InService::of(&arguments.profile)?;
    let open = knowledge::engine_with(service.encoder()?, &arguments.knowledge)?;
    let k = usize::from(arguments.k);
    let plan = Arc::new(Plan { cards: k, candidates: service.plan.candidates.max(k), ..service.plan.clone() });
    let utterance = Utterance::question(arguments.text.as_str());
    let asking = Progress::waiting("asking");
    let (left_out, asked) = knowledge::block_on(async {
        let left_out = service.prepare(&open.engine).await;
        (left_out, Asked::of(&open.engine, &utterance, &plan).await)
    })?;
    drop(asking);
    let asked = asked?;
    let now = Instant::now();
    let judged = |plan: &Plan| Ranking::judged(asked.order.clone(), &Screen::default(), now, plan);
    // Whoever asks gets what was found, and is told what would have come had nobody asked.
    let (shown, heard) = (judged(&Plan::clone(&plan).answering()), judged(&service.plan));
    let (cards, why) = (shown.cards(), why(&heard));
    let silence = service.plan.silence.is_some().then(|| why.first()).flatten();
    if arguments.json {
        let phrases: Vec<_> = asked.query.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect();
        let cards: Vec<_> = cards.iter().copied().map(as_json).collect();
        let (why, stages) = if arguments.explain { (why.as_slice(), asked.stages()) } else { (&[][..], Vec::new()) };
        let answer = json!({
            "ranker": plan.ranker, "key_phrases": phrases, "cards": cards, "silence": silence, "why": why,
            "stages": stages, "left_out": left_out,
        });
        say!("{answer}");
        return Ok(ExitCode::Success);
    }
    if cards.is_empty() {
        say!("nothing found");
    }
    for (number, card) in cards.iter().enumerate() {
        print_card(number + 1, card);
    }
    match silence {
        Some(verdict) if !arguments.explain => say!("had the customer said it in a call: {verdict}"),
        Some(_) => {}
        None => say!("this profile answers whatever it is asked: it has no silence"),
    }
    if arguments.explain {
        say!("had the customer said it in a call:");
        for sentence in &why {
            say!("  {sentence}");
        }
        let times = asked.took.map(|(stage, took)| format!("{} {:.1} ms", stage.name(), milliseconds(took)));
        say!("  Time: {}.", times.join(", "));
    }
    if let Some(left_out) = left_out {
        eprintln!("{left_out}");
    }
    Ok(ExitCode::Success)
}

/// A question and what was found for it.
struct Asked {
    query: Arc<Query>,
    order: Order,
    took: [(Stage, Duration); 3],
}

impl Asked {
    async fn of(engine: &Engine, utterance: &Utterance, plan: &Arc<Plan>) -> anyhow::Result<Self> {
        let start = Instant::now();
        let query = engine.extract(utterance, plan, Effort::Full).await;
        let extracted = Instant::now();
        let found = engine.retrieve(query, plan, tokio::time::Instant::now() + plan.deadline).await;
        let (retrieved, query) = (Instant::now(), Arc::clone(&found.query));
        let order = engine.order(found, plan).await.context("the question can't be answered")?;
        let took = [
            (Stage::Extract, extracted - start),
            (Stage::Retrieve, retrieved - extracted),
            (Stage::Rank, retrieved.elapsed()),
        ];
        Ok(Self { query, order, took })
    }

    fn stages(&self) -> Vec<serde_json::Value> {
        let stage = |(stage, took): &(Stage, Duration)| json!({"stage": stage.name(), "took_ms": milliseconds(*took)});
        self.took.iter().map(stage).collect()
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn as_json(card: &Ranked) -> serde_json::Value {
    let article = card.article();
    json!({
        "id": article.id,
        "title": article.title,
        "url": article.url,
        "entity": article.entity,
        "score": card.score,
        "scores": card.candidate.scores,
        "passage": card.candidate.passage,
        "text": text(card),
    })
}

/// What the card would say.
fn text(card: &Ranked) -> String {
    shown_text(card.answer.as_deref(), &card.article().body, SHOWN, "…")
}

fn print_card(number: usize, card: &Ranked) {
    let entity = card.article().entity.as_ref().map(|entity| format!("  ({entity})")).unwrap_or_default();
    say!("{number}. {}{entity}", card.article().title);
    say!("   {:.4}  {}  {}", card.score, card.article().id, card.article().url.as_deref().unwrap_or(""));
    say!("   {}\n", text(card).replace('\n', "\n   "));
}
