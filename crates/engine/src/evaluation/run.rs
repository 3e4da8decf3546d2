//! Runs conversations through an engine.

use std::time::Instant;

use super::conversations::Conversation;
use super::measures::{Judged, Report};
use crate::conversation::WindowLimits;
use crate::{Engine, Plan, Verdict, rank};
use cuecard_ranking::Shown;

/// What to measure, and how it is told how far it is.
pub struct Evaluation<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Ranker, window and silence.
    pub plan: &'a Plan,
    /// What an utterance carries.
    pub limits: WindowLimits,
    /// Called after each conversation.
    pub progress: &'a dyn Fn(),
}

/// Judges the conversations, and those that need no card.
pub fn evaluate(evaluation: &Evaluation<'_>, seeking: &[Conversation], quiet: &[Conversation]) -> Report {
    let judge = |conversations: &[Conversation]| -> Vec<Judged> {
        conversations
            .iter()
            .map(|conversation| {
                let judged = evaluation.judge(conversation);
                (evaluation.progress)();
                judged
            })
            .collect()
    };
    Report::new(&judge(seeking), &judge(quiet))
}

impl Evaluation<'_> {
    fn judge(&self, conversation: &Conversation) -> Judged {
        let start = Instant::now();
        let Some(utterance) = conversation.utterance(&self.limits) else {
            return Judged { right_at: None, shown: false, first_card_right: false, took: start.elapsed() };
        };
        let query = self.engine.extract(&utterance, self.plan);
        let candidates = self.engine.retrieve(query, self.plan);
        let ranking = rank(&candidates, &Shown::default(), 1, self.plan);
        let took = start.elapsed();
        let right_at = ranking.order.iter().position(|ranked| conversation.is_right(&ranked.article.id));
        let cards = match &ranking.verdict {
            Verdict::Cards(cards) => cards.as_slice(),
            Verdict::Silent(_) => &[],
        };
        Judged {
            right_at: right_at.map(|position| position + 1),
            shown: !cards.is_empty(),
            first_card_right: cards.first().is_some_and(|card| conversation.is_right(&card.article.id)),
            took,
        }
    }
}
