//! JSON as its senders really write it.
//!
//! Input: the bytes of a frame, an answer, a request or a line of a file. Output: a value, and what had to be mended to
//! read it. JSON that is in order is read by `serde_json` alone; only where that fails is the text repaired ([`Repairs`])
//! and read once more. On failure a [`JsonError`] that names the field.
//!
//! What nests deeper than 128 levels is refused, as `serde_json` refuses it.
//! Of a list whose rows are read as [`Row`]s, a row that can't be used costs no other.

mod repairs;
mod rows;

use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, Unexpected};
use serde_json::Value;

pub use repairs::Repairs;
use repairs::{repaired, unmarked};
pub use rows::{LeftOut, Row, sift};

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    pub value: T,
    pub repairs: Repairs,
}

/// Why a text can't be read. The message may repeat what was sent: where that is what people said, it belongs in no log.
#[derive(Debug)]
pub struct JsonError {
    path: String,
    cause: serde_json::Error,
    repairs: Repairs,
}

/// Reads a text as a value of this type.
pub fn parse<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<Parsed<T>, JsonError> {
    let text = text.as_ref();
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(Parsed { value, repairs: Repairs::default() });
    }
    let (text, repairs) = repaired(text);
    let mut reader = serde_json::Deserializer::from_slice(&text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| JsonError {
        path: error.path().to_string(),
        cause: error.into_inner(),
        repairs,
    })?;
    reader.end().map_err(|cause| JsonError { path: ".".to_owned(), cause, repairs })?;
    Ok(Parsed { value, repairs })
}

/// Reads a text as an object of this type. A list is refused, whose elements `serde` would take for the fields in their order.
pub fn parse_object<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<Parsed<T>, JsonError> {
    let text = text.as_ref();
    if unmarked(text).trim_ascii_start().first() != Some(&b'[') {
        return parse(text);
    }
    let Parsed { repairs, .. } = parse::<IgnoredAny>(text)?;
    Err(JsonError { path: ".".to_owned(), cause: Error::invalid_type(Unexpected::Seq, &"an object"), repairs })
}

impl JsonError {
    /// Whether the text is no JSON at all; else it is JSON of another kind than was asked for.
    pub fn is_syntax(&self) -> bool {
        !self.cause.is_data()
    }

    /// The field, as in `snippets[2].boost_factor`; none where it is the whole value.
    pub fn field(&self) -> Option<&str> {
        Some(self.path.as_str()).filter(|path| *path != ".")
    }

    /// What `serde_json` says of it, with line and column.
    pub fn cause(&self) -> &serde_json::Error {
        &self.cause
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field().filter(|_| !self.is_syntax()) {
            write!(formatter, "{field}: ")?;
        }
        write!(formatter, "{}", self.cause)?;
        if self.repairs.non_numbers > 0 {
            formatter.write_str(" (NaN, Infinity and what is larger than any number count as an empty object)")?;
        }
        Ok(())
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A text, or a number by its digits: what some senders write as a number is an id for others. None for a number so large
/// that another one may have become the same float.
pub fn text_or_digits(value: &Value) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // A whole one is written without a point: other frames name the same thing so.
            Some(float) => (float.abs() < EXACT).then(|| float.to_string()),
            None => Some(number.to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Deserialize)]
    struct Snippet {
        id: String,
        score: f64,
        url: Option<String>,
        tags: Option<Vec<String>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Question {
        snippets: Vec<Snippet>,
    }

    #[test]
    fn a_list_is_no_object_and_what_is_no_json_is_said_first() {
        #[derive(Debug, Deserialize)]
        struct Question {
            text: String,
        }

        let read = |text: &str| parse_object::<Question>(text).map(|read| read.value.text).map_err(|e| e.to_string());
        assert_eq!(read(r#" {"text":"why"}"#), Ok("why".to_owned()));
        for list in [r#"["why"]"#, "\u{feff} \n[\"why\"]", "[]"] {
            assert_eq!(read(list), Err("invalid type: sequence, expected an object".to_owned()), "{list}");
        }
        assert!(parse_object::<Question>(r#"["why""#).unwrap_err().is_syntax());
    }

    #[test]
    fn no_number_is_passed_over_where_nobody_reads_it_and_refused_where_somebody_does() {
        let unread = r#"{"snippets":[{"id":"7","score":0.5,"noise":NaN}],"confidence":-Infinity}"#;
        let Parsed { value, repairs } = parse::<Question>(unread).unwrap();
        assert_eq!(value.snippets, [Snippet { id: "7".to_owned(), score: 0.5, url: None, tags: None }]);
        assert_eq!(repairs.non_numbers, 2);
        for field in ["id", "score", "url", "tags"] {
            let snippet = json!({"id": "a", "score": 1, "url": "u", "tags": []});
            let text =
                snippet.to_string().replace(&format!("\"{field}\":{}", snippet[field]), &format!("\"{field}\":NaN"));
            let error = parse::<Question>(format!("{{\"snippets\":[{text}]}}")).unwrap_err();
            assert_eq!((error.is_syntax(), error.field()), (false, Some(&*format!("snippets[0].{field}"))), "{error}");
            assert!(error.to_string().contains("NaN"), "{error}");
        }
    }

    #[test]
    fn an_error_says_where_it_is() {
        let table = [
            (r#"{"snippets":[{"id":"a","score":"x"}]}"#, false, Some("snippets[0].score"), 34),
            (r#"{"snippets":[{"id":"a"}]}"#, false, Some("snippets[0]"), 23),
            ("{}", false, None, 2),
            (r#"{"snippets":[{"id":"a","score":NaN,"url":7}]}"#, false, Some("snippets[0].score"), 31),
            (r#"{"snippets":[},"#, true, Some("snippets[0]"), 14),
        ];
        for (text, is_syntax, field, column) in table {
            let error = parse::<Question>(text).unwrap_err();
            assert_eq!((error.is_syntax(), error.field()), (is_syntax, field), "{text}: {error}");
            assert_eq!((error.cause().line(), error.cause().column()), (1, column), "{text}: {error}");
            let named = field.is_some_and(|field| error.to_string().starts_with(field));
            assert_eq!(named, field.is_some() && !is_syntax, "{error}");
        }
    }

    #[test]
    fn a_number_is_its_digits() {
        for (value, digits) in [
            (json!("c-1"), Some("c-1")),
            (json!(104_857_600_123_u64), Some("104857600123")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(-5), Some("-5")),
            (json!(104_857_600_123.0), Some("104857600123")),
            (json!(1.5), Some("1.5")),
            (json!(1e300), None),
            (json!(null), None),
            (json!([7]), None),
        ] {
            assert_eq!(text_or_digits(&value).as_deref(), digits, "{value}");
        }
    }
}
