//! What people decide about articles, on top of what the ranker makes of them: boosts are settings of a profile, marks are
//! set by operators while the service runs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use cuecard_knowledge::Article;
use cuecard_ranking::Feature;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Boosts are named with this among the features of a candidate.
pub(crate) const BOOST: &str = "boost: ";

/// What is added to the scores of articles, in the unit of the ranker's score: log-odds for `conversation`, so that 0.7
/// doubles the odds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Boosts {
    /// For articles that carry this tag.
    pub tags: BTreeMap<String, f64>,
    /// For this article, by its id.
    pub articles: BTreeMap<String, f64>,
    /// For each point of the priority that an editor gave the article.
    pub priority: f64,
    /// For an article that was changed just now; half of it after each half-life.
    pub recency: f64,
    /// See `recency`.
    pub half_life: Duration,
}

impl Boosts {
    /// What this article gets, each boost by name.
    pub(crate) fn of(&self, article: &Article, now: Timestamp) -> Vec<Feature> {
        let tags = self.tags.iter().filter(|(tag, _)| article.tags.contains(*tag));
        let tags = tags.map(|(tag, boost)| (format!("tag {tag}"), *boost));
        let by_id = self.articles.get(&article.id).map(|boost| ("this article".to_owned(), *boost));
        let priority = article.priority.map(|priority| ("priority".to_owned(), priority * self.priority));
        let recency = age(article, now).map(|age| ("recency".to_owned(), self.recency * self.left_after(age)));
        let boosts = tags.chain(by_id).chain(priority).chain(recency);
        boosts
            .filter(|(_, value)| *value != 0.0 && value.is_finite())
            .map(|(name, value)| Feature::new(format!("{BOOST}{name}"), value))
            .collect()
    }

    fn left_after(&self, age: Duration) -> f64 {
        0.5_f64.powf(age.as_secs_f64() / self.half_life.as_secs_f64().max(1.0))
    }
}

/// How long ago an article was changed; none where it does not say so by a date.
fn age(article: &Article, now: Timestamp) -> Option<Duration> {
    let date: Date = article.updated.as_ref()?.get(..10)?.parse().ok()?;
    let changed = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Duration::try_from(now.duration_since(changed)).unwrap_or_default())
}

/// What an operator says of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It comes first wherever it is among what was found and a card is wanted at all.
    Pinned,
    /// It is not shown.
    Muted,
}

/// The marks of one profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    by_article: HashMap<String, (Mark, Option<Timestamp>)>,
}

impl Marks {
    /// The same with another mark of an article, or with none.
    #[must_use]
    pub fn changed(&self, article_id: String, mark: Option<(Mark, Option<Timestamp>)>) -> Self {
        let mut by_article = self.by_article.clone();
        match mark {
            Some(mark) => by_article.insert(article_id, mark),
            None => by_article.remove(&article_id),
        };
        Self { by_article }
    }

    /// The mark of an article at this time.
    pub fn of(&self, article_id: &str, now: Timestamp) -> Option<Mark> {
        let (mark, ends) = self.by_article.get(article_id)?;
        ends.is_none_or(|ends| now < ends).then_some(*mark)
    }
}

/// Of articles, each with its mark and when that ends, where it does.
impl FromIterator<(String, Mark, Option<Timestamp>)> for Marks {
    fn from_iter<I: IntoIterator<Item = (String, Mark, Option<Timestamp>)>>(marks: I) -> Self {
        Self { by_article: marks.into_iter().map(|(article, mark, ends)| (article, (mark, ends))).collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn boosts_are_named_and_those_that_change_nothing_left_out() {
        let article = Article {
            id: "kb-1".to_owned(),
            tags: vec!["billing".to_owned(), "old".to_owned()],
            priority: Some(3.0),
            updated: Some("2026-03-01T10:00:00Z".to_owned()),
            ..Article::default()
        };
        let now = "2026-03-31T00:00:00Z".parse().unwrap();
        let boosts = Boosts {
            tags: BTreeMap::from([("billing".to_owned(), 0.5), ("cards".to_owned(), 9.0)]),
            articles: BTreeMap::from([("kb-1".to_owned(), -1.0), ("kb-2".to_owned(), 9.0)]),
            priority: 0.1,
            recency: 2.0,
            half_life: Duration::from_hours(30 * 24),
        };
        let named = |boosts: &Boosts, article: &Article| -> Vec<(String, f64)> {
            let features = boosts.of(article, now).into_iter();
            features.map(|feature| (feature.name.into_owned(), (feature.value * 100.0).round() / 100.0)).collect()
        };
        let expected = [
            ("boost: tag billing", 0.5),
            ("boost: this article", -1.0),
            ("boost: priority", 0.3),
            ("boost: recency", 1.0),
        ];
        assert_eq!(named(&boosts, &article), expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(named(&Boosts::default(), &article).is_empty());
        for updated in ["last week", "", "2026-13-01", "äöüäöüäöü"] {
            let undated = Article { updated: Some(updated.to_owned()), ..Article::default() };
            assert!(named(&boosts, &undated).is_empty(), "{updated}");
        }
        let tomorrow = Article { updated: Some("2026-04-01".to_owned()), ..Article::default() };
        assert_eq!(named(&boosts, &tomorrow), [("boost: recency".to_owned(), 2.0)]);
    }

    #[test]
    fn a_mark_ends_at_its_time() {
        let [before, end]: [Timestamp; 2] =
            ["2026-03-01T09:59:59Z", "2026-03-01T10:00:00Z"].map(|at| at.parse().unwrap());
        let marks: Marks =
            [("a".to_owned(), Mark::Pinned, Some(end)), ("b".to_owned(), Mark::Muted, None)].into_iter().collect();
        assert_eq!((marks.of("a", before), marks.of("a", end)), (Some(Mark::Pinned), None));
        assert_eq!((marks.of("b", end), marks.of("c", before)), (Some(Mark::Muted), None));
        let changed = marks.changed("a".to_owned(), None).changed("b".to_owned(), Some((Mark::Pinned, Some(end))));
        assert_eq!(
            [("a", before), ("b", before), ("b", end)].map(|(id, at)| changed.of(id, at)),
            [None, Some(Mark::Pinned), None]
        );
    }
}
