//! What CXone says, without what people said: a tenant may repeat a customer's words in an answer, and logs hold none.
//!
//! Input: an answer's body. Output: its beginning, in which only words of the contracts and of error messages are left;
//! any other word is `*`, any digit and control character `#`.

/// Characters of a body that are told to people.
pub(super) const SHOWN: usize = 200;

/// What fields are called, and what is said of them. None of these alone says anything about a customer.
const KNOWN: &str = "\
    a accept access action agent all allowed an and any application are array article articles assist at auth auto \
    bad be been body bodies bearer between boost but by \
    call card character characters citation client code conflict contain contains content conversation credentials \
    data date deleted denied description detail details dismiss display does duplicate \
    empty enabled end ended endpoint error errors exceeded exist exists expected expired \
    factor fail failed fault feedback field fields for forbidden format found from grant \
    has have header id idempotency in inactive insight insights insufficient integer interaction internal invalid is \
    it items json key knowledge lacks language large last length limit list lock locked long \
    malformed many match max maximum message messages metadata method minimum missing modified more must \
    name no not null number object of on one only or out \
    page parameter path permission permitted please position priority property push query \
    range ranking rate read reason received refused rejected relevance request requests required response result \
    scope score scripted search sent server service session should size snippet snippets source state status stream \
    string support supported temporarily text than the this timestamp title to token too training try twice type \
    unauthorized unavailable unexpected unique unknown unprocessable unsupported updated url valid value version \
    was which window with write wrong";

/// The beginning of a body, for logs and pages.
pub(super) fn masked(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) { word_length(rest) } else { first.len_utf8() };
        let (part, after) = rest.split_at(length);
        match first {
            _ if is_word(first) => shown.push_str(if is_known(part) { part } else { "*" }),
            '0'..='9' => shown.push('#'),
            _ if first.is_control() => shown.push('#'),
            _ => shown.push(first),
        }
        rest = after;
    }
    shown
}

/// Nothing outside of ASCII is a word of the contracts, so all of it is masked.
fn is_word(character: char) -> bool {
    character.is_ascii_alphabetic() || !character.is_ascii()
}

/// To the end of the word, or to the next capital: `insightId` is two words.
fn word_length(text: &str) -> usize {
    let mut before = None::<char>;
    for (place, character) in text.char_indices() {
        let begins_another = before.is_some_and(|before| before.is_ascii_lowercase() && character.is_ascii_uppercase());
        if begins_another || !is_word(character) {
            return place;
        }
        before = Some(character);
    }
    text.len()
}

fn is_known(word: &str) -> bool {
    KNOWN.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_contracts_are_left() {
        // (said, shown)
        let table = [
            ("", ""),
            (r#"{"error":"invalid_request","code":4711}"#, r#"{"error":"invalid_request","code":####}"#),
            ("at '/insights/0/insightId': required", "at '/insights/#/insightId': required"),
            ("the text 'my dog Bello is ill' is not valid", "the text '* * * is *' is not valid"),
            ("INVALID interactionID", "INVALID interactionID"),
            ("stringent statement", "* *"),
            ("textBello Bellotext", "text* *"),
            ("ca\u{301}ller \u{1F415} Müller\nline", "* * *#*"),
        ];
        for (said, shown) in table {
            assert_eq!(masked(said.as_bytes()), shown, "{said}");
        }
        assert_eq!(masked(b"a \xff\xfe"), "a *");
    }

    #[test]
    fn a_long_body_is_cut() {
        assert_eq!(masked("1".repeat(10_000).as_bytes()).chars().count(), SHOWN);
    }
}
