//! Named places at which tests make a thread of the encoder fail, to see what survives.
//!
//! Without the feature `failure-points`, and outside of this room's tests, a place is nothing. With it the crate `fail` says
//! what happens: set by `fail::cfg(NAME, "return(START)")` or the variable `FAILPOINTS`, the place panics for every text that
//! begins with START, with a mere `return` for every text, with `return(START!)` for the first such text alone; `sleep(MS)`
//! makes the thread hang, and `panic` does what it says.
//!
//! | place | what fails |
//! |---|---|
//! | `encoder` | a live text, which the thread outlives |
//! | `encoder_bulk` | a bulk batch, which the thread outlives |
//! | `encoder_thread` | the thread, with all the live texts that it took together; the first of them is the text |

/// A place that a text passes.
#[cfg(any(test, feature = "failure-points"))]
pub(crate) fn failure_point(name: &str, text: &str) {
    fail::fail_point!(name, |start: Option<String>| {
        let start = start.unwrap_or_default();
        let once = start.strip_suffix('!');
        if text.starts_with(once.unwrap_or(&start)) {
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
pub(crate) fn failure_point(_name: &str, _text: &str) {}
