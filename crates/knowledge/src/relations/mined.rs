//! Names mined from titles, where articles have no field for them: runs of capitalised words, and the parts of a title
//! that a few others share.

use std::collections::{HashMap, HashSet};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::words::is_stop_word;

/// Words that join the parts of a name.
const JOINS: [&str; 6] = ["of", "and", "the", "at", "by", "&"];

/// What separates the parts of a title.
const SEPARATORS: [&str; 3] = [" - ", " | ", ": "];

/// A part of a title that more than one in so many titles has is no name but a heading of all.
const TITLES_PER_SHARED_PART: usize = 10;

/// From so many words on, a title of which most are capitalised is in title case, where capitals name nothing.
const TITLE_CASE_WORDS: usize = 4;
const TITLE_CASE_SHARE: f64 = 0.6;

/// Names of so many words at most; longer runs are sentences.
const MOST_WORDS: usize = 3;

/// The names in these titles, lower case, words joined by a space. On all cores.
pub fn mined_names<'a>(titles: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let (mut num_titles, mut different) = (0, HashSet::new());
    for title in titles {
        num_titles += 1;
        different.insert(title);
    }
    let of_title = |title| (lower_parts(title), capitalised_runs(title));
    let found: Vec<_> = different.into_par_iter().map(of_title).collect();
    let (mut names, mut titles_with_part) = (HashSet::new(), HashMap::new());
    for (parts, runs) in found {
        names.extend(runs);
        for part in parts {
            *titles_with_part.entry(part).or_insert(0) += 1;
        }
    }
    let is_shared = |count: usize| count >= 2 && count * TITLES_PER_SHARED_PART <= num_titles;
    names.extend(titles_with_part.into_iter().filter(|(_, count)| is_shared(*count)).map(|(part, _)| part));
    names.retain(|name| name.split_whitespace().count() <= MOST_WORDS);
    names
}

/// The different parts of a title, lower case.
fn lower_parts(title: &str) -> HashSet<String> {
    parts(title).map(str::to_lowercase).collect()
}

fn parts(title: &str) -> impl Iterator<Item = &str> {
    let mut parts = vec![title];
    for separator in SEPARATORS {
        parts = parts.into_iter().flat_map(|part| part.split(separator)).collect();
    }
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty())
}

/// A word of a title without the punctuation around it; a sign that stands alone is its own word.
pub fn bare(word: &str) -> &str {
    match word.trim_matches(|character: char| !character.is_alphanumeric()) {
        "" => word,
        bare => bare,
    }
}

fn is_capitalised(word: &str) -> bool {
    bare(word).chars().next().is_some_and(|first| first.is_uppercase() || first.is_numeric())
}

fn ends_a_name(word: &str) -> bool {
    word.ends_with(['.', ',', ':', ';', '?', '!'])
}

fn is_title_case(words: &[&str]) -> bool {
    let alphabetic: Vec<_> = words.iter().filter(|word| word.starts_with(char::is_alphabetic)).collect();
    let capitalised = alphabetic.iter().filter(|word| word.starts_with(char::is_uppercase)).count();
    alphabetic.len() >= TITLE_CASE_WORDS && capitalised as f64 > TITLE_CASE_SHARE * alphabetic.len() as f64
}

fn capitalised_runs(title: &str) -> Vec<String> {
    let words: Vec<&str> = title.split_whitespace().collect();
    let mut names = Vec::new();
    if is_title_case(&words) {
        return names;
    }
    let starts_with_stop_word = words.first().is_some_and(|word| is_stop_word(&bare(word).to_lowercase()));
    let mut position = usize::from(starts_with_stop_word);
    while position < words.len() {
        if !is_capitalised(words[position]) {
            position += 1;
            continue;
        }
        let end = end_of_run(&words, position);
        let begins_sentence = position == 0 || words[position - 1].ends_with(['.', ':', '?', '!']);
        let run: Vec<_> = words[position..end].iter().map(|word| bare(word)).collect();
        let says_something = run.iter().any(|word| word.starts_with(char::is_alphabetic)) && run != ["I"];
        if says_something && !(begins_sentence && run.len() == 1) {
            names.push(run.join(" ").to_lowercase());
        }
        position = end;
    }
    names
}

/// Where the run that starts at `start` ends; a joining word belongs to it only between two capitalised ones.
fn end_of_run(words: &[&str], start: usize) -> usize {
    let (mut end, mut next) = (start + 1, start + 1);
    while next < words.len() && !ends_a_name(words[next - 1]) {
        if is_capitalised(words[next]) {
            end = next + 1;
        } else if !JOINS.contains(&bare(words[next]).to_lowercase().as_str()) {
            break;
        }
        next += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mined(titles: &[&str]) -> Vec<String> {
        let mut names: Vec<_> = mined_names(titles.iter().copied()).into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn capitals_within_a_sentence_name_something() {
        assert_eq!(mined(&["Can I bring my pet to A and B Guest House?"]), Vec::<String>::new(), "too long");
        assert_eq!(mined(&["Is there parking at the Orchard Garden?"]), ["orchard garden"]);
        assert_eq!(mined(&["The Hub 4 blinks red"]), ["hub 4"]);
        assert_eq!(mined(&["Refunds take a week", "I want my money"]), Vec::<String>::new());
        assert_eq!(mined(&["Four Ways To Pay Your Bill"]), Vec::<String>::new(), "title case");
        assert_eq!(
            mined(&["We ship to Bosnia & Herzegovina, Malta and many other places"]),
            ["bosnia & herzegovina", "malta"]
        );
    }

    #[test]
    fn a_part_that_a_few_titles_share_names_what_they_are_about() {
        let mut titles = vec!["Air box - returning it", "Air box - setting it up"];
        titles.resize(22, "something else");
        assert_eq!(mined(&titles), ["air box", "something else"].map(str::to_owned)[..1]);
        assert_eq!(mined(&titles[..4]), Vec::<String>::new(), "half of all titles have it");
    }
}
