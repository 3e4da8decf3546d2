//! When to ping, and when a silent peer is dead.
//!
//! Input: the clock, and pongs. Output: the payload of a ping that is due, and whether the last one waits too long.
//! Pure. One ping is under way at a time, and only the pong that repeats its payload counts.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    next_ping_at: Instant,
    num_pings: u64,
    pong_due_at: Option<Instant>,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self { interval, timeout, next_ping_at: now + interval, num_pings: 0, pong_due_at: None }
    }

    /// The payload to send now, if it is time for a ping.
    pub(super) fn ping_due(&mut self, now: Instant) -> Option<Bytes> {
        if self.pong_due_at.is_some() || now < self.next_ping_at {
            return None;
        }
        self.num_pings += 1;
        self.next_ping_at = now + self.interval;
        self.pong_due_at = Some(now + self.timeout);
        Some(self.payload())
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        if payload == self.payload() {
            self.pong_due_at = None;
        }
    }

    /// When to look again.
    pub(super) fn wake_at(&self) -> Instant {
        self.pong_due_at.unwrap_or(self.next_ping_at)
    }

    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.pong_due_at.is_some_and(|due_at| now >= due_at)
    }

    fn payload(&self) -> Bytes {
        Bytes::copy_from_slice(&self.num_pings.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ping_every_interval_and_death_without_its_pong() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(20 * SECOND, 10 * SECOND, start);
        assert_eq!(heartbeat.wake_at(), start + 20 * SECOND);
        assert_eq!(heartbeat.ping_due(start + 19 * SECOND), None);
        let first = heartbeat.ping_due(start + 20 * SECOND).unwrap();
        assert_eq!(heartbeat.wake_at(), start + 30 * SECOND);
        assert!(!heartbeat.is_dead(start + 29 * SECOND));
        heartbeat.pong(&first);
        assert_eq!(heartbeat.wake_at(), start + 40 * SECOND);
        assert!(!heartbeat.is_dead(start + 60 * SECOND));
        let second = heartbeat.ping_due(start + 40 * SECOND).unwrap();
        assert_ne!(first, second);
        heartbeat.pong(&first);
        heartbeat.pong(b"");
        assert!(heartbeat.is_dead(start + 50 * SECOND), "an old pong proves nothing");
    }

    #[test]
    fn only_one_ping_waits_at_a_time() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(SECOND, 10 * SECOND, start);
        assert!(heartbeat.ping_due(start + SECOND).is_some());
        assert_eq!(heartbeat.ping_due(start + 5 * SECOND), None);
        assert!(heartbeat.is_dead(start + 11 * SECOND));
    }
}
