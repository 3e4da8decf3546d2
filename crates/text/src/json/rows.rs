//! The rows of a list, each read by itself.
//!
//! Input: a list whose rows are read as [`Row`]s. Output: those that can be used, and those that were left out with the
//! reason.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::text_or_digits;
use crate::MAX_ID_BYTES;

/// A list that is wrong throughout would name every row.
const MAX_NAMED: usize = 20;

/// One row of a list, read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<T> {
    Usable(T),
    Bad {
        /// Its `id`, where it has one.
        id: Option<String>,
        reason: String,
    },
}

impl<T> Row<T> {
    /// The row, if it can be used.
    pub fn usable(self) -> Option<T> {
        match self {
            Self::Usable(row) => Some(row),
            Self::Bad { .. } => None,
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = Value::deserialize(deserializer)?;
        let id = row.get("id").and_then(text_or_digits);
        let id = id.filter(|id| !id.trim().is_empty() && id.len() <= MAX_ID_BYTES);
        Ok(match T::deserialize(row) {
            Ok(row) => Self::Usable(row),
            Err(error) => Self::Bad { id, reason: error.to_string() },
        })
    }
}

/// The rows that were left out of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub count: usize,
    /// The first 20 of them, by place and id, each with its reason: `items[3] ("kb-7"): no content`.
    pub named: Vec<String>,
}

/// Parts the rows of the list called `list` into those that can be used and those that can't.
pub fn sift<T>(list: &str, rows: impl IntoIterator<Item = Row<T>>) -> (Vec<T>, LeftOut) {
    let (mut usable, mut left_out) = (Vec::new(), LeftOut::default());
    for (place, row) in rows.into_iter().enumerate() {
        match row {
            Row::Usable(row) => usable.push(row),
            Row::Bad { id, reason } => {
                left_out.count += 1;
                if left_out.named.len() < MAX_NAMED {
                    let id = id.map(|id| format!(" ({id:?})")).unwrap_or_default();
                    left_out.named.push(format!("{list}[{place}]{id}: {reason}"));
                }
            }
        }
    }
    (usable, left_out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::parse;
    use super::*;

    #[derive(Debug, Clone, Deserialize)]
    struct Snippet {
        id: String,
        #[expect(dead_code, reason = "read so that it can be of the wrong kind")]
        score: f64,
    }

    #[test]
    fn a_row_that_cannot_be_used_is_named_and_costs_no_other() {
        let rows: Vec<Row<Snippet>> = parse(
            r#"[{"id":"a","score":1},{"id":7,"score":"x"},{"score":1},7,{"id":"b\ud83d","score":NaN},{"id":"c","score":2}]"#,
        )
        .unwrap()
        .value;
        let (usable, left_out) = sift("snippets", rows);
        assert_eq!(usable.iter().map(|snippet| snippet.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(left_out.count, 4);
        let places = ["snippets[1] (\"7\"): ", "snippets[2]: ", "snippets[3]: ", "snippets[4] (\"b\u{fffd}\"): "];
        for (named, place) in left_out.named.iter().zip(places) {
            assert!(named.starts_with(place), "{named}");
        }
        let (none, left_out) = sift::<Snippet>("all", vec![Row::Bad { id: None, reason: "x".to_owned() }; 5000]);
        assert_eq!((none.len(), left_out.count, left_out.named.len()), (0, 5000, MAX_NAMED));
    }
}
