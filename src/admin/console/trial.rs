//! The try-it box: a conversation that an operator types, and what an agent would see of it, turn by turn, and why.
//!
//! It goes the way of a live one through the profile's own engine, and leaves nothing behind: nothing is pushed or kept, no
//! question is counted, and what is usual for the deployment is not learned from it. Where the profile asks CXone's own search,
//! each customer turn is a real search there, within the profile's rate limit.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use cuecard_actors::engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_actors::engine::ranking::{Screen, SilenceReason};
use cuecard_actors::engine::{Answer, Circumstances, Effort, Ranked, Scores, why};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::tenant::Tenant;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::super::AdminState;
use super::super::routes::{loading, not_found, unprocessable};
use crate::detail::Detail;

/// As many as a window keeps.
const MAX_TURNS: usize = 64;
/// Characters of one turn; nobody says more before another does.
const MAX_TURN: usize = 4 * 1024;
/// For all turns; each takes as long as a live one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Candidates that are shown with their scores.
const SHOWN: usize = 5;
/// Of a card's text.
const MAX_TEXT: usize = 300;

/// What is tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    profile: String,
    /// The conversation from its beginning; at least one turn is the customer's.
    #[schema(min_items = 1, max_items = 64)]
    turns: Vec<TriedTurn>,
}

/// What one of them said before the other spoke.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TriedTurn {
    #[schema(value_type = String, pattern = "^(customer|agent)$")]
    speaker: Speaker,
    #[schema(pattern = r"\S", max_length = 4096)]
    text: String,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Played {
    /// For each turn of the customer's.
    turns: Vec<PlayedTurn>,
}

/// What an agent would see after a turn of the customer's, and why.
#[derive(Serialize, ToSchema)]
struct PlayedTurn {
    /// Which of the turns, counted from 0.
    turn: usize,
    cards: Vec<Card>,
    /// Why there are none.
    silence: Option<&'static str>,
    /// The reasons in sentences.
    why: Vec<String>,
    /// The best of what was found, whether or not it was shown.
    candidates: Vec<Candidate>,
    key_phrases: Vec<String>,
    took_ms: f64,
}

/// What stands on a card.
#[derive(Serialize, ToSchema)]
struct Card {
    /// The article's.
    id: String,
    title: String,
    /// The passage that answers, or its beginning.
    text: String,
}

/// An article that was found.
#[derive(Serialize, ToSchema)]
struct Candidate {
    /// The article's.
    id: String,
    title: String,
    score: f64,
    /// What its score is made of, by name.
    #[schema(value_type = Object)]
    scores: Scores,
}

/// What comes of each customer turn.
#[utoipa::path(
    post, path = "/console/try", operation_id = "try_conversation", tag = "console",
    summary = "What an agent would see of a conversation",
    description = "Turn by turn, and why. Nothing is pushed or kept.",
    request_body(content = Tried, example = json!({
        "profile": "insights",
        "turns": [
            {"speaker": "agent", "text": "Hello, what can I do for you?"},
            {"speaker": "customer", "text": "Can I take my dog along, and does he need a cabin?"}
        ]
    })),
    responses(
        (status = 200, description = "what came of each turn of the customer's", body = Played),
        (status = 404, description = "there is no such profile", body = Detail),
        (status = 422, description = "the body is wrong; the detail says where", body = Detail),
        (status = 500, description = "the turns can't be answered", body = Detail),
        (status = 503, description = "the service is still loading", body = Detail),
        (status = 504, description = "the turns took too long together", body = Detail),
    ),
)]
pub async fn answer(state: web::Data<AdminState>, web::Json(tried): web::Json<Tried>) -> HttpResponse {
    let Tried { profile, turns } = tried;
    if let Err(wrong) = check(&turns) {
        return unprocessable(&wrong);
    }
    let Some(tenants) = state.tenants.get() else { return loading() };
    let Some(tenant) = tenants.get(&ProfileName::new(&profile)) else {
        return not_found(&format!("there is no profile `{profile}`; /readyz lists them"));
    };
    let Ok(_busy) = state.console.busy.acquire().await else { return loading() };
    match timeout(PATIENCE, play(&tenant, turns)).await {
        Ok(Ok(answers)) => HttpResponse::Ok().json(Played { turns: answers }),
        Ok(Err(panicked)) => HttpResponse::InternalServerError().json(Detail::new(panicked)),
        Err(_) => {
            let detail =
                format!("the turns took more than {PATIENCE:?} together; try fewer, or see how busy the encoder is");
            HttpResponse::GatewayTimeout().json(Detail::new(detail))
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
    let is_wrong = |turn: &TriedTurn| turn.text.trim().is_empty() || turn.text.chars().count() > MAX_TURN;
    match turns.iter().position(is_wrong) {
        Some(number) => Err(format!("`turns[{number}].text` has between 1 and {MAX_TURN} characters")),
        None => Ok(()),
    }
}

/// The conversation as the stream would tell it, each card on the screen for those that come after it.
async fn play(tenant: &Tenant, tried: Vec<TriedTurn>) -> Result<Vec<PlayedTurn>, String> {
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

fn shown(answer: &Answer, turn: usize, took: Duration) -> PlayedTurn {
    let ranking = &answer.ranking;
    let phrases = answer.query.key_phrases.iter();
    PlayedTurn {
        turn,
        cards: ranking.cards().into_iter().map(card).collect(),
        silence: ranking.verdict.silence().map(SilenceReason::name),
        why: why(ranking),
        candidates: ranking.order.ranked.iter().take(SHOWN).map(candidate).collect(),
        key_phrases: phrases.map(|phrase| phrase.text.verbatim().to_owned()).collect(),
        took_ms: took.as_secs_f64() * 1000.0,
    }
}

fn card(ranked: &Ranked) -> Card {
    let passage = ranked.answer.as_deref().unwrap_or(&ranked.candidate.passage);
    let (article, text) = (ranked.article(), passage.chars().take(MAX_TEXT).collect());
    Card { id: article.id.clone(), title: article.title.clone(), text }
}

fn candidate(ranked: &Ranked) -> Candidate {
    let (article, scores) = (ranked.article(), ranked.candidate.scores);
    Candidate { id: article.id.clone(), title: article.title.clone(), score: ranked.score, scores }
}
