//! Runs conversations through an engine.

use std::sync::Arc;
use std::time::Instant;

use super::conversations::Conversation;
use super::measures::{Judged, Report};
use crate::conversation::WindowLimits;
use crate::{Engine, JobPanicked, Plan};

/// What to measure, and how it is told how far it is.
pub struct Evaluation<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Ranker, window and silence.
    pub plan: &'a Arc<Plan>,
    /// What an utterance carries.
    pub limits: WindowLimits,
    /// Called after each conversation.
    pub progress: &'a dyn Fn(),
}

impl Evaluation<'_> {
    /// Judges the conversations, and those that need no card.
    pub async fn run(&self, seeking: &[Conversation], quiet: &[Conversation]) -> Result<Report, JobPanicked> {
        let seeking = self.judge_all(seeking).await?;
        let quiet = self.judge_all(quiet).await?;
        Ok(Report::new(&seeking, &quiet))
    }

    async fn judge_all(&self, conversations: &[Conversation]) -> Result<Vec<Judged>, JobPanicked> {
        let mut judged = Vec::with_capacity(conversations.len());
        for conversation in conversations {
            judged.push(self.judge(conversation).await?);
            (self.progress)();
        }
        Ok(judged)
    }

    async fn judge(&self, conversation: &Conversation) -> Result<Judged, JobPanicked> {
        let start = Instant::now();
        let Some(utterance) = conversation.utterance(&self.limits) else {
            return Ok(Judged { right_at: None, shown: false, first_card_right: false, took: start.elapsed() });
        };
        let ranking = self.engine.answer(&utterance, self.plan).await?.ranking;
        let took = start.elapsed();
        let is_right = |id: &str| conversation.is_right(id);
        let right_at = ranking.order.ranked.iter().position(|ranked| is_right(&ranked.article().id));
        let cards = ranking.cards();
        Ok(Judged {
            right_at: right_at.map(|position| position + 1),
            shown: !cards.is_empty(),
            first_card_right: cards.first().is_some_and(|card| is_right(&card.article().id)),
            took,
        })
    }
}
