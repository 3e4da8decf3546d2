//! Named places at which tests make a room fail, to see what survives.
//!
//! In the program that is shipped a place is nothing. In the tests of a room that has one, and in the program that the chaos
//! suite runs (feature `failure-points` of each room), the crate `fail` says what happens there: set by
//! `fail::cfg(NAME, "return(START)")` or the variable `FAILPOINTS`, the place logs its name and panics for every key that begins
//! with START, with a mere `return` for every key, with `return(START!)` for the first such key alone; `sleep(MS)` makes its
//! thread wait, and `panic` panics without a word.

use strum::{IntoStaticStr, VariantArray};

/// A place that something passes, which has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FailurePoint {
    /// An event of a stream, by its profile.
    StreamListener,
    /// A fragment or the end of a turn, by its interaction; so are the next five.
    Buffer,
    /// A question.
    Extractor,
    /// A question.
    Retriever,
    /// A question.
    Ranker,
    /// A delivery as it is taken up.
    Injector,
    /// A push, in a task of its own.
    InjectorPush,
    /// An agent's verdict as it is taken up, by its card.
    FeedbackLogger,
    /// What became of a verdict, in a task of its own, by its card.
    FeedbackLoggerSettle,
    /// A request for a token, by its profile.
    TokenActor,
    /// A call for a token, in a task of its own, by its profile.
    TokenActorFetch,
    /// A poll as it is begun, by its profile.
    KnowledgeSync,
    /// A poll, in a task of its own, by its profile.
    KnowledgeSyncPoll,
    /// A live text, which the encoder's thread outlives; the text is the key.
    Encoder,
    /// A batch of bulk texts, which the encoder's thread outlives; without a key.
    EncoderBulk,
    /// A thread of the encoder, with all the live texts that it took together; the first of them is the key.
    EncoderThread,
    /// A commit of the ledger's writer, which a panic ends; without a key.
    LedgerCommit,
}

impl FailurePoint {
    /// As `FAILPOINTS` calls it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Something of this key passes. Rooms write [`failure_point!`], which is nothing in the program that is shipped.
    #[allow(unused_variables, reason = "without the crate's own feature a place has no use for its key")]
    pub fn pass(self, key: &str) {
        fail::fail_point!(self.name(), |start: Option<String>| {
            let start = start.unwrap_or_default();
            let once = start.strip_suffix('!');
            if key.starts_with(once.unwrap_or(&start)) {
                if once.is_some() {
                    fail::remove(self.name());
                }
                tracing::warn!(point = self.name(), "a failure is injected");
                panic!("injected at {}", self.name());
            }
        });
    }
}

/// Passes the [`FailurePoint`] of this name, in a room's tests and in the program of the chaos suite.
#[macro_export]
macro_rules! failure_point {
    ($point:ident, $key:expr) => {
        #[cfg(any(test, feature = "failure-points"))]
        $crate::FailurePoint::$point.pass($key);
    };
}
