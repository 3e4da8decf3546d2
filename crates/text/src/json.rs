//! JSON as its senders really write it.
//!
//! Input: the bytes of a frame, an answer, a request or a line of a file. Output: a value, and what had to be mended to
//! read it. JSON that is in order is read by `serde_json` alone; only where that fails is the text repaired and read once
//! more. On failure a [`JsonError`] that names the field.
//!
//! | sent | read as |
//! |---|---|
//! | a byte order mark before the text | nothing |
//! | half of a surrogate pair, as in `"\ud83d"` | U+FFFD |
//! | bytes that are not UTF-8 | U+FFFD |
//! | `NaN`, `Infinity`, `-Infinity`, a number that is too large (`1e999`) | a value that only a field which nobody reads may hold |
//!
//! What nests deeper than 128 levels is refused, as `serde_json` refuses it.
//! Of a list whose rows are read as [`Row`]s, a row that can't be used costs no other.

use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// What Python's `json` writes for numbers that JSON does not have.
const NON_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
/// An empty object stands for them: it is neither a text, a number, a list nor a missing value, so every field that is read
/// refuses it. It is shorter than any of them, so that places in error messages stay those of the input.
const NO_NUMBER: &[u8] = b"{}";

/// A list that is wrong throughout would name every row.
const MAX_NAMED: usize = 20;
/// An id names a row in the log; beyond this it is something else.
const MAX_ID_BYTES: usize = 1024;

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    pub value: T,
    pub repairs: Repairs,
}

/// How many places of a text were repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// 1 where a byte order mark was skipped.
    pub byte_order_marks: usize,
    /// Sequences of bytes that are not UTF-8.
    pub invalid_utf8: usize,
    /// Halves of surrogate pairs.
    pub lone_surrogates: usize,
    /// `NaN`, `Infinity`, `-Infinity` and numbers beyond those that a float holds.
    pub non_numbers: usize,
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
    let unmarked = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if unmarked.trim_ascii_start().first() != Some(&b'[') {
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

impl Repairs {
    /// Whether there was nothing to repair.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Each kind of repair by its name, with how often it was made.
    pub fn by_name(&self) -> [(&'static str, usize); 4] {
        [
            ("byte_order_mark", self.byte_order_marks),
            ("invalid_utf8", self.invalid_utf8),
            ("lone_surrogate", self.lone_surrogates),
            ("non_number", self.non_numbers),
        ]
    }
}

/// The text as `serde_json` can read it, if anything can.
fn repaired(text: &[u8]) -> (Vec<u8>, Repairs) {
    let mut repairs = Repairs::default();
    let unmarked = text.strip_prefix(BYTE_ORDER_MARK);
    repairs.byte_order_marks = usize::from(unmarked.is_some());
    let mut utf8 = String::with_capacity(text.len());
    for chunk in unmarked.unwrap_or(text).utf8_chunks() {
        utf8.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            utf8.push(char::REPLACEMENT_CHARACTER);
            repairs.invalid_utf8 += 1;
        }
    }
    let mut bytes = utf8.into_bytes();
    repair_tokens(&mut bytes, &mut repairs);
    (bytes, repairs)
}

/// Every repair is as long as what it repairs.
fn repair_tokens(text: &mut [u8], repairs: &mut Repairs) {
    let (mut at, mut in_string) = (0, false);
    while let Some(rest) = text.get_mut(at..).filter(|rest| !rest.is_empty()) {
        at += match rest[0] {
            b'\\' if in_string => repair_escape(rest, repairs),
            b'"' => {
                in_string = !in_string;
                1
            }
            b'N' | b'I' | b'-' | b'0'..=b'9' if !in_string => repair_non_number(rest, repairs),
            _ => 1,
        };
    }
}

/// The number of bytes that the escape at the start of `text` takes.
fn repair_escape(text: &mut [u8], repairs: &mut Repairs) -> usize {
    let (unit, next) = (code_unit(text), text.get(6..).and_then(code_unit));
    match (unit, next) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
        (Some(0xd800..=0xdfff), _) => {
            text[2..6].copy_from_slice(b"fffd");
            repairs.lone_surrogates += 1;
            6
        }
        _ => 2,
    }
}

/// What `\uXXXX` at the start of `text` stands for.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// The number of bytes to go on by. What only starts like such a word is no JSON before and after.
fn repair_non_number(text: &mut [u8], repairs: &mut Repairs) -> usize {
    let word = NON_NUMBERS.iter().find(|word| text.starts_with(word)).map(|word| word.len());
    let Some(length) = word.or_else(|| too_large(text)) else { return number(text).len().max(1) };
    text[..length].fill(b' ');
    text[..NO_NUMBER.len()].copy_from_slice(NO_NUMBER);
    repairs.non_numbers += 1;
    length
}

/// The length of a number at the start of `text` that no float holds.
fn too_large(text: &[u8]) -> Option<usize> {
    let number = number(text);
    let read: f64 = str::from_utf8(number).ok()?.parse().ok()?;
    read.is_infinite().then_some(number.len())
}

/// What of `text` may belong to a number at its start.
fn number(text: &[u8]) -> &[u8] {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let end = text.iter().position(|byte| !is_of_number(byte)).unwrap_or(text.len());
    &text[..end]
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

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: impl AsRef<[u8]>) -> (Value, Repairs) {
        let Parsed { value, repairs } = parse(text).unwrap();
        (value, repairs)
    }

    fn repairs(byte_order_marks: usize, invalid_utf8: usize, lone_surrogates: usize, non_numbers: usize) -> Repairs {
        Repairs { byte_order_marks, invalid_utf8, lone_surrogates, non_numbers }
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
    fn what_senders_write_is_read_and_what_was_repaired_is_counted() {
        let table: [(&[u8], Value, Repairs); 17] = [
            (b"\xef\xbb\xbf{\"a\":1}", json!({"a": 1}), repairs(1, 0, 0, 0)),
            (br#"["so \ud83d"]"#, json!(["so \u{fffd}"]), repairs(0, 0, 1, 0)),
            (br#"["\ude00 so"]"#, json!(["\u{fffd} so"]), repairs(0, 0, 1, 0)),
            (br#"["\uD83D\uD83D\uDE00"]"#, json!(["\u{fffd}\u{1f600}"]), repairs(0, 0, 1, 0)),
            (br#"["\ud83d\u0041\ud83dA\ud83d\n"]"#, json!(["\u{fffd}A\u{fffd}A\u{fffd}\n"]), repairs(0, 0, 3, 0)),
            (br#"{"\ud83d":["\\ud83d"]}"#, json!({"\u{fffd}": ["\\ud83d"]}), repairs(0, 0, 1, 0)),
            (br#"["\ud83d","\\","\"",NaN]"#, json!(["\u{fffd}", "\\", "\"", {}]), repairs(0, 0, 1, 1)),
            (b"[\"caf\xe9\",\"\xff\xfe\"]", json!(["caf\u{fffd}", "\u{fffd}\u{fffd}"]), repairs(0, 3, 0, 0)),
            (b"[\"cut \xf0\x9f\"]", json!(["cut \u{fffd}"]), repairs(0, 1, 0, 0)),
            (br#"{"a":NaN,"b":Infinity,"c":-Infinity}"#, json!({"a": {}, "b": {}, "c": {}}), repairs(0, 0, 0, 3)),
            (b"NaN", json!({}), repairs(0, 0, 0, 1)),
            (
                br#"{"a":1e999,"b":-1e+999,"c":[1e3,12]}"#,
                json!({"a": {}, "b": {}, "c": [1000.0, 12]}),
                repairs(0, 0, 0, 2),
            ),
            (br#"[7,1e9999,"1e9999"]"#, json!([7, {}, "1e9999"]), repairs(0, 0, 0, 1)),
            (br#"[NaN,"NaN","-Infinity"]"#, json!([{}, "NaN", "-Infinity"]), repairs(0, 0, 0, 1)),
            (br#"["\u00e9\/\b",-1.5e3]"#, json!(["é/\u{8}", -1500.0]), repairs(0, 0, 0, 0)),
            (b" [ 1 ,\n\"a\" ] ", json!([1, "a"]), repairs(0, 0, 0, 0)),
            ("\u{feff}[\"\u{feff}\\ud83d\"]".as_bytes(), json!(["\u{feff}\u{fffd}"]), repairs(1, 0, 1, 0)),
        ];
        for (text, expected, repairs) in table {
            assert_eq!(read(text), (expected, repairs), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for text in ["", "{", "nan", "NaNs", "[1NaN]", "{NaN:1}", "[+Infinity]", "- Infinity", r#"["\u12"]"#, "[1]]"] {
            assert!(parse::<Value>(text).unwrap_err().is_syntax(), "{text}");
        }
        assert!(parse::<Value>("[".repeat(200_000)).unwrap_err().is_syntax());
        assert!(parse::<Value>("\u{feff}\u{feff}{}").unwrap_err().is_syntax(), "a second mark is text");
    }

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

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// As a writer of plain ASCII would write it: everything else becomes an escape, pairs of surrogates too.
    fn in_ascii(json: &str) -> String {
        let escaped = |unit: u16| match char::from_u32(unit.into()).filter(char::is_ascii) {
            Some(character) => character.to_string(),
            None => format!("\\u{unit:04x}"),
        };
        json.encode_utf16().map(escaped).collect()
    }

    proptest! {
        #[test]
        fn json_that_is_in_order_is_read_as_it_is(value in any_json()) {
            let written = value.to_string();
            // Some floats are not read back to the last bit.
            let expected: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read(&written), (expected.clone(), Repairs::default()));
            let ascii = in_ascii(&written);
            prop_assert_eq!(read(&ascii), (expected.clone(), Repairs::default()));
            // A repair elsewhere changes nothing of it.
            let marked = format!("\u{feff}[NaN,{ascii},\"\\ud83d\"]");
            prop_assert_eq!(read(&marked), (json!([{}, expected, "\u{fffd}"]), repairs(1, 0, 1, 1)));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let strict = serde_json::from_slice::<Value>(&bytes);
            let tolerant = parse::<Value>(&bytes);
            prop_assert!(strict.is_err() || tolerant.is_ok());
        }

        #[test]
        fn any_pieces_of_json_are_a_value_or_an_error(
            pieces in prop::collection::vec(
                r#"\\u[dD][89aAcCfF][0-9a-f]{2}|\\u[0-9a-fA-F]{0,4}|\\.|NaN|-?Infinity|"|\{|\}|\[|\]|,|:|[ -~]|\PC"#, 0..40),
        ) {
            let text = pieces.concat();
            let _ = parse::<Value>(&text);
            let _ = parse::<Value>(format!("[\"{text}\"]"));
        }
    }
}
