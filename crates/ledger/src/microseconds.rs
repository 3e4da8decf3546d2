//! How a point in time lies in the ledger.

use jiff::Timestamp;

/// Microseconds since 1970, an integer that every database sorts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Microseconds(pub(crate) i64);

impl Microseconds {
    pub(crate) fn timestamp(self) -> sqlx::Result<Timestamp> {
        Timestamp::from_microsecond(self.0).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}
