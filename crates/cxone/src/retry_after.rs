//! The `Retry-After` header.
//!
//! Input: the header as it came, and the wall clock. Output: how long the server asks to wait, never less than it
//! says; nothing when it says nothing that can be read.

use std::time::{Duration, SystemTime};

/// Longer than any process waits, and short enough to be added to an instant.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Whole seconds or an HTTP date. A date in the past is a wait of zero.
pub fn parse(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // The only failure left is a number beyond 64 bits.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let seconds = Duration::from_secs;
        for (header, expected) in [
            ("2", Some(seconds(2))),
            (" 30 ", Some(seconds(30))),
            ("0", Some(Duration::ZERO)),
            ("99999999999999999999999", Some(LONGEST)),
            ("Wed, 21 Oct 2026 07:28:05 GMT", Some(seconds(5))),
            ("Wednesday, 21-Oct-26 07:28:05 GMT", Some(seconds(5))),
            ("Wed, 21 Oct 2026 07:27:00 GMT", Some(Duration::ZERO)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse(header, now), expected, "{header:?}");
        }
    }

    #[test]
    fn a_date_is_never_shortened_by_the_fraction_of_a_second_that_has_passed() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap() + Duration::from_millis(400);
        assert_eq!(parse("Wed, 21 Oct 2026 07:28:02 GMT", now), Some(Duration::from_millis(1600)));
    }
}
