//! The tenant's own article search: words in common, nothing clever, but fast.
//!
//! Input: articles, a query. Output: one page of entities in the shape of contract 003, the score being the share of the
//! query's distinct words that an article holds. Each word has the list of its articles; a query counts through the lists
//! of its words.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::json;

use super::files::Article;

struct Entity {
    id: String,
    title: String,
    /// What follows the score.
    rest: String,
}

/// The words of all articles.
pub(super) struct SearchIndex {
    /// By id, so that the place decides between equal scores.
    entities: Vec<Entity>,
    /// The places of the articles that hold a word.
    holders: HashMap<String, Vec<u32>>,
}

impl SearchIndex {
    pub(super) fn new<'a>(articles: impl Iterator<Item = &'a Article>) -> Self {
        let mut articles: Vec<&Article> = articles.collect();
        articles.sort_by(|left, right| left.id.cmp(&right.id));
        let mut holders: HashMap<String, Vec<u32>> = HashMap::new();
        for (place, article) in (0..).zip(&articles) {
            let mut held = words(&article.title);
            held.extend(words(&article.body));
            for word in held {
                holders.entry(word).or_default().push(place);
            }
        }
        Self { entities: articles.into_iter().map(Entity::new).collect(), holders }
    }

    /// A JSON array of entities.
    pub(super) fn search(&self, query: &str, page: usize, page_size: usize) -> String {
        let wanted = words(query);
        let mut counts: Vec<u16> = vec![0; self.entities.len()];
        for place in wanted.iter().filter_map(|word| self.holders.get(word)).flatten() {
            counts[*place as usize] = counts[*place as usize].saturating_add(1);
        }
        // One list for each count, so that many words in a question cost no further look at all articles.
        let highest = counts.iter().copied().max().unwrap_or_default();
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); usize::from(highest) + 1];
        for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            places[usize::from(*count)].push(place);
        }
        let first = page.saturating_sub(1).saturating_mul(page_size);
        let best_first =
            places.iter().enumerate().rev().flat_map(|(count, places)| places.iter().map(move |place| (*place, count)));
        let mut text = String::from("[");
        for (place, count) in best_first.skip(first).take(page_size) {
            if text.len() > 1 {
                text.push(',');
            }
            self.entities[place].write(&mut text, count as f64 / wanted.len() as f64);
        }
        text.push(']');
        text
    }
}

impl Entity {
    fn new(article: &Article) -> Self {
        let rest = format!("\"url\":{},\"body\":{}}}", json!(article.url), json!(article.body));
        Self { id: json!(article.id).to_string(), title: json!(article.title).to_string(), rest }
    }

    fn write(&self, text: &mut String, score: f64) {
        let Self { id, title, rest } = self;
        // Writing to a string can't fail.
        let _ = write!(text, "{{\"id\":{id},\"title\":{title},\"score\":{score:?},{rest}");
    }
}

fn words(text: &str) -> HashSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    fn article(id: &str, title: &str, body: &str) -> Article {
        Article { id: id.into(), title: title.into(), body: body.into(), url: None }
    }

    fn found(articles: &[Article], query: &str, page: usize, size: usize) -> Vec<(String, f64)> {
        let entities: Vec<Value> =
            serde_json::from_str(&SearchIndex::new(articles.iter()).search(query, page, size)).unwrap();
        let seen = |entity: &Value| (entity["id"].as_str().unwrap().to_owned(), entity["score"].as_f64().unwrap());
        entities.iter().map(seen).collect()
    }

    #[test]
    fn most_words_in_common_come_first() {
        let articles = [article("a", "red", ""), article("b", "Red", "shoes"), article("c", "hat", "")];
        assert_eq!(found(&articles, "red shoes?", 1, 5), [("b".to_owned(), 1.0), ("a".to_owned(), 0.5)]);
        assert_eq!(found(&articles, "red shoes?", 2, 1), [("a".to_owned(), 0.5)]);
        assert!(found(&articles, "red shoes?", 3, 5).is_empty());
        assert!(found(&articles, "?", 1, 5).is_empty() && found(&[], "red", 1, 5).is_empty());
    }

    #[test]
    fn entities_are_the_contract_s() {
        let article = Article { url: Some("https://kb.example/\"x\"".into()), ..article("a", "t", "b\n") };
        let text = SearchIndex::new([article].iter()).search("t", 1, 5);
        let expected = r#"[{"id":"a","title":"t","score":1.0,"url":"https://kb.example/\"x\"","body":"b\n"}]"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn the_share_of_the_words_decides_and_then_the_id() {
        // Article n holds the word w when w divides n.
        let holds =
            |number: usize| (1..=15).filter(move |word| number.is_multiple_of(*word)).map(|word| format!("w{word}"));
        let body = |number| holds(number).collect::<Vec<_>>().join(" ");
        let articles: Vec<_> = (0..300).map(|number| article(&format!("{number:03}"), "", &body(number))).collect();
        let query = (1..=15).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        let mut expected: Vec<_> =
            (0..300).map(|number| (format!("{number:03}"), holds(number).count() as f64 / 15.0)).collect();
        expected.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        assert_eq!(found(&articles, &query, 1, 1000), expected);
        assert_eq!(found(&articles, &query, 3, 7), expected[14..21]);
    }
}
