//! `cuecard ask`

use std::sync::Arc;

use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::engine::{Ranked, why};
use serde_json::json;

use super::knowledge;
use crate::cli::AskArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// Characters of a body that the terminal shows.
const SNIPPET: usize = 300;

/// Asks one question and prints the cards.
pub fn run(arguments: &AskArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    if arguments.text.trim().is_empty() {
        anyhow::bail!("the question is empty; give it in the words of a customer");
    }
    let open = knowledge::engine(&arguments.knowledge)?;
    let mut plan = ToolSettings::of_environment()?.profile.index_plan().answering();
    plan.cards = usize::from(arguments.k);
    plan.candidates = plan.candidates.max(plan.cards);
    let utterance = Utterance::question(arguments.text.as_str());
    let answer = knowledge::block_on(open.engine.answer(&utterance, &Arc::new(plan.clone())))??;
    let cards = answer.ranking.cards();
    let silent_plan = Arc::new(ToolSettings::of_environment()?.profile.index_plan());
    let why = if arguments.explain {
        why(&knowledge::block_on(open.engine.answer(&utterance, &silent_plan))??.ranking)
    } else {
        Vec::new()
    };
    if arguments.json {
        let phrases: Vec<_> = answer.query.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect();
        let cards: Vec<_> = cards.iter().copied().map(as_json).collect();
        say!("{}", json!({"ranker": plan.ranker, "key_phrases": phrases, "cards": cards, "why": why}));
    } else if cards.is_empty() {
        say!("nothing found");
    } else {
        for (number, card) in cards.iter().enumerate() {
            print_card(number + 1, card);
        }
    }
    if !arguments.json && !why.is_empty() {
        say!("had the customer said it in a call:");
        for sentence in &why {
            say!("  {sentence}");
        }
    }
    Ok(ExitCode::Success)
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
    })
}

fn print_card(number: usize, card: &Ranked) {
    let entity = card.article().entity.as_ref().map(|entity| format!("  ({entity})")).unwrap_or_default();
    say!("{number}. {}{entity}", card.article().title);
    say!("   {:.4}  {}  {}", card.score, card.article().id, card.article().url.as_deref().unwrap_or(""));
    let body: String = card.article().body.chars().take(SNIPPET).collect();
    let more = if body.len() < card.article().body.len() { "…" } else { "" };
    say!("   {}{more}\n", body.replace('\n', "\n   "));
}
