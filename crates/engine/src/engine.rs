//! The engine of one profile: an encoder and the backends that its questions are put to, each shared by all profiles
//! that name it.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use cuecard_encoder::Encoder;
use cuecard_knowledge::{IndexHandle, TextEncoder};
use cuecard_ranking::{Model, Screen};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::backends::{Backend, IndexBackend, find_within};
use crate::candidates::Candidates;
use crate::complete::{CandidateEmbeddings, complete};
use crate::conversation::Utterance;
use crate::extract::{Query, extract};
use crate::order::{Order, order};
use crate::plan::{Effort, Plan};
use crate::rules::Marks;
use crate::search_pool::{JobPanicked, SearchPool};
use crate::turns::TurnEncodings;
use crate::usual::UsualTurns;
use crate::verdict::Ranking;

/// The share of the time that a question has left, one in so many, that no backend may take: one that hangs would else
/// cost the card that another found, which must still be ordered and pushed.
const KEPT_FROM_BACKENDS: u32 = 4;
/// The same for what is embedded of their candidates; half of what the backends left.
const KEPT_FROM_EMBEDDING: u32 = 8;

/// Answers questions. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    encoder: Encoder,
    pool: SearchPool,
    backends: Vec<Arc<dyn Backend>>,
    embeddings: Arc<CandidateEmbeddings>,
    turns: Arc<TurnEncodings>,
    usual: Arc<UsualTurns>,
    model: Arc<ArcSwapOption<Model>>,
    marks: Arc<ArcSwap<Marks>>,
}

impl Engine {
    /// An engine that asks these backends, in this order where their answers are merged.
    pub fn new(encoder: Encoder, pool: SearchPool, backends: Vec<Arc<dyn Backend>>) -> Self {
        Self {
            encoder,
            pool,
            backends,
            embeddings: Arc::default(),
            turns: Arc::default(),
            usual: Arc::default(),
            model: Arc::default(),
            marks: Arc::default(),
        }
    }

    /// An engine that searches one index.
    pub fn of_index(encoder: Encoder, pool: SearchPool, index: Arc<IndexHandle>) -> Self {
        let backend = IndexBackend::new(index, pool.clone());
        Self::new(encoder, pool, vec![Arc::new(backend)])
    }

    /// The same with what is usual for its deployment.
    #[must_use]
    pub fn with_usual(self, usual: UsualTurns) -> Self {
        Self { usual: Arc::new(usual), ..self }
    }

    /// The same, judging by what is usual now and learning nothing of what it hears, for whoever only tries things out.
    #[must_use]
    pub fn untaught(&self) -> Self {
        let usual = UsualTurns::default();
        usual.fix(*self.usual.baseline());
        self.clone().with_usual(usual)
    }

    /// From what was said to what is looked for, as a live text of the encoder. Never fails: without an encoding the query
    /// goes on without vectors.
    pub async fn extract(&self, utterance: &Utterance, plan: &Plan, effort: Effort) -> Query {
        let query = extract(&self.encoder, &self.turns, utterance, plan, effort).await;
        let query = Query { marks: self.marks.load_full(), at: Timestamp::now(), ..query };
        match self.model.load_full() {
            Some(model) if plan.ranker.reads_call() => query.with_model(model),
            _ => query,
        }
    }

    /// What the plan's backends find, asked side by side and merged in their order; each candidate has the scores that
    /// the plan's ranker reads.
    pub async fn retrieve(&self, query: Query, plan: &Arc<Plan>, deadline: Instant) -> Candidates {
        let query = Arc::new(query);
        let asked = self.backends.iter().filter(|backend| plan.asks(backend.name()));
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline - left / KEPT_FROM_BACKENDS;
        let answers = join_all(asked.map(|backend| find_within(backend.as_ref(), &query, plan, until))).await;
        let mut found = Candidates::none(query, plan.filter.clone());
        for answer in answers {
            found.take(answer);
        }
        // What is not embedded by then is ordered by what the backends said of it.
        let until = deadline - left / KEPT_FROM_EMBEDDING;
        complete(&self.encoder, &self.embeddings, &mut found, plan, until).await;
        found
    }

    /// Orders what was found, on the search pool. Where silence is judged, the turn goes into what is usual.
    pub async fn order(&self, found: Candidates, plan: &Arc<Plan>) -> Result<Order, JobPanicked> {
        let (plan, usual) = (Arc::clone(plan), Arc::clone(&self.usual));
        let ordered = move || {
            let baseline = usual.baseline();
            let order = order(found, &plan, &baseline);
            if plan.silence.is_some() {
                usual.hear(order.measured());
            }
            order
        };
        self.pool.run(ordered).await
    }

    /// Takes what was learned into service, for questions from now on; nothing takes it out.
    pub fn use_model(&self, model: Option<Arc<Model>>) {
        self.model.store(model);
    }

    /// Takes the marks of operators into service, for questions from now on.
    pub fn use_marks(&self, marks: Marks) {
        self.marks.store(Arc::new(marks));
    }

    /// What operators decided about articles.
    pub fn marks(&self) -> Arc<Marks> {
        self.marks.load_full()
    }

    /// What was learned and is in service.
    pub fn model(&self) -> Option<Arc<Model>> {
        self.model.load_full()
    }

    /// What is usual for this deployment's turns.
    pub fn usual(&self) -> &UsualTurns {
        &self.usual
    }

    /// The whole way at once, for whoever has no stages: command lines, evaluation, replay. Nothing is on the screen.
    pub async fn answer(&self, utterance: &Utterance, plan: &Arc<Plan>) -> Result<Answer, JobPanicked> {
        let (screen, now) = (&Screen::default(), std::time::Instant::now());
        self.answer_in(&Circumstances { screen, now, effort: Effort::Full }, utterance, plan).await
    }

    /// The same in other circumstances.
    pub async fn answer_in(
        &self,
        circumstances: &Circumstances<'_>,
        utterance: &Utterance,
        plan: &Arc<Plan>,
    ) -> Result<Answer, JobPanicked> {
        let Circumstances { screen, now, effort } = circumstances;
        let deadline = Instant::now() + plan.deadline;
        let found = self.retrieve(self.extract(utterance, plan, *effort).await, plan, deadline).await;
        let query = Arc::clone(&found.query);
        let order = self.order(found, plan).await?;
        Ok(Answer { query, ranking: Ranking::judged(order, screen, *now, plan) })
    }

    /// The encoder, for whoever embeds articles with it or watches its queue.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }
}

/// What surrounds a question.
pub struct Circumstances<'a> {
    /// What the agent sees.
    pub screen: &'a Screen,
    /// When the question is judged.
    pub now: std::time::Instant,
    /// How much work it is given.
    pub effort: Effort,
}

/// What a question came to, outside of any conversation.
pub struct Answer {
    /// What was looked for.
    pub query: Arc<Query>,
    /// What was found, and what of it is worth showing.
    pub ranking: Ranking,
}

/// Lets an index be built with bulk texts of the encoder, which come after live ones.
pub struct BulkEncoder {
    encoder: Encoder,
    model: String,
}

impl BulkEncoder {
    /// Wraps an encoder.
    pub fn new(encoder: Encoder) -> Self {
        let model = encoder.model().identity();
        Self { encoder, model }
    }
}

impl TextEncoder for BulkEncoder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.encoder.model().dimensions
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        self.encoder.chunks(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(self.encoder.embed_bulk(texts)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use cuecard_encoder::Encoding;
    use cuecard_knowledge::Article;
    use cuecard_ranking::Formula;
    use tokio::time::sleep;

    use super::*;
    use crate::backends::{BackendError, BackendName};
    use crate::candidates::{Candidate, Found};
    use crate::testing::{plan, query};

    /// Finds nothing, after this time.
    struct Slow(BackendName, Duration);

    #[async_trait]
    impl Backend for Slow {
        fn name(&self) -> BackendName {
            self.0
        }

        async fn find(&self, _: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
            sleep(self.1).await;
            Ok(Found::default())
        }
    }

    /// Finds articles without vectors, by these bodies.
    struct Finds([&'static str; 3]);

    #[async_trait]
    impl Backend for Finds {
        fn name(&self) -> BackendName {
            BackendName::Search
        }

        async fn find(&self, _: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
            Ok(Found::of(self.0.map(|body| {
                let article = Article { id: body.into(), body: body.into(), ..Article::default() };
                Candidate::new(Arc::new(article), body, BackendName::Search)
            })))
        }
    }

    /// The second article's embedding never comes.
    #[tokio::test(start_paused = true)]
    async fn an_embedding_that_does_not_come_costs_no_other_candidate_its_cosine() {
        let encoder = Encoder::scripted(|text| async move {
            if text.contains("hangs") {
                std::future::pending::<()>().await;
            }
            Ok(Encoding::along(usize::from(text.contains("other"))))
        });
        let Ok(pool) = SearchPool::new(1) else { panic!("no pool") };
        let engine = Engine::new(encoder, pool, vec![Arc::new(Finds(["refund", "hangs", "other"]))]);
        let plan = Arc::new(Plan { ranker: Formula::Cosine, ..(*plan(&[BackendName::Search])).clone() });
        let axis = Some(Encoding::along(0).embedding);
        let asked = Query { embedding: axis.clone(), newest_embedding: axis, ..query("refund") };
        let start = Instant::now();
        let found = engine.retrieve(asked, &plan, start + Duration::from_secs(1)).await;
        let cosines: Vec<_> = found.candidates.iter().map(|candidate| candidate.scores.cosine).collect();
        assert_eq!((cosines, found.nearness.passage), (vec![Some(1.0), None, Some(0.0)], Some(1.0)));
        assert!(start.elapsed() < Duration::from_secs(1), "time to order and to push");
    }

    /// A question has a second left of its plan's four: it waited, or its caller is in a hurry.
    #[tokio::test(start_paused = true)]
    async fn a_backend_has_three_quarters_of_the_time_that_is_left() {
        let encoder = Encoder::scripted(|_| std::future::ready(Ok(cuecard_encoder::Encoding::along(0))));
        let after = |name, milliseconds| Arc::new(Slow(name, Duration::from_millis(milliseconds))) as Arc<dyn Backend>;
        let backends = vec![after(BackendName::Search, 700), after(BackendName::Graph, 900)];
        let Ok(pool) = SearchPool::new(1) else { panic!("no pool") };
        let engine = Engine::new(encoder, pool, backends);
        let start = Instant::now();
        let plan = plan(&[BackendName::Search, BackendName::Graph]);
        let found = engine.retrieve(query("refund"), &plan, start + Duration::from_secs(1)).await;
        let late: Vec<_> = found.failures.iter().map(|error| error.backend).collect();
        assert_eq!((found.num_answers, late), (1, vec![BackendName::Graph]));
        assert!(start.elapsed() < Duration::from_secs(1), "time to order and to push");
    }
}
