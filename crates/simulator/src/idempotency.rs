//! Idempotency keys: the same key with the same body gets the first answer again.
//!
//! Input: key and body of each push. Output: whether it is new, a repetition, or a key used for something else.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

/// Keys remembered; a client repeats within seconds, so this is hours of load.
const MAX_KEYS: usize = 20_000;

/// What a key says about a push.
#[derive(Debug, PartialEq)]
pub(crate) enum KeyUse {
    New,
    /// Same body as before; the answer that it got then.
    Repeated(Value),
    /// Another body than before.
    Misused,
}

struct Kept {
    body: Value,
    answer: Value,
}

/// The keys seen, oldest forgotten first.
#[derive(Default)]
pub(crate) struct IdempotencyKeys {
    kept: HashMap<String, Kept>,
    order: VecDeque<String>,
}

impl IdempotencyKeys {
    pub(crate) fn look_up(&self, key: &str, body: &Value) -> KeyUse {
        match self.kept.get(key) {
            None => KeyUse::New,
            Some(kept) if kept.body == *body => KeyUse::Repeated(kept.answer.clone()),
            Some(_) => KeyUse::Misused,
        }
    }

    /// Remembers the answer that a new key got.
    pub(crate) fn keep(&mut self, key: &str, body: &Value, answer: &Value) {
        if self.order.len() == MAX_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        let kept = Kept { body: body.clone(), answer: answer.clone() };
        self.kept.insert(key.to_owned(), kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_stands_for_one_body() {
        let mut keys = IdempotencyKeys::default();
        let (body, answer) = (json!({"a": 1}), json!({"id": "first"}));
        assert_eq!(keys.look_up("k", &body), KeyUse::New);
        keys.keep("k", &body, &answer);
        assert_eq!(keys.look_up("k", &body), KeyUse::Repeated(answer));
        assert_eq!(keys.look_up("k", &json!({"a": 2})), KeyUse::Misused);
        assert_eq!(keys.look_up("other", &body), KeyUse::New);
    }
}
