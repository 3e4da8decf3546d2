//! The turns of a call as the ranker `conversation` reads them, each encoded once: what was said does not change.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use cuecard_encoder::{Encoder, Encoding};
use cuecard_knowledge::ContentHash;
use cuecard_text::Spoken;
use lru::LruCache;

use crate::conversation::{Speaker, Turn, Utterance};
use crate::extract::{WithoutVectors, encoded};

/// Turns remembered for each profile: 384 numbers of 4 bytes each and a few words, some 16 MB.
const REMEMBERED: NonZero<usize> = NonZero::new(10_000).unwrap();

/// One turn of the call.
#[derive(Clone, PartialEq)]
pub struct HeardTurn {
    /// Who spoke.
    pub speaker: Speaker,
    /// The words.
    pub text: Spoken,
    /// What the encoder made of them; `None` where it could not, or was not asked.
    pub encoding: Option<Arc<Encoding>>,
}

/// Which turns are encoded that were not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every one.
    All,
    /// The newest customer turn alone.
    Newest,
}

/// The turns of an utterance that are read by their words alone.
pub(crate) fn unencoded(utterance: &Utterance) -> Vec<HeardTurn> {
    let heard = |turn: &Turn| HeardTurn { speaker: turn.speaker, text: turn.text.clone(), encoding: None };
    utterance.turns.iter().map(heard).collect()
}

/// Encodings by the text that they are of, of which no more than the hash is kept.
pub(crate) struct TurnEncodings(Mutex<LruCache<ContentHash, Arc<Encoding>>>);

impl Default for TurnEncodings {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl TurnEncodings {
    /// All turns of an utterance; those that were never encoded are encoded now as far as `depth` says. Says why the newest
    /// customer turn has no encoding, where it has none.
    pub(crate) async fn heard(
        &self,
        encoder: &Encoder,
        utterance: &Utterance,
        depth: Depth,
    ) -> (Vec<HeardTurn>, Option<WithoutVectors>) {
        let newest = utterance.turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
        // The question comes first, and all are queued before any is awaited, so that one pass may take them together.
        let context = (0..utterance.turns.len()).filter(|turn| Some(*turn) != newest);
        let order: Vec<usize> = newest.into_iter().chain(context).collect();
        let pending: Vec<_> = order
            .iter()
            .map(|turn| {
                let text = &utterance.turns[*turn].text;
                let hash = ContentHash::of_bytes(text.verbatim().as_bytes());
                match self.get(&hash) {
                    Some(known) => Lookup::Known(known),
                    None if depth == Depth::Newest && Some(*turn) != newest => Lookup::LeftOut,
                    None => Lookup::Pending(hash, encoder.encode(text.verbatim())),
                }
            })
            .collect();
        let mut heard = unencoded(utterance);
        let mut flaw = None;
        for (turn, lookup) in order.into_iter().zip(pending) {
            let encoding = match lookup {
                Lookup::Known(encoding) => Ok(encoding),
                Lookup::LeftOut => continue,
                Lookup::Pending(hash, pending) => encoded(pending).await.map(|encoding| self.put(hash, encoding)),
            };
            match encoding {
                Ok(encoding) => heard[turn].encoding = Some(encoding),
                Err(reason) if Some(turn) == newest => flaw = Some(reason),
                Err(_) => {}
            }
        }
        (heard, flaw)
    }

    fn get(&self, text: &ContentHash) -> Option<Arc<Encoding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn put(&self, text: ContentHash, encoding: Encoding) -> Arc<Encoding> {
        let encoding = Arc::new(encoding);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(text, Arc::clone(&encoding));
        encoding
    }
}

enum Lookup<P> {
    Known(Arc<Encoding>),
    Pending(ContentHash, P),
    LeftOut,
}
