//! The form of a customer's turn: whether it asks for something, whatever it is about.
//!
//! Read from the words alone, in English; speech text has no punctuation, so that a question is known by its verb and
//! pronoun too. Of another language only the question mark is understood.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// What a turn looks like; several at once, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Form {
    /// It asks: a question mark, or a verb before its pronoun, as in "can I".
    Question,
    /// It asks for what an article may tell, as "how do I" or "do you offer".
    HowTo,
    /// It asks without a question, as "tell me" or "I was wondering".
    Inquiry,
    /// It tells of something that went wrong or shall be otherwise: people ask by complaining.
    Trouble,
    /// It greets, thanks or agrees.
    Phatic,
    /// It begins by answering yes or no.
    Answer,
    /// It tells a number: a date, an amount, an account.
    Number,
    /// It orders something done, as "book it for two people".
    Task,
    /// It is the customer's first and asks nothing: it says what the call is about, the question comes after.
    Opening,
}

/// Question words in other scripts have their own mark.
const QUESTION_MARKS: [char; 4] = ['?', '？', '؟', '¿'];

const QUESTION: &str = r"(?x)
    \b(?: (?:does|did|can|could|is|are|will|would|has|may|should|isn't|aren't|can't|won't) \s
          (?:you|they|it|there|i|we|he|she|that|this|these)
        | (?:do|have|don't|haven't) \s (?:you|they|i|we|he|she)
        | (?:what|where|when|which|who|how)
          (?:'s|\s(?:is|are|do|does|did|can|would|will|much|many|long|about|time|kind|type))
    )\b";

const HOW_TO: &str = r"(?x)
    \b(?: how \s (?:do|can|long|much|often|many|late|early|far|soon|old|big)
        | (?:do|does|will|would) \s (?:i|we|he|she|they|you) \s (?:have|need|get)
        | (?:have|need) \s to
        | can \s (?:i|we|you|my)
        | (?:is|are) \s there
        | (?:is \s it|would \s it \s be) \s possible
        | what \s (?:do|does|happens|if|about|kind|type|time|are|is)
        | (?:do|does) \s (?:you|they|it|the \s \w+|this \s \w+) \s (?:have|offer|allow|accept|provide|serve|charge|take)
        | am \s i \s able
        | able \s to
        | allowed
    )\b";

const INQUIRY: &str = r"(?x)
    \b(?: (?:tell|let) \s me (?:\s know)?
        | do \s you \s know
        | find \s out
        | check \s (?:if|whether)
        | (?:i'd \s like|want) \s to \s know
        | wondering
        | curious
        | make \s sure
        | confirm
    )\b";

const TROUBLE: &str = r"(?x)
    \b(?: i \s want | i'd \s like | i \s would \s like | (?:i|we) \s need | we \s want | i \s wanted | want \s to
        | trying \s to | can't | cannot | doesn't | won't | isn't | not \s working | problems? | broken | lost | stolen
        | forgot | wrong | missing | never | still
    )\b";

const PHATIC: &str = r"(?x)
    \b(?: thanks? | thank \s you | bye | goodbye | great | perfect | hello | good \s (?:morning|afternoon|evening|day)
        | that's \s all | that \s (?:is|will \s be) \s all | no \s problem | you're \s welcome | cheers | lovely | awesome
        | wonderful | have \s a \s (?:nice|good|great)
    )\b";

const ANSWER: &str = r"(?x)
    ^\W* (?: yes | no | yeah | yep | nope | yup | sure | okay | ok | right | mm | mhm | mm-hm | uh-huh | exactly | correct
        | that's \s right | fine
    )\b";

const NUMBER: &str = r"(?x)
    \d
    | \b(?:one|two|three|four|five|six|seven|eight|nine|oh|double) \s
        (?:one|two|three|four|five|six|seven|eight|nine|oh|double) \b";

const TASK: &str = r"(?x)
    \b(?: book | booking | reserve | reservation | look(?:ing)? \s for | find \s (?:me|a) | i \s need \s an? | i \s want \s a
        | i \s want \s to \s (?:find|go|stay|eat|book) | people | nights? | my \s name \s is | my \s number
        | the \s number \s is | it's \s for | recommend | suggest
    )\b";

impl Form {
    /// What it is called in explanations.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Question => "a question",
            Self::HowTo => "one that an article may answer",
            Self::Inquiry => "an inquiry",
            Self::Trouble => "trouble or a wish",
            Self::Phatic => "a greeting or thanks",
            Self::Answer => "an answer",
            Self::Number => "numbers told",
            Self::Task => "an order",
            Self::Opening => "an opening that asks nothing",
        }
    }

    /// What its words look like; `None` for a form that is more than words.
    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Question => Some(QUESTION),
            Self::HowTo => Some(HOW_TO),
            Self::Inquiry => Some(INQUIRY),
            Self::Trouble => Some(TROUBLE),
            Self::Phatic => Some(PHATIC),
            Self::Answer => Some(ANSWER),
            Self::Number => Some(NUMBER),
            Self::Task => Some(TASK),
            Self::Opening => None,
        }
    }
}

/// Each form that has a pattern, compiled.
#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
static PATTERNS: LazyLock<Vec<(Form, Regex)>> = LazyLock::new(|| {
    let compiled = |form: &Form| {
        let pattern = RegexBuilder::new(form.pattern()?).case_insensitive(true).build();
        Some((*form, pattern.expect("a pattern of this file is malformed")))
    };
    Form::VARIANTS.iter().filter_map(compiled).collect()
});

/// The forms of a turn, which may be the customer's first.
pub fn forms(turn: &str, is_first: bool) -> Vec<Form> {
    let text = turn.replace('’', "'");
    let mut forms: Vec<Form> =
        PATTERNS.iter().filter(|(_, pattern)| pattern.is_match(&text)).map(|(form, _)| *form).collect();
    if text.contains(QUESTION_MARKS) && !forms.contains(&Form::Question) {
        forms.insert(0, Form::Question);
    }
    if is_first && !forms.contains(&Form::Question) {
        forms.push(Form::Opening);
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_known_by_mark_and_by_verb() {
        for turn in [
            "Is there parking?",
            "and can i bring my dog",
            "Hello. How do I pay my bill",
            "um so what's the fee for that",
            "okay do you have a pool",
            "Kann ich das ändern?",
        ] {
            assert!(forms(turn, true).contains(&Form::Question), "{turn}");
        }
        for turn in ["I can come by.", "that is what i have", "you do that", "there is a hub in the cellar", "", "what"]
        {
            assert!(!forms(turn, false).contains(&Form::Question), "{turn}");
        }
    }

    #[test]
    fn the_other_forms_are_told_apart() {
        let table: [(&str, &[Form]); 6] = [
            ("How long does it take?", &[Form::Question, Form::HowTo]),
            ("Thanks, that’s all, bye!", &[Form::Phatic]),
            ("Yes, two nights from the 4th", &[Form::Answer, Form::Number, Form::Task]),
            ("The light is red and it won’t start", &[Form::Trouble]),
            ("I was wondering about the fee", &[Form::Inquiry]),
            ("🙂 \u{200b}", &[]),
        ];
        for (turn, expected) in table {
            assert_eq!(forms(turn, false), expected, "{turn}");
        }
    }

    #[test]
    fn a_first_turn_that_asks_nothing_opens_the_call() {
        assert_eq!(forms("I have a router of yours", true), [Form::Opening]);
        assert_eq!(forms("Where is my router", true), [Form::Question]);
    }
}
