//! Which articles a profile shows.
//!
//! One index serves several profiles, so what a profile does not show is passed over when it is searched. An article
//! is shown when it is published and made for the profile's readers; a field that it lacks excludes nobody.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::article::{Article, Audience};

/// What a profile shows of the published articles; empty for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArticleFilter {
    /// Only articles for these readers.
    pub audience: Option<Audience>,
    /// Only articles in this language.
    pub language: Option<Language>,
}

/// A language without region or script: the primary subtag of a BCP 47 tag, in lower case. `en-US` and `en_GB` are `en`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Language(String);

/// A text that names no language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no language; write its code, for example en or de-AT")]
pub struct UnknownLanguage(String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
        let language = primary_subtag(tag);
        let is_language = (2..=8).contains(&language.len()) && language.chars().all(|c| c.is_ascii_lowercase());
        let is_tag = is_language && tag.trim().split(['-', '_']).all(is_subtag);
        if is_tag { Ok(Self(language)) } else { Err(UnknownLanguage(tag.to_owned())) }
    }
}

impl Language {
    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn primary_subtag(tag: &str) -> String {
    tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

impl ArticleFilter {
    /// Whether every published article is shown.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an article is published and for this profile.
    pub fn admits(&self, article: &Article) -> bool {
        is_published(article.status.as_deref()) && self.is_for(article.audience, article.language.as_deref())
    }

    /// Whether something for these readers in this language is for this profile.
    pub(crate) fn is_for(&self, audience: Option<Audience>, language: Option<&str>) -> bool {
        let language = language.map(primary_subtag).filter(|language| !language.is_empty());
        is_wanted(self.audience.as_ref(), audience.as_ref())
            && is_wanted(self.language.as_ref().map(Language::as_str), language.as_deref())
    }
}

fn is_wanted<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.zip(found).is_none_or(|(wanted, found)| wanted == found)
}

/// Whether a status is that of an article which may be shown: `published` in any case, or none.
fn is_published(status: Option<&str>) -> bool {
    status.map(str::trim).is_none_or(|status| status.is_empty() || status.eq_ignore_ascii_case("published"))
}

/// For each article of an index whether a filter admits it.
#[derive(Debug)]
pub struct Admitted {
    articles: Vec<bool>,
    num_admitted: usize,
}

impl Admitted {
    pub fn of(articles: impl Iterator<Item = bool>) -> Self {
        let articles: Vec<_> = articles.collect();
        Self { num_admitted: articles.iter().filter(|is_admitted| **is_admitted).count(), articles }
    }

    /// Whether the article at this position is admitted.
    pub fn has(&self, article: u32) -> bool {
        self.articles[article as usize]
    }

    /// How many articles are admitted.
    pub fn len(&self) -> usize {
        self.num_admitted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn filter(audience: &str, language: &str) -> ArticleFilter {
        ArticleFilter { audience: audience.parse().ok(), language: language.parse().ok() }
    }

    #[test]
    fn only_what_is_published_and_for_the_profile_is_admitted() {
        let (all, agents, english) = (filter("", ""), filter("agent", ""), filter("", "en-GB"));
        for (fields, by_all, by_agents, by_english) in [
            (json!({}), true, true, true),
            (json!({"status": "published"}), true, true, true),
            (json!({"status": "Published "}), true, true, true),
            (json!({"status": " "}), true, true, true),
            (json!({"status": "draft"}), false, false, false),
            (json!({"status": "ARCHIVED", "language": "en", "audience": "agent"}), false, false, false),
            (json!({"audience": "agent"}), true, true, true),
            (json!({"audience": "customer"}), true, false, true),
            (json!({"audience": " Agent"}), true, true, true),
            (json!({"audience": " "}), true, true, true),
            (json!({"language": "en-US"}), true, true, true),
            (json!({"language": "EN_us"}), true, true, true),
            (json!({"language": "en"}), true, true, true),
            (json!({"language": "eng"}), true, true, false),
            (json!({"language": "de-DE"}), true, true, false),
        ] {
            let article: Article = serde_json::from_value(fields.clone()).unwrap();
            let admitted = [&all, &agents, &english].map(|filter| filter.admits(&article));
            assert_eq!(admitted, [by_all, by_agents, by_english], "{fields}");
        }
    }

    #[test]
    fn a_language_is_its_primary_subtag_and_other_texts_are_refused() {
        for (tag, language) in [("en", "en"), ("en-US", "en"), (" pt_BR ", "pt"), ("zh-Hant-TW", "zh"), ("fil", "fil")]
        {
            assert_eq!(tag.parse::<Language>().unwrap().as_str(), language);
        }
        for text in ["", "e", "English language", "en--", "1a", "überall"] {
            let error = text.parse::<Language>().unwrap_err().to_string();
            assert!(error.contains("is no language"), "{error}");
        }
    }
}
