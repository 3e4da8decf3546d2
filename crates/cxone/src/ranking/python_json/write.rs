//! What Python's `json.dumps` writes with its standard separators.

use std::fmt::Write;

use super::Value;

pub(super) fn write(value: &Value, dump: &mut String) {
    match value {
        Value::Null => dump.push_str("null"),
        Value::Bool(true) => dump.push_str("true"),
        Value::Bool(false) => dump.push_str("false"),
        Value::Integer(digits) => dump.push_str(digits),
        Value::Float(number) => write_float(*number, dump),
        Value::Text(text) => write_text(text, dump),
        Value::List(items) => {
            dump.push('[');
            separated(items, dump, write);
            dump.push(']');
        }
        Value::Object(entries) => {
            dump.push('{');
            separated(entries, dump, |(key, value), dump| {
                write_text(key, dump);
                dump.push_str(": ");
                write(value, dump);
            });
            dump.push('}');
        }
    }
}

fn separated<T>(parts: impl IntoIterator<Item = T>, dump: &mut String, mut write_one: impl FnMut(T, &mut String)) {
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            dump.push_str(", ");
        }
        write_one(part, dump);
    }
}

fn write_text(text: &[u32], dump: &mut String) {
    dump.push('"');
    for &code in text {
        match char::from_u32(code) {
            Some('"') => dump.push_str("\\\""),
            Some('\\') => dump.push_str("\\\\"),
            Some('\n') => dump.push_str("\\n"),
            Some('\r') => dump.push_str("\\r"),
            Some('\t') => dump.push_str("\\t"),
            Some('\u{8}') => dump.push_str("\\b"),
            Some('\u{c}') => dump.push_str("\\f"),
            Some(letter @ ' '..='~') => dump.push(letter),
            _ => write_escaped(code, dump),
        }
    }
    dump.push('"');
}

/// Beyond 16 bits as the two surrogates of UTF-16.
fn write_escaped(code: u32, dump: &mut String) {
    // Writing into a string never fails.
    let _ = match code.checked_sub(0x10000) {
        None => write!(dump, "\\u{code:04x}"),
        Some(above) => write!(dump, "\\u{:04x}\\u{:04x}", 0xd800 + (above >> 10), 0xdc00 + (above & 0x3ff)),
    };
}

/// Python's `float.__repr__`: the fewest digits that read back as the same number, with an exponent of at least two
/// digits when it is below -4 or above 15.
fn write_float(number: f64, dump: &mut String) {
    if number.is_nan() {
        return dump.push_str("NaN");
    }
    if number.is_infinite() {
        return dump.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if number.is_sign_negative() {
        dump.push('-');
    }
    let scientific = fewest_digits(number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Writing into a string never fails.
    let _ = match exponent {
        0..=15 => write!(dump, "{}", with_point(&mantissa.replace('.', ""), exponent as usize + 1)),
        -4..=-1 => write!(dump, "0.{}{}", "0".repeat(-exponent as usize - 1), mantissa.replace('.', "")),
        ..=-5 => write!(dump, "{mantissa}e-{:02}", -exponent),
        16.. => write!(dump, "{mantissa}e+{exponent:02}"),
    };
}

/// Where two numbers of so few digits are equally near, Python takes the even one, and Rust's own the larger one.
fn fewest_digits(number: f64) -> String {
    let scientific = format!("{number:e}");
    let places = scientific.find('e').unwrap_or_default().saturating_sub(2);
    let to_even = format!("{number:.places$e}");
    if to_even.parse() == Ok(number) { to_even } else { scientific }
}

/// A point after so many digits, with a digit on either side.
fn with_point(digits: &str, whole: usize) -> String {
    let padded = format!("{digits:0<least$}", least = whole + 1);
    let (whole, fraction) = padded.split_at(whole);
    format!("{whole}.{fraction}")
}
