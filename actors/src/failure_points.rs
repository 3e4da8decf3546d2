//! Named places at which tests make an actor fail, to see what survives.
//!
//! In the program that is shipped a place is nothing. In this room's tests, and in the program that the chaos suite runs
//! (feature `failure-points`), the crate `fail` says what happens there: set by `fail::cfg(NAME, "return(START)")` or the
//! variable `FAILPOINTS`, the place panics for every key that begins with START, with a mere `return` for every key, with
//! `return(START!)` for the first such key alone; `sleep(MS)` and `panic` do what they say.

/// A place that a question, an event or a poll passes; `key` names what is in hand.
#[cfg(any(test, feature = "failure-points"))]
pub(crate) fn failure_point(name: &str, key: &str) {
    fail::fail_point!(name, |start: Option<String>| {
        let start = start.unwrap_or_default();
        let once = start.strip_suffix('!');
        if key.starts_with(once.unwrap_or(&start)) {
            if once.is_some() {
                fail::remove(name);
            }
            panic!("injected at {name}");
        }
    });
}

/// Nothing.
#[cfg(not(any(test, feature = "failure-points")))]
#[inline(always)]
pub(crate) fn failure_point(_name: &str, _key: &str) {}
