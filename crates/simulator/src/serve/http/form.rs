//! Queries and forms: their fields, and what the record may keep of them: everything but secrets.
//!
//! Input: a query, or the body of a form. Output: its fields, or the same with the value of each secret field masked. Pure.

use actix_web::web;
use serde_json::{Value, json};

use crate::serve::secrets::{self, MASK, is_secret};

/// The fields; none when they can't be read.
pub(super) fn fields(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    web::Query::from_query(&text).map_or_else(|_| Vec::new(), web::Query::into_inner)
}

/// The query as it came but for its secrets.
pub(super) fn masked_query(query: &str) -> String {
    let shown = |field: &str| match fields(field.as_bytes()).first() {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => field.to_owned(),
    };
    query.split('&').map(shown).collect::<Vec<_>>().join("&")
}

/// The fields as an object; what was sent as JSON instead stays what it is.
pub(super) fn masked_form(body: &[u8]) -> Value {
    let as_form = || fields(body).into_iter().map(|(name, value)| (name, json!(value))).collect();
    let mut form = serde_json::from_slice(body).unwrap_or_else(|_| Value::Object(as_form()));
    secrets::mask(&mut form);
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_query_are_masked_and_the_rest_stays() {
        for (sent, kept) in [
            ("access_token=s3cret", "access_token=***"),
            ("q=late+parcels&Access%5Ftoken=s3cret&page=1", "q=late+parcels&Access_token=***&page=1"),
            ("client_secret=s3cret&client_secret=s3cret", "client_secret=***&client_secret=***"),
            ("token&q=%26&&", "token&q=%26&&"),
        ] {
            assert_eq!(masked_query(sent), kept);
        }
    }

    #[test]
    fn secrets_of_a_form_are_masked_however_it_is_written() {
        let kept = json!({"client_id": "c", "client_secret": "***"});
        assert_eq!(masked_form(b"client_id=c&client_secret=s3cret"), kept);
        assert_eq!(masked_form(br#"{"client_id": "c", "client_secret": {"s3cret": 1}}"#), kept);
        assert_eq!(masked_form(br#"[{"client_id": "c", "client_secret": "s3cret"}]"#), json!([kept]));
    }
}
