//! A panic is one line of the log, with thread and place; what it says, which a customer may have said, only at debug level and
//! masked.
//! In a program of its own, since it takes the process over.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use cuecard_actors::supervision::log_panics;
use tracing::Level;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged from this level on while a thread panics.
fn logged(level: Level) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).finish();
    let panicking = std::thread::Builder::new().name("listener".to_owned()).spawn(move || {
        tracing::subscriber::with_default(subscriber, || {
            let words = "my card number is 4526 0181 5908 3012".to_owned();
            panic!("not on a boundary: {words}");
        });
    });
    assert!(panicking.unwrap().join().is_err());
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_panic_is_one_line_with_thread_and_place_and_without_its_words() {
    log_panics();
    let lines = logged(Level::INFO);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["ERROR", "listener", "tests/panics.rs:"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    assert!(!lines[0].contains("card number"), "{lines:?}");
    let lines = logged(Level::DEBUG);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[1].contains("DEBUG") && lines[1].contains("not on a boundary: my card number is [card]"),
        "{lines:?}"
    );
}
