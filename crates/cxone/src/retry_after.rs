//! The `Retry-After` header, as every call and every handshake reads it.
//!
//! Input: the header and the answer's own `Date` as they came, the wall clock, and the longest wait that is believed.
//! Output: how long to wait, never less than the server says up to that longest; nothing when it says nothing that can
//! be read.

use std::fmt;
use std::time::{Duration, SystemTime};

/// What a server asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    header: String,
    asked: Duration,
    wait: Duration,
}

impl RetryAfter {
    /// Seconds, decimals too, or an HTTP date. A date is counted from the answer's own, so that a server whose clock is
    /// wrong is understood all the same; one in the past is a wait of zero.
    pub fn read(header: &str, date: Option<&str>, now: SystemTime, longest: Duration) -> Option<Self> {
        let header = header.trim();
        let asked = if header.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            // The only failure left is a number beyond any duration.
            Duration::try_from_secs_f64(header.parse().ok()?).unwrap_or(Duration::MAX)
        } else {
            let until = httpdate::parse_http_date(header).ok()?;
            let since = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
            until.duration_since(since).unwrap_or_default()
        };
        Some(Self { header: header.to_owned(), asked, wait: asked.min(longest) })
    }

    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Whether the server asked for longer than is believed.
    pub fn is_cut(&self) -> bool {
        self.wait < self.asked
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Retry-After: {}", self.header)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const LONGEST: Duration = Duration::from_mins(5);

    fn read(header: &str, date: Option<&str>) -> Option<RetryAfter> {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap() + Duration::from_millis(400);
        RetryAfter::read(header, date, now, LONGEST)
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let milliseconds = |milliseconds| Some(Duration::from_millis(milliseconds));
        for (header, expected) in [
            ("2", milliseconds(2000)),
            (" 30 ", milliseconds(30_000)),
            ("0", milliseconds(0)),
            ("2.5", milliseconds(2500)),
            ("2.0", milliseconds(2000)),
            ("0.25", milliseconds(250)),
            // Never less than asked because a fraction of a second has passed.
            ("Wed, 21 Oct 2026 07:28:05 GMT", milliseconds(4600)),
            ("Wednesday, 21-Oct-26 07:28:05 GMT", milliseconds(4600)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", milliseconds(0)),
            ("-1", None),
            ("1.2.3", None),
            (".", None),
            ("2,5", None),
            ("1e3", None),
            ("inf", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(header, None).map(|read| read.wait()), expected, "{header:?}");
        }
    }

    #[test]
    fn a_date_is_counted_from_the_date_of_the_answer() {
        let asked = "Wed, 21 Oct 2026 08:28:05 GMT";
        for (date, seconds) in [
            // The server's clock is an hour ahead, an hour behind, and right.
            (Some("Wed, 21 Oct 2026 08:28:00 GMT"), 5),
            (Some("Wed, 21 Oct 2026 06:28:00 GMT"), 300),
            (Some("no date"), 300),
            (None, 300),
        ] {
            assert_eq!(read(asked, date).unwrap().wait(), Duration::from_secs(seconds), "{date:?}");
        }
        let behind = read("Wed, 21 Oct 2026 06:28:07 GMT", Some("Wed, 21 Oct 2026 06:28:00 GMT")).unwrap();
        assert_eq!(behind.wait(), Duration::from_secs(7), "though that time is long over here");
    }

    #[test]
    fn what_is_longer_than_believed_is_cut() {
        for header in
            ["1792567680", "60000", "86400", "300.1", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
        {
            let read = read(header, None).unwrap();
            assert_eq!((read.wait(), read.is_cut()), (LONGEST, true), "{header}");
            assert_eq!(read.to_string(), format!("Retry-After: {header}"));
        }
        assert!(!read("300", None).unwrap().is_cut());
    }

    fn http_date() -> impl Strategy<Value = (u64, String)> {
        // Up to the year 9999, the last one that the format can write.
        (0..253_402_300_800_u64).prop_map(|seconds| (seconds, httpdate::fmt_http_date(at(seconds))))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_asked_nor_longer_than_believed(
            whole in "[0-9]{1,25}",
            fraction in "(\\.[0-9]{0,20})?",
            longest in 0..10_000_000_u64,
        ) {
            let (header, longest) = (format!("{whole}{fraction}"), Duration::from_millis(longest));
            let read = RetryAfter::read(&header, None, SystemTime::UNIX_EPOCH, longest).unwrap();
            let asked: f64 = header.parse().unwrap();
            prop_assert!(read.wait() <= longest);
            // A nanosecond is the smallest part of a wait.
            let apart = asked - longest.as_secs_f64();
            prop_assert!(read.wait().as_secs_f64() >= asked.min(longest.as_secs_f64()) - 1e-6, "{:?}", read);
            prop_assert!(read.is_cut() == (apart > 0.0) || apart.abs() < 1e-6, "{:?}", read);
        }

        #[test]
        fn a_date_is_the_difference_to_the_answers_own_whatever_the_clock_here(
            (until, header) in http_date(),
            (since, date) in http_date(),
            now in 0..253_402_300_800_u64,
        ) {
            let asked = Duration::from_secs(until.saturating_sub(since));
            let read = RetryAfter::read(&header, Some(&date), at(now), LONGEST).unwrap();
            prop_assert_eq!((read.wait(), read.is_cut()), (asked.min(LONGEST), asked > LONGEST));
            let by_the_clock_here = RetryAfter::read(&header, None, at(now), LONGEST).unwrap();
            prop_assert_eq!(by_the_clock_here.wait(), Duration::from_secs(until.saturating_sub(now)).min(LONGEST));
        }

        #[test]
        fn any_text_is_a_wait_within_the_longest_or_nothing(
            header in "[0-9]{0,12}[.eE+-]?[0-9]{0,12}|[A-Z][a-z]{2}, [0-9]{1,2} Oct [0-9]{1,5} [0-9:]{5,8} GMT|\\PC*",
            date in "Wed, [0-9]{2} Oct [0-9]{4} 07:28:00 GMT|\\PC*",
            seconds in any::<u32>(),
        ) {
            let read = RetryAfter::read(&header, Some(&date), at(seconds.into()), LONGEST);
            prop_assert!(read.is_none_or(|read| read.wait() <= LONGEST));
        }
    }
}
