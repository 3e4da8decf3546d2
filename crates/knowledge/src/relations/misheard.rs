//! Words that sound like words of names: a recogniser that does not know a name writes something near it.

use std::collections::{HashMap, HashSet};

/// Shorter words are near to too many others.
const SHORTEST: usize = 5;
/// The similarity from which on a word counts as another one misheard.
const NEAR: f32 = 0.6;
/// Words of names that one word may stand for.
const MOST: usize = 8;

type Trigram = [char; 3];

/// Finds words by their trigrams.
#[derive(Default)]
pub struct Misheard {
    words_of: HashMap<Trigram, Vec<u32>>,
    num_trigrams: Vec<u16>,
}

impl Misheard {
    /// Adds the next word, whose number is the count of those before it.
    pub fn push(&mut self, word: &str) {
        let (number, trigrams) = (self.num_trigrams.len() as u32, trigrams(word));
        self.num_trigrams.push(trigrams.len().try_into().unwrap_or(u16::MAX));
        for trigram in trigrams {
            self.words_of.entry(trigram).or_default().push(number);
        }
    }

    /// The words that this one may stand for, best first, each with how well it fits: the square of the Dice coefficient of
    /// their trigrams.
    pub fn near(&self, word: &str) -> Vec<(u32, f32)> {
        if word.chars().count() < SHORTEST || !word.chars().all(char::is_alphabetic) {
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
        let mut near: Vec<_> = shared.into_iter().map(dice).filter(|(_, dice)| *dice >= NEAR).collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        near.truncate(MOST);
        near.into_iter().map(|(number, dice)| (number, dice * dice)).collect()
    }
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
