//! Names the data that a model was learned from.

use serde::Serialize;

/// Digits that are enough to tell one training from another.
const DIGITS: usize = 16;

/// Short for exactly these rows in this order, on whatever machine.
pub fn data_hash<Row: Serialize>(rows: impl IntoIterator<Item = Row>) -> serde_json::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        // JSON on a line of its own: no other rows join to the same bytes.
        serde_json::to_writer(&mut hasher, &row)?;
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().to_hex()[..DIGITS].to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_and_their_order_are_told_apart() {
        let of = |rows: &[u32]| data_hash(rows).unwrap();
        assert_eq!(of(&[1, 2]), of(&[1, 2]));
        assert_eq!(of(&[1]).len(), DIGITS);
        for other in [&[2, 1][..], &[12], &[1], &[1, 2, 0]] {
            assert_ne!(of(&[1, 2]), of(other), "{other:?}");
        }
    }
}
