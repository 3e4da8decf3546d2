//! Reads of the tenant: its knowledge search, its list of articles, the state of a session.

use std::time::Duration;

use cuecard_cxone::InteractionId;
use cuecard_cxone::answers::{CallKind, CallOutcome, GiveUpReason, NextStep};
use cuecard_cxone::circuit::CircuitState;
use cuecard_cxone::http::{Answer, Request};
use cuecard_cxone::knowledge::search::{self, SearchHit, SearchResults};
use cuecard_cxone::ranking::SESSION_SCOPE;
use cuecard_cxone::scopes::KNOWLEDGE_SCOPE;
use cuecard_engine::knowledge::Language;
use tokio::time::{Instant, sleep};
use url::Url;

use super::CxoneCalls;
use super::answer::{Answered, attempt, describe};
use super::gate::Held;
use crate::health::{Condition, Part};
use crate::messages::TokenError;
use crate::telemetry::{Endpoint, JsonRepaired, JsonSource};

/// Attempts of a read that a question waits for: the others of its backends wait as well.
const SEARCH_ATTEMPTS: u32 = 2;

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no token.
    #[error(transparent)]
    NoToken(#[from] TokenError),
    /// A 429, the rate limit or an open circuit holds it back for too long.
    #[error("{0}")]
    HeldBack(String),
    /// CXone refused, failed, or did not answer.
    #[error("{0}")]
    Failed(String),
    /// The answer is not what the contract says.
    #[error("CXone's answer can't be read: {0}; see that the profile's base_url is that of a CXone tenant")]
    Unreadable(String),
}

/// What a poll of the articles asks for.
#[derive(Debug, Clone)]
pub struct ArticlesRead {
    /// The first page or a later one.
    pub url: Url,
    /// Sent as `If-Modified-Since`.
    pub last_modified: Option<String>,
}

/// One read and its bounds.
struct Read<'a> {
    endpoint: Endpoint,
    request: Request,
    deadline: Instant,
    max_attempts: Option<u32>,
    scope: &'a str,
    /// Read as a stream of any length up to the limit for articles.
    is_large: bool,
}

impl CxoneCalls {
    /// Asks the tenant's own knowledge search for articles in a language.
    pub async fn search(
        &self,
        query: &str,
        language: Option<&Language>,
        page_size: usize,
        deadline: Instant,
    ) -> Result<Vec<SearchHit>, ReadError> {
        let url = self.deps.connection.search_url(query, language.map(Language::as_str), page_size);
        let read = Read {
            endpoint: Endpoint::Search,
            request: Request::get(url),
            deadline,
            max_attempts: Some(SEARCH_ATTEMPTS),
            scope: KNOWLEDGE_SCOPE,
            is_large: false,
        };
        let answer = self.read(read).await?;
        let SearchResults { hits, left_out, repairs } =
            search::parse(&answer.body).map_err(|error| ReadError::Unreadable(error.to_string()))?;
        JsonRepaired { source: JsonSource::Search, repairs }.emit(&self.deps.metrics);
        for reason in &left_out.named {
            tracing::warn!(profile = %self.deps.health.profile(), reason, "a search hit can't be used");
        }
        Ok(hits)
    }

    /// Asks for a page of the tenant's articles; 304 is an answer like another.
    pub async fn read_articles(&self, asked: &ArticlesRead, patience: Duration) -> Result<Answer, ReadError> {
        let mut request = Request::get(asked.url.clone());
        if let Some(last_modified) = &asked.last_modified {
            request = request.with_if_modified_since(last_modified.as_str());
        }
        let deadline = Instant::now() + patience;
        let endpoint = Endpoint::Articles;
        self.read(Read { endpoint, request, deadline, max_attempts: None, scope: KNOWLEDGE_SCOPE, is_large: true })
            .await
    }

    /// Asks for a session's state.
    pub(super) async fn read_session(&self, session: &InteractionId, deadline: Instant) -> Result<Answer, ReadError> {
        let request = Request::get(self.deps.connection.session_url(session));
        let (endpoint, scope) = (Endpoint::Session, SESSION_SCOPE);
        self.read(Read { endpoint, request, deadline, max_attempts: None, scope, is_large: false }).await
    }

    async fn read(&self, read: Read<'_>) -> Result<Answer, ReadError> {
        let (mut number, mut num_renewals, mut said) = (0, 0, String::new());
        loop {
            let token = self.token_before(read.deadline).await?;
            // What opened the circuit may be this very read.
            let held_back = |held: Held| ReadError::HeldBack(format!("{held}{said}"));
            let permit = self.gate.pass(read.endpoint, read.deadline).await.map_err(held_back)?;
            let request = read.request.clone().with_bearer(token.secret().clone());
            let answer = self.read_once(&read, &request).await;
            number += 1;
            let mut attempt = attempt(CallKind::Read, &answer, number, Some(read.deadline));
            attempt.num_renewals = num_renewals;
            attempt.max_attempts = read.max_attempts;
            let tell = |circuit| self.tell_search(read.endpoint, circuit);
            self.record_call(read.endpoint, permit, attempt.outcome, tell);
            let wait = match self.next_step(read.endpoint, &attempt) {
                NextStep::Done => return answer.map_err(|error| ReadError::Failed(error.to_string())),
                NextStep::RenewToken { wait } | NextStep::CredentialsRefused { wait } => {
                    num_renewals += 1;
                    self.invalidate(token);
                    wait
                }
                NextStep::RetryAfter { wait, .. } => wait,
                NextStep::AwaitUnlock => return Err(failed(GiveUpReason::Unexpected(409), &answer, read.scope)),
                NextStep::GiveUp(reason) => return Err(failed(reason, &answer, read.scope)),
            };
            said = format!("; the last attempt: {}", describe(&answer));
            sleep(wait).await;
        }
    }

    async fn read_once(&self, read: &Read<'_>, request: &Request) -> Answered {
        if !read.is_large {
            return self.send(read.endpoint, request, Some(read.deadline)).await;
        }
        let start = Instant::now();
        let answer = self.deps.http.read_large(request).await;
        self.count(read.endpoint, &answer, start);
        answer
    }

    fn tell_search(&self, endpoint: Endpoint, circuit: CircuitState) {
        if endpoint == Endpoint::Search {
            let is_open = circuit != CircuitState::Closed;
            let open = || Condition::Failing("the circuit is open: CXone's search fails".to_owned());
            self.deps.health.set(Part::Search, if is_open { open() } else { Condition::Good });
        }
    }
}

fn failed(reason: GiveUpReason, answer: &Answered, scope: &str) -> ReadError {
    let said = describe(answer);
    let outcome = super::answer::outcome(answer);
    ReadError::Failed(match outcome {
        CallOutcome::Answered(401 | 403) => format!("{reason}, the client needs the scope {scope}; {said}"),
        CallOutcome::Answered(404) => {
            format!("CXone has nothing there; see that the profile's base_url is right; {said}")
        }
        _ => format!("{reason}; {said}"),
    })
}
