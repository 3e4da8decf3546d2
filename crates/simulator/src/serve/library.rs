//! One state of a tenant's articles, with the date of its last change.
//!
//! Input: articles, one change, or the date that a request names. Output: another library, or the items that an answer
//! holds. A library never changes, so that a reader keeps what it holds. Every change moves the date on by at least one
//! second, so that a date names exactly one state although HTTP dates have no fractions. All that answers need is made
//! with the library, so that no request waits for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use actix_web::web::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::Article;
use super::search::SearchIndex;

/// How the list of articles is answered, whatever there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArticlesAnswer {
    /// 200 with all of them.
    #[default]
    Whole,
    /// 200 with none, as a tenant that lost its knowledge would.
    Empty,
    /// 200 with the first half, as a tenant that lost half of it would.
    Half,
    /// 206 with those that have changed since the date that the request names; all of them without a date.
    Partial,
}

/// By what an article is looked for: as much as its card tells.
#[derive(Clone, Debug)]
pub(crate) enum MeantArticle {
    Id(String),
    /// Where it can be read; its id where a card has that in the place of an address.
    Link(String),
    Title(String),
}

struct Held {
    article: Article,
    /// Seconds since 1970.
    modified: u64,
    /// As the list shows it.
    item: String,
}

impl Held {
    fn new(article: Article, modified: u64) -> Arc<Self> {
        let item = json!({"id": article.id, "title": article.title, "content": article.body}).to_string();
        Arc::new(Self { article, modified, item })
    }
}

/// The items of an answer before they are cut into pages.
pub(crate) struct Listing<'a> {
    held: Cow<'a, [Arc<Held>]>,
    /// The answer holds only a part, and says so.
    pub(crate) is_partial: bool,
}

impl Listing<'_> {
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// The items from `first` on, at most `count`, as a JSON array.
    pub(crate) fn items(&self, first: usize, count: usize) -> String {
        items(self.held.iter().skip(first).take(count))
    }
}

fn items<'a>(held: impl Iterator<Item = &'a Arc<Held>>) -> String {
    let items: Vec<&str> = held.map(|held| held.item.as_str()).collect();
    format!("[{}]", items.join(","))
}

/// Articles, and what is made of all of them.
struct Contents {
    held: Vec<Arc<Held>>,
    /// The answer with everything in it.
    whole: Bytes,
    index: SearchIndex,
}

impl Contents {
    fn new(held: Vec<Arc<Held>>) -> Arc<Self> {
        let whole = format!("{{\"items\":{}}}", items(held.iter())).into();
        let index = SearchIndex::new(held.iter().map(|held| &held.article));
        Arc::new(Self { held, whole, index })
    }
}

/// One state of the articles.
pub(crate) struct Library {
    contents: Arc<Contents>,
    modified: u64,
    answer: ArticlesAnswer,
}

impl Library {
    /// The first state, dated `now` in seconds since 1970.
    pub(crate) fn new(articles: Vec<Article>, now: u64) -> Self {
        let held = articles.into_iter().map(|article| Held::new(article, now)).collect();
        Self::dated(held, now, ArticlesAnswer::Whole)
    }

    fn dated(held: Vec<Arc<Held>>, modified: u64, answer: ArticlesAnswer) -> Self {
        Self { contents: Contents::new(held), modified, answer }
    }

    /// Seconds since 1970.
    pub(crate) fn modified(&self) -> u64 {
        self.modified
    }

    pub(crate) fn answer(&self) -> ArticlesAnswer {
        self.answer
    }

    pub(crate) fn len(&self) -> usize {
        self.contents.held.len()
    }

    fn next_date(&self, now: u64) -> u64 {
        now.max(self.modified + 1)
    }

    /// With one more article, or another text for one that is there.
    pub(crate) fn put(&self, article: Article, now: u64) -> Self {
        let date = self.next_date(now);
        let mut held = self.contents.held.clone();
        let place = held.iter().position(|held| held.article.id == article.id);
        let changed = Held::new(article, date);
        match place {
            Some(place) => held[place] = changed,
            None => held.push(changed),
        }
        Self::dated(held, date, self.answer)
    }

    /// Without one article; nothing when it was not there.
    pub(crate) fn delete(&self, id: &str, now: u64) -> Option<Self> {
        let mut held = self.contents.held.clone();
        held.retain(|held| held.article.id != id);
        let is_gone = held.len() < self.len();
        is_gone.then(|| Self::dated(held, self.next_date(now), self.answer))
    }

    /// With other articles; one that stays as it was keeps its date.
    pub(crate) fn replace(&self, articles: Vec<Article>, now: u64) -> Self {
        let date = self.next_date(now);
        let known: HashMap<&str, &Arc<Held>> =
            self.contents.held.iter().map(|held| (held.article.id.as_str(), held)).collect();
        let keep = |article: Article| match known.get(article.id.as_str()) {
            Some(held) if held.article == article => Arc::clone(held),
            _ => Held::new(article, date),
        };
        Self::dated(articles.into_iter().map(keep).collect(), date, self.answer)
    }

    /// Answering in another way.
    pub(crate) fn answering(&self, answer: ArticlesAnswer, now: u64) -> Self {
        Self { contents: Arc::clone(&self.contents), modified: self.next_date(now), answer }
    }

    /// What a request gets that knows the state of `since`, in seconds since 1970; nothing when that is this one.
    pub(crate) fn list(&self, since: Option<u64>) -> Option<Listing<'_>> {
        if since.is_some_and(|since| since >= self.modified) {
            return None;
        }
        let all = self.contents.held.as_slice();
        let held = match self.answer {
            ArticlesAnswer::Whole => Cow::Borrowed(all),
            ArticlesAnswer::Empty => Cow::Borrowed(&all[..0]),
            ArticlesAnswer::Half => Cow::Borrowed(&all[..all.len() / 2]),
            ArticlesAnswer::Partial => {
                let since = since.unwrap_or(0);
                all.iter().filter(|held| held.modified > since).map(Arc::clone).collect()
            }
        };
        Some(Listing { held, is_partial: self.answer == ArticlesAnswer::Partial })
    }

    /// The answer with everything in it.
    pub(crate) fn whole(&self) -> Bytes {
        self.contents.whole.clone()
    }

    /// The first article that is meant.
    pub(crate) fn find(&self, meant: &MeantArticle) -> Option<&Article> {
        let articles = self.contents.held.iter().map(|held| &held.article);
        articles.into_iter().find(|article| match meant {
            MeantArticle::Id(id) => article.id == *id,
            MeantArticle::Link(link) => article.url.as_ref() == Some(link) || article.id == *link,
            MeantArticle::Title(title) => article.title == *title,
        })
    }

    /// Page `page` (from 1) of `page_size` articles that share words with `query`, as a JSON array of entities.
    pub(crate) fn search(&self, query: &str, page: usize, page_size: usize) -> String {
        self.contents.index.search(query, page, page_size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    fn article(id: &str, body: &str) -> Article {
        Article { id: id.into(), title: format!("About {id}"), body: body.into(), url: None }
    }

    fn ids(listing: &Listing<'_>) -> Vec<String> {
        let items: Vec<Value> = serde_json::from_str(&listing.items(0, usize::MAX)).unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_change_has_a_date_of_its_own() {
        let first = Library::new(vec![article("a", "1"), article("b", "1")], 100);
        let put = first.put(article("b", "2"), 100);
        let more = put.put(article("c", "1"), 100);
        let less = more.delete("a", 500).unwrap();
        let dates = [first.modified(), put.modified(), more.modified(), less.modified()];
        assert_eq!(dates, [100, 101, 102, 500]);
        assert!(less.delete("a", 600).is_none());
        let seen = |library: &Library| ids(&library.list(None).unwrap());
        assert_eq!(
            (seen(&first), seen(&more), seen(&less)),
            (
                vec!["a".to_owned(), "b".to_owned()],
                vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
                vec!["b".to_owned(), "c".to_owned()],
            )
        );
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn a_list_is_given_to_whoever_does_not_know_it() {
        let library = Library::new(vec![article("a", "1")], 100);
        let known = |since| library.list(Some(since)).is_none();
        assert_eq!((known(99), known(100), known(101)), (false, true, true));
    }

    #[test]
    fn answers_that_hold_less() {
        let library = Library::new(vec![article("a", "1"), article("b", "1"), article("c", "1")], 100);
        let changed = library.put(article("b", "2"), 200);
        let listed = |answer, since| {
            let library = changed.answering(answer, 300);
            let listing = library.list(since).unwrap();
            (ids(&listing).join(""), listing.is_partial)
        };
        assert_eq!(listed(ArticlesAnswer::Whole, Some(250)), ("abc".to_owned(), false));
        assert_eq!(listed(ArticlesAnswer::Empty, None), (String::new(), false));
        assert_eq!(listed(ArticlesAnswer::Half, None), ("a".to_owned(), false));
        assert_eq!(listed(ArticlesAnswer::Partial, Some(100)), ("b".to_owned(), true));
        assert_eq!(listed(ArticlesAnswer::Partial, None), ("abc".to_owned(), true));
    }

    #[test]
    fn replacing_keeps_the_date_of_what_stays() {
        let library = Library::new(vec![article("a", "1"), article("b", "1")], 100);
        let replaced = library.replace(vec![article("a", "1"), article("c", "1")], 200);
        let changed = replaced.answering(ArticlesAnswer::Partial, 300);
        assert_eq!(ids(&changed.list(Some(150)).unwrap()), ["c"]);
        assert_eq!(
            replaced.whole(),
            r#"{"items":[{"id":"a","title":"About a","content":"1"},{"id":"c","title":"About c","content":"1"}]}"#
        );
    }
}
