//! The turns of a call as the ranker `conversation` reads them, each encoded once: what was said does not change.

use std::sync::Arc;

use cuecard_encoder::{Encoder, Encoding};
use cuecard_text::Spoken;

use crate::by_text::ByText;
use crate::conversation::{Speaker, Turn, Utterance};
use crate::extract::{WithoutVectors, encoded};

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

/// Encodings of turns.
pub(crate) type TurnEncodings = ByText<Arc<Encoding>>;

/// All turns of an utterance; those that were never encoded are encoded now as far as `depth` says. Says why the newest
/// customer turn has no encoding, where it has none.
pub(crate) async fn heard(
    encoder: &Encoder,
    known: &TurnEncodings,
    utterance: &Utterance,
    depth: Depth,
) -> (Vec<HeardTurn>, Option<WithoutVectors>) {
    let newest = utterance.turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
    // The question comes first, and all are queued before any is awaited, so that one pass may take them together.
    let context = (0..utterance.turns.len()).filter(|turn| Some(*turn) != newest);
    let order: Vec<usize> = newest.into_iter().chain(context).collect();
    let look_up = |turn: &usize| {
        let text = utterance.turns[*turn].text.verbatim();
        match known.get(text) {
            Some(known) => Lookup::Known(known),
            None if depth == Depth::Newest && Some(*turn) != newest => Lookup::LeftOut,
            None => Lookup::Pending(encoder.encode(text)),
        }
    };
    let lookups: Vec<_> = order.iter().map(look_up).collect();
    let (mut heard, mut flaw) = (unencoded(utterance), None);
    for (turn, lookup) in order.into_iter().zip(lookups) {
        let encoding = match lookup {
            Lookup::Known(encoding) => Ok(encoding),
            Lookup::LeftOut => continue,
            Lookup::Pending(pending) => encoded(pending).await.map(|encoding| {
                let encoding = Arc::new(encoding);
                known.put(heard[turn].text.verbatim(), Arc::clone(&encoding));
                encoding
            }),
        };
        match encoding {
            Ok(encoding) => heard[turn].encoding = Some(encoding),
            Err(reason) if Some(turn) == newest => flaw = Some(reason),
            Err(_) => {}
        }
    }
    (heard, flaw)
}

enum Lookup<P> {
    Known(Arc<Encoding>),
    Pending(P),
    LeftOut,
}
