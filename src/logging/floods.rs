//! Keeps a flood of one message from filling the log: after so many lines from one place of the program within ten seconds,
//! the next ones are left out and counted, and the count is logged.
//!
//! It stands behind all that is logged, libraries included. What is known to come again and again is held back where it is
//! logged, by what it says and not by its place.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// In which lines are counted, and after which a count is told.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// See the module. By default nothing is left out. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Floods {
    /// Lines of one place within a window; 0 is no limit.
    limit: Arc<AtomicUsize>,
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

struct Place {
    since: Instant,
    lines: usize,
    left_out: u64,
    level: Level,
    /// What the first line said that was left out.
    said: String,
}

impl Floods {
    pub(super) fn limit_to(&self, lines: usize) {
        self.limit.store(lines, Relaxed);
    }

    /// Whether a line from this place is logged now.
    fn passes(&self, event: &Event<'_>, now: Instant) -> bool {
        let limit = self.limit.load(Relaxed);
        if limit == 0 {
            return true;
        }
        let metadata = event.metadata();
        let mut places = self.lock();
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            since: now,
            lines: 0,
            left_out: 0,
            level: *metadata.level(),
            said: String::new(),
        });
        if now.saturating_duration_since(place.since) >= WINDOW {
            (place.since, place.lines) = (now, 0);
        }
        place.lines += 1;
        if place.lines <= limit {
            return true;
        }
        if place.left_out == 0 {
            place.said = said(event);
        }
        place.left_out += 1;
        false
    }

    /// Logs how many lines of each place were left out since the last time.
    pub(super) fn tell(&self) {
        for (level, said, left_out) in self.take() {
            tracing::warn!(left_out, %level, said, "a flood of one message was cut");
        }
    }

    fn take(&self) -> Vec<(Level, String, u64)> {
        let mut places = self.lock();
        let flooded = places.values_mut().filter(|place| place.left_out > 0);
        flooded
            .map(|place| (place.level, std::mem::take(&mut place.said), std::mem::take(&mut place.left_out)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message of a line; of one below info, which may hold a customer's words, its place in the program.
fn said(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let metadata = event.metadata();
    if *metadata.level() > Level::INFO {
        return format!("{}:{}", metadata.target(), metadata.line().unwrap_or_default());
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

impl<S: Subscriber> Filter<S> for Floods {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.passes(event, Instant::now())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn count(&self, words: &str) -> usize {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().matches(words).count()
        }
    }

    #[test]
    fn a_flood_of_one_message_is_cut_with_a_count_and_others_are_not() {
        let (written, floods) = (Written::default(), Floods::default());
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(floods.clone()));
        let flood = |lines| (0..lines).for_each(|line| tracing::info!(line, "much water"));
        tracing::subscriber::with_default(subscriber, || {
            flood(50);
            assert_eq!(written.count("much water"), 50, "without a limit all of it");
            floods.limit_to(20);
            flood(100);
            tracing::info!("a single drop");
            // The line of the first 50 was not counted.
            assert_eq!((written.count("much water"), written.count("a single drop")), (70, 1));
            floods.tell();
            assert_eq!(written.count("left_out=80"), 1);
            floods.tell();
            assert_eq!(written.count("a flood of one message was cut"), 1, "it is told once");
            flood(1);
            assert_eq!(floods.take().len(), 1, "the window is not over");
        });
    }

    #[test]
    fn a_window_that_is_over_lets_lines_through_again() {
        let (floods, start) = (Floods::default(), Instant::now());
        floods.limit_to(2);
        let passed: Arc<Mutex<Vec<bool>>> = Arc::default();
        let (asked, seen) = (floods.clone(), Arc::clone(&passed));
        // (seconds after the start)
        let times = [0, 1, 2, 10, 11, 12];
        let next = AtomicUsize::new(0);
        let filter =
            tracing_subscriber::filter::dynamic_filter_fn(|_, _: &Context<'_, tracing_subscriber::Registry>| true);
        let layer = Asks(Box::new(move |event: &Event<'_>| {
            let now = start + Duration::from_secs(times[next.fetch_add(1, Relaxed)]);
            seen.lock().unwrap().push(asked.passes(event, now));
        }));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.with_filter(filter)), || {
            (0..times.len()).for_each(|_| tracing::info!("drip"));
        });
        assert_eq!(*passed.lock().unwrap(), [true, true, false, true, true, false]);
    }

    type Asked = dyn Fn(&Event<'_>) + Send + Sync;

    struct Asks(Box<Asked>);

    impl<S: Subscriber> Layer<S> for Asks {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            (self.0)(event);
        }
    }
}
