//! What the record keeps for itself: the values of fields that hold a secret, wherever a client that knocks at the wrong
//! place puts them.
//!
//! Input: the name of a field, or a body as JSON. Output: whether it is secret, or the same body with every secret masked,
//! at whatever depth. Pure.

use serde_json::{Value, json};

/// Whatever the route, the case and the marks between the words.
const SECRET_FIELDS: [&str; 2] = ["clientsecret", "accesstoken"];
pub(crate) const MASK: &str = "***";

pub(crate) fn is_secret(name: &str) -> bool {
    let letters =
        || name.chars().filter(|letter| !matches!(letter, '_' | '-')).map(|letter| letter.to_ascii_lowercase());
    SECRET_FIELDS.iter().any(|secret| secret.chars().eq(letters()))
}

/// Masks each secret of a body.
pub(crate) fn mask(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if is_secret(name) {
                    *value = json!(MASK);
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_however_they_are_written() {
        for (name, secret) in [
            ("client_secret", true),
            ("clientSecret", true),
            ("Access-Token", true),
            ("client_id", false),
            ("token", false),
            ("client_secrets", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let mut body =
            json!([{"a": {"client_secret": ["s3cret"], "b": [1, {"accessToken": "s3cret"}]}}, "client_secret"]);
        mask(&mut body);
        let masked = json!([{"a": {"client_secret": "***", "b": [1, {"accessToken": "***"}]}}, "client_secret"]);
        assert_eq!(body, masked);
    }
}
