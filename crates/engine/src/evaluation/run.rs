//! Runs conversations through an engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuecard_ranking::{Screen, Usual};

use super::conversations::{Conversation, beginnings};
use super::measures::{Judged, milliseconds};
use super::turns::{Play, Played, PlayedTurn};
use crate::conversation::{Utterance, WindowLimits};
use crate::{Circumstances, Effort, Engine, JobPanicked, Plan, Ranking};

/// What to measure, and how it is told how far it is.
pub struct Evaluation<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Ranker, window and silence.
    pub plan: &'a Arc<Plan>,
    /// How much work each question is given.
    pub effort: Effort,
    /// What an utterance carries.
    pub limits: WindowLimits,
    /// Whether conversations are also played from their first turn on.
    pub every_turn: bool,
    /// Called after each conversation that was listened to, and in [`Evaluation::run`] after each that was judged.
    pub progress: &'a dyn Fn(),
}

impl Evaluation<'_> {
    /// Judges conversations that want a card, and those whose last customer turn wants none.
    pub async fn run(&self, seeking: &[Conversation], quiet: &[Conversation]) -> Result<Vec<Judged>, JobPanicked> {
        let all: Vec<&Conversation> = seeking.iter().chain(quiet).collect();
        let (beginnings, times) = (beginnings(&all), self.listen(all.iter().copied()).await?);
        let mut judged = Vec::with_capacity(times.len());
        for (place, (conversation, took_ms)) in all.iter().zip(times).enumerate() {
            let beginning = all[beginnings[place]].id.as_str();
            let of_conversation = self.judge(conversation, beginning, place >= seeking.len()).await?;
            judged.push(Judged { took_ms, ..of_conversation });
            (self.progress)();
        }
        Ok(judged)
    }

    /// A deployment knows its turns; so does an evaluation, from those that it is about to judge. Gives for each
    /// conversation the milliseconds that its last question took, of which later no turn would have to be encoded.
    pub async fn listen(&self, conversations: impl Iterator<Item = &Conversation>) -> Result<Vec<f64>, JobPanicked> {
        let (mut usual, mut times) = (Usual::default(), Vec::new());
        for conversation in conversations {
            let mut took = Duration::ZERO;
            for utterance in self.utterances(conversation) {
                let start = Instant::now();
                let order = self.ask(&utterance, &Screen::default(), start).await?.order;
                took = start.elapsed();
                usual.hear(order.measured());
            }
            times.push(milliseconds(took));
            (self.progress)();
        }
        self.engine.usual().fix(usual.snapshot(1));
        Ok(times)
    }

    /// Those that will be asked.
    fn utterances(&self, conversation: &Conversation) -> Vec<Utterance> {
        if self.every_turn {
            conversation.asked(&self.limits).map(|asked| asked.utterance).collect()
        } else {
            conversation.utterance(&self.limits).into_iter().collect()
        }
    }

    /// Judges one conversation by what is usual and what was learned so far; it goes on from the one of the id `beginning`.
    pub async fn judge(
        &self,
        conversation: &Conversation,
        beginning: &str,
        quiet: bool,
    ) -> Result<Judged, JobPanicked> {
        let played = if self.every_turn { Some(self.play(conversation).await?) } else { None };
        let mut judged = Judged {
            id: conversation.id.clone(),
            dialogue: (beginning != conversation.id).then(|| beginning.to_owned()),
            quiet,
            right_at: None,
            wanted: None,
            best_score: None,
            card_probability: None,
            shown: false,
            first_card_right: false,
            took_ms: 0.0,
            played,
        };
        let Some(utterance) = conversation.utterance(&self.limits) else { return Ok(judged) };
        let ranking = self.ask(&utterance, &Screen::default(), Instant::now()).await?;
        let is_right = |id: &str| conversation.is_right(id);
        let right_at = ranking.order.ranked.iter().position(|ranked| is_right(&ranked.article().id));
        let cards = ranking.cards();
        judged.right_at = right_at.map(|position| position + 1);
        judged.wanted = self.wanted(&ranking);
        judged.card_probability = ranking.order.odds.map(|odds| odds.probability);
        judged.best_score = ranking.order.ranked.first().map(|best| best.score);
        judged.shown = !cards.is_empty();
        judged.first_card_right = cards.first().is_some_and(|card| is_right(&card.article().id));
        Ok(judged)
    }

    async fn ask(&self, utterance: &Utterance, screen: &Screen, now: Instant) -> Result<Ranking, JobPanicked> {
        let circumstances = Circumstances { screen, now, effort: self.effort };
        Ok(self.engine.answer_in(&circumstances, utterance, self.plan).await?.ranking)
    }

    /// By the rule of the plan, or where it is never silent by closeness alone.
    fn wanted(&self, ranking: &Ranking) -> Option<f64> {
        let (wanted, closeness) = (ranking.order.wanted.as_ref(), ranking.order.nearness.passage);
        self.plan.silence.map_or_else(|| closeness.map(f64::from), |rule| rule.score(wanted, closeness))
    }

    /// Plays a conversation with memory of what is on the screen.
    async fn play(&self, conversation: &Conversation) -> Result<Played, JobPanicked> {
        let start = Instant::now();
        let (mut screen, mut play, mut turns) = (Screen::default(), Play::default(), Vec::new());
        for (asked, turn) in conversation.asked(&self.limits).zip(1..) {
            let now = start + asked.ends;
            let ranking = self.ask(&asked.utterance, &screen, now).await?;
            let pushed = ranking.cards().first().map(|card| card.article().id.as_str());
            let standing = screen.standing(now, self.plan.screen_time).map(str::to_owned);
            let outcome = asked.gold.map(|gold| play.count(gold, pushed, standing.as_deref()));
            if let Some(pushed) = pushed {
                if outcome.is_none() {
                    play.unjudged_push();
                }
                screen.note(pushed, turn, now);
                play.tally.pushes += 1;
            }
            let pushed = pushed.map(str::to_owned);
            let best = ranking.order.ranked.first();
            turns.push(PlayedTurn {
                turn,
                outcome,
                pushed,
                standing,
                silence: ranking.verdict.silence(),
                wanted: self.wanted(&ranking),
                best: best.map(|best| best.article().id.clone()),
                best_score: best.map(|best| best.score),
            });
        }
        Ok(Played { tally: play.tally, turns })
    }
}
