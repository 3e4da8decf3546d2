//! One knowledge article, in the shape of a line of an article file.
//!
//! Input is JSON as people export it: an id may be a number, any field may be null, a text may be empty. Output is an
//! [`Article`] in which an empty optional text is absent. A field of the wrong type is an error of the row, never a guess.

use std::collections::BTreeMap;

use cuecard_text::MAX_ID_BYTES;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::markup;

/// Who may see an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", ascii_case_insensitive, parse_err_ty = UnknownAudience, parse_err_fn = unknown_audience)]
pub enum Audience {
    Agent,
    Customer,
}

impl Audience {
    /// Whom a text of a tenant, a database or a graph names. Readers that nobody knows leave an article to all, as do none.
    pub fn named(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    /// The names of all other readers.
    pub(crate) fn others(self) -> Vec<&'static str> {
        Self::VARIANTS.iter().copied().filter(|name| *name != <&str>::from(self)).collect()
    }
}

/// A name that no audience has.
#[derive(Debug, thiserror::Error)]
#[error("no audience is called `{name}`; there are {}", Audience::VARIANTS.join(", "))]
pub struct UnknownAudience {
    name: String,
}

fn unknown_audience(name: &str) -> UnknownAudience {
    UnknownAudience { name: name.to_owned() }
}

/// Why this can't be an article's id, if it can't.
pub(crate) fn flaw_of_id(id: &str) -> Option<String> {
    if id.trim().is_empty() {
        return Some("no id".to_owned());
    }
    (id.len() > MAX_ID_BYTES).then(|| format!("an id of {} bytes; one has at most {MAX_ID_BYTES}", id.len()))
}

/// More phrases of one article are not told apart.
const MOST_PHRASES: usize = 128;

/// A knowledge article. `id` names it within its source; `title` or `body` may be empty, not both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with id, title and body")]
pub struct Article {
    #[serde(default, deserialize_with = "text_or_number")]
    pub id: String,
    #[serde(default, deserialize_with = "text_or_null")]
    pub title: String,
    #[serde(default, deserialize_with = "text_or_null")]
    pub body: String,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, deserialize_with = "list_or_null", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How customers put it, a phrase each: what they say when this article is what helps.
    #[serde(default, deserialize_with = "list_or_null", skip_serializing_if = "Vec::is_empty")]
    pub asked_as: Vec<String>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// When it was last changed, as written in the file.
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    #[serde(default, deserialize_with = "known_audience", skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost: Option<f64>,
    /// Fields that this version does not know, kept in the order of their names so that equal articles hash alike.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Article {
    /// The article as an agent reads it. For whatever comes from outside, once: what a page says of markup would be taken
    /// for markup the second time.
    #[must_use]
    pub fn without_markup(mut self) -> Self {
        self.title = markup::title_of(self.title);
        self.body = markup::body_of(self.body, &self.title);
        self
    }

    /// Whether there is nothing to read: neither title nor body.
    pub(crate) fn is_blank(&self) -> bool {
        self.title.trim().is_empty() && self.body.trim().is_empty()
    }

    /// What stands in front of the body wherever the article is one text: the entity, unless the title names it
    /// already, and the title.
    pub fn heading(&self) -> String {
        match self.entity.as_deref() {
            Some(entity) if self.title.is_empty() => entity.to_owned(),
            Some(entity) if !contains_ignoring_case(&self.title, entity) => {
                format!("{entity}: {}", self.title)
            }
            _ => self.title.clone(),
        }
    }

    /// The phrases in which customers ask for it, as far as they count.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        self.asked_as.iter().map(|phrase| phrase.trim()).filter(|phrase| !phrase.is_empty()).take(MOST_PHRASES)
    }

    /// Whether it says how customers ask for it.
    pub fn is_phrased(&self) -> bool {
        self.phrases().next().is_some()
    }

    /// A phrase as it is embedded: with the entity in front that the phrase leaves out.
    pub(crate) fn asked(&self, phrase: &str) -> String {
        match self.entity.as_deref() {
            Some(entity) if !contains_ignoring_case(phrase, entity) => format!("{entity}: {phrase}"),
            _ => phrase.to_owned(),
        }
    }

    /// The whole article as one text, as it is read and, while it fits, embedded.
    pub fn text(&self) -> String {
        join_heading(&self.heading(), &self.body)
    }

    /// What is embedded of a passage: heading and passage. An article without a body has its title for a passage, which
    /// the heading says already.
    pub fn text_of(&self, passage: &str) -> String {
        let is_title = self.body.trim().is_empty() && passage == self.title;
        join_heading(&self.heading(), if is_title { "" } else { passage })
    }
}

/// Heading and body as one text; the line break keeps the last word of the one from the first of the other.
pub(crate) fn join_heading(heading: &str, body: &str) -> String {
    match (heading.is_empty(), body.is_empty()) {
        (true, _) => body.to_owned(),
        (_, true) => heading.to_owned(),
        _ => format!("{heading}\n{body}"),
    }
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

pub(crate) fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

fn list_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

pub(crate) fn filled_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty()))
}

/// The readers that a text names; nothing for one that is blank.
fn known_audience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Audience>, D::Error> {
    let text = filled_text(deserializer)?;
    text.map(|text| text.trim().parse().map_err(D::Error::custom)).transpose()
}

/// The readers that a text names; nothing for anything else.
pub(crate) fn audience_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Audience>, D::Error> {
    Ok(text_or_nothing(deserializer)?.as_deref().and_then(Audience::named))
}

/// A text, or nothing for anything else.
pub(crate) fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned))
}

pub(crate) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the id must be a text or a whole number")]
    enum Id {
        Text(String),
        Signed(i64),
        Unsigned(u64),
    }
    Ok(match Option::<Id>::deserialize(deserializer)? {
        None => String::new(),
        Some(Id::Text(text)) => text,
        Some(Id::Signed(number)) => number.to_string(),
        Some(Id::Unsigned(number)) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn article(json: &str) -> Article {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn unknown_fields_survive_a_round_trip_and_empty_ones_are_absent() {
        let read =
            article(r#"{"id":7,"title":"T","body":null,"url":"","license":"MIT","n":{"a":[1]},"audience":"agent"}"#);
        assert_eq!((read.id.as_str(), read.body.as_str(), read.url.as_deref()), ("7", "", None));
        assert_eq!(read.audience, Some(Audience::Agent));
        assert_eq!(read.extra["license"], "MIT");
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(article(&written), read);
        assert!(!written.contains("url"), "{written}");
    }

    #[test]
    fn the_heading_names_the_entity_once() {
        for (entity, title, heading) in [
            ("", "Is there parking?", "Is there parking?"),
            ("AVALON", "Is there parking?", "AVALON: Is there parking?"),
            ("AVALON", "Parking at the Avalon", "Parking at the Avalon"),
            ("AVALON", "", "AVALON"),
        ] {
            let json = serde_json::json!({"id": "a", "entity": entity, "title": title, "body": "Yes."});
            let read: Article = serde_json::from_value(json).unwrap();
            assert_eq!(read.heading(), heading);
            assert_eq!(read.text(), format!("{heading}\nYes."));
            assert_eq!(read.text_of("Yes."), read.text());
            let bare = Article { body: " ".into(), ..read };
            assert_eq!(bare.text_of(title), heading, "nothing is said twice");
        }
    }
}
