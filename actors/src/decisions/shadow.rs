//! A second ranker beside the first: what it would have shown the agent, worked out behind the tap, where no card waits for
//! it; it shares the encoder and the search threads with those that come.
//!
//! It has a memory of its own of what would stand on the screen, and learns for itself what is usual. Of rejections it hears
//! nothing: nobody saw its cards. It leaves out what the service had no time for, and what takes it too long.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cuecard_engine::conversation::Utterance;
use cuecard_engine::ranking::Screen;
use cuecard_engine::{Circumstances, Effort, Engine, Plan, Ranking, Verdict};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use crate::messages::{Asked, Decision, InteractionKey, Outcome};
use crate::supervision::Keyed;
use crate::telemetry::{Metrics, ShadowResult};
use crate::tenant::Tenants;

/// What waits behind the tap waits no longer for a second ranker.
const PATIENCE: Duration = Duration::from_secs(1);

/// The second ranker of a profile.
pub struct Shadow {
    /// Shares all with the first but what is usual.
    pub engine: Engine,
    /// How it would answer.
    pub plan: Arc<Plan>,
}

/// See the module.
pub struct Shadows {
    tenants: Tenants,
    metrics: Metrics,
    screens: Keyed<InteractionKey, Screen>,
    forget_after: Duration,
}

impl Shadows {
    /// Remembers at most so many conversations, idle ones for so long.
    pub fn new(tenants: Tenants, metrics: Metrics, conversations: usize, forget_after: Duration) -> Self {
        Self { tenants, metrics, screens: Keyed::new(conversations), forget_after }
    }

    /// Adds what the profile's second ranker would have shown, where it has one and the first one came to a ranking.
    pub(super) async fn add_to(&mut self, decision: &mut Decision) {
        let Some(tenant) = self.tenants.get(&decision.profile) else { return };
        let (Some(shadow), Some(ranking)) = (&tenant.shadow, &decision.ranking) else { return };
        let (Asked::Cards(utterance), Some(Effort::Full)) = (&decision.asked, decision.effort) else { return };
        let key = decision.key();
        // Where no push came through, none of its own would have.
        let reaches_screen = matches!(decision.outcome, Outcome::Delivered(_) | Outcome::Withheld | Outcome::Silent(_));
        let judged = self.judge(shadow, &key, utterance, reaches_screen.then_some(decision.utterance_number));
        // A panic over one question must not keep the others from being written down.
        let Ok(judged) = timeout(PATIENCE, AssertUnwindSafe(judged).catch_unwind()).await else { return };
        let Ok(Some(judged)) = judged else {
            return tracing::error!(id = %decision.id, "the second ranker panicked on a question");
        };
        self.metrics.count_shadow(&decision.profile, compared(ranking, &judged));
        decision.shadow = Some(Box::new(judged));
    }

    async fn judge(
        &mut self,
        shadow: &Shadow,
        key: &InteractionKey,
        utterance: &Utterance,
        shown_at: Option<u64>,
    ) -> Option<Ranking> {
        let now = Instant::now();
        self.screens.evict_idle(now, self.forget_after);
        let (before, _) = self.screens.with(key, now, |screen| screen.clone());
        let circumstances = Circumstances { screen: &before, now: now.into_std(), effort: Effort::Full };
        let judged = shadow.engine.answer_in(&circumstances, utterance, &shadow.plan).await.ok()?.ranking;
        if let Some((first, number)) = judged.cards().first().zip(shown_at) {
            self.screens.with(key, now, |screen| screen.note(&first.article().id, number, now.into_std()));
        }
        Some(judged)
    }
}

/// What the second ranker would have changed for the agent.
fn compared(live: &Ranking, shadow: &Ranking) -> ShadowResult {
    let first = |ranking: &Ranking| ranking.cards().first().map(|card| card.article().id.clone());
    match (&live.verdict, &shadow.verdict) {
        (Verdict::Silent(_), Verdict::Silent(_)) => ShadowResult::BothSilent,
        (Verdict::Silent(_), Verdict::Cards(_)) => ShadowResult::OnlyShadow,
        (Verdict::Cards(_), Verdict::Silent(_)) => ShadowResult::OnlyLive,
        (Verdict::Cards(_), Verdict::Cards(_)) if first(live) == first(shadow) => ShadowResult::Same,
        (Verdict::Cards(_), Verdict::Cards(_)) => ShadowResult::Different,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_trait::async_trait;
    use cuecard_engine::ranking::{Formula, SilenceReason};
    use cuecard_engine::{Backend, BackendError, BackendName, Candidate, Found, Query};

    use super::*;
    use crate::messages::Receipt;
    use crate::testing::{Recorder, TenantParts, card, item, plan, ranking_of, read_metric};

    /// Finds two articles that priority and the tenant's search order differently.
    struct TwoOrders;

    #[async_trait]
    impl Backend for TwoOrders {
        fn name(&self) -> BackendName {
            BackendName::Graph
        }

        async fn find(&self, _: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
            let article = |id: &str, priority, search| {
                let mut candidate: Candidate = card(id).candidate;
                Arc::make_mut(&mut candidate.article).priority = Some(priority);
                candidate.scores.search = Some(search);
                candidate
            };
            Ok(Found::of([article("by-search", 1.0, 2.0), article("by-priority", 2.0, 1.0)]))
        }
    }

    #[actix::test]
    async fn a_second_ranker_is_compared_with_what_was_shown_and_remembers_its_own_cards() {
        let live = Plan { ranker: Formula::Search, ..plan(&[BackendName::Graph]) };
        let shadow = Plan { ranker: Formula::Priority, ..live.clone() };
        let parts =
            TenantParts { backends: vec![Arc::new(TwoOrders)], shadow: Some(shadow), ..TenantParts::new("acme") };
        let (metrics, tenant) = (parts.metrics.clone(), parts.build());
        let tenants: Tenants = std::iter::once(tenant).collect();
        let recorder = Recorder::of(tenants.clone());
        let mut shadows = Shadows::new(tenants, metrics.clone(), 10, Duration::from_mins(1));
        let decided = |utterance, ranking| {
            let question = item("acme", "a", utterance);
            drop(recorder.ticket(&question));
            let ranking = Some(Arc::new(ranking));
            let outcome = Outcome::Delivered(Receipt::default());
            Decision { ranking, outcome, effort: Some(Effort::Full), ..recorder.decision_of(&question).unwrap() }
        };
        let shown = || ranking_of(vec![card("by-search")]);
        let silent = || Ranking { verdict: Verdict::Silent(SilenceReason::Unsure), ..shown() };
        let mut first = decided(1, shown());
        shadows.add_to(&mut first).await;
        assert_eq!(first.shadow.unwrap().cards()[0].article().id, "by-priority");
        // Its own card stands on its own screen by now.
        let mut second = decided(2, shown());
        shadows.add_to(&mut second).await;
        assert_eq!(second.shadow.unwrap().verdict, Verdict::Silent(SilenceReason::AlreadyShown));
        let mut third = decided(3, silent());
        shadows.add_to(&mut third).await;
        let mut hurried = Decision { effort: Some(Effort::LexicalOnly), ..decided(4, shown()) };
        shadows.add_to(&mut hurried).await;
        assert_eq!(hurried.shadow, None);
        for (result, count) in [("different", 1), ("only_live", 1), ("both_silent", 1), ("same", 0)] {
            let series = format!(r#"cuecard_shadow_total{{profile="acme",result="{result}"}}"#);
            assert_eq!(read_metric(&metrics, &series), count, "{result}");
        }
    }

    #[test]
    fn the_first_cards_are_compared() {
        let ranking = |id: &str| ranking_of(vec![card(id)]);
        let silent = Ranking { verdict: Verdict::Silent(SilenceReason::Unsure), ..ranking("a") };
        assert_eq!(compared(&ranking("a"), &ranking("a")), ShadowResult::Same);
        assert_eq!(compared(&ranking("a"), &ranking("b")), ShadowResult::Different);
        assert_eq!(compared(&silent, &ranking("b")), ShadowResult::OnlyShadow);
    }
}
