//! Log lines that would come again and again, many a second or all night.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often the same is said again: whoever looks at the last minutes of a log must find it.
const REPEATED_EVERY: Duration = Duration::from_mins(1);

/// Lets a line through when it says something else than the last one, or once a minute.
#[derive(Debug)]
pub(crate) struct LogThrottle<T> {
    last: Option<(T, Instant)>,
    held_back: u64,
}

impl<T> Default for LogThrottle<T> {
    fn default() -> Self {
        Self { last: None, held_back: 0 }
    }
}

impl<T: PartialEq> LogThrottle<T> {
    /// Whether this is to be logged now; with it, how many lines were held back since the last one.
    pub(crate) fn passes(&mut self, said: T, now: Instant) -> Option<u64> {
        let is_news = self
            .last
            .as_ref()
            .is_none_or(|(last, at)| *last != said || now.saturating_duration_since(*at) >= REPEATED_EVERY);
        if is_news {
            self.last = Some((said, now));
            return Some(std::mem::take(&mut self.held_back));
        }
        self.held_back += 1;
        None
    }
}

/// One throttle for each of a few things that are said, shared by all who say them.
#[derive(Debug)]
pub(crate) struct LogThrottles<K>(Mutex<HashMap<K, LogThrottle<()>>>);

impl<K> Default for LogThrottles<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> LogThrottles<K> {
    /// Whether this is to be logged now; with it, how many like it were held back.
    pub(crate) fn passes(&self, said: K, now: Instant) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(said).or_default().passes((), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_when_it_says_something_else_and_once_a_minute() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        // (second, said, lines held back before it)
        let table = [
            (0, "a", Some(0)),
            (1, "a", None),
            (59, "a", None),
            (60, "a", Some(2)),
            (61, "b", Some(0)),
            (62, "b", None),
            (63, "a", Some(1)),
        ];
        for (second, said, expected) in table {
            let now = start + Duration::from_secs(second);
            assert_eq!(throttle.passes(said, now), expected, "{said} at {second}");
        }
    }
}
