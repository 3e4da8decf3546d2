//! How a point in time lies in the ledger.

use jiff::Timestamp;

/// Microseconds since 1970, an integer that every database sorts.
#[derive(Debug, Clone, Copy, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct Microseconds(i64);

impl From<Timestamp> for Microseconds {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl TryFrom<Microseconds> for Timestamp {
    type Error = jiff::Error;

    fn try_from(microseconds: Microseconds) -> Result<Self, Self::Error> {
        Self::from_microsecond(microseconds.0)
    }
}
