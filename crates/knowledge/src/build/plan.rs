//! What a build starts from and what an update changes.
//!
//! A build starts from the generation in service, or as much of it as can be used. Debris of a writer that died is removed
//! first. Where vectors or the lexical index are damaged, or another model's, they are made again from the articles
//! that are there. Where the articles themselves can't be read, a full update of the only source starts from nothing
//! and says why; whatever would lose the articles of another source is refused.
//!
//! The plan is a pure comparison of the articles in the index with those that a source answered. An article is in the
//! index once for each content that any source holds under its id, with the sources that hold it. It goes when the
//! last of them lets it go.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::article::Article;
use crate::build::update::{Completeness, Update};
use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::index::Index;
use crate::store::directory::{Current, Layout};
use crate::store::entries::Entry;
use crate::store::generation::Generation;

#[derive(Default)]
pub struct Start {
    pub entries: Vec<Arc<Entry>>,
    /// The generation in service, if all of it can be taken over.
    pub before: Option<Arc<Index>>,
    /// Why there is an index but nothing, or nothing but its articles, to take over.
    pub afresh: Option<String>,
}

impl Start {
    /// Shares the memory of what `open`, a generation that was opened before, has in common with the one in service.
    pub fn read(
        layout: &Layout,
        identity: &ModelIdentity,
        update: &Update,
        open: Option<&Arc<Index>>,
    ) -> Result<Self, IndexError> {
        let current = match Current::read(layout) {
            Err(IndexError::NoIndex { .. }) => {
                layout.sweep_or_warn(None);
                return Ok(Self::default());
            }
            Err(error) => return Self::from_nothing(error, update),
            Ok(current) => current,
        };
        layout.sweep_or_warn(Some(current.generation));
        match Index::open_or_share(layout, identity, open) {
            Ok(before) => Ok(Self { entries: before.entries().to_vec(), before: Some(before), afresh: None }),
            Err(error @ (IndexError::Damaged { .. } | IndexError::OtherModel { .. })) => {
                Self::from_articles(layout, current, &error, update)
            }
            Err(error) => Self::from_nothing(error, update),
        }
    }

    /// From what is left where an index as a whole can't be used.
    fn from_articles(
        layout: &Layout,
        current: Current,
        error: &IndexError,
        update: &Update,
    ) -> Result<Self, IndexError> {
        let generation = match Generation::read(layout, current) {
            Err(error) => return Self::from_nothing(error, update),
            Ok(generation) => generation,
        };
        match generation.entries() {
            Err(error) => Self::from_nothing(generation.costing_others(error, &update.source), update),
            Ok(entries) => {
                tracing::warn!(%error, "all but the articles is made again");
                Ok(Self { entries, before: None, afresh: Some(error.to_string()) })
            }
        }
    }

    fn from_nothing(error: IndexError, update: &Update) -> Result<Self, IndexError> {
        let is_replaced = update.completeness == Completeness::Full;
        match error {
            IndexError::Damaged { .. } | IndexError::OtherFormat { .. } if is_replaced => {
                tracing::warn!(%error, "the index is built from nothing");
                Ok(Self { afresh: Some(error.to_string()), ..Self::default() })
            }
            other => Err(other),
        }
    }
}

/// An article that has no place in the index yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    pub article: Arc<Article>,
    pub content: ContentHash,
    pub sources: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct BuildPlan {
    pub kept: Vec<Arc<Entry>>,
    pub fresh: Vec<Fresh>,
    pub gone: Vec<Arc<Entry>>,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
}

impl BuildPlan {
    pub fn is_unchanged(&self) -> bool {
        self.added + self.changed + self.removed == 0
    }

    /// The articles of the index to come that say how customers ask for them.
    pub fn num_phrased(&self) -> usize {
        let kept = self.kept.iter().map(|entry| &entry.article);
        kept.chain(self.fresh.iter().map(|fresh| &fresh.article)).filter(|article| article.is_phrased()).count()
    }

    /// Makes every article a fresh one: nothing of the generation before can be taken over.
    pub fn renew_all(&mut self) {
        self.gone.clear();
        let renewed = std::mem::take(&mut self.kept).into_iter();
        self.fresh.extend(renewed.map(|entry| {
            let Entry { article, content, sources, .. } = Arc::unwrap_or_clone(entry);
            Fresh { article, content, sources }
        }));
    }
}

/// Compares `entries` with `update`.
pub fn plan(entries: Vec<Arc<Entry>>, update: Update) -> BuildPlan {
    let Update { source, articles, completeness } = update;
    let incoming: BTreeMap<String, (ContentHash, Article)> = articles
        .into_iter()
        .map(|article| (article.id.clone(), (ContentHash::of_article(&article), article)))
        .collect();
    let mut plan = BuildPlan::default();
    // Ids that the source held before, and those whose content is in the index already.
    let mut held = HashSet::new();
    let mut there = HashSet::new();
    for mut entry in entries {
        let article = Arc::clone(&entry.article);
        let is_held = entry.sources.contains(&source);
        match incoming.get(&article.id) {
            Some((content, _)) if *content == entry.content => {
                plan.unchanged += usize::from(is_held);
                hold(&mut entry, &source, true);
                there.insert(article.id.clone());
            }
            Some(_) => hold(&mut entry, &source, false),
            None if is_held && completeness == Completeness::Full => {
                hold(&mut entry, &source, false);
                plan.removed += 1;
            }
            None => {}
        }
        if is_held {
            held.insert(article.id.clone());
        }
        if entry.sources.is_empty() { &mut plan.gone } else { &mut plan.kept }.push(entry);
    }
    plan.changed = incoming.keys().filter(|id| held.contains(*id)).count() - plan.unchanged;
    plan.added = incoming.len() - plan.unchanged - plan.changed;
    let missing = incoming.into_iter().filter(|(id, _)| !there.contains(id));
    plan.fresh = missing
        .map(|(_, (content, article))| Fresh {
            article: Arc::new(article),
            content,
            sources: BTreeSet::from([source.clone()]),
        })
        .collect();
    plan
}

/// An entry that stays as it is stays where it is.
fn hold(entry: &mut Arc<Entry>, source: &str, holds: bool) {
    if entry.sources.contains(source) != holds {
        let sources = &mut Arc::make_mut(entry).sources;
        if holds {
            sources.insert(source.to_owned())
        } else {
            sources.remove(source)
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn article(id_and_body: &str) -> Article {
        let (id, body) = id_and_body.split_once('=').unwrap();
        Article { id: id.into(), body: body.into(), ..Article::default() }
    }

    /// `a=1@x,y` is the article `a` with the body `1`, held by the sources `x` and `y`.
    fn entry(text: &str) -> Arc<Entry> {
        let (article_text, sources) = text.split_once('@').unwrap();
        let article = article(article_text);
        Arc::new(Entry {
            document: 0,
            content: ContentHash::of_article(&article),
            sources: sources.split(',').map(str::to_owned).collect(),
            passages: Vec::new(),
            sentences: 0..0,
            article: Arc::new(article),
        })
    }

    fn shown(article: &Article, sources: &BTreeSet<String>) -> String {
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        format!("{}={}@{}", article.id, article.body, sources.join(","))
    }

    type Case<'a> = (&'a str, &'a [&'a str], Completeness, &'a [&'a str], &'a [&'a str], &'a [&'a str], [usize; 4]);

    #[test]
    fn updates_of_source_x() {
        use Completeness::{Full, Partial};
        // what, in the index, completeness, update; kept, fresh; added, changed, removed, unchanged
        let table: &[Case<'_>] = &[
            ("first", &[], Full, &["a=1", "b=1"], &[], &["a=1@x", "b=1@x"], [2, 0, 0, 0]),
            ("same", &["a=1@x"], Full, &["a=1"], &["a=1@x"], &[], [0, 0, 0, 1]),
            ("changed", &["a=1@x"], Full, &["a=2"], &[], &["a=2@x"], [0, 1, 0, 0]),
            ("removed", &["a=1@x", "b=1@x"], Full, &["b=1"], &["b=1@x"], &[], [0, 0, 1, 1]),
            ("partial removes nothing", &["a=1@x", "b=1@x"], Partial, &["b=2"], &["a=1@x"], &["b=2@x"], [0, 1, 0, 0]),
            ("others stay", &["a=1@y", "b=1@x"], Full, &["b=1"], &["a=1@y", "b=1@x"], &[], [0, 0, 0, 1]),
            ("the same from two", &["a=1@y"], Full, &["a=1"], &["a=1@x,y"], &[], [1, 0, 0, 0]),
            ("one of two lets go", &["a=1@x,y"], Full, &[], &["a=1@y"], &[], [0, 0, 1, 0]),
            ("two contents", &["a=1@x,y"], Full, &["a=2"], &["a=1@y"], &["a=2@x"], [0, 1, 0, 0]),
            ("they agree again", &["a=1@y", "a=2@x"], Full, &["a=1"], &["a=1@x,y"], &[], [0, 1, 0, 0]),
            ("the last of one id counts", &[], Full, &["a=1", "a=2"], &[], &["a=2@x"], [1, 0, 0, 0]),
            ("nothing left", &["a=1@x"], Full, &[], &[], &[], [0, 0, 1, 0]),
        ];
        for (what, before, completeness, update, kept, fresh, counts) in table {
            let plan = plan(
                before.iter().map(|text| entry(text)).collect(),
                Update {
                    source: "x".into(),
                    articles: update.iter().map(|text| article(text)).collect(),
                    completeness: *completeness,
                },
            );
            let shown_kept: Vec<_> = plan.kept.iter().map(|entry| shown(&entry.article, &entry.sources)).collect();
            let shown_fresh: Vec<_> = plan.fresh.iter().map(|fresh| shown(&fresh.article, &fresh.sources)).collect();
            assert_eq!(
                (shown_kept.as_slice(), shown_fresh.as_slice()),
                (&kept.map_owned()[..], &fresh.map_owned()[..]),
                "{what}"
            );
            assert_eq!([plan.added, plan.changed, plan.removed, plan.unchanged], *counts, "{what}");
            assert_eq!(plan.kept.len() + plan.gone.len(), before.len(), "{what}");
        }
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn renewing_keeps_the_articles_and_their_sources() {
        let update = Update { source: "x".into(), articles: vec![article("b=1")], completeness: Completeness::Full };
        let mut plan = plan(vec![entry("a=1@y"), entry("c=1@x")], update);
        plan.renew_all();
        let mut fresh: Vec<_> = plan.fresh.iter().map(|fresh| shown(&fresh.article, &fresh.sources)).collect();
        fresh.sort();
        assert_eq!(fresh, ["a=1@y", "b=1@x"]);
        assert!(plan.kept.is_empty() && plan.gone.is_empty());
    }
}
