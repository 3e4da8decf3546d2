//! The stand-in's own article search: words in common, nothing clever.
//!
//! Input: articles from JSON Lines, a query. Output: one page of entities in the shape of contract 003.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::json_lines::{self, ReadError};

/// An article as far as the search needs it; other fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Article {
    /// Its id.
    pub id: String,
    /// Shown above the card.
    pub title: String,
    /// The whole text.
    pub body: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: Option<String>,
}

impl Article {
    /// All articles of a file, `.gz` too.
    pub fn load(path: &Path) -> Result<Vec<Self>, ReadError> {
        json_lines::read(path)
    }
}

/// Page `page` (from 1) of `page_size` articles that share words with `query`, the most shared first; the score is the
/// share of the query's distinct words.
pub(crate) fn search(articles: &[Article], query: &str, page: usize, page_size: usize) -> Vec<Value> {
    let wanted = words(query);
    let score = |article: &Article| {
        let mut held = words(&article.title);
        held.extend(words(&article.body));
        wanted.intersection(&held).count() as f64 / wanted.len().max(1) as f64
    };
    let mut hits: Vec<(f64, &Article)> =
        articles.iter().map(|article| (score(article), article)).filter(|(score, _)| *score > 0.0).collect();
    hits.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.id.cmp(&right.1.id)));
    let first = page.saturating_sub(1).saturating_mul(page_size);
    let entity = |(score, article): (f64, &Article)| json!({"id": article.id, "title": article.title, "score": score, "url": article.url, "body": article.body});
    hits.into_iter().skip(first).take(page_size).map(entity).collect()
}

fn words(text: &str) -> HashSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_words_in_common_come_first() {
        let article =
            |id: &str, title: &str| Article { id: id.into(), title: title.into(), body: String::new(), url: None };
        let articles = [article("a", "red"), article("b", "Red shoes"), article("c", "hat")];
        let ids = |page, size| -> Vec<String> {
            search(&articles, "red shoes?", page, size)
                .iter()
                .map(|entity| entity["id"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(ids(1, 5), ["b", "a"]);
        assert_eq!(ids(2, 1), ["a"]);
        assert!(ids(3, 5).is_empty());
    }
}
