//! Scripted faults: what the next requests on a route meet instead of, or before, their handler.
//!
//! Input: [`Fault`]s in the order in which they shall happen. Output: at most one [`FaultKind`] per request, taken from
//! the script by the middleware in `http/observe.rs`, the only place that acts on them.

use std::time::Duration;

use actix_web::http::header::HeaderValue;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize};
use strum::{EnumDiscriminants, IntoStaticStr, VariantArray};

use crate::base::contracts::Route;

/// Far beyond any wait that a server asks for, and well before the year 10,000, where HTTP dates end.
const FURTHEST_DATE: Duration = Duration::from_hours(24 * 36_500);

/// HTTP dates begin with 1970, and so long ago that was when this was written.
const FURTHEST_BEHIND: Duration = Duration::from_hours(24 * 18_250);

/// As [`Fault::times`]: for every request until the faults are cleared.
pub const UNTIL_CLEARED: u32 = u32::MAX;

/// When a cut connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum CutMoment {
    /// The request had no effect.
    BeforeHandling,
    /// The request took effect, only its answer is lost.
    AfterHandling,
    /// The request took effect, and half of its answer's body arrives.
    InBody,
}

/// The `Retry-After` header of a scripted answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, EnumDiscriminants)]
#[serde(rename_all = "snake_case")]
#[strum_discriminants(doc = "A form of the header, for whoever draws from all of them.")]
#[strum_discriminants(name(RetryAfterName), derive(VariantArray))]
pub enum RetryAfter {
    /// Whole seconds.
    Seconds(u64),
    /// An HTTP date this far in the future when the answer is given.
    #[serde(with = "humantime_serde")]
    DateIn(Duration),
    /// The same by a clock that goes wrong; the answer's own `Date` is of that clock too.
    DateByClock {
        /// From the answer's `Date` on.
        #[serde(with = "humantime_serde")]
        date_in: Duration,
        /// How far the clock is ahead; below zero, how far behind.
        ahead: SignedDuration,
    },
    /// These characters.
    Literal(String),
}

/// What one request meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, EnumDiscriminants)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[strum_discriminants(doc = "A kind of fault by its name alone, for whoever draws from all of them.")]
#[strum_discriminants(name(FaultName), derive(PartialOrd, Ord, IntoStaticStr, VariantArray))]
#[strum_discriminants(strum(serialize_all = "snake_case"))]
pub enum FaultKind {
    /// This answer in place of the handler's; 2xx too, for answers that are no JSON or have no id, and 100 or 103, after
    /// which nothing comes.
    Answer {
        /// HTTP status; one that can't have a body is sent without.
        status: u16,
        /// Header of that name.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// Body as it stands; without one, a JSON error.
        #[serde(default)]
        body: Option<String>,
    },
    /// The handler runs this much later.
    Delay {
        /// How long.
        #[serde(with = "humantime_serde")]
        by: Duration,
    },
    /// The request has no effect and no answer comes; the connection stays open.
    NoAnswer,
    /// An interim answer, and then the handler's own.
    Interim {
        /// 100 or 103, for which nobody asked.
        status: u16,
    },
    /// Another address in place of the handler's answer.
    Redirect {
        /// For example 301, 307 or 308.
        status: u16,
        /// As the header `Location` names it.
        location: String,
    },
    /// A page for people in place of the handler's answer, as a proxy or an ended session gives it.
    LoginPage {
        /// Mostly 200.
        status: u16,
    },
    /// The handler's answer, compressed with gzip whatever the client takes.
    Gzip,
    /// The handler's answer with one passage of its body replaced, for example by bytes that are no JSON.
    Edit {
        /// The first passage that reads so; an empty one stands before everything. An answer without it becomes a 500.
        find: String,
        /// What stands there instead; the control call takes a text or a list of bytes.
        #[serde(deserialize_with = "text_or_bytes")]
        replace: Vec<u8>,
    },
    /// A stream opens as it should, and no close frame is ever answered on it.
    NoClose,
    /// The connection breaks without a whole answer.
    Cut {
        /// Before or after the request takes effect, or in the middle of the answer's body.
        moment: CutMoment,
    },
}

impl FaultKind {
    /// An answer with this status, no header, a JSON error as body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, retry_after: None, body: None }
    }

    /// What is wrong with a fault on this route.
    fn check(&self, route: Route) -> Result<(), String> {
        let (status, is_possible, choice) = match self {
            Self::Answer { status, .. } => (status, matches!(status, 100 | 103 | 200..=599), "100, 103 or 200 to 599"),
            Self::Interim { status } => (status, matches!(status, 100 | 103), "100 or 103"),
            Self::Redirect { status, .. } => (status, (300..=399).contains(status), "300 to 399"),
            Self::LoginPage { status } => (status, (200..=599).contains(status), "200 to 599"),
            Self::NoClose if !route.is_stream() => return Err("only a stream has close frames".to_owned()),
            _ => return Ok(()),
        };
        if !is_possible {
            return Err(format!("{status} is no status that this answer can have, choose {choice}"));
        }
        match self {
            Self::Answer { retry_after: Some(retry_after), .. } => retry_after.check(),
            Self::Redirect { location, .. } => check_header(location),
            _ => Ok(()),
        }
    }
}

impl RetryAfter {
    /// What is wrong with it.
    fn check(&self) -> Result<(), String> {
        let days = |limit: Duration| limit.as_secs() / 86_400;
        let furthest = match self {
            Self::Seconds(_) => return Ok(()),
            Self::Literal(text) => return check_header(text),
            Self::DateByClock { ahead, .. } if ahead.is_negative() && ahead.unsigned_abs() > FURTHEST_BEHIND => {
                let most = days(FURTHEST_BEHIND);
                return Err(format!("the clock must be at most {most} days behind: HTTP dates begin with 1970"));
            }
            Self::DateByClock { date_in, ahead } => date_in.saturating_add(ahead.unsigned_abs()),
            Self::DateIn(later) => *later,
        };
        if furthest > FURTHEST_DATE {
            return Err(format!("the date must be at most {} days away", days(FURTHEST_DATE)));
        }
        Ok(())
    }
}

/// A text that no header can hold would become another answer than the one that was asked for.
fn check_header(text: &str) -> Result<(), String> {
    if HeaderValue::from_str(text).is_ok() {
        return Ok(());
    }
    Err(format!("{text:?} can't stand in a header, which is one line without control characters"))
}

/// `times` requests on `route` meet `fault`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub route: Route,
    /// For how many requests; [`UNTIL_CLEARED`] for all.
    pub times: u32,
    /// What they meet.
    pub fault: FaultKind,
}

/// A fault as the control call writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultOrder {
    route: Route,
    #[serde(default)]
    times: Times,
    #[serde(default = "one")]
    every: u32,
    fault: FaultKind,
}

fn text_or_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Bytes(Vec<u8>),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Text(text) => text.into_bytes(),
        Either::Bytes(bytes) => bytes,
    })
}

fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Times {
    Number(u32),
    Word(Always),
}

#[derive(Debug, Deserialize)]
enum Always {
    #[serde(rename = "always")]
    Always,
}

impl Default for Times {
    fn default() -> Self {
        Self::Number(1)
    }
}

impl FaultOrder {
    /// The fault and the number of requests of which the last meets it, or what is wrong with the order.
    pub(crate) fn checked(self) -> Result<(Fault, u32), String> {
        let times = match self.times {
            Times::Number(number) => number,
            Times::Word(Always::Always) => UNTIL_CLEARED,
        };
        if times == 0 || self.every == 0 {
            return Err("times and every count from 1".to_owned());
        }
        if self.route == Route::Unknown {
            return Err("the route must be one of a contract".to_owned());
        }
        self.fault.check(self.route)?;
        Ok((Fault { route: self.route, times, fault: self.fault }, self.every))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn faults_are_read_from_json() {
        let read = |text: &str| serde_json::from_str::<FaultOrder>(text).map_err(|error| error.to_string())?.checked();
        let (fault, every) = read(
            r#"{"route":"rag","times":3,"every":2,"fault":{"kind":"answer","status":429,"retry_after":{"date_in":"2s"}}}"#,
        )
        .unwrap();
        let expected = FaultKind::Answer {
            status: 429,
            retry_after: Some(RetryAfter::DateIn(Duration::from_secs(2))),
            body: None,
        };
        assert_eq!((fault.times, every, fault.fault), (3, 2, expected));
        for (word, moment) in [
            ("before_handling", CutMoment::BeforeHandling),
            ("after_handling", CutMoment::AfterHandling),
            ("in_body", CutMoment::InBody),
        ] {
            let text = format!(r#"{{"route":"token","fault":{{"kind":"cut","moment":"{word}"}}}}"#);
            let (cut, every) = read(&text).unwrap();
            assert_eq!((cut.times, every, cut.fault), (1, 1, FaultKind::Cut { moment }));
        }
        let always = read(r#"{"route":"articles","times":"always","fault":{"kind":"no_answer"}}"#).unwrap();
        assert_eq!((always.0.times, always.0.fault), (UNTIL_CLEARED, FaultKind::NoAnswer));
        for (text, expected) in [
            (r#"{"kind":"edit","find":"a","replace":"b"}"#, FaultKind::Edit { find: "a".into(), replace: b"b".into() }),
            (
                r#"{"kind":"edit","find":"","replace":[239]}"#,
                FaultKind::Edit { find: String::new(), replace: vec![239] },
            ),
            (r#"{"kind":"interim","status":103}"#, FaultKind::Interim { status: 103 }),
            (r#"{"kind":"gzip"}"#, FaultKind::Gzip),
            (
                r#"{"kind":"answer","status":429,"retry_after":{"date_by_clock":{"date_in":"2s","ahead":"-1h"}}}"#,
                FaultKind::Answer {
                    status: 429,
                    retry_after: Some(RetryAfter::DateByClock {
                        date_in: Duration::from_secs(2),
                        ahead: SignedDuration::from_hours(-1),
                    }),
                    body: None,
                },
            ),
        ] {
            let (fault, _) = read(&format!(r#"{{"route":"token","fault":{text}}}"#)).unwrap();
            assert_eq!(fault.fault, expected);
            let written = serde_json::to_string(&fault.fault).unwrap();
            assert_eq!(
                serde_json::from_str::<FaultKind>(&written).unwrap(),
                expected,
                "{written} is what it was read from"
            );
        }
        for wrong in [
            r#"{"route":"token","fault":{"kind":"interim","status":101}}"#,
            r#"{"route":"token","fault":{"kind":"redirect","status":200,"location":"/"}}"#,
            r#"{"route":"token","fault":{"kind":"no_close"}}"#,
            r#"{"route":"token","fault":{"kind":"answer","status":429,"retry_after":{"date_by_clock":{"date_in":"1s","ahead":"-9000y"}}}}"#,
            r#"{"route":"token","fault":{"kind":"delay","by":"1s","often":true}}"#,
            r#"{"route":"tokens","fault":{"kind":"delay","by":"1s"}}"#,
            r#"{"route":"unknown","fault":{"kind":"no_answer"}}"#,
            r#"{"route":"token","times":0,"fault":{"kind":"no_answer"}}"#,
            r#"{"route":"token","times":"often","fault":{"kind":"no_answer"}}"#,
            r#"{"route":"token","every":0,"fault":{"kind":"no_answer"}}"#,
            r#"{"route":"token","fault":{"kind":"answer","status":99}}"#,
            r#"{"route":"token","fault":{"kind":"answer","status":429,"retry_after":{"date_in":"9000years"}}}"#,
            r#"{"route":"token"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_that_can_t_be_written_are_refused() {
        let answer = |retry_after| FaultKind::Answer { status: 429, retry_after: Some(retry_after), body: None };
        let by_clock = |hours| {
            let ahead = SignedDuration::from_hours(hours);
            answer(RetryAfter::DateByClock { date_in: Duration::from_secs(1), ahead })
        };
        let literal = |text: &str| answer(RetryAfter::Literal(text.into()));
        let redirect = |location: &str| FaultKind::Redirect { status: 302, location: location.into() };
        for (fault, wrong) in [
            (by_clock(-525_960), "begin with 1970"),
            (by_clock(-438_001), "begin with 1970"),
            (by_clock(-438_000), ""),
            (by_clock(525_960), ""),
            (by_clock(876_000), "36500 days away"),
            (literal("so\non"), r#""so\non" can't stand in a header"#),
            (literal("bell\u{7}"), "can't stand in a header"),
            (literal("später"), ""),
            (literal("soon"), ""),
            (redirect("/a\r\nb: c"), "can't stand in a header"),
            (redirect("/a"), ""),
        ] {
            let checked = fault.check(Route::Token).err().unwrap_or_default();
            assert_eq!(checked.is_empty(), wrong.is_empty(), "{fault:?}: {checked}");
            assert!(checked.contains(wrong), "{fault:?}: {checked}");
        }
    }
}
