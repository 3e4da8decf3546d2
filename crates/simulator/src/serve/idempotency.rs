//! Idempotency keys: the same key with the same body gets the first answer again.
//!
//! Input: key and body of each push. Output: whether it is new, a repetition, or a key used for something else. "The
//! same body" means the same bytes, kept as a 64-bit hash: a repetition is the same text sent again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use lru::LruCache;

/// A client repeats until the card's deadline, at most a quarter of a minute after the first attempt.
const KEPT_FOR: Duration = Duration::from_mins(2);
/// Two minutes at 4,000 pushes a second, about 150 MB; beyond that the oldest goes early.
const MAX_KEYS: usize = 500_000;

/// What a key says about a push.
#[derive(Debug, PartialEq)]
pub(crate) enum KeyUse {
    New,
    /// Same body as before; the answer that it got then.
    Repeated(Bytes),
    /// Another body than before.
    Misused,
}

/// A number that is equal for equal bodies.
pub(crate) fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

struct Kept {
    at: Instant,
    fingerprint: u64,
    answer: Bytes,
}

/// The keys seen lately, oldest first to go.
pub(crate) struct IdempotencyKeys {
    kept: LruCache<Box<str>, Kept>,
}

impl Default for IdempotencyKeys {
    fn default() -> Self {
        // Its bound would be reserved at once.
        Self { kept: LruCache::unbounded() }
    }
}

impl IdempotencyKeys {
    pub(crate) fn look_up(&self, key: &str, fingerprint: u64) -> KeyUse {
        match self.kept.peek(key) {
            None => KeyUse::New,
            Some(kept) if kept.fingerprint == fingerprint => KeyUse::Repeated(kept.answer.clone()),
            Some(_) => KeyUse::Misused,
        }
    }

    /// Remembers the answer that a new key got.
    pub(crate) fn keep(&mut self, key: &str, fingerprint: u64, answer: Bytes, now: Instant) {
        let is_stale = |oldest: &Kept| now.saturating_duration_since(oldest.at) > KEPT_FOR;
        while self.kept.len() >= MAX_KEYS || self.kept.peek_lru().is_some_and(|(_, oldest)| is_stale(oldest)) {
            self.kept.pop_lru();
        }
        self.kept.put(key.into(), Kept { at: now, fingerprint, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_body_and_for_a_while() {
        let mut keys = IdempotencyKeys::default();
        let (body, answer) = (fingerprint(b"{}"), Bytes::from_static(b"first"));
        let now = Instant::now();
        assert_eq!(keys.look_up("k", body), KeyUse::New);
        keys.keep("k", body, answer.clone(), now);
        assert_eq!(keys.look_up("k", body), KeyUse::Repeated(answer.clone()));
        assert_eq!(keys.look_up("k", fingerprint(b"{ }")), KeyUse::Misused);
        assert_eq!(keys.look_up("other", body), KeyUse::New);
        keys.keep("later", body, answer, now + KEPT_FOR + Duration::from_secs(1));
        assert_eq!(keys.look_up("k", body), KeyUse::New);
        assert_eq!(keys.kept.len(), 1);
    }
}
