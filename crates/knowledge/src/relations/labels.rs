//! One-word entities that name nothing: "Bill" or "Order" as a heading, which articles write in lower case wherever they
//! speak of it. A customer who says the word is not talking about such an entity.

use std::collections::HashMap;

use crate::article::Article;

/// An entity that is capitalised in fewer of its places than this share is a label.
const CAPITALISED_SHARE: f64 = 0.5;
/// Keeps an entity that stands nowhere in the articles a name.
const PRIOR: f64 = 0.5;

#[derive(Default)]
struct Places {
    capitalised: usize,
    all: usize,
}

/// Finds the labels among entities.
pub struct Labels(HashMap<String, Places>);

impl Labels {
    /// Counts how the articles write those of these entities that may be labels.
    pub fn of<'a>(entities: impl Iterator<Item = &'a str>, articles: impl Iterator<Item = &'a Article>) -> Self {
        let mut places: HashMap<String, Places> = entities
            .filter(|entity| may_be_label(entity))
            .map(|entity| (entity.to_lowercase(), Places::default()))
            .collect();
        if !places.is_empty() {
            for article in articles {
                count(&article.title, &mut places);
                count(&article.body, &mut places);
            }
        }
        Self(places)
    }

    /// Whether this entity is a label.
    pub fn has(&self, entity: &str) -> bool {
        let places = may_be_label(entity).then(|| self.0.get(&entity.to_lowercase())).flatten();
        places.is_some_and(|Places { capitalised, all }| {
            (*capitalised as f64 + PRIOR) / (*all as f64 + PRIOR) < CAPITALISED_SHARE
        })
    }
}

/// Only one word without capitals inside: names like `eSIM` or `AVALON` are none.
fn may_be_label(entity: &str) -> bool {
    entity.chars().all(char::is_alphanumeric) && !entity.chars().skip(1).any(char::is_uppercase)
}

/// The beginning of a sentence is capitalised whatever it says, and counts as neither.
fn count(text: &str, places: &mut HashMap<String, Places>) {
    let mut begins_sentence = true;
    let mut lower = String::new();
    for piece in text.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let word = piece.trim_end_matches(|character: char| !character.is_alphanumeric());
        if !word.is_empty() && !begins_sentence {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            if let Some(places) = places.get_mut(&lower) {
                places.all += 1;
                places.capitalised += usize::from(word.starts_with(char::is_uppercase));
            }
        }
        let ends_sentence = piece.ends_with(['.', '!', '?', ':', ';', '\n']);
        begins_sentence = ends_sentence || (begins_sentence && word.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_articles_write_in_lower_case_names_nothing() {
        let article = |body: &str| Article { body: body.to_owned(), ..Article::default() };
        let articles = [
            article("Bill: your bill comes monthly. Bill us for each bill."),
            article("Ask Avalon. The Avalon is open, and Avalon's pool too."),
            article("Mobile means the mobile phone."),
        ];
        let entities = ["Bill", "Avalon", "Mobile", "eSIM", "Guest House", "Unheard"];
        let labels = Labels::of(entities.into_iter(), articles.iter());
        assert_eq!(entities.map(|entity| labels.has(entity)), [true, false, true, false, false, false]);
    }
}
