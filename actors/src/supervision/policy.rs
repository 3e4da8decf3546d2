//! How often and how fast an actor is restarted.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Restarts allowed within a window, and the wait before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts within `window` before the actor escalates.
    pub max_restarts: usize,
    /// The window.
    pub window: Duration,
    /// The wait before the first restart, doubled for each further one within the window.
    pub first_backoff: Duration,
    /// The longest wait.
    pub longest_backoff: Duration,
}

impl Default for RestartPolicy {
    /// Ten restarts in a minute: a poisoned conversation is ridden out, a broken build is not.
    fn default() -> Self {
        Self {
            max_restarts: 10,
            window: Duration::from_mins(1),
            first_backoff: Duration::from_millis(10),
            longest_backoff: Duration::from_secs(1),
        }
    }
}

/// The panics of one actor within the policy's window.
#[derive(Debug, Default)]
pub(super) struct PanicHistory {
    times: VecDeque<Instant>,
}

impl PanicHistory {
    /// Notes a panic; the wait before the restart, or `None` when there were too many.
    pub(super) fn note(&mut self, now: Instant, policy: &RestartPolicy) -> Option<Duration> {
        self.times.retain(|time| now.duration_since(*time) < policy.window);
        self.times.push_back(now);
        let panics = self.times.len();
        if panics > policy.max_restarts {
            return None;
        }
        let doublings = u32::try_from(panics - 1).unwrap_or(u32::MAX).min(16);
        Some((policy.first_backoff * 2_u32.pow(doublings)).min(policy.longest_backoff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_too_many_escalate() {
        let policy =
            RestartPolicy { max_restarts: 5, longest_backoff: Duration::from_millis(50), ..Default::default() };
        let mut history = PanicHistory::default();
        let start = Instant::now();
        let waits: Vec<_> = (0..6).map(|second| history.note(start + Duration::from_secs(second), &policy)).collect();
        let expected = [Some(10), Some(20), Some(40), Some(50), Some(50), None];
        assert_eq!(waits, expected.map(|wait| wait.map(Duration::from_millis)));
    }

    #[test]
    fn old_panics_are_forgotten() {
        let policy = RestartPolicy { max_restarts: 1, ..Default::default() };
        let mut history = PanicHistory::default();
        let start = Instant::now();
        assert!(history.note(start, &policy).is_some());
        assert_eq!(history.note(start + policy.window, &policy), Some(policy.first_backoff));
        assert!(history.note(start + policy.window, &policy).is_none());
    }
}
