//! Contract 001's listing of articles.
//!
//! Input: the body of a 200 or 206. Output: an [`ArticlesPage`] with its articles and where the listing goes on. An item
//! that can't be used is counted and named, and the others stand. On failure an [`ArticlesError`]: an answer without a
//! list of items is no listing, and must not be taken for an empty one.

use std::fmt;

use cuecard_text::json::{self, LeftOut, Parsed, Repairs, Row};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{BadEntity, Labels, take_id, take_text};

/// Below the base URL.
pub const PATH: &str = "/api/v2/knowledge/articles";

/// One article as CXone holds it. `Debug` shows its id and its sizes.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct RemoteArticle {
    pub id: String,
    /// Empty where CXone has none.
    pub title: String,
    /// The whole text, at least one word.
    pub content: String,
    pub labels: Labels,
}

/// Where the listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// As it came: absolute or relative, to be read by `Connection::resolve_same_origin`.
    Link(String),
    /// The number of the page, to be asked for by `Connection::articles_page_url`.
    Number(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArticlesPage {
    pub articles: Vec<RemoteArticle>,
    /// The items that can't be used.
    pub left_out: LeftOut,
    /// What of the answer had to be repaired.
    pub repairs: Repairs,
    /// None at the end of the listing. Nothing keeps a tenant from leading in a circle: the caller bounds the pages.
    pub next: Option<NextPage>,
    /// As the answer gave it, to be asked for again with the next page's number.
    pub page_size: Option<u32>,
}

/// Messages never repeat the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArticlesError {
    #[error("the articles answer is no json object, its error is at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the articles answer lacks its list 'items'")]
    NoItems,
    /// Read as the last page it would take away the articles of all others.
    #[error("the articles answer's 'nextPage' is neither a link nor the number of a page")]
    UnknownNextPage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    items: Option<Vec<Row<RemoteArticle>>>,
    /// A `null` says that this is the last page.
    #[serde(default, deserialize_with = "even_null")]
    next_page: Option<Value>,
    page: Option<Value>,
    page_size: Option<Value>,
}

/// Reads the body of a 200 or 206.
pub fn parse(answer: &[u8]) -> Result<ArticlesPage, ArticlesError> {
    let Parsed { value: listing, repairs } = json::parse_object::<Listing>(answer).map_err(|error| {
        // A list that is none is the only thing of the wrong kind that can't be passed over.
        if error.is_syntax() {
            ArticlesError::NotJson { line: error.cause().line(), column: error.cause().column() }
        } else {
            ArticlesError::NoItems
        }
    })?;
    let page_size = listing.page_size.as_ref().and_then(whole_number);
    let items = listing.items.ok_or(ArticlesError::NoItems)?;
    let next = next_page(listing.next_page, listing.page.as_ref(), page_size, items.len())?;
    let (articles, left_out) = json::sift("items", items);
    Ok(ArticlesPage { articles, left_out, repairs, next, page_size })
}

/// What the answer says itself, else the page after this one if this one is full.
fn next_page(
    next_page: Option<Value>,
    page: Option<&Value>,
    page_size: Option<u32>,
    num_items: usize,
) -> Result<Option<NextPage>, ArticlesError> {
    let Some(said) = next_page else {
        let is_full = page_size.is_some_and(|page_size| num_items > 0 && num_items >= page_size as usize);
        let after = page.filter(|_| is_full).and_then(whole_number).and_then(|page| page.checked_add(1));
        return Ok(after.map(NextPage::Number));
    };
    let link = match &said {
        Value::Object(link) => link.get("href"),
        said => Some(said),
    };
    match link {
        Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(link)) if link.trim().is_empty() => Ok(None),
        Some(number) if let Some(number) = whole_number(number) => Ok(Some(NextPage::Number(number))),
        Some(Value::String(link)) => Ok(Some(NextPage::Link(link.trim().to_owned()))),
        _ => Err(ArticlesError::UnknownNextPage),
    }
}

/// Some servers write the number as a text.
fn whole_number(value: &Value) -> Option<u32> {
    match value {
        Value::String(digits) => digits.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl TryFrom<Value> for RemoteArticle {
    type Error = BadEntity;

    fn try_from(mut item: Value) -> Result<Self, BadEntity> {
        let id = take_id(&mut item)?;
        let content = take_text(&mut item, "content");
        if content.trim().is_empty() {
            return Err(BadEntity::NoContent);
        }
        Ok(Self { id, title: take_text(&mut item, "title"), content, labels: Labels::take(&mut item) })
    }
}

impl fmt::Debug for RemoteArticle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteArticle")
            .field("id", &self.id)
            .field("title_bytes", &self.title.len())
            .field("content_bytes", &self.content.len())
            .field("labels", &self.labels)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(answer: &Value) -> ArticlesPage {
        parse(answer.to_string().as_bytes()).unwrap()
    }

    fn article(id: &str, title: &str, content: &str) -> RemoteArticle {
        RemoteArticle { id: id.into(), title: title.into(), content: content.into(), labels: Labels::default() }
    }

    #[test]
    fn items_become_articles_in_their_order() {
        let page = read(&json!({"items": [
            {"id": "a", "title": "Fees", "content": "No fees.", "updated": "2026-01-01"},
            {"content": " <b>\u{0}é</b> ", "id": 7},
            {"id": "c", "title": null, "content": "C"},
        ]}));
        let expected = [article("a", "Fees", "No fees."), article("7", "", " <b>\u{0}é</b> "), article("c", "", "C")];
        assert_eq!(page.articles, expected);
        assert_eq!((page.left_out, page.next), (LeftOut::default(), None));
        assert!(read(&json!({"items": []})).articles.is_empty());
    }

    #[test]
    fn what_an_item_says_of_who_may_see_it_comes_along() {
        let page = read(&json!({"items": [
            {"id": "a", "content": "A", "status": "draft", "audience": "agent", "language": "en-US"},
            {"id": "b", "content": "B", "status": "", "audience": ["agent"], "language": null},
        ]}));
        let labels = |text: &str| Some(text.to_owned());
        let all = Labels { status: labels("draft"), audience: labels("agent"), language: labels("en-US") };
        let found: Vec<_> = page.articles.into_iter().map(|article| article.labels).collect();
        assert_eq!(found, [all, Labels::default()]);
    }

    #[test]
    fn an_item_that_cannot_be_used_is_named_and_costs_no_other() {
        let long_id = "x".repeat(1025);
        let page = read(&json!({"items": [
            {"title": "T", "content": "C"},
            {"id": " ", "content": "C"},
            {"id": ["a"], "content": "C"},
            {"id": long_id, "content": "C"},
            "text",
            null,
            {"id": "good", "content": "C"},
            {"id": "kb\n1", "title": "T"},
            {"id": "kb-2", "content": {"text": "C"}},
            {"id": "kb-3", "content": "  "},
        ]}));
        assert_eq!(page.articles, [article("good", "", "C")]);
        assert_eq!(page.left_out.count, 9);
        let expected = [
            "items[0]: no id",
            "items[1]: no id",
            "items[2]: no id",
            "items[3]: an id of more than 1024 bytes",
            "items[4]: no id",
            "items[5]: no id",
            r#"items[7] ("kb\n1"): no content"#,
            r#"items[8] ("kb-2"): no content"#,
            r#"items[9] ("kb-3"): no content"#,
        ];
        assert_eq!(page.left_out.named, expected);
    }

    /// What one article of many does to the others.
    #[test]
    fn an_answer_that_has_to_be_repaired_is_a_listing_all_the_same() {
        let answer = b"\xef\xbb\xbf{\"items\":[{\"id\":\"a\",\"content\":\"caf\xe9\",\"boost\":NaN},\
            {\"id\":\"b\",\"content\":\"\\ud83d so\"},{\"id\":\"c\",\"content\":NaN},{\"id\":\"d\",\"content\":\"D\"}]}";
        let page = parse(answer).unwrap();
        let expected = [article("a", "", "caf\u{fffd}"), article("b", "", "\u{fffd} so"), article("d", "", "D")];
        assert_eq!(page.articles, expected);
        assert_eq!(page.left_out, LeftOut { count: 1, named: vec![r#"items[2] ("c"): no content"#.to_owned()] });
        let repairs = Repairs { byte_order_marks: 1, invalid_utf8: 1, lone_surrogates: 1, non_numbers: 2 };
        assert_eq!(page.repairs, repairs);
    }

    #[test]
    fn an_answer_without_items_is_no_empty_listing() {
        for answer in [
            "{}",
            r#"{"items":null}"#,
            r#"{"items":{}}"#,
            r#"{"items":NaN}"#,
            "\u{feff}{}",
            r#"{"items":"a"}"#,
            r#"{"entities":[]}"#,
            "[]",
            r#"[[{"id":"a","content":"c"}],null,null,null]"#,
            "7",
        ] {
            assert_eq!(parse(answer.as_bytes()), Err(ArticlesError::NoItems), "{answer}");
        }
        for answer in ["", "<html>", r#"{"items":["#, r#"{"items":[]}}"#] {
            let error = parse(answer.as_bytes()).unwrap_err();
            assert!(matches!(error, ArticlesError::NotJson { .. }), "{answer}: {error}");
        }
        let deep = format!("{{\"items\":{}", "[".repeat(200_000));
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_listing_goes_on_where_the_tenant_pages() {
        let two = json!([{"id": "a", "content": "A"}, {"id": "b"}]);
        let link = |link: &str| Some(NextPage::Link(link.to_owned()));
        let table = [
            (json!({}), None),
            (json!({"nextPage": "/api?page=2"}), link("/api?page=2")),
            (json!({"nextPage": " https://host/api?page=2 "}), link("https://host/api?page=2")),
            (json!({"nextPage": "?page=9", "page": 1, "pageSize": 2}), link("?page=9")),
            (json!({"nextPage": 4}), Some(NextPage::Number(4))),
            (json!({"nextPage": null, "page": 1, "pageSize": 2}), None),
            (json!({"nextPage": "", "page": 1, "pageSize": 2}), None),
            (json!({"nextPage": false, "page": 1, "pageSize": 2}), None),
            (json!({"nextPage": {"href": "x"}}), link("x")),
            (json!({"nextPage": {"href": null}}), None),
            (json!({"nextPage": "4"}), Some(NextPage::Number(4))),
            (json!({"page": "1", "pageSize": "2"}), Some(NextPage::Number(2))),
            (json!({"page": 1, "pageSize": 2}), Some(NextPage::Number(2))),
            (json!({"page": 0, "pageSize": 1}), Some(NextPage::Number(1))),
            (json!({"page": 7, "pageSize": 3}), None),
            (json!({"page": 7}), None),
            (json!({"pageSize": 2}), None),
            (json!({"page": "1", "pageSize": 2}), Some(NextPage::Number(2))),
            (json!({"page": -1, "pageSize": 2}), None),
            (json!({"page": 1.5, "pageSize": 2}), None),
            (json!({"page": 4_294_967_295_u64, "pageSize": 2}), None),
            (json!({"page": 1, "pageSize": 1e300}), None),
        ];
        for (mut answer, expected) in table {
            answer["items"] = two.clone();
            assert_eq!(read(&answer).next, expected, "{answer}");
        }
        let empty = json!({"items": [], "page": 3, "pageSize": 0});
        assert_eq!(read(&empty).next, None, "an empty page is the end");
        assert_eq!(read(&json!({"items": [], "pageSize": 50})).page_size, Some(50));
        for unknown in [json!({"next": "x"}), json!([]), json!(true), json!(1.5), json!(-1)] {
            let listing = json!({"items": two, "nextPage": unknown}).to_string();
            assert_eq!(parse(listing.as_bytes()).unwrap_err(), ArticlesError::UnknownNextPage, "{listing}");
        }
    }

    #[test]
    fn debug_and_errors_show_no_content() {
        let page = read(&json!({"items": [{"id": "a", "title": "private", "content": "private"}]}));
        let error = parse(br#"{"items":"private"}"#).unwrap_err();
        let shown = format!("{page:?} {error} {error:?}");
        assert!(shown.contains("\"a\"") && !shown.contains("private"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_answer_is_a_page_or_a_named_reason(answer in "\\{\"items\":(\\[(\\{\"id\":\\PC*,\"content\":\\PC*\\})*\\]|\\PC*)\\}|\\PC*") {
            let _ = parse(answer.as_bytes());
        }
    }
}
