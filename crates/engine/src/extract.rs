//! From an utterance to a query: the text of its window, the text's embedding and key phrases, and the call turn by turn.

use std::fmt;
use std::sync::Arc;

use cuecard_encoder::{Encoder, EncoderError, Encoding, KeyPhrase, PendingEncoding};
use cuecard_ranking::Model;
use cuecard_text::Spoken;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::candidates::Candidate;
use crate::conversation::{Speaker, Utterance};
use crate::plan::{Effort, Plan};
use crate::rules::{Mark, Marks};
use crate::turns::{Depth, HeardTurn, TurnEncodings, heard, unencoded};

/// What retrieval and ranking read of an utterance. Written anywhere it keeps its words and vectors to itself.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The words of the turns in the window.
    pub text: Spoken,
    /// The words of the newest customer turn.
    #[serde(skip)]
    pub newest: Spoken,
    /// Whether the newest customer turn is the first.
    #[serde(skip)]
    pub is_first: bool,
    /// `[384]`, L2-normalised, of the text; `None` when the query goes on without vectors.
    #[serde(skip)]
    pub embedding: Option<Vec<f32>>,
    /// The same of the newest customer turn alone, where silence is judged: whether it asks for anything is told by
    /// it, not by what was said before.
    #[serde(skip)]
    pub newest_embedding: Option<Vec<f32>>,
    /// All turns of the call, where the ranker reads it whole.
    #[serde(skip)]
    pub turns: Vec<HeardTurn>,
    /// What was learned, where the ranker reads that.
    #[serde(skip)]
    pub model: Option<Arc<Model>>,
    /// The newest customer turn's embedding as the model adapts it.
    #[serde(skip)]
    pub adapted: Option<Vec<f32>>,
    /// What operators decided about articles.
    #[serde(skip)]
    pub marks: Arc<Marks>,
    /// When it was asked.
    #[serde(skip)]
    pub at: Timestamp,
    /// At most 5, best first; empty without vectors.
    pub key_phrases: Vec<KeyPhrase>,
    /// Why there is no embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_vectors: Option<WithoutVectors>,
}

/// Why a query goes on without vectors.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WithoutVectors {
    /// Nothing in the plan reads them.
    #[error("nothing reads its vectors")]
    NotNeeded,
    /// The service is behind and gives this question less work.
    #[error("questions come faster than they are embedded")]
    Overload,
    /// The encoder's live queue was full.
    #[error("the encoder's queue was full")]
    QueueFull,
    /// The encoder could not embed this text.
    #[error("the encoder failed, at debug level the log says how")]
    EncoderFailed,
}

impl WithoutVectors {
    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the same question may well be embedded in a moment.
    pub fn is_overload(self) -> bool {
        matches!(self, Self::Overload | Self::QueueFull)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Query")
            .field("text", &self.text)
            .field("embedded", &(self.embedding.is_some() || self.newest_embedding.is_some()))
            .field("key_phrases", &self.key_phrases.len())
            .finish_non_exhaustive()
    }
}

/// The texts to embed: the window's, and the newest turn's where silence will be judged by it and it is another.
struct Texts {
    window: Spoken,
    newest: Spoken,
    is_judged: bool,
}

impl Texts {
    fn of(utterance: &Utterance, plan: &Plan, effort: Effort) -> Self {
        let newest = utterance.newest_customer_turn();
        let window = match effort {
            Effort::NewestTurn => newest.clone(),
            Effort::Full | Effort::LexicalOnly => utterance.window_text(plan.window),
        };
        let is_judged = plan.silence.is_some();
        Self { window, newest, is_judged }
    }

    /// What is embedded beside the window.
    fn apart(&self) -> Option<&Spoken> {
        (self.is_judged && self.window != self.newest).then_some(&self.newest)
    }

    /// `window` and `newest` are the encodings, in the order of the texts.
    fn into_query(
        self,
        window: Result<Encoding, WithoutVectors>,
        newest: Option<Result<Encoding, WithoutVectors>>,
    ) -> Query {
        let (text, is_judged) = (self.window, self.is_judged);
        let Encoding { embedding, key_phrases, .. } = match window {
            Ok(encoding) => encoding,
            Err(reason) => return Query::without_vectors(text, self.newest, reason),
        };
        let newest_embedding = match newest {
            Some(newest) => newest.ok().map(|encoding| encoding.embedding),
            None => is_judged.then(|| embedding.clone()),
        };
        Query {
            text,
            newest: self.newest,
            embedding: Some(embedding),
            newest_embedding,
            key_phrases,
            ..Query::default()
        }
    }
}

impl Query {
    /// What an operator decided about an article.
    pub(crate) fn mark(&self, article_id: &str) -> Option<Mark> {
        self.marks.of(article_id, self.at)
    }

    /// Takes out what is muted, and gives its ids; notes what is pinned. To be done before copies of an article become one:
    /// each copy has a mark of its own.
    pub(crate) fn heed_marks(&self, candidates: &mut Vec<Candidate>) -> Vec<String> {
        let mark = |candidate: &Candidate| self.mark(&candidate.article.id);
        let muted = candidates.extract_if(.., |candidate| mark(candidate) == Some(Mark::Muted));
        let muted = muted.map(|candidate| candidate.article.id.clone()).collect();
        for candidate in candidates {
            candidate.is_pinned |= mark(candidate) == Some(Mark::Pinned);
        }
        muted
    }

    /// The same question as it is answered by a model.
    #[must_use]
    pub(crate) fn with_model(mut self, model: Arc<Model>) -> Self {
        let adapter = model.adapter.as_ref().zip(self.newest_embedding.as_deref());
        self.adapted = adapter.and_then(|(adapter, newest)| adapter.adapted(newest));
        self.model = Some(model);
        self
    }

    /// The words of the newest customer turn.
    pub fn num_words(&self) -> usize {
        cuecard_ranking::words(self.newest.verbatim()).count()
    }

    fn without_vectors(text: Spoken, newest: Spoken, reason: WithoutVectors) -> Self {
        Self { text, newest, without_vectors: Some(reason), ..Self::default() }
    }
}

/// Extracts by live texts of the encoder; a full queue or a failed encoding leaves the query without vectors.
pub(crate) async fn extract(
    encoder: &Encoder,
    known: &TurnEncodings,
    utterance: &Utterance,
    plan: &Plan,
    effort: Effort,
) -> Query {
    let query = if plan.ranker.reads_call() {
        call(encoder, known, utterance, plan, effort).await
    } else {
        window(encoder, utterance, plan, effort).await
    };
    Query { is_first: utterance.is_first_customer_turn(), ..query }
}

/// The whole call, turn by turn; its window too where a backend asks by that.
async fn call(encoder: &Encoder, known: &TurnEncodings, utterance: &Utterance, plan: &Plan, effort: Effort) -> Query {
    let (text, newest) = (utterance.window_text(plan.window), utterance.newest_customer_turn());
    let asks_by_window = effort == Effort::Full && plan.asks_by_window() && text != newest;
    // Queued before the turns are awaited, so that one pass may take them together.
    let window = asks_by_window.then(|| encoder.encode(text.verbatim()));
    let (turns, without_vectors) = match effort {
        Effort::Full => heard(encoder, known, utterance, Depth::All).await,
        Effort::NewestTurn => heard(encoder, known, utterance, Depth::Newest).await,
        Effort::LexicalOnly => (unencoded(utterance), Some(WithoutVectors::Overload)),
    };
    let turn = turns.iter().rev().find(|turn| turn.speaker == Speaker::Customer);
    let encoding = turn.and_then(|turn| turn.encoding.clone());
    let newest_embedding = encoding.as_ref().map(|encoding| encoding.embedding.clone());
    let key_phrases = encoding.map_or_else(Vec::new, |encoding| encoding.key_phrases.clone());
    let embedding = match window {
        Some(window) => encoded(window).await.ok().map(|window| window.embedding),
        None => newest_embedding.clone(),
    };
    Query { text, newest, embedding, newest_embedding, turns, key_phrases, without_vectors, ..Query::default() }
}

/// The window as one text.
async fn window(encoder: &Encoder, utterance: &Utterance, plan: &Plan, effort: Effort) -> Query {
    let texts = Texts::of(utterance, plan, effort);
    if !plan.reads_embeddings() {
        return Query::without_vectors(texts.window, texts.newest, WithoutVectors::NotNeeded);
    }
    if effort == Effort::LexicalOnly {
        return Query::without_vectors(texts.window, texts.newest, WithoutVectors::Overload);
    }
    // Both are queued before either is awaited, so that one pass may take them together.
    let window = encoder.encode(texts.window.verbatim());
    let newest = texts.apart().map(|text| encoder.encode(text.verbatim()));
    let window = encoded(window).await;
    let newest = match newest {
        Some(newest) => Some(encoded(newest).await),
        None => None,
    };
    texts.into_query(window, newest)
}

/// Waits for an encoding, or says why there is none.
pub(crate) async fn encoded(pending: Result<PendingEncoding, EncoderError>) -> Result<Encoding, WithoutVectors> {
    match pending {
        Ok(pending) => pending.await.map_err(|error| reason(&error)),
        Err(error) => Err(reason(&error)),
    }
}

fn reason(error: &EncoderError) -> WithoutVectors {
    // Whoever asks is told the reason, and counts it; there may be one for each question.
    tracing::debug!(%error, "a text is not embedded");
    match error {
        EncoderError::QueueFull { .. } => WithoutVectors::QueueFull,
        _ => WithoutVectors::EncoderFailed,
    }
}
