//! The names that articles are about, and how much of each is said in a turn.

use std::collections::{BTreeMap, HashMap};

use super::misheard::Misheard;
use super::words::{is_stop_word, words};

/// What a stop word weighs within a name, where other words weigh 1.
const STOP_WORD_WEIGHT: f32 = 0.3;

/// Hears names. A name is known by its number.
#[derive(Default)]
pub struct Names {
    count: usize,
    /// Of the words of all names.
    numbers: HashMap<String, u32>,
    /// For each word the names that have it, each with the word's share of the name.
    with_word: Vec<Vec<(u32, f32)>>,
    /// Two neighbouring words of a name written as one, as people and recognisers do.
    joined: HashMap<String, Vec<u32>>,
    misheard: Misheard,
}

/// A name of which something was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// The name's number.
    pub name: u32,
    /// How much of it, 0 to 1, rare words counting most.
    pub share: f32,
}

/// Whether a name can be heard: one of stop words alone would be named in every sentence.
pub fn can_be_heard(name: &str) -> bool {
    words(name).any(|word| !is_stop_word(&word))
}

impl Names {
    /// Numbers the names from 0.
    pub fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut all = Self { count: names.len(), ..Self::default() };
        let words_of: Vec<Vec<u32>> = names.map(|name| all.learn(name)).collect();
        let mut containing = vec![0_u32; all.numbers.len()];
        words_of.iter().flatten().for_each(|word| containing[*word as usize] += 1);
        let stop_words: Vec<u32> =
            all.numbers.iter().filter(|(word, _)| is_stop_word(word)).map(|(_, number)| *number).collect();
        let mut weights: Vec<f32> =
            containing.iter().map(|count| (1.0 + words_of.len() as f32 / *count as f32).ln()).collect();
        for word in stop_words {
            weights[word as usize] *= STOP_WORD_WEIGHT;
        }
        all.with_word = vec![Vec::new(); weights.len()];
        for (name, words) in (0..).zip(&words_of) {
            let total: f32 = words.iter().map(|word| weights[*word as usize]).sum();
            for word in words {
                all.with_word[*word as usize].push((name, weights[*word as usize] / total));
            }
        }
        all
    }

    /// The numbers of a name's different words.
    fn learn(&mut self, name: &str) -> Vec<u32> {
        let spelled: Vec<String> = words(name).collect();
        let numbers: Vec<u32> = spelled.iter().map(|word| self.number(word)).collect();
        for (pair, spelled) in numbers.windows(2).zip(spelled.windows(2)) {
            let both = self.joined.entry(spelled.concat()).or_default();
            both.extend(pair);
            both.sort_unstable();
            both.dedup();
        }
        let mut different = numbers;
        different.sort_unstable();
        different.dedup();
        different
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        self.misheard.push(word);
        number
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The names of which something is said in a text. A word that `is_known` to be one of the language is never taken for
    /// another one misheard.
    pub fn heard(&self, text: &str, is_known: impl Fn(&str) -> bool) -> Vec<Heard> {
        if self.count == 0 {
            return Vec::new();
        }
        // In the order of their words: sums of floats depend on it.
        let mut shares: BTreeMap<u32, f32> = BTreeMap::new();
        for (word, fit) in self.matches(text, is_known) {
            for (name, share) in &self.with_word[word as usize] {
                *shares.entry(*name).or_default() += share * fit;
            }
        }
        shares.into_iter().map(|(name, share)| Heard { name, share }).collect()
    }

    /// The words of names that a text has, each with how well it fits.
    fn matches(&self, text: &str, is_known: impl Fn(&str) -> bool) -> BTreeMap<u32, f32> {
        let said: Vec<String> = words(text).collect();
        let mut fits: BTreeMap<u32, f32> = BTreeMap::new();
        for word in &said {
            self.exact(word, &mut fits);
            if !self.numbers.contains_key(word) && !is_known(word) {
                for (number, fit) in self.misheard.near(word) {
                    let best = fits.entry(number).or_default();
                    *best = best.max(fit);
                }
            }
        }
        for pair in said.windows(2) {
            self.exact(&pair.concat(), &mut fits);
        }
        fits
    }

    fn exact(&self, word: &str, fits: &mut BTreeMap<u32, f32>) {
        let joined = self.joined.get(word).into_iter().flatten();
        for number in self.numbers.get(word).into_iter().chain(joined) {
            fits.insert(*number, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["Harbour 100", "Harbour 300", "Air Box", "The Old House"];

    fn shares(text: &str) -> [f32; 4] {
        let names = Names::new(NAMES.into_iter());
        let mut shares = [0.0; 4];
        for Heard { name, share } in names.heard(text, |word| word == "arbour") {
            shares[name as usize] = share;
        }
        shares
    }

    #[test]
    fn a_name_is_heard_by_the_share_of_it_that_is_said() {
        let [hundred, three_hundred, air_box, house] = shares("I have Harbour 100, the cheap one");
        assert!((hundred - 1.0).abs() < 1e-6);
        assert!(three_hundred > 0.2 && three_hundred < 0.5, "the shared word says less: {three_hundred}");
        assert_eq!(air_box, 0.0);
        assert!(house > 0.0 && house < 0.2, "a stop word says little: {house}");
    }

    #[test]
    fn names_are_heard_joined_split_and_misheard() {
        assert!((shares("my airbox is broken")[2] - 1.0).abs() < 1e-6);
        assert!((shares("the har bour 100")[0] - 1.0).abs() < 1e-6, "{:?}", shares("the har bour 100"));
        let misheard = shares("it is called harbor one")[0];
        assert!(misheard > 0.1 && misheard < 0.4, "{misheard}");
        assert_eq!(shares("an arbour in the garden")[0], 0.0, "a word of the language is what it says");
        assert!(shares("").iter().all(|share| *share == 0.0));
    }

    #[test]
    fn what_consists_of_stop_words_is_no_name() {
        assert!(["the", "To Be", "…", ""].iter().all(|name| !can_be_heard(name)));
        assert!(["The Old House", "100", "Über"].iter().all(|name| can_be_heard(name)));
        assert!(Names::new([].into_iter()).heard("the", |_| false).is_empty());
    }
}
