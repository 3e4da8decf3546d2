//! What a simulator shall do, told by whoever started it: faults, frames, ends, locks, articles.
//!
//! Input: orders. Output: their effect, at once. The calls under `/_sim/` do the same for programs in other languages.

use std::time::Instant;

use super::RunningSimulator;
use crate::articles::{Article, ArticlesAnswer};
use crate::faults::Fault;
use crate::hub::NotConnected;
use crate::routes::Route;
use crate::streams::{Audience, Frame, StreamEnd};

impl RunningSimulator {
    /// Adds a fault behind those still to come on its route; false when that route has a thousand already.
    pub fn inject(&self, fault: Fault) -> bool {
        self.inject_every(1, fault)
    }

    /// The same for only the last of every so many requests: 2 is every second one.
    pub fn inject_every(&self, every: u32, fault: Fault) -> bool {
        self.hub.update(|state| state.faults.add(fault, every))
    }

    /// Forgets the faults still to come.
    pub fn clear_faults(&self) {
        self.hub.update(|state| state.faults.clear(None));
    }

    /// Forgets the faults still to come on one route.
    pub fn clear_faults_on(&self, route: Route) {
        self.hub.update(|state| state.faults.clear(Some(route)));
    }

    /// Makes every token issued so far worthless.
    pub fn expire_tokens(&self) {
        self.hub.update(|state| state.tokens.revoke_all());
    }

    /// Ends every stream connection.
    pub async fn end_streams(&self, how: StreamEnd) {
        self.end_streams_of(&Audience::default(), how).await;
    }

    /// Ends some stream connections.
    pub async fn end_streams_of(&self, audience: &Audience, how: StreamEnd) {
        self.hub.end_streams(audience, how).await;
    }

    /// Puts one message on every open connection of its kind and returns the moment of it.
    pub async fn send(&self, frame: Frame) -> Result<Instant, NotConnected> {
        self.send_to(&Audience::default(), frame).await
    }

    /// Puts one message on some connections and returns the moment of it.
    pub async fn send_to(&self, audience: &Audience, frame: Frame) -> Result<Instant, NotConnected> {
        self.hub.send(audience, frame).await
    }

    /// Presses accept or reject on a card, as the agent would.
    pub async fn judge_card(&self, interaction_id: &str, insight_id: &str, accepted: bool) -> Result<(), NotConnected> {
        self.hub.judge_card(&Audience::default(), interaction_id, insight_id, accepted).await
    }

    /// Makes an interaction, or a session, known to every client.
    pub fn open_interaction(&self, interaction_id: &str) {
        self.hub.update(|state| state.open_interaction(interaction_id, Instant::now()));
    }

    /// Refuses further pushes for an interaction, whosever it is; false when it was not live.
    pub fn end_interaction(&self, interaction_id: &str) -> bool {
        self.hub.update(|state| state.end_interaction(&Audience::default(), interaction_id, Instant::now()))
    }

    /// Refuses rankings of a session with 409 until it is unlocked; false when ten thousand are locked already.
    pub fn lock_session(&self, session_id: &str) -> bool {
        self.hub.update(|state| state.lock_session(session_id))
    }

    /// Takes rankings of a session again; false when it was not locked.
    pub fn unlock_session(&self, session_id: &str) -> bool {
        self.hub.update(|state| state.unlock_session(session_id))
    }

    /// Adds an article, or replaces the one of the same id.
    pub fn put_article(&self, article: Article) {
        self.hub.change_articles(|library, now| Some(library.put(article, now)));
    }

    /// Takes an article away; false when it was not there.
    pub fn delete_article(&self, id: &str) -> bool {
        self.hub.change_articles(|library, now| library.delete(id, now))
    }

    /// Replaces all articles; one that stays as it was does not count as changed.
    pub fn replace_articles(&self, articles: Vec<Article>) {
        self.hub.change_articles(|library, now| Some(library.replace(articles, now)));
    }

    /// Answers the list of articles in another way from now on; what a client holds counts as changed.
    pub fn answer_articles(&self, answer: ArticlesAnswer) {
        self.hub.change_articles(|library, now| Some(library.answering(answer, now)));
    }
}
