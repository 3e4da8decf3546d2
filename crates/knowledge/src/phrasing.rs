//! Which article the words of a call speak for, by the phrases in which articles say how customers ask: naive Bayes over
//! words and pairs of neighbouring words, with Dirichlet smoothing (Zhai and Lafferty 2004).
//!
//! Input are the turns' words, output one number for each article. Where meaning tells that two texts are about the same, words
//! tell which of a family of articles: "still inside", "on the app", "my mother's".

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::article::Article;

/// How many grams of an article's own phrases weigh as much as what all articles' phrases say together.
const SMOOTHING: f32 = 100.0;
/// A gram that fewer phrases have may be chance.
const LEAST_PHRASES: u32 = 2;
/// Grams of one call are no independent witnesses: their sum is divided by this times the root of their weights' sum.
const DEPENDENCE: f32 = 1.5;
/// Or by this, where little was said.
const LEAST_DIVISOR: f32 = 4.0;

/// The grams of all articles' phrases. An article is known by its position.
#[derive(Default)]
pub struct Phrasing {
    /// Each gram's place in `gains`; in the order of their texts, since sums of floats depend on it.
    places: HashMap<String, Gram>,
    /// For each gram by how much each article that has it gains on one that has not: log-odds.
    gains: Vec<Vec<(u32, f32)>>,
    /// What any known gram says against an article whose phrases have it not; `None` without phrases.
    against: Vec<Option<f32>>,
    /// See [`Phrasing::unphrased`].
    unphrased: Vec<f32>,
    /// See [`Phrasing::reach`].
    reach: f32,
}

/// What a turn says that phrases have, and how much it weighs: 0 to 1.
pub struct WeightedGrams<'a> {
    pub grams: &'a [Gram],
    pub weight: f32,
}

/// A gram that phrases have, by its place among all of them.
pub type Gram = u32;

/// In how many of its phrases each article has a gram, in the articles' order.
type Counts = Vec<(u32, u32)>;

/// Each word, and each pair of neighbours.
fn grams(words: &[String]) -> impl Iterator<Item = String> {
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    words.iter().cloned().chain(pairs)
}

fn total(counts: &Counts) -> u32 {
    counts.iter().map(|(_, count)| count).sum()
}

impl Phrasing {
    /// Of articles in the order of their positions; `words` are those by which a call is compared with them.
    pub fn of<'a>(articles: impl Iterator<Item = &'a Article>, words: impl Fn(&str) -> Vec<String>) -> Self {
        let mut counts: HashMap<String, Counts> = HashMap::new();
        let mut has_phrases = Vec::new();
        for (position, article) in (0..).zip(articles) {
            has_phrases.push(article.is_phrased());
            for phrase in article.phrases() {
                for gram in grams(&words(phrase)).collect::<HashSet<_>>() {
                    let counts = counts.entry(gram).or_default();
                    match counts.last_mut() {
                        Some((last, count)) if *last == position => *count += 1,
                        _ => counts.push((position, 1)),
                    }
                }
            }
        }
        counts.retain(|_, counts| total(counts) >= LEAST_PHRASES);
        Self::of_counts(counts.into_iter().collect(), &has_phrases)
    }

    fn of_counts(counts: BTreeMap<String, Counts>, has_phrases: &[bool]) -> Self {
        let mut of_article = vec![0_u32; has_phrases.len()];
        for (article, count) in counts.values().flatten() {
            of_article[*article as usize] += count;
        }
        let all = of_article.iter().sum::<u32>() as f32;
        let against: Vec<_> = of_article
            .iter()
            .zip(has_phrases)
            .map(|(own, has_phrases)| has_phrases.then(|| (SMOOTHING / (*own as f32 + SMOOTHING)).ln()))
            .collect();
        let gains = counts.values().map(|counts| {
            let expected = SMOOTHING * total(counts) as f32 / all;
            counts.iter().map(|(article, count)| (*article, (*count as f32 / expected).ln_1p())).collect()
        });
        let own = |own: &u32| *own as f32 / (*own as f32 + SMOOTHING);
        let reach = of_article.iter().map(own).sum::<f32>() / has_phrases.len().max(1) as f32;
        let chances = -against.iter().flatten().sum::<f32>() / against.iter().flatten().count().max(1) as f32;
        let unphrased = chances * (1.0 + reach);
        Self {
            reach,
            gains: gains.collect(),
            unphrased: against.iter().map(|against| if against.is_none() { unphrased } else { 0.0 }).collect(),
            against,
            places: counts.into_keys().zip(0..).collect(),
        }
    }

    /// How far phrases can be trusted, 0 to 1: what the grams of each article's own weigh beside the smoothing, in the mean over all
    /// articles. Some 0.4 where all have three phrases, above 0.9 with forty.
    pub fn reach(&self) -> f32 {
        self.reach
    }

    /// For each article without phrases what the others gain because they have so many that one is like almost any question: the mean
    /// over those of ln(1 + N ÷ 100), where N counts the grams of an article's own, times 1 + reach, since phrases count for more the
    /// further they can be trusted. 0 for an article with phrases.
    pub fn unphrased(&self) -> &[f32] {
        &self.unphrased
    }

    /// The articles that have phrases.
    pub fn num_articles(&self) -> usize {
        self.against.iter().flatten().count()
    }

    /// What of a text's words phrases have too.
    pub fn grams_of(&self, words: &[String]) -> Vec<Gram> {
        if self.places.is_empty() {
            return Vec::new();
        }
        grams(words).filter_map(|gram| self.places.get(&gram).copied()).collect()
    }

    /// For each article how much the turns' words speak for it, beside the mean of all that have phrases: log-odds, of which
    /// a long call has not many more than a short one, and the less the fewer phrases there are. 0 for an article without any.
    pub fn speaks_for<'a>(&self, turns: impl Iterator<Item = WeightedGrams<'a>>) -> Vec<f32> {
        let said = said(turns);
        if said.is_empty() {
            return vec![0.0; self.against.len()];
        }
        let in_all: f32 = said.values().sum();
        let mut sums: Vec<f32> = self.against.iter().map(|against| in_all * against.unwrap_or_default()).collect();
        for (gram, weight) in said {
            for (article, gain) in &self.gains[gram as usize] {
                sums[*article as usize] += weight * gain;
            }
        }
        let mean = sums.iter().sum::<f32>() / self.num_articles() as f32;
        let scale = self.reach / (DEPENDENCE * in_all.sqrt()).max(LEAST_DIVISOR);
        let beside_mean = |(sum, against): (&f32, &Option<f32>)| against.map_or(0.0, |_| (sum - mean) * scale);
        sums.iter().zip(&self.against).map(beside_mean).collect()
    }
}

/// Each gram that was said, with what it weighs most.
fn said<'a>(turns: impl Iterator<Item = WeightedGrams<'a>>) -> BTreeMap<Gram, f32> {
    let mut said = BTreeMap::new();
    for turn in turns {
        for gram in turn.grams {
            let weight: &mut f32 = said.entry(*gram).or_default();
            *weight = weight.max(turn.weight);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn phrasing(articles: &[&[&str]]) -> Phrasing {
        let of = |phrases: &&[&str]| Article {
            asked_as: phrases.iter().map(|phrase| (*phrase).to_owned()).collect(),
            ..Article::default()
        };
        let articles: Vec<_> = articles.iter().map(of).collect();
        Phrasing::of(articles.iter(), words)
    }

    fn speaks_for(phrasing: &Phrasing, turns: &[(&str, f32)]) -> Vec<f32> {
        let turns: Vec<_> = turns.iter().map(|(text, weight)| (phrasing.grams_of(&words(text)), *weight)).collect();
        phrasing.speaks_for(turns.iter().map(|(grams, weight)| WeightedGrams { grams, weight: *weight }))
    }

    #[test]
    fn words_speak_for_the_articles_whose_phrases_have_them_and_neither_for_nor_against_one_without_phrases() {
        let phrasing =
            phrasing(&[&["my box is dark", "the box stays dark"], &["send the box back", "give the box back"], &[]]);
        let of = |text| speaks_for(&phrasing, &[(text, 1.0)]);
        let (dark, back) = (of("it is dark"), of("take it back"));
        assert!(dark[0] > 0.0 && dark[1] < 0.0 && dark[2] == 0.0, "{dark:?}");
        assert!(back[1] > 0.0 && back[0] < 0.0 && back[2] == 0.0, "{back:?}");
        assert!((dark[0] + dark[1]).abs() < 1e-6, "beside the mean: {dark:?}");
        assert_eq!(of("nobody says this"), [0.0; 3]);
        assert_eq!(of("send"), [0.0; 3], "one phrase may be chance");
    }

    #[test]
    fn an_article_without_phrases_gets_what_others_gain_by_the_number_of_theirs() {
        let many: Vec<String> = (0..50).map(|number| format!("my box {number} is dark")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let few = phrasing(&[&many, &many[..5], &[]]);
        // Of each phrase "my", "box", "is", "dark", "my box" and "is dark", and what stands in it and in that of another article.
        let mean = f32::midpoint(f32::ln(1.0 + 3.15), f32::ln(1.0 + 0.45));
        let reach = (3.15 / 4.15 + 0.45 / 1.45) / 3.0;
        assert_eq!(few.unphrased()[..2], [0.0; 2]);
        assert!((few.unphrased()[2] - mean * (1.0 + reach)).abs() < 1e-6, "{:?}", few.unphrased());
        assert_eq!(phrasing(&[&[], &[]]).unphrased(), [0.0; 2], "where nobody has any");
    }

    #[test]
    fn neighbours_tell_what_their_words_do_not() {
        let one_way = ["from contract to prepaid", "contract to prepaid please"];
        let other_way = ["from prepaid to contract", "prepaid to contract please"];
        let phrasing = phrasing(&[&one_way, &other_way]);
        let of = speaks_for(&phrasing, &[("prepaid to contract", 1.0)]);
        assert!(of[1] > 0.0 && of[0] < 0.0, "{of:?}");
        let words_alone = speaks_for(&phrasing, &[("contract", 1.0), ("prepaid", 1.0)]);
        assert!(words_alone.iter().all(|sum| sum.abs() < 1e-6), "{words_alone:?}");
    }

    #[test]
    fn a_gram_weighs_what_it_weighs_most_and_what_was_said_long_ago_less() {
        let phrasing = phrasing(&[&["dark box", "dark lamp"], &["back then", "back again"]]);
        let once = speaks_for(&phrasing, &[("dark", 1.0)]);
        assert_eq!(speaks_for(&phrasing, &[("dark", 1.0), ("dark", 0.5)]), once);
        let of = speaks_for(&phrasing, &[("dark", 1.0), ("back", 0.5)]);
        assert!(of[0] > 0.0 && of[0] < once[0], "{of:?} {once:?}");
    }

    #[test]
    fn few_phrases_say_less_and_so_do_those_of_few_articles() {
        let (dark, back) = (["box dark", "dark box"], ["back again", "again back"]);
        let many = |phrases: [&'static str; 2]| phrases.repeat(20);
        let of = |articles: &[&[&str]]| speaks_for(&phrasing(articles), &[("dark", 1.0)])[0];
        let few = of(&[&dark, &back]);
        assert!(few > 0.0 && of(&[&many(dark), &many(back)]) > 50.0 * few);
        assert!((of(&[&dark, &back, &[], &[]]) - few / 2.0).abs() < 1e-6);
    }

    #[test]
    fn without_phrases_nothing_is_said() {
        assert_eq!(speaks_for(&phrasing(&[&[], &[]]), &[("anything", 1.0)]), [0.0, 0.0]);
        assert!(speaks_for(&Phrasing::default(), &[("anything", 1.0)]).is_empty());
    }
}
