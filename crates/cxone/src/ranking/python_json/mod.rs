//! JSON as Python writes it with sorted keys.
//!
//! Input: an answer. Output: exactly the text of Python's `json.dumps(json.loads(answer), sort_keys=True)`: `", "` and
//! `": "` between the parts, keys sorted by their code points, everything but printable ASCII escaped, the shortest
//! floats that read back, integers of any size. On failure a [`NotPythonJson`]: Python can't read the answer either, or
//! it nests deeper than [`MAX_DEPTH`].
//!
//! Python reads more than JSON has: `NaN`, `Infinity`, single surrogates. Of repeated keys the last one counts.

mod read;
mod write;

use std::collections::BTreeMap;

/// Deeper than any answer nests, and shallow enough for the smallest stack; Python itself gives up somewhat later.
const MAX_DEPTH: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPythonJson {
    #[error("the answer is not UTF-8")]
    NotUtf8,
    #[error("the answer is no json, its error is at byte {0}")]
    Syntax(usize),
    #[error("the answer nests deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// Reads the answer and writes it again.
pub fn sorted_dump(answer: &[u8]) -> Result<String, NotPythonJson> {
    let text = std::str::from_utf8(answer).map_err(|_| NotPythonJson::NotUtf8)?;
    // Python's loader takes a byte order mark off bytes.
    let value = read::read(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let mut dump = String::with_capacity(answer.len() + answer.len() / 8);
    write::write(&value, &mut dump);
    Ok(dump)
}

/// Code points, since Python's text may hold single surrogates and is sorted by code point.
type Text = Vec<u32>;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    /// Its digits as they came, but for the sign of 0.
    Integer(String),
    Float(f64),
    Text(Text),
    List(Vec<Value>),
    Object(BTreeMap<Text, Value>),
}

#[cfg(test)]
mod tests;
