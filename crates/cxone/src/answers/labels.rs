//! Outcomes and reasons as metrics name them; every set is closed.

use super::{CallOutcome, GiveUpReason};
use crate::transport::TransportFailure;

impl CallOutcome {
    /// The closed set of [`CallOutcome::label`].
    pub const LABELS: [&'static str; 18] = [
        "2xx",
        "3xx",
        "400",
        "401",
        "403",
        "404",
        "409",
        "429",
        "4xx",
        "5xx",
        "other",
        "unusable",
        "refused",
        "tls",
        "cut",
        "timed_out",
        "garbled",
        "not_sendable",
    ];

    /// For the `status` label of a metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered(status) | Self::Failed(TransportFailure::BodyTooLarge { status }) => status_label(status),
            Self::Unusable => "unusable",
            Self::Failed(failure) => failure.label(),
        }
    }
}

const fn status_label(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        429 => "429",
        402..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

impl GiveUpReason {
    /// The closed set of [`GiveUpReason::label`].
    pub const LABELS: [&'static str; 12] = [
        "late",
        "exhausted",
        "unauthorised",
        "forbidden",
        "not_found",
        "bad_request",
        "rejected",
        "unexpected",
        "ranking_failed",
        "too_large",
        "ambiguous",
        "not_sendable",
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Exhausted => "exhausted",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::Rejected(_) => "rejected",
            Self::Unexpected(_) => "unexpected",
            Self::RankingFailed(_) => "ranking_failed",
            Self::TooLarge => "too_large",
            Self::Ambiguous => "ambiguous",
            Self::NotSendable => "not_sendable",
        }
    }
}
