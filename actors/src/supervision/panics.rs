//! What is told of a panic: its thread and its place. Its own words may be a customer's, so they stand at debug level only,
//! and masked.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

use cuecard_text::masking::mask;

thread_local! {
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs each panic of this process from now on, in one line, instead of printing it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(unknown, ToString::to_string);
    let current = std::thread::current();
    let thread = current.name().unwrap_or("unnamed");
    tracing::error!(thread, place, "a thread panicked");
    let words = panic.payload_as_str().unwrap_or_default();
    tracing::debug!(thread, place, words = &*mask(words), "what the panic said");
    LAST_PLACE.with_borrow_mut(|last| *last = Some(place));
}

/// Where this thread panicked last; known only where panics are logged, and only once.
pub(super) fn last_panic_place() -> String {
    LAST_PLACE.take().unwrap_or_else(unknown)
}

fn unknown() -> String {
    "an unknown place".to_owned()
}
