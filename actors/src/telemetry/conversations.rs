//! How many cards each conversation was pushed: counted while it lasts, measured once when it closes.
//!
//! A conversation opens with its first question. It closes a little after the stream says that it ended, or when nothing was
//! heard of it for long. Nothing here is keyed by anything that becomes a label.

use std::collections::VecDeque;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::messages::{InteractionKey, ProfileName};

/// A push that is under way when its call ends still counts; later than this none comes, for its deadline is over.
const LAST_PUSH: Duration = Duration::from_secs(10);
/// Some 20 MB at most; beyond it the conversation that is idle longest closes early.
const MOST_OPEN: usize = 100_000;

/// The conversations that are open.
pub(super) struct OpenConversations {
    /// By when something was heard of it last.
    open: LruCache<InteractionKey, Open>,
    /// What ended, in the order in which it closes.
    ended: VecDeque<(Instant, InteractionKey)>,
}

struct Open {
    pushes: u32,
    last_heard: Instant,
    /// The stream said so; it may say so again.
    has_ended: bool,
}

/// A conversation that closed, with its pushes.
pub(super) type Closed = (ProfileName, u32);

impl OpenConversations {
    pub(super) fn new() -> Self {
        // Without a bound of its own: one would take the room for all of them at once.
        Self { open: LruCache::unbounded(), ended: VecDeque::new() }
    }

    /// A question was heard in it. Gives the one that closes early to make room.
    pub(super) fn heard(&mut self, key: &InteractionKey, now: Instant) -> Option<Closed> {
        let is_full = self.open.len() >= MOST_OPEN && !self.open.contains(key);
        let closed = if is_full { self.open.pop_lru() } else { None };
        let open = || Open { pushes: 0, last_heard: now, has_ended: false };
        self.open.get_or_insert_mut_ref(key, open).last_heard = now;
        closed.map(|(key, open)| (key.profile, open.pushes))
    }

    /// A card of it was pushed; one of a conversation that is not open is somebody's answer over HTTP.
    pub(super) fn pushed(&mut self, key: &InteractionKey) {
        if let Some(open) = self.open.peek_mut(key) {
            open.pushes += 1;
        }
    }

    /// The stream said that it is over.
    pub(super) fn ended(&mut self, key: &InteractionKey, now: Instant) {
        let open = self.open.peek_mut(key).filter(|open| !open.has_ended);
        if let Some(open) = open {
            open.has_ended = true;
            self.ended.push_back((now + LAST_PUSH, key.clone()));
        }
    }

    /// Closes what is due, and what was idle for so long.
    pub(super) fn close(&mut self, now: Instant, idle: Duration) -> Vec<Closed> {
        let mut closed = Vec::new();
        while self.ended.front().is_some_and(|(due, _)| *due <= now) {
            let ended = self.ended.pop_front().and_then(|(_, key)| self.open.pop_entry(&key));
            closed.extend(ended);
        }
        while self.open.peek_lru().is_some_and(|(_, open)| now.duration_since(open.last_heard) >= idle) {
            closed.extend(self.open.pop_lru());
        }
        closed.into_iter().map(|(key, open)| (key.profile, open.pushes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    const SECOND: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_mins(30);

    fn closed(pushes: u32) -> Vec<Closed> {
        vec![(ProfileName::new("acme"), pushes)]
    }

    #[test]
    fn a_conversation_closes_after_its_last_push_could_come_and_counts_it() {
        let (mut open, start) = (OpenConversations::new(), Instant::now());
        let call = key("acme", "a");
        assert_eq!(open.heard(&call, start), None);
        open.pushed(&call);
        open.ended(&call, start);
        open.pushed(&call);
        assert_eq!(open.close(start + 9 * SECOND, IDLE), []);
        assert_eq!(open.close(start + 10 * SECOND, IDLE), closed(2));
        open.pushed(&call);
        open.ended(&call, start);
        assert_eq!(open.close(start + 60 * SECOND, IDLE), [], "it closes once");
    }

    #[test]
    fn one_of_which_nothing_is_heard_for_long_closes_and_one_without_a_card_counts() {
        let (mut open, start) = (OpenConversations::new(), Instant::now());
        open.heard(&key("acme", "idle"), start);
        open.heard(&key("acme", "busy"), start);
        open.heard(&key("acme", "busy"), start + SECOND);
        open.pushed(&key("acme", "asked-over-http"));
        assert_eq!(open.close(start + IDLE, IDLE), closed(0));
        assert_eq!(open.close(start + IDLE + SECOND, IDLE), closed(0));
        assert_eq!(open.close(start + 2 * IDLE, IDLE), []);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut open, now) = (OpenConversations::new(), Instant::now());
        let number = |number: usize| key("acme", &format!("call-{number}"));
        for call in 0..MOST_OPEN {
            assert_eq!(open.heard(&number(call), now), None);
        }
        open.pushed(&number(0));
        assert_eq!(open.heard(&number(MOST_OPEN), now).map(|(_, pushes)| pushes), Some(1), "the oldest makes room");
    }
}
