//! What CXone does wrong: every kind of fault that the simulator knows, on every route that a night's service asks. The kinds
//! are drawn from the simulator's own lists, so that one that is new there does not compile here until it is drawn, too.

use std::time::Duration;

use cuecard_simulator::{CutMoment, FaultKind, FaultName, RetryAfter, RetryAfterName, Route};
use jiff::SignedDuration;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use strum::VariantArray;

/// Nobody has this name, and nobody asks for it: whither a redirect leads is another host's.
const ELSEWHERE: &str = "https://login.invalid/";

/// As a clock that goes wrong by it is seen in the field: a time zone.
const ZONE: SignedDuration = SignedDuration::from_hours(1);

/// What no client can read an answer from.
const NO_ANSWERS: [Option<&str>; 5] = [None, Some(""), Some("{"), Some("null"), Some("[]")];

/// Passages of answers, and what stands there instead: a byte order mark before everything, a byte that is no UTF-8, and
/// nothing where an object begins.
const EDITS: [(&str, &[u8]); 3] = [("", b"\xef\xbb\xbf"), ("\"", b"\xff"), ("{", b"")];

/// A fault, and where it is met.
pub fn fault(rng: &mut StdRng) -> (Route, FaultKind) {
    let name = *FaultName::VARIANTS.choose(rng).unwrap();
    let asked: Vec<Route> = Route::VARIANTS.iter().copied().filter(|route| is_asked(*route)).collect();
    // Nothing but a stream has close frames.
    let route = if name == FaultName::NoClose { Route::Stream } else { *asked.choose(rng).unwrap() };
    (route, of_kind(rng, name, route))
}

/// The same where a service asks many times a second, so that it is met soon.
pub fn met_soon(rng: &mut StdRng) -> (Route, FaultKind) {
    loop {
        let (route, fault) = fault(rng);
        if is_busy(route) {
            return (route, fault);
        }
    }
}

/// Whether each question asks there.
pub fn is_busy(route: Route) -> bool {
    matches!(route, Route::Insights | Route::Ranking)
}

/// Whether a night's service asks there. A session is looked at where a ranking was answered 409.
fn is_asked(route: Route) -> bool {
    match route {
        Route::Token
        | Route::Stream
        | Route::Insights
        | Route::Ranking
        | Route::Session
        | Route::Feedback
        | Route::Articles => true,
        // Of contracts that no profile of the night has, of searches that none asks for live, and of nobody.
        Route::Events | Route::Rag | Route::Snippets | Route::Graph | Route::Search | Route::Unknown => false,
    }
}

/// What goes away by itself: nothing here refuses anything for good.
fn of_kind(rng: &mut StdRng, name: FaultName, route: Route) -> FaultKind {
    match name {
        FaultName::Answer => answer(rng, route),
        FaultName::Delay => FaultKind::Delay { by: Duration::from_millis(rng.random_range(20..1_500)) },
        FaultName::NoAnswer => FaultKind::NoAnswer,
        FaultName::Interim => FaultKind::Interim { status: *[100, 103].choose(rng).unwrap() },
        FaultName::Redirect => FaultKind::Redirect {
            status: *[301, 302, 303, 307, 308].choose(rng).unwrap(),
            location: ELSEWHERE.to_owned(),
        },
        FaultName::LoginPage => FaultKind::LoginPage { status: *[200, 503].choose(rng).unwrap() },
        FaultName::Gzip => FaultKind::Gzip,
        FaultName::Edit => {
            let (find, replace) = *EDITS.choose(rng).unwrap();
            FaultKind::Edit { find: find.to_owned(), replace: replace.to_owned() }
        }
        FaultName::NoClose => FaultKind::NoClose,
        FaultName::Cut => FaultKind::Cut { moment: *CutMoment::VARIANTS.choose(rng).unwrap() },
    }
}

/// An answer in place of CXone's own. None says of a verdict that it has arrived: nobody could tell that from an arrival.
fn answer(rng: &mut StdRng, route: Route) -> FaultKind {
    let statuses: &[u16] = match route {
        Route::Feedback => &[100, 103, 401, 409, 429, 500, 503],
        _ => &[100, 103, 200, 401, 409, 429, 500, 503],
    };
    let status = *statuses.choose(rng).unwrap();
    let waits = rng.random_ratio(1, 2).then(|| retry_after(rng));
    let body = NO_ANSWERS.choose(rng).unwrap().map(str::to_owned);
    FaultKind::Answer { status, retry_after: waits, body }
}

/// A second, or as good as one.
fn retry_after(rng: &mut StdRng) -> RetryAfter {
    let second = Duration::from_secs(1);
    match RetryAfterName::VARIANTS.choose(rng).unwrap() {
        RetryAfterName::Seconds => RetryAfter::Seconds(second.as_secs()),
        RetryAfterName::DateIn => RetryAfter::DateIn(second),
        RetryAfterName::DateByClock => {
            RetryAfter::DateByClock { date_in: second, ahead: *[ZONE, -ZONE].choose(rng).unwrap() }
        }
        RetryAfterName::Literal => RetryAfter::Literal("2.5".to_owned()),
    }
}
