//! JSON as its senders write it, whatever it is about.

use cuecard_text::Spoken;
use cuecard_text::json::{self, Row};
use serde_json::Value;

/// What is in order is read as it stands; what is repaired can be written and read again.
pub fn tolerant_json(input: &[u8]) {
    let strict = serde_json::from_slice::<Value>(input);
    match (json::parse::<Value>(input), strict) {
        (Ok(read), Ok(strict)) => assert!(read.repairs.is_none() && read.value == strict, "{strict}"),
        (Ok(read), Err(error)) => {
            assert!(!read.repairs.is_none(), "nothing was repaired, and yet: {error}");
            let written = read.value.to_string();
            let again = json::parse::<Value>(&written).map(|again| again.value);
            assert!(again.as_ref().is_ok_and(|again| are_alike(again, &read.value)), "{written}: {again:?}");
        }
        (Err(error), Ok(strict)) => panic!("{strict} was refused: {error}"),
        (Err(error), Err(_)) => drop(error.to_string()),
    }
    if let Ok(rows) = json::parse::<Vec<Row<Spoken>>>(input) {
        let num_rows = rows.value.len();
        let (usable, left_out) = json::sift("rows", rows.value);
        assert_eq!(usable.len() + left_out.count, num_rows);
        assert_eq!(left_out.named.len(), left_out.count.min(20));
    }
}

/// Equal but for the last digit of a number, which `serde_json` reads fast rather than exactly.
fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 1e-14,
            _ => false,
        },
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there =
                |(name, value): (&String, &Value)| other.get(name).is_some_and(|found| are_alike(value, found));
            one.len() == other.len() && one.iter().all(is_there)
        }
        _ => one == other,
    }
}
