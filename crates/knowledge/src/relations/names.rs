//! The names that articles are about, and how much of each is said in a turn.
//!
//! A name is heard where some of its words are said near one another and in their order. Where two names are heard at one
//! place, the one of which less is said there counts less: who says "Orchard Garden Hotel" does not talk of the "Orchard
//! Hotel".

use std::collections::{BTreeMap, HashMap};

use super::misheard::Misheard;
use super::words::{is_stop_word, words};

/// What a stop word weighs within a name, where other words weigh 1.
const STOP_WORD_WEIGHT: f32 = 0.3;
/// What the first part of a name is worth that is said without the rest, as "Avalon" for "Avalon (Cambridge)".
const FIRST_PART: f32 = 0.9;
/// What ends the first part of a name.
const PART_ENDS: [&str; 3] = [" - ", " (", ", "];
/// Words that may stand between those of a name.
const SLACK: usize = 1;
/// Words of a text that are compared with names, the last ones: more than anybody says in one turn.
const MOST_WORDS: usize = 1_024;
/// Words of a text that are looked up as misheard, the last ones: what is made of such words says nothing.
const MOST_UNKNOWN: usize = 64;
/// A name that a word may mean is looked for at so many places of a text together, from its end on: where names share their words,
/// as those of ten thousand rooms do, a long text would take as long as a hundred short ones.
const MOST_PLACES: usize = 20_000;

/// Hears names. A name is known by its number.
#[derive(Default)]
pub struct Names {
    count: usize,
    /// Of the words of all names.
    numbers: HashMap<String, u32>,
    /// What each word weighs: the fewer names have it, the more.
    weights: Vec<f32>,
    is_stop_word: Vec<bool>,
    forms: Vec<Form>,
    /// For each word that is no stop word the forms that have it.
    forms_with: Vec<Vec<u32>>,
    /// Two neighbouring words of a name written as one, as people and recognisers do.
    joined: HashMap<String, Vec<[u32; 2]>>,
    misheard: Misheard,
}

/// A name as it may be said.
struct Form {
    name: u32,
    words: Vec<u32>,
    /// Of all its words.
    weight: f32,
    /// What it is worth beside the whole name.
    worth: f32,
}

/// A name of which something was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// The name's number.
    pub name: u32,
    /// How much of it, 0 to 1, rare words counting most.
    pub share: f32,
}

/// A name at a place of a turn.
struct Mention {
    name: u32,
    share: f32,
    /// The weight of what was said of it.
    weight: f32,
    first: usize,
    last: usize,
}

/// For each word of a turn the words of names that it may be, each with how well it fits.
type Positions = Vec<Vec<(u32, f32)>>;

/// Whether a name can be heard: one of stop words alone would be named in every sentence.
pub fn can_be_heard(name: &str) -> bool {
    words(name).any(|word| !is_stop_word(&word))
}

impl Names {
    /// Numbers the names from 0.
    pub fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut all = Self { count: names.len(), ..Self::default() };
        let mut containing: Vec<u32> = Vec::new();
        for (name, spelled) in (0..).zip(names) {
            let whole = all.learn(spelled);
            containing.resize(all.numbers.len(), 0);
            different(&whole).for_each(|word| containing[word as usize] += 1);
            all.forms.push(Form { name, words: whole, weight: 0.0, worth: 1.0 });
            let first_part = PART_ENDS.iter().filter_map(|end| spelled.find(end)).min();
            if let Some(end) = first_part.filter(|end| can_be_heard(&spelled[..*end])) {
                let words = all.learn(&spelled[..end]);
                all.forms.push(Form { name, words, weight: 0.0, worth: FIRST_PART });
            }
        }
        all.weigh(&containing);
        all
    }

    fn weigh(&mut self, containing: &[u32]) {
        self.is_stop_word = vec![false; self.numbers.len()];
        for (word, number) in &self.numbers {
            self.is_stop_word[*number as usize] = is_stop_word(word);
        }
        let rarity = |count: &u32| (1.0 + self.count as f32 / *count as f32).ln();
        let weight =
            |(count, is_stop_word): (&u32, &bool)| rarity(count) * if *is_stop_word { STOP_WORD_WEIGHT } else { 1.0 };
        self.weights = containing.iter().zip(&self.is_stop_word).map(weight).collect();
        self.forms_with = vec![Vec::new(); self.weights.len()];
        for (number, form) in (0..).zip(&mut self.forms) {
            form.weight = form.words.iter().map(|word| self.weights[*word as usize]).sum();
            for word in different(&form.words).filter(|word| !self.is_stop_word[*word as usize]) {
                self.forms_with[word as usize].push(number);
            }
        }
    }

    /// The numbers of a name's words, in their order.
    fn learn(&mut self, name: &str) -> Vec<u32> {
        let spelled: Vec<String> = words(name).collect();
        let numbers: Vec<u32> = spelled.iter().map(|word| self.number(word)).collect();
        for (pair, spelled) in numbers.windows(2).zip(spelled.windows(2)) {
            let pairs = self.joined.entry(spelled.concat()).or_default();
            if !pairs.iter().any(|known| known == pair) {
                pairs.push([pair[0], pair[1]]);
            }
        }
        numbers
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
        let positions = self.positions(text, is_known);
        let mentions = self.mentions(&positions);
        let mut heaviest = vec![0.0_f32; positions.len()];
        for mention in &mentions {
            for heaviest in &mut heaviest[mention.first..=mention.last] {
                *heaviest = heaviest.max(mention.weight);
            }
        }
        let mut shares: BTreeMap<u32, f32> = BTreeMap::new();
        for mention in &mentions {
            let heaviest = heaviest[mention.first..=mention.last].iter().copied().fold(0.0, f32::max);
            let share = shares.entry(mention.name).or_default();
            *share = share.max(mention.share * (mention.weight / heaviest).min(1.0));
        }
        shares.into_iter().map(|(name, share)| Heard { name, share }).collect()
    }

    fn positions(&self, text: &str, is_known: impl Fn(&str) -> bool) -> Positions {
        let mut said: Vec<String> = words(text).collect();
        said.drain(..said.len().saturating_sub(MOST_WORDS));
        let mut positions: Positions = said.iter().map(|word| self.exact(word)).collect();
        for (first, pair) in said.windows(2).enumerate() {
            for (word, fit) in self.exact(&pair.concat()) {
                take(&mut positions[first], word, fit);
                take(&mut positions[first + 1], word, fit);
            }
        }
        let is_unknown = |word: &str| !self.numbers.contains_key(word) && Misheard::may_be(word) && !is_known(word);
        let unknown = said.iter().enumerate().rev().filter(|(_, word)| is_unknown(word));
        for (position, word) in unknown.take(MOST_UNKNOWN) {
            for (number, fit) in self.misheard.near(word) {
                take(&mut positions[position], number, fit);
            }
        }
        positions
    }

    fn exact(&self, word: &str) -> Vec<(u32, f32)> {
        let joined = self.joined.get(word).into_iter().flatten().flatten();
        self.numbers.get(word).into_iter().chain(joined).map(|number| (*number, 1.0)).collect()
    }

    /// The best mention of each form of which a word is said that is no stop word.
    fn mentions(&self, positions: &Positions) -> Vec<Mention> {
        let mut starts: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut places = 0;
        for (position, fits) in positions.iter().enumerate().rev() {
            let forms = || fits.iter().flat_map(|(word, _)| &self.forms_with[*word as usize]);
            places += forms().count();
            if places > MOST_PLACES {
                break;
            }
            for form in forms() {
                let starts = starts.entry(*form).or_default();
                if starts.last() != Some(&position) {
                    starts.push(position);
                }
            }
        }
        let mut mentions: Vec<Mention> = starts
            .into_iter()
            .filter_map(|(form, starts)| self.mention(&self.forms[form as usize], &starts, positions))
            .collect();
        mentions.sort_by_key(|mention| (mention.name, mention.first));
        mentions
    }

    fn mention(&self, form: &Form, starts: &[usize], positions: &Positions) -> Option<Mention> {
        let from = |start: &usize| {
            let first = self.first_word(form, *start, positions);
            let (weight, last) = self.in_order(form, first, positions);
            (weight, first, last)
        };
        let (weight, first, last) = starts.iter().map(from).reduce(|a, b| if b.0 >= a.0 { b } else { a })?;
        let share = form.worth * (weight / form.weight).min(1.0);
        (weight > 0.0).then_some(Mention { name: form.name, share, weight, first, last })
    }

    /// A stop word of the name right before belongs to it.
    fn first_word(&self, form: &Form, start: usize, positions: &Positions) -> usize {
        let belongs = |(word, _): &(u32, f32)| self.is_stop_word[*word as usize] && form.words.contains(word);
        match start.checked_sub(1) {
            Some(before) if positions[before].iter().any(belongs) => before,
            _ => start,
        }
    }

    /// The heaviest run of the form's words, in their order, that is said from a position on, and where it ends. A word that
    /// was written for two may stand for both.
    fn in_order(&self, form: &Form, first: usize, positions: &Positions) -> (f32, usize) {
        let within = form.words.len() + SLACK;
        let mut best = vec![0.0_f32; form.words.len() + 1];
        let mut last = first;
        for (position, fits) in positions.iter().enumerate().skip(first).take(within) {
            let fit = |word: u32| fits.iter().find(|(of, _)| *of == word).map(|(_, fit)| *fit);
            for place in (1..=form.words.len()).rev() {
                let Some(own) = fit(form.words[place - 1]) else { continue };
                let own = own * self.weights[form.words[place - 1] as usize];
                let mut weight = best[place - 1] + own;
                if let Some(before) = place.checked_sub(2).and_then(|before| fit(form.words[before])) {
                    weight = weight.max(best[place - 2] + before * self.weights[form.words[place - 2] as usize] + own);
                }
                for reached in &mut best[place..] {
                    if weight > *reached {
                        *reached = weight;
                        last = position;
                    }
                }
            }
        }
        (best[form.words.len()], last)
    }
}

fn take(fits: &mut Vec<(u32, f32)>, word: u32, fit: f32) {
    match fits.iter_mut().find(|(known, _)| *known == word) {
        Some((_, known)) => *known = known.max(fit),
        None => fits.push((word, fit)),
    }
}

fn different(words: &[u32]) -> impl Iterator<Item = u32> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] =
        ["Harbour 100", "Harbour 300", "Air Box", "The Old House", "Orchard Garden Hotel", "Orchard Hotel (Cambridge)"];

    fn shares(text: &str) -> [f32; 6] {
        let names = Names::new(NAMES.into_iter());
        let mut shares = [0.0; 6];
        for Heard { name, share } in names.heard(text, |word| word == "arbour") {
            shares[name as usize] = share;
        }
        shares
    }

    #[test]
    fn a_name_is_heard_by_the_share_of_it_that_is_said() {
        let [hundred, three_hundred, air_box, house, ..] = shares("I have Harbour 100, the cheap one in my house");
        assert!((hundred - 1.0).abs() < 1e-6);
        assert!(three_hundred > 0.05 && three_hundred < 0.3, "the shared word says less: {three_hundred}");
        assert_eq!(air_box, 0.0);
        assert!(house > 0.3 && house < 0.7, "{house}");
    }

    #[test]
    fn words_of_a_name_count_near_one_another_and_in_their_order() {
        assert_eq!(shares("the old house")[3], 1.0);
        assert!(shares("the house is old")[3] < 0.8 && shares("old people in a big house")[3] < 0.8);
        assert_eq!(shares("of the old")[0], 0.0);
    }

    #[test]
    fn where_two_names_are_heard_the_heavier_one_is_meant() {
        let [.., garden, hotel] = shares("a room at the orchard garden hotel");
        assert!(garden > 0.99 && hotel < 0.7, "{garden} {hotel}");
        let [.., garden, hotel] = shares("a room at the orchard hotel");
        assert!(hotel > 0.85 && garden < hotel, "{garden} {hotel}");
    }

    #[test]
    fn names_are_heard_joined_split_and_misheard() {
        assert!((shares("my airbox is broken")[2] - 1.0).abs() < 1e-6);
        assert!((shares("the har bour 100")[0] - 1.0).abs() < 1e-6, "{:?}", shares("the har bour 100"));
        let misheard = shares("it is called harbor one")[0];
        assert!(misheard > 0.1 && misheard < 0.5, "{misheard}");
        assert_eq!(shares("an arbour in the garden")[0], 0.0, "a word of the language is what it says");
        assert!(shares("").iter().all(|share| *share == 0.0));
    }

    #[test]
    fn of_a_long_text_the_end_is_heard() {
        let filler = "and so on ".repeat(MOST_WORDS);
        let [first, ..] = shares(&format!("harbour 100 {filler}"));
        let [last, ..] = shares(&format!("{filler} harbour 100"));
        assert_eq!((first, last), (0.0, 1.0));
        let rooms: Vec<String> = (0..500).map(|number| format!("Room {number}")).collect();
        let rooms = Names::new(rooms.iter().map(String::as_str));
        let share = |text: &str| {
            let heard = rooms.heard(text, |_| true);
            heard.into_iter().find(|heard| heard.name == 7).map_or(0.0, |heard| heard.share)
        };
        let often = "room ".repeat(100);
        assert!(share(&format!("room 7 {often}")) < 0.5 && share(&format!("{often} room 7")) > 0.99);
        assert!(share("room 7 and the room next to it") > 0.99, "of a short text all is heard");
        let unknown = "qwertz ".repeat(100);
        assert!(shares(&format!("{unknown} harbor one"))[0] > 0.1);
        assert_eq!(shares(&format!("harbor one {unknown}"))[0], 0.0);
    }

    #[test]
    fn what_consists_of_stop_words_is_no_name() {
        assert!(["the", "To Be", "…", ""].iter().all(|name| !can_be_heard(name)));
        assert!(["The Old House", "100", "Über"].iter().all(|name| can_be_heard(name)));
        assert!(Names::new([].into_iter()).heard("the", |_| false).is_empty());
    }
}
