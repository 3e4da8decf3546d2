//! What Python's `json.loads` takes, and nothing else.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, NotPythonJson, Text, Value};

/// Reads one value with nothing but white space around it.
pub(super) fn read(text: &str) -> Result<Value, NotPythonJson> {
    let mut reader = Reader { text, position: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.position < text.len() { Err(reader.syntax()) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    /// Always at the start of a character.
    position: usize,
}

impl Reader<'_> {
    fn syntax(&self) -> NotPythonJson {
        NotPythonJson::Syntax(self.position)
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn skip_space(&mut self) {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.position += self.rest().bytes().take_while(is_space).count();
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.rest().starts_with(word);
        if taken {
            self.position += word.len();
        }
        taken
    }

    fn expect(&mut self, word: &str) -> Result<(), NotPythonJson> {
        if self.take(word) { Ok(()) } else { Err(self.syntax()) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotPythonJson> {
        if depth > MAX_DEPTH {
            return Err(NotPythonJson::TooDeep);
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::Text),
            _ => self.word().map_or_else(|| self.number(), Ok),
        }
    }

    fn word(&mut self) -> Option<Value> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        words.into_iter().find(|(word, _)| self.take(word)).map(|(_, value)| value)
    }

    fn list(&mut self, depth: usize) -> Result<Value, NotPythonJson> {
        let mut items = Vec::new();
        self.members("[", "]", |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value, NotPythonJson> {
        let mut entries = BTreeMap::new();
        self.members("{", "}", |reader| {
            let key = reader.string()?;
            reader.skip_space();
            reader.expect(":")?;
            reader.skip_space();
            entries.insert(key, reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Object(entries))
    }

    fn members(
        &mut self,
        open: &str,
        close: &str,
        mut member: impl FnMut(&mut Self) -> Result<(), NotPythonJson>,
    ) -> Result<(), NotPythonJson> {
        self.expect(open)?;
        self.skip_space();
        if self.take(close) {
            return Ok(());
        }
        loop {
            member(self)?;
            self.skip_space();
            if self.take(close) {
                return Ok(());
            }
            self.expect(",")?;
            self.skip_space();
        }
    }

    fn string(&mut self) -> Result<Text, NotPythonJson> {
        self.expect("\"")?;
        let mut text = Text::new();
        loop {
            let letter = self.rest().chars().next().ok_or_else(|| self.syntax())?;
            match letter {
                '"' => {
                    self.position += 1;
                    return Ok(text);
                }
                '\\' => {
                    self.position += 1;
                    text.push(self.escaped()?);
                }
                '\0'..='\u{1f}' => return Err(self.syntax()),
                _ => {
                    self.position += letter.len_utf8();
                    text.push(letter.into());
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<u32, NotPythonJson> {
        let code = match self.peek() {
            Some(b'u') => {
                self.position += 1;
                return self.code_point();
            }
            Some(letter @ (b'"' | b'\\' | b'/')) => letter,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => return Err(self.syntax()),
        };
        self.position += 1;
        Ok(code.into())
    }

    /// Two surrogates that belong together are one character; one alone stays what it is.
    fn code_point(&mut self) -> Result<u32, NotPythonJson> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) || !self.rest().starts_with("\\u") {
            return Ok(first);
        }
        let before = self.position;
        self.position += 2;
        let second = self.four_digits()?;
        if (0xdc00..0xe000).contains(&second) {
            return Ok(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
        self.position = before;
        Ok(first)
    }

    fn four_digits(&mut self) -> Result<u32, NotPythonJson> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| self.syntax())?;
        self.position += 4;
        Ok(code)
    }

    /// A fraction or an exponent makes it a float; what follows the longest number is left for the caller to refuse.
    fn number(&mut self) -> Result<Value, NotPythonJson> {
        let rest = self.rest();
        let whole = whole_length(rest).ok_or_else(|| self.syntax())?;
        let fraction = digits_after(&rest[whole..], &["."]);
        let exponent = digits_after(&rest[whole + fraction..], &["e+", "e-", "E+", "E-", "e", "E"]);
        let written = &rest[..whole + fraction + exponent];
        let value = if fraction + exponent > 0 {
            Value::Float(written.parse().map_err(|_| self.syntax())?)
        } else {
            Value::Integer(if written == "-0" { "0" } else { written }.to_owned())
        };
        self.position += whole + fraction + exponent;
        Ok(value)
    }
}

/// `-?(0|[1-9][0-9]*)`
fn whole_length(text: &str) -> Option<usize> {
    let sign = usize::from(text.starts_with('-'));
    match count_digits(&text[sign..]) {
        0 => None,
        _ if text[sign..].starts_with('0') => Some(sign + 1),
        digits => Some(sign + digits),
    }
}

/// The length of one of the marks with at least one digit behind it; 0 if there is none.
fn digits_after(text: &str, marks: &[&str]) -> usize {
    let with_digits = |mark: &&str| {
        let digits = count_digits(text.strip_prefix(*mark)?);
        (digits > 0).then_some(mark.len() + digits)
    };
    marks.iter().find_map(with_digits).unwrap_or(0)
}

fn count_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}
