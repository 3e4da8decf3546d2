//! What is repaired in a text that `serde_json` refuses.
//!
//! Input: any bytes. Output: the text as `serde_json` can read it, if anything can, and how many places were repaired.
//!
//! | sent | read as |
//! |---|---|
//! | a byte order mark before the text | nothing |
//! | half of a surrogate pair, as in `"\ud83d"` | U+FFFD |
//! | bytes that are not UTF-8 | U+FFFD |
//! | `NaN`, `Infinity`, `-Infinity`, a number that is too large (`1e999`) | a value that only a field which nobody reads may hold |

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// What Python's `json` writes for numbers that JSON does not have.
const NON_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
/// An empty object stands for them: it is neither a text, a number, a list nor a missing value, so every field that is read
/// refuses it. It is shorter than any of them, so that places in error messages stay those of the input.
const NO_NUMBER: &[u8] = b"{}";

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

/// The text behind its byte order mark.
pub(super) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The text as `serde_json` can read it, if anything can.
pub(super) fn repaired(text: &[u8]) -> (Vec<u8>, Repairs) {
    let mut repairs = Repairs::default();
    let unmarked = unmarked(text);
    repairs.byte_order_marks = usize::from(unmarked.len() < text.len());
    let mut utf8 = String::with_capacity(text.len());
    for chunk in unmarked.utf8_chunks() {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::{Parsed, parse};
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> (Value, Repairs) {
        let Parsed { value, repairs } = parse(text).unwrap();
        (value, repairs)
    }

    fn repairs(byte_order_marks: usize, invalid_utf8: usize, lone_surrogates: usize, non_numbers: usize) -> Repairs {
        Repairs { byte_order_marks, invalid_utf8, lone_surrogates, non_numbers }
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
