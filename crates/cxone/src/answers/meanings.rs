//! What an outcome means for a kind of call, before any clock is looked at: the table of the module above.

use super::{CallKind, GiveUpReason};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Done,
    Renew,
    Retry { hold_profile: bool, ambiguous: bool },
    AwaitUnlock,
    CredentialsRefused,
    GiveUp(GiveUpReason),
}

impl Meaning {
    pub(super) const RETRY: Self = Self::Retry { hold_profile: false, ambiguous: false };
    const HOLD: Self = Self::Retry { hold_profile: true, ambiguous: false };
}

pub(super) fn meaning_of_status(kind: CallKind, status: u16, num_renewals: u32) -> Meaning {
    match kind {
        CallKind::Ranking if status == 409 => Meaning::AwaitUnlock,
        CallKind::Read if status == 304 => Meaning::Done,
        CallKind::Push | CallKind::Ranking | CallKind::Read => meaning_for_push(status, num_renewals),
        CallKind::Feedback => meaning_for_feedback(status),
        CallKind::Token => meaning_for_token(status),
    }
}

/// Of a card and of a verdict the status says it all; elsewhere the body was what was asked for.
pub(super) fn meaning_of_too_large(kind: CallKind, status: u16, num_renewals: u32) -> Meaning {
    match (kind, status) {
        (CallKind::Token, 200..=299) => Meaning::RETRY,
        (CallKind::Read | CallKind::Ranking, 200..=299) => Meaning::GiveUp(GiveUpReason::TooLarge),
        (kind, status) => meaning_of_status(kind, status, num_renewals),
    }
}

/// Asking twice changes nothing, so no failure of a read is ambiguous.
pub(super) fn meaning_of_failure(kind: CallKind, ambiguous: bool, retry_ambiguous: bool) -> Meaning {
    match kind {
        CallKind::Read => Meaning::RETRY,
        CallKind::Push | CallKind::Ranking if ambiguous && !retry_ambiguous => Meaning::GiveUp(GiveUpReason::Ambiguous),
        _ => Meaning::Retry { hold_profile: false, ambiguous },
    }
}

fn meaning_for_push(status: u16, num_renewals: u32) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        401 if num_renewals == 0 => Meaning::Renew,
        429 => Meaning::HOLD,
        500..=599 => Meaning::RETRY,
        _ => Meaning::GiveUp(reason_of(status)),
    }
}

/// An agent's verdict is not lost over an answer that a proxy may have given: only what says that CXone will never take
/// this event ends the trying.
fn meaning_for_feedback(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        400 | 404 | 422 => Meaning::GiveUp(reason_of(status)),
        401 => Meaning::Renew,
        429 => Meaning::HOLD,
        _ => Meaning::RETRY,
    }
}

/// Without a token nothing works, so no answer ends the asking.
fn meaning_for_token(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        400 | 401 | 403 => Meaning::CredentialsRefused,
        _ => Meaning::RETRY,
    }
}

pub(super) fn reason_of(status: u16) -> GiveUpReason {
    match status {
        400 => GiveUpReason::BadRequest,
        401 => GiveUpReason::Unauthorised,
        403 => GiveUpReason::Forbidden,
        404 => GiveUpReason::NotFound,
        402..=499 => GiveUpReason::Rejected(status),
        _ => GiveUpReason::Unexpected(status),
    }
}
