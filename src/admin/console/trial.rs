//! The try-it box: a conversation that an operator types, and what an agent would see of it, turn by turn, and why.
//!
//! It goes the way of a live one through the profile's own engine, and leaves nothing behind: nothing is pushed or kept, no
//! question is counted, and what is usual for the deployment is not learned from it. Where the profile asks CXone's own search,
//! each customer turn is a real search there, within the profile's rate limit.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use cuecard_actors::engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_actors::engine::ranking::{Screen, SilenceReason};
use cuecard_actors::engine::{Answer, Circumstances, Effort, Ranked, why};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::tenant::Tenant;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::super::AdminState;
use super::super::routes::{loading, not_found, unprocessable};

/// As many as a window keeps.
const MAX_TURNS: usize = 64;
/// Of one turn; nobody says more before another does.
const MAX_TURN_BYTES: usize = 4 * 1024;
/// For all turns; each takes as long as a live one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Candidates that are shown with their scores.
const SHOWN: usize = 5;
/// Of a card's text.
const MAX_TEXT: usize = 300;

/// What is tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    profile: String,
    turns: Vec<TriedTurn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TriedTurn {
    speaker: Speaker,
    text: String,
}

/// What comes of each customer turn.
pub async fn answer(state: web::Data<AdminState>, body: Result<web::Json<Tried>, actix_web::Error>) -> HttpResponse {
    let Tried { profile, turns } = match body {
        Ok(body) => body.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    let Some(tenants) = state.tenants.get() else { return loading() };
    let Some(tenant) = tenants.get(&ProfileName::new(&profile)) else {
        return not_found(&format!("there is no profile `{profile}`; /readyz lists them"));
    };
    if let Err(wrong) = check(&turns) {
        return unprocessable(&wrong);
    }
    let Ok(_busy) = state.console.busy.acquire().await else { return loading() };
    match timeout(PATIENCE, play(&tenant, turns)).await {
        Ok(Ok(answers)) => HttpResponse::Ok().json(json!({ "turns": answers })),
        Ok(Err(panicked)) => HttpResponse::InternalServerError().json(json!({ "detail": panicked })),
        Err(_) => {
            let detail =
                format!("the turns took more than {PATIENCE:?} together; try fewer, or see how busy the encoder is");
            HttpResponse::GatewayTimeout().json(json!({ "detail": detail }))
        }
    }
}

fn check(turns: &[TriedTurn]) -> Result<(), String> {
    if turns.is_empty() || turns.len() > MAX_TURNS {
        return Err(format!("`turns` has one to {MAX_TURNS} turns"));
    }
    if !turns.iter().any(|turn| turn.speaker == Speaker::Customer) {
        return Err("`turns` has no turn of the customer's, and only those bring cards".to_owned());
    }
    let is_wrong = |turn: &TriedTurn| turn.text.trim().is_empty() || turn.text.len() > MAX_TURN_BYTES;
    match turns.iter().position(is_wrong) {
        Some(number) => Err(format!("`turns[{number}].text` has between 1 and {MAX_TURN_BYTES} bytes")),
        None => Ok(()),
    }
}

/// The conversation as the stream would tell it, each card on the screen for those that come after it.
async fn play(tenant: &Tenant, tried: Vec<TriedTurn>) -> Result<Vec<Value>, String> {
    let engine = tenant.engine.untaught();
    let (mut turns, mut screen, mut answers) = (Vec::new(), Screen::default(), Vec::new());
    for TriedTurn { speaker, text } in tried {
        turns.push(Turn { speaker, text: text.trim().to_owned().into() });
        if speaker != Speaker::Customer {
            continue;
        }
        let (number, began, now) = (turns.len() as u64, Instant::now(), std::time::Instant::now());
        let utterance = Utterance { turns: turns.clone(), flushed: FlushReason::State };
        let circumstances = Circumstances { screen: &screen, now, effort: Effort::Full };
        let answered = engine.answer_in(&circumstances, &utterance, &tenant.profile.plan).await;
        let answer = answered.map_err(|error| error.to_string())?;
        if let Some(first) = answer.ranking.cards().first() {
            screen.note(&first.article().id, number, now);
        }
        answers.push(shown(&answer, turns.len() - 1, began.elapsed()));
    }
    Ok(answers)
}

fn shown(answer: &Answer, turn: usize, took: Duration) -> Value {
    let ranking = &answer.ranking;
    let phrases = answer.query.key_phrases.iter().map(|phrase| phrase.text.verbatim());
    json!({
        "turn": turn,
        "cards": ranking.cards().into_iter().map(card).collect::<Vec<_>>(),
        "silence": ranking.verdict.silence().map(SilenceReason::name),
        "why": why(ranking),
        "candidates": ranking.order.ranked.iter().take(SHOWN).map(candidate).collect::<Vec<_>>(),
        "key_phrases": phrases.collect::<Vec<_>>(),
        "took_ms": took.as_secs_f64() * 1000.0,
    })
}

fn card(ranked: &Ranked) -> Value {
    let passage = ranked.answer.as_deref().unwrap_or(&ranked.candidate.passage);
    let text: String = passage.chars().take(MAX_TEXT).collect();
    json!({ "id": ranked.article().id, "title": ranked.article().title, "text": text })
}

fn candidate(ranked: &Ranked) -> Value {
    let article = ranked.article();
    json!({ "id": article.id, "title": article.title, "score": ranked.score, "scores": ranked.candidate.scores })
}
