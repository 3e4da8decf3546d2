//! The form of a customer's turn: whether it asks for something, whatever it is about.
//!
//! Read from the words alone, in English; speech text has no punctuation, so that a question is known by its verb and
//! pronoun too. Of another language only the question mark is understood.

use serde::{Deserialize, Serialize};

/// What a turn looks like; several at once, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Form {
    /// It asks: a question mark, or a verb before its pronoun, as in "can I".
    Question,
    /// It asks for what an article may tell, as "how do I" or "do you offer".
    HowTo,
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
}

/// Verbs that stand before their pronoun in a question.
const AUXILIARIES: &[&str] = &[
    "do", "does", "did", "don't", "doesn't", "can", "could", "can't", "will", "would", "won't", "should", "shall",
    "may", "is", "isn't", "are", "aren't", "am", "was", "were", "has", "have", "had", "hasn't", "haven't",
];

const PRONOUNS: &[&str] = &[
    "i", "you", "we", "they", "he", "she", "it", "there", "this", "that", "these", "those", "my", "your", "the", "any",
];

const QUESTION_WORDS: &[&str] = &["how", "what", "what's", "where", "where's", "when", "which", "why", "who", "who's"];

/// Words that may stand before a question without being a part of it.
const LEADS: &[&str] = &[
    "and", "but", "so", "or", "well", "um", "uh", "okay", "ok", "oh", "hi", "hello", "hey", "yes", "no", "yeah",
    "sorry", "then", "also", "right", "because", "please", "actually", "just",
];

const HOW_TO: &[&[&str]] = &[
    &["how", "do"],
    &["how", "can"],
    &["how", "long"],
    &["how", "much"],
    &["how", "many"],
    &["how", "often"],
    &["how", "would"],
    &["how", "should"],
    &["how", "soon"],
    &["how", "far"],
    &["how", "does"],
    &["do", "i", "have", "to"],
    &["do", "i", "need"],
    &["do", "we", "have", "to"],
    &["do", "we", "need"],
    &["can", "i"],
    &["can", "we"],
    &["could", "i"],
    &["am", "i", "allowed"],
    &["is", "there"],
    &["are", "there"],
    &["is", "it", "possible"],
    &["what", "do"],
    &["what", "happens"],
    &["what", "if"],
    &["what", "about"],
    &["what", "is", "the"],
    &["what's", "the"],
    &["do", "you", "have"],
    &["do", "you", "offer"],
    &["do", "you", "allow"],
    &["do", "you", "accept"],
    &["does", "it"],
];

/// Words of which no question is made and that ask all the same.
const TROUBLE: &[&str] = &[
    "wrong",
    "broke",
    "broken",
    "break",
    "breaks",
    "drop",
    "dropped",
    "lost",
    "lose",
    "stolen",
    "forgot",
    "forgotten",
    "missing",
    "missed",
    "stuck",
    "dead",
    "damage",
    "damaged",
    "smashed",
    "crack",
    "cracked",
    "waiting",
    "late",
    "delayed",
    "nothing",
    "nobody",
    "never",
    "slow",
    "slower",
    "red",
    "black",
    "dark",
    "dies",
    "died",
    "stop",
    "stops",
    "stopped",
    "gone",
    "refuse",
    "refuses",
    "refused",
    "fail",
    "fails",
    "failed",
    "error",
    "trouble",
    "problem",
    "problems",
    "issue",
    "cannot",
    "not",
    "without",
    "dearer",
    "expensive",
    "twice",
    "extra",
    "charged",
    "mistake",
    "mixed",
    "cancel",
    "cancelled",
    "switch",
    "switching",
    "change",
    "changed",
    "changing",
    "move",
    "moving",
    "return",
    "returning",
    "refund",
    "blink",
    "blinks",
    "blinking",
    "supposed",
    "rather",
    "want",
    "need",
    "trying",
    "tried",
    "hasn't",
    "haven't",
    "isn't",
    "aren't",
    "wasn't",
    "won't",
    "can't",
    "couldn't",
    "doesn't",
    "don't",
    "didn't",
    "wouldn't",
];

const WISHES: &[&[&str]] = &[
    &["no", "longer"],
    &["used", "up"],
    &["run", "out"],
    &["ran", "out"],
    &["what", "then"],
    &["or", "what"],
    &["get", "rid"],
    &["send", "back"],
    &["give", "back"],
];

const PHATIC: &[&[&str]] = &[
    &["thanks"],
    &["thank", "you"],
    &["bye"],
    &["goodbye"],
    &["great"],
    &["perfect"],
    &["hello"],
    &["good", "morning"],
    &["good", "afternoon"],
    &["good", "evening"],
    &["that's", "all"],
    &["that", "is", "all"],
    &["that's", "it"],
    &["no", "problem"],
    &["sounds", "good"],
    &["lovely"],
    &["brilliant"],
    &["wonderful"],
    &["cheers"],
    &["have", "a", "nice"],
    &["have", "a", "good"],
];

const ANSWERS: &[&str] = &["yes", "no", "yeah", "yep", "nope", "sure", "ok", "okay", "right", "exactly"];

const TASKS: &[&[&str]] = &[
    &["book"],
    &["reserve"],
    &["looking", "for"],
    &["i", "need", "a"],
    &["i'd", "like", "a"],
    &["i", "want", "a"],
    &["people"],
    &["nights"],
    &["my", "name", "is"],
    &["the", "number", "is"],
    &["my", "number", "is"],
    &["it's", "under"],
    &["find", "me"],
];

/// The forms of a turn.
pub fn forms(turn: &str) -> Vec<Form> {
    let text = turn.to_lowercase().replace('’', "'");
    let sentences: Vec<Vec<&str>> = text.split(['.', '!', '?', ';', '\n']).map(words).collect();
    let has = |phrases: &[&[&str]]| sentences.iter().any(|sentence| contains_any(sentence, phrases));
    let all_words = || sentences.iter().flatten();
    let holds = [
        (Form::Question, text.contains(['?', '？', '؟', '¿']) || sentences.iter().any(|sentence| asks(sentence))),
        (Form::HowTo, has(HOW_TO)),
        (Form::Trouble, all_words().any(|word| TROUBLE.contains(word)) || has(WISHES)),
        (Form::Phatic, has(PHATIC)),
        (Form::Answer, all_words().next().is_some_and(|first| ANSWERS.contains(first))),
        (Form::Number, text.contains(char::is_numeric)),
        (Form::Task, has(TASKS)),
    ];
    holds.into_iter().filter(|(_, holds)| *holds).map(|(form, _)| form).collect()
}

fn words(sentence: &str) -> Vec<&str> {
    let is_part = |character: char| character.is_alphanumeric() || character == '\'';
    sentence.split(|character: char| !is_part(character)).filter(|word| !word.is_empty()).collect()
}

fn asks(sentence: &[&str]) -> bool {
    let start = sentence.iter().position(|word| !LEADS.contains(word)).unwrap_or(0);
    match &sentence[start..] {
        [auxiliary, pronoun, ..] if AUXILIARIES.contains(auxiliary) => PRONOUNS.contains(pronoun),
        [word, _, ..] => QUESTION_WORDS.contains(word),
        _ => false,
    }
}

fn contains_any(sentence: &[&str], phrases: &[&[&str]]) -> bool {
    phrases.iter().any(|phrase| sentence.windows(phrase.len()).any(|window| window == *phrase))
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
            assert!(forms(turn).contains(&Form::Question), "{turn}");
        }
        for turn in ["I can come by.", "that is what i have", "you do that", "there is a hub in the cellar", "", "what"]
        {
            assert!(!forms(turn).contains(&Form::Question), "{turn}");
        }
    }

    #[test]
    fn the_other_forms_are_told_apart() {
        let table: [(&str, &[Form]); 5] = [
            ("How long does it take?", &[Form::Question, Form::HowTo]),
            ("Thanks, that’s all, bye!", &[Form::Phatic]),
            ("Yes, two nights from the 4th", &[Form::Answer, Form::Number, Form::Task]),
            ("The light is red and it won’t start", &[Form::Trouble]),
            ("🙂 \u{200b}", &[]),
        ];
        for (turn, expected) in table {
            assert_eq!(forms(turn), expected, "{turn}");
        }
    }
}
