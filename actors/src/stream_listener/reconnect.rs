//! When to connect again: a pure function of how the last connection, or the last attempt, ended.

use std::time::Duration;

use cuecard_cxone::websocket::{ClosedReason, HandshakeError};

use crate::cxone_calls::ConnectFailure;
use crate::messages::TokenError;

/// The first wait, doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait after a lost connection.
const LONGEST: Duration = Duration::from_secs(2);
/// A connection that stood this long was a good one.
const STOOD: Duration = Duration::from_secs(5);
/// The wait where only an administrator can help.
const FORBIDDEN: Duration = Duration::from_secs(30);

/// The waits of one stream.
#[derive(Debug)]
pub(super) struct Reconnect {
    step: Duration,
    reopened_at_once: bool,
}

impl Reconnect {
    pub(super) fn new() -> Self {
        Self { step: FIRST, reopened_at_once: false }
    }

    /// The wait after a connection that stood for `stood`; `fraction` is drawn from 0 to 1.
    pub(super) fn after_close(&mut self, reason: ClosedReason, stood: Duration, fraction: f64) -> Duration {
        if stood >= STOOD {
            *self = Self::new();
        }
        // The peer is fine, only its message was not; a second one in a row gets no such courtesy.
        if matches!(reason, ClosedReason::TooLarge { .. }) && !self.reopened_at_once {
            self.reopened_at_once = true;
            return Duration::ZERO;
        }
        self.next(fraction)
    }

    /// The wait after an attempt that came to nothing.
    pub(super) fn after_failure(&mut self, failure: &ConnectFailure, fraction: f64) -> Duration {
        match failure {
            ConnectFailure::Handshake(HandshakeError::Unauthorised | HandshakeError::Forbidden) => FORBIDDEN,
            ConnectFailure::Handshake(
                HandshakeError::TooManyRequests { retry_after: Some(asked) }
                | HandshakeError::Status { retry_after: Some(asked), .. },
            ) => asked.wait().max(self.next(fraction)),
            // The TokenActor keeps the waits of the token endpoint; a refusal there costs nothing to ask for.
            ConnectFailure::NoToken(TokenError::Refused { .. } | TokenError::Unreachable { .. }) => FIRST,
            _ => self.next(fraction),
        }
    }

    /// Half of the step at least, so that a fleet of listeners spreads out and none hammers.
    fn next(&mut self, fraction: f64) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(LONGEST);
        step.mul_f64(0.5 + fraction.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use cuecard_cxone::retry_after::RetryAfter;

    use super::*;

    const CUT: ClosedReason = ClosedReason::Cut;
    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn waits_double_to_two_seconds_and_a_connection_that_stood_resets_them() {
        let mut reconnect = Reconnect::new();
        let waits: Vec<_> = (0..4).map(|_| reconnect.after_close(CUT, SHORT, 1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 2000]);
        assert_eq!(reconnect.after_close(CUT, STOOD, 1.0), FIRST);
    }

    #[test]
    fn streams_that_were_lost_together_come_back_over_half_of_the_wait_and_none_sooner() {
        let waits = [-1.0, 0.0, 0.25, 0.5, 1.0, 7.0].map(|fraction| Reconnect::new().after_close(CUT, SHORT, fraction));
        assert_eq!(waits, [4, 4, 5, 6, 8, 8].map(|eighths| FIRST * eighths / 8));
    }

    #[test]
    fn a_message_over_the_limit_reopens_at_once_but_not_again_and_again() {
        let too_large = ClosedReason::TooLarge { limit_bytes: 1 };
        let mut reconnect = Reconnect::new();
        assert_eq!(reconnect.after_close(too_large, SHORT, 1.0), Duration::ZERO);
        assert_eq!(reconnect.after_close(too_large, SHORT, 1.0), FIRST);
        assert_eq!(reconnect.after_close(too_large, STOOD, 1.0), Duration::ZERO);
    }

    #[test]
    fn refusals_are_tried_again_when_that_can_help() {
        let mut reconnect = Reconnect::new();
        let wait = |reconnect: &mut Reconnect, error| reconnect.after_failure(&ConnectFailure::Handshake(error), 1.0);
        assert_eq!(wait(&mut reconnect, HandshakeError::Forbidden), FORBIDDEN);
        assert_eq!(wait(&mut reconnect, HandshakeError::Unauthorised), FORBIDDEN);
        let asked = RetryAfter::read("7", None, SystemTime::now(), Duration::MAX);
        assert_eq!(
            wait(&mut reconnect, HandshakeError::TooManyRequests { retry_after: asked.clone() }),
            Duration::from_secs(7)
        );
        let status = |status, retry_after| HandshakeError::Status { status, retry_after };
        assert_eq!(wait(&mut reconnect, status(500, None)), Duration::from_secs(1));
        assert_eq!(wait(&mut reconnect, status(503, asked)), Duration::from_secs(7));
    }
}
