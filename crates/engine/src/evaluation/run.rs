//! Runs conversations through an engine.

use std::sync::Arc;
use std::time::Instant;

use cuecard_ranking::Screen;

use super::conversations::Conversation;
use super::measures::{Judged, milliseconds};
use super::turns::{Play, TurnTally};
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
    /// Whether conversations are also played from their first turn on.
    pub every_turn: bool,
    /// Called after each conversation.
    pub progress: &'a dyn Fn(),
}

impl Evaluation<'_> {
    /// Judges conversations that want a card, and those whose last customer turn wants none.
    pub async fn run(&self, seeking: &[Conversation], quiet: &[Conversation]) -> Result<Vec<Judged>, JobPanicked> {
        let all = seeking.iter().map(|seeking| (seeking, false)).chain(quiet.iter().map(|quiet| (quiet, true)));
        let mut judged = Vec::with_capacity(seeking.len() + quiet.len());
        for (conversation, quiet) in all {
            judged.push(self.judge(conversation, quiet).await?);
            (self.progress)();
        }
        Ok(judged)
    }

    async fn judge(&self, conversation: &Conversation, quiet: bool) -> Result<Judged, JobPanicked> {
        let turns = if self.every_turn { Some(self.play(conversation).await?) } else { None };
        let start = Instant::now();
        let mut judged = Judged {
            id: conversation.id.clone(),
            quiet,
            right_at: None,
            wanted: None,
            shown: false,
            first_card_right: false,
            took_ms: 0.0,
            turns,
        };
        let Some(utterance) = conversation.utterance(&self.limits) else { return Ok(judged) };
        let ranking = self.engine.answer(&utterance, self.plan).await?.ranking;
        judged.took_ms = milliseconds(start.elapsed());
        let is_right = |id: &str| conversation.is_right(id);
        let right_at = ranking.order.ranked.iter().position(|ranked| is_right(&ranked.article().id));
        let cards = ranking.cards();
        judged.right_at = right_at.map(|position| position + 1);
        judged.wanted = ranking.order.newest_turn_cosine.map(f64::from);
        judged.shown = !cards.is_empty();
        judged.first_card_right = cards.first().is_some_and(|card| is_right(&card.article().id));
        Ok(judged)
    }

    /// Plays a conversation with memory of what is on the screen.
    async fn play(&self, conversation: &Conversation) -> Result<TurnTally, JobPanicked> {
        let start = Instant::now();
        let (mut screen, mut play) = (Screen::default(), Play::default());
        for (asked, number) in conversation.asked(&self.limits).zip(1..) {
            let now = start + asked.ends;
            let ranking = self.engine.answer_beside(&screen, now, &asked.utterance, self.plan).await?.ranking;
            let pushed = ranking.cards().first().map(|card| card.article().id.as_str());
            if let Some(gold) = asked.gold {
                play.count(gold, pushed, screen.standing(now, self.plan.screen_time));
            }
            if let Some(pushed) = pushed {
                screen.note(pushed, number, now);
                play.tally.pushes += 1;
            }
        }
        Ok(play.tally)
    }
}
