//! Words that sound like words of names: a recogniser that does not know a name writes something near it.

use std::collections::{HashMap, HashSet};

/// Shorter words are near to too many others.
const SHORTEST: usize = 5;
/// The similarity from which on a word counts as another one misheard.
const NEAR: f32 = 0.6;
/// Words of less similarity are not compared letter by letter.
const FAR: f32 = 0.3;
/// Words of names that one word may stand for.
const MOST: usize = 20;
/// Shorter words of names are never misheard: too many others are near.
const SHORTEST_NAME: usize = 4;
/// One letter in so many may be wrong.
const LETTERS_PER_WRONG_ONE: usize = 4;

type Trigram = [char; 3];

/// Finds words by their trigrams.
#[derive(Default)]
pub struct Misheard {
    words_of: HashMap<Trigram, Vec<u32>>,
    num_trigrams: Vec<u16>,
    words: Vec<String>,
}

impl Misheard {
    /// Adds the next word, whose number is the count of those before it.
    pub fn push(&mut self, word: &str) {
        let (number, trigrams) = (self.num_trigrams.len() as u32, trigrams(word));
        self.words.push(word.to_owned());
        self.num_trigrams.push(trigrams.len().try_into().unwrap_or(u16::MAX));
        for trigram in trigrams {
            self.words_of.entry(trigram).or_default().push(number);
        }
    }

    /// Whether a word is long enough to be told from others, and one of letters.
    pub fn may_be(word: &str) -> bool {
        word.chars().count() >= SHORTEST && word.chars().all(char::is_alphabetic)
    }

    /// The words that this one may stand for, best first, each with how well it fits: the square of the Dice coefficient of
    /// their trigrams, or of the share of letters that are right where few are wrong.
    pub fn near(&self, word: &str) -> Vec<(u32, f32)> {
        if !Self::may_be(word) {
            return Vec::new();
        }
        let trigrams = trigrams(word);
        let mut shared: HashMap<u32, u16> = HashMap::new();
        for number in trigrams.iter().filter_map(|trigram| self.words_of.get(trigram)).flatten() {
            *shared.entry(*number).or_default() += 1;
        }
        let dice = |(number, shared): (u32, u16)| {
            let all = trigrams.len() as f32 + f32::from(self.num_trigrams[number as usize]);
            (number, 2.0 * f32::from(shared) / all)
        };
        let mut near: Vec<_> = shared.into_iter().map(dice).filter(|(_, dice)| *dice >= FAR).collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        near.truncate(MOST);
        let fit = |(number, dice): (u32, f32)| {
            let by_trigrams = if dice >= NEAR { dice * dice } else { 0.0 };
            (number, by_trigrams.max(by_letters(word, &self.words[number as usize])))
        };
        near.into_iter().map(fit).filter(|(_, fit)| *fit > 0.0).collect()
    }
}

/// 0 unless both begin alike and few letters differ, two that changed places counting as one.
fn by_letters(word: &str, name_word: &str) -> f32 {
    let length = name_word.chars().count();
    if length < SHORTEST_NAME || name_word.chars().next() != word.chars().next() {
        return 0.0;
    }
    let wrong = strsim::osa_distance(word, name_word);
    let right = 1.0 - wrong as f32 / length as f32;
    if wrong <= (length / LETTERS_PER_WRONG_ONE).max(1) { right * right } else { 0.0 }
}

/// The different trigrams of a word between two spaces.
fn trigrams(word: &str) -> HashSet<Trigram> {
    let characters: Vec<char> = std::iter::once(' ').chain(word.chars()).chain([' ']).collect();
    characters.windows(3).map(|window| [window[0], window[1], window[2]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_best_first_and_short_ones_never() {
        let mut misheard = Misheard::default();
        for word in ["harbour", "harvest", "meadow", "meadows", "abba"] {
            misheard.push(word);
        }
        let near = |word| misheard.near(word).into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(near("harbor"), [0]);
        assert_eq!(near("meadowz"), [2, 3]);
        assert_eq!(near("abbb"), Vec::<u32>::new());
        assert_eq!(near("12345"), Vec::<u32>::new());
        assert!((misheard.near("meadow")[0].1 - 1.0).abs() < 1e-6);
    }
}
