//! What the engine knows of labelled turns.

use std::sync::Arc;

use cuecard_engine::conversation::{Utterance, WindowLimits};
use cuecard_engine::evaluation::{Asked, Conversation};
use cuecard_engine::ranking::conversation::Evidence;
use cuecard_engine::ranking::{QuestionSigns, Wanted};
use cuecard_engine::{Effort, Engine, JobPanicked, Plan};
use tokio::time::Instant;

/// Candidates that the order is learned from: the formula's own first so many hold .985 of the right ones.
const CANDIDATES: usize = 60;

/// A labelled turn.
#[derive(Debug, Clone)]
pub struct Example {
    /// The id of its conversation, or of the one that this goes on from.
    pub dialogue: String,
    /// Whether it wants a card.
    pub is_wanted: bool,
    /// The best of the formula, best first.
    pub candidates: Vec<CandidateExample>,
    /// Of the question itself.
    pub question: QuestionSigns,
    /// Of the turn; none where it could not be encoded.
    pub embedding: Option<Vec<f32>>,
    /// How much it looks like one that wants a card, by hand.
    pub wanted: Wanted,
    /// How many turns like it it stands for.
    pub weight: f32,
}

/// A candidate of a labelled turn.
#[derive(Debug, Clone)]
pub struct CandidateExample {
    /// What the call says for it.
    pub evidence: Evidence,
    /// Of its nearest passage.
    pub embedding: Option<Vec<f32>>,
    /// Whether it answers.
    pub is_right: bool,
    /// Where it stood on the screen, from 0, where that tells more than it should.
    pub screen_rank: Option<usize>,
}

impl Example {
    /// Whether the order can be learned from it: a right candidate stands among others.
    pub fn teaches_order(&self) -> bool {
        let right = self.candidates.iter().filter(|candidate| candidate.is_right).count();
        right > 0 && right < self.candidates.len()
    }
}

/// The labelled turns of each conversation as the engine sees them without a model. Of a conversation whose turns have no labels
/// of their own the last customer turn counts; of a quiet one it wants nothing.
pub async fn collect(
    engine: &Engine,
    plan: &Plan,
    limits: WindowLimits,
    conversations: &[Labelled<'_>],
    progress: &dyn Fn(),
) -> Result<Vec<Vec<Example>>, JobPanicked> {
    let plan = Arc::new(Plan { candidates: CANDIDATES, ..plan.clone() });
    let model = engine.model();
    engine.use_model(None);
    let mut examples = Vec::new();
    for labelled in conversations {
        let mut of_conversation = Vec::new();
        for turn in labelled.turns(limits) {
            of_conversation.extend(example(engine, &plan, labelled.dialogue, &turn).await?);
        }
        examples.push(of_conversation);
        progress();
    }
    engine.use_model(model);
    Ok(examples)
}

/// A conversation of which it is known what it wants.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    /// The conversation.
    pub conversation: &'a Conversation,
    /// Whether its last customer turn wants no card.
    pub is_quiet: bool,
    /// The id of the one that it goes on from.
    pub dialogue: &'a str,
}

/// One of its turns.
struct LabelledTurn<'a> {
    utterance: Utterance,
    is_wanted: bool,
    is_right: Box<dyn Fn(&str) -> bool + 'a>,
}

impl<'a> Labelled<'a> {
    fn turns(&self, limits: WindowLimits) -> Vec<LabelledTurn<'a>> {
        let conversation = self.conversation;
        let asked: Vec<Asked<'a>> = conversation.asked(&limits).collect();
        let labelled = |asked: &Asked<'a>| -> Option<LabelledTurn<'a>> {
            let (gold, utterance) = (asked.gold?, asked.utterance.clone());
            Some(LabelledTurn { utterance, is_wanted: !gold.is_empty(), is_right: Box::new(move |id| gold.has(id)) })
        };
        let of_turns: Vec<_> = asked.iter().filter_map(labelled).collect();
        if !of_turns.is_empty() {
            return of_turns;
        }
        let is_right = move |id: &str| conversation.is_right(id);
        let last = asked.into_iter().last().map(|last| LabelledTurn {
            utterance: last.utterance,
            is_wanted: !self.is_quiet,
            is_right: Box::new(is_right),
        });
        last.into_iter().collect()
    }
}

/// `None` where nothing judges whether a card is wanted.
async fn example(
    engine: &Engine,
    plan: &Arc<Plan>,
    dialogue: &str,
    turn: &LabelledTurn<'_>,
) -> Result<Option<Example>, JobPanicked> {
    let query = engine.extract(&turn.utterance, plan, Effort::Full).await;
    let found = engine.retrieve(query, plan, Instant::now() + plan.deadline).await;
    let (query, call, question) = (Arc::clone(&found.query), found.call.clone(), found.signs());
    let order = engine.order(found, plan).await?;
    let candidate = |ranked: &cuecard_engine::Ranked| CandidateExample {
        evidence: ranked.candidate.evidence.unwrap_or_default(),
        embedding: call.as_ref().and_then(|call| call.embedding_of(&ranked.candidate)).map(<[f32]>::to_vec),
        is_right: (turn.is_right)(&ranked.article().id),
        screen_rank: None,
    };
    let candidates = order.ranked.iter().map(candidate).collect();
    Ok(order.wanted.map(|wanted| Example {
        dialogue: dialogue.to_owned(),
        is_wanted: turn.is_wanted,
        candidates,
        question,
        embedding: query.newest_embedding.clone(),
        wanted,
        weight: 1.0,
    }))
}

#[cfg(test)]
pub mod made_up {
    //! Turns in which one direction of the embeddings tells what is right, and the evidence nothing.

    use cuecard_engine::ranking::{Baseline, TurnSigns};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::{CandidateExample, Evidence, Example, QuestionSigns, Wanted};

    pub const DIMENSIONS: usize = 4;

    /// So many turns that want a card, and as many that want none and say so by their first dimension.
    pub fn examples(count: usize) -> Vec<Example> {
        let mut random = StdRng::seed_from_u64(7);
        (0..2 * count).map(|place| example(place, place % 2 == 0, &mut random)).collect()
    }

    fn example(place: usize, is_wanted: bool, random: &mut StdRng) -> Example {
        let right = random.random_range(0..6);
        let candidates = (0..6).map(|candidate| {
            let is_right = is_wanted && candidate == right;
            let mut noise = || random.random_range(-0.3..0.3);
            let embedding = vec![noise(), noise(), if is_right { 0.9 } else { -0.2 }, 0.1];
            let evidence = Evidence { newest_cosine: 0.5 - 0.001 * candidate as f32, ..Evidence::default() };
            CandidateExample { evidence, embedding: Some(embedding), is_right, screen_rank: None }
        });
        let embedding = vec![if is_wanted { 0.8 } else { -0.8 }, 0.1, 0.5, 0.2];
        let (turn, signs) = (if place.is_multiple_of(3) { "where is it" } else { "the red one" }, TurnSigns::default());
        Example {
            dialogue: format!("call-{place}"),
            is_wanted,
            candidates: candidates.collect(),
            question: QuestionSigns { num_words: 3, num_turns: 2, phrase_reach: 0.0 },
            embedding: Some(embedding),
            wanted: Wanted::of(turn, signs, &Baseline::default()),
            weight: 1.0,
        }
    }
}
