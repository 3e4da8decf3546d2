//! How articles stand to one another: which entity each is about, which others answer the same question about another
//! entity, which belong together.
//!
//! [`relate`] draws it from the articles at index time, over all of them, since a name mined from one title masks the
//! others; [`Relations`] is what a reader of the generation asks. Names are keyed by domain and entity: two hotels of one
//! name are one, a hotel and a restaurant are two.

mod labels;
mod masking;
mod mined;
mod misheard;
mod names;
mod siblings;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use self::labels::Labels;
use self::masking::masked_title;
use self::mined::mined_names;
pub use self::names::Heard;
use self::names::{Names, can_be_heard};
pub use self::siblings::Rival;
use self::siblings::Siblings;
use self::words::words;
use crate::article::{Article, join_heading};
use crate::hashing::ContentHash;
use crate::store::entries::Entry;
use crate::vectors::codes::Codes;
use crate::vectors::cosine;

/// An entity that stands for every one.
const ANY_ENTITY: &str = "*";

/// What stands between the title of a document and that of its section.
const SECTION_SEPARATOR: &str = " - ";

/// Less is left of an embedding only by rounding.
const LEAST_REST: f32 = 0.01;

/// What articles are about: an entity within its domain, or a domain in which no article is about an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

impl Name {
    fn of_entity(article: &Article, labels: &Labels) -> Option<Self> {
        let is_name = |entity: &String| entity != ANY_ENTITY && can_be_heard(entity) && !labels.has(entity);
        let entity = article.entity.clone().filter(is_name)?;
        Some(Self { domain: article.domain.clone(), entity: Some(entity) })
    }

    fn of_domain(article: &Article) -> Option<Self> {
        let domain = article.domain.clone().filter(|domain| can_be_heard(domain))?;
        Some(Self { domain: Some(domain), entity: None })
    }

    pub fn spelled(&self) -> &str {
        self.entity.as_deref().or(self.domain.as_deref()).unwrap_or_default()
    }
}

/// What [`relate`] found, as a generation keeps it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Related {
    /// In the order of the numbers that articles name.
    pub names: Vec<Name>,
    /// The keys of the titles without the names in them, in the order of the rows that articles name. Equal titles are one.
    pub titles: Vec<ContentHash>,
    /// In the order of the articles.
    pub articles: Vec<RelatedArticle>,
}

/// What [`relate`] found of one article.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RelatedArticle {
    pub document: u64,
    /// The number of the name that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<u32>,
    /// The row of its title without the names in it; none where nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<u32>,
    /// What it is found by beside its text: its heading, its tags, and the phrases in which customers ask for it.
    #[serde(default)]
    pub heading: String,
}

impl Related {
    /// Whether articles name only names and titles that there are.
    pub fn is_whole(&self) -> bool {
        let is_there = |number: Option<u32>, count: usize| number.is_none_or(|number| (number as usize) < count);
        let mut articles = self.articles.iter();
        articles.all(|article| is_there(article.name, self.names.len()) && is_there(article.title, self.titles.len()))
    }
}

/// What relates the articles, and their titles without the names in them, in the order of their rows. Keys of titles are
/// those of `model`.
pub fn relate(entries: &[Arc<Entry>], model: &str) -> (Related, Vec<String>) {
    let articles = || entries.iter().map(|entry| entry.article.as_ref());
    let labels = Labels::of(articles().filter_map(|article| article.entity.as_deref()), articles());
    let mined = mined_names(articles().map(|article| article.title.as_str()));
    let names = numbered_names(articles(), &labels);
    let documents = Documents::of(articles().map(|article| article.title.as_str()));
    let found = entries.par_iter().map(AsRef::as_ref).map(|Entry { document, article, .. }| {
        let name = Name::of_entity(article, &labels).or_else(|| Name::of_domain(article));
        let name = name.and_then(|name| names.get(&name).copied());
        let masked = masked_title(&article.title, article.entity.as_deref(), &mined);
        let section = documents.section(&article.title).filter(|_| article.entity.is_none());
        let found_by: Vec<&str> = article.tags.iter().map(String::as_str).chain(article.phrases()).collect();
        let heading = join_heading(section.unwrap_or(&masked), &found_by.join(" "));
        let masked = (!masked.trim().is_empty()).then(|| (ContentHash::of_text(model, &masked), masked));
        (RelatedArticle { document: *document, name, title: None, heading }, masked)
    });
    let found: Vec<_> = found.collect();
    let (mut related, mut titles, mut row_of_title) = (Related::default(), Vec::new(), HashMap::new());
    for (mut article, masked) in found {
        article.title = masked.map(|(key, title)| {
            *row_of_title.entry(key).or_insert_with(|| {
                titles.push(title);
                related.titles.push(key);
                related.titles.len() as u32 - 1
            })
        });
        related.articles.push(article);
    }
    related.names = names.into_keys().collect();
    (related, titles)
}

/// All entities that are named, and the domains in which none is; numbered in their order.
fn numbered_names<'a>(articles: impl Iterator<Item = &'a Article> + Clone, labels: &Labels) -> BTreeMap<Name, u32> {
    let entities: BTreeSet<Name> = articles.clone().filter_map(|article| Name::of_entity(article, labels)).collect();
    let with_entities: HashSet<Option<&str>> = entities.iter().map(|name| name.domain.as_deref()).collect();
    let is_without = |name: &Name| !with_entities.contains(&name.domain.as_deref());
    let domains: BTreeSet<Name> = articles.filter_map(Name::of_domain).filter(is_without).collect();
    let names: BTreeSet<Name> = entities.iter().chain(&domains).cloned().collect();
    names.into_iter().zip(0..).collect()
}

/// Documents whose sections are articles: those of which several titles have the name in front.
struct Documents<'a>(HashMap<&'a str, usize>);

impl<'a> Documents<'a> {
    fn of(titles: impl Iterator<Item = &'a str>) -> Self {
        let mut sections: HashMap<&str, usize> = HashMap::new();
        for (document, _) in titles.filter_map(|title| title.split_once(SECTION_SEPARATOR)) {
            *sections.entry(document).or_default() += 1;
        }
        Self(sections)
    }

    fn split<'t>(&self, title: &'t str) -> Option<(&'t str, &'t str)> {
        title.split_once(SECTION_SEPARATOR).filter(|(document, _)| self.0.get(document).is_some_and(|count| *count > 1))
    }

    /// The document that a title names.
    fn document<'t>(&self, title: &'t str) -> Option<&'t str> {
        self.split(title).map(|(document, _)| document)
    }

    /// What the title says beside its document.
    fn section<'t>(&self, title: &'t str) -> Option<&'t str> {
        self.split(title).map(|(_, section)| section)
    }
}

/// The relations of one generation's articles. An article is known by its position.
pub struct Relations {
    names: Names,
    spelled: Vec<String>,
    name_codes: Codes,
    siblings: Siblings,
    domains: Domains,
    group_of: Vec<u32>,
    num_groups: usize,
}

impl Relations {
    /// Of entries and what was found of them, which must be whole.
    pub fn new(entries: &[Arc<Entry>], related: &Related, name_codes: Codes, titles: Codes) -> Self {
        let names = &related.names;
        let entity_of = related.articles.iter().map(|article| article.name).collect();
        let title_of = related.articles.iter().map(|article| article.title).collect();
        let siblings = Siblings::new(titles, title_of, entity_of, names.len());
        let (group_of, num_groups) = groups(entries, related);
        let spelled = names.iter().map(|name| name.spelled().to_owned()).collect();
        let names = Names::new(names.iter().map(Name::spelled));
        Self { names, spelled, name_codes, siblings, domains: Domains::of(entries), group_of, num_groups }
    }

    /// The names of which something is said in a text. A word that `is_known` to be one of the articles' language is
    /// never taken for a name misheard.
    pub fn names_heard(&self, text: &str, is_known: impl Fn(&str) -> bool) -> Vec<Heard> {
        self.names.heard(text, is_known)
    }

    /// The domains whose words are all said in a text.
    pub fn domains_named(&self, text: &str) -> Vec<u32> {
        self.domains.named(text)
    }

    /// A name as the articles spell it.
    pub fn spelled(&self, name: u32) -> &str {
        &self.spelled[name as usize]
    }

    pub(crate) fn name_codes(&self) -> &Codes {
        &self.name_codes
    }

    /// The codes of the titles without the names in them.
    pub(crate) fn titles(&self) -> &Codes {
        self.siblings.titles()
    }

    pub fn num_names(&self) -> usize {
        self.names.len()
    }

    /// The name of what an article is about.
    pub fn name_of(&self, article: usize) -> Option<u32> {
        self.siblings.entity_of(article)
    }

    /// The articles about an entity, in their order.
    pub fn articles_of(&self, entity: u32) -> &[u32] {
        self.siblings.articles_of(entity)
    }

    /// The domain of an article.
    pub fn domain_of(&self, article: usize) -> Option<u32> {
        self.domains.of_article[article]
    }

    /// The group that an article belongs to: its entity's articles, its document's sections, or what is left of its domain.
    pub fn group_of(&self, article: usize) -> u32 {
        self.group_of[article]
    }

    pub fn num_groups(&self) -> usize {
        self.num_groups
    }

    /// What an embedding says beside a name: the part of it at right angles to the name's, of length 1. As it is where nothing
    /// is left.
    pub fn without_name(&self, embedding: &[f32], name: u32) -> Vec<f32> {
        if self.name_codes.dimensions() != embedding.len() {
            return embedding.to_vec();
        }
        let name: Vec<f32> = self.name_codes.vector(name as usize).collect();
        let in_common = cosine(embedding, &name) / cosine(&name, &name).max(f32::MIN_POSITIVE);
        let rest: Vec<f32> = embedding.iter().zip(&name).map(|(value, name)| value - in_common * name).collect();
        let length = cosine(&rest, &rest).sqrt();
        if length > LEAST_REST { rest.iter().map(|value| value / length).collect() } else { embedding.to_vec() }
    }

    /// Those of the named entities that can speak against articles of others.
    pub fn rivals(&self, named: impl Iterator<Item = Heard>) -> Vec<Rival> {
        self.siblings.rivals(named)
    }

    /// How strongly these speak against an article whose own entity was named this clearly: 0 to about 1, 0 for an article
    /// without an entity.
    pub fn contradiction(&self, article: usize, named: f32, rivals: &[Rival]) -> f32 {
        self.siblings.contradiction(article, named, rivals)
    }
}

/// The domains of articles.
#[derive(Default)]
struct Domains {
    of_article: Vec<Option<u32>>,
    /// How many different words each has.
    num_words: Vec<usize>,
    with_word: HashMap<String, Vec<u32>>,
}

impl Domains {
    fn of(entries: &[Arc<Entry>]) -> Self {
        let mut domains = Self::default();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        for entry in entries {
            let number = entry
                .article
                .domain
                .as_deref()
                .map(|domain| *numbers.entry(domain).or_insert_with(|| domains.learn(domain)));
            domains.of_article.push(number);
        }
        domains
    }

    fn learn(&mut self, domain: &str) -> u32 {
        let number = self.num_words.len() as u32;
        let words: HashSet<String> = words(domain).collect();
        self.num_words.push(words.len());
        for word in words {
            self.with_word.entry(word).or_default().push(number);
        }
        number
    }

    fn named(&self, text: &str) -> Vec<u32> {
        let said: HashSet<String> = words(text).collect();
        let mut num_said: BTreeMap<u32, usize> = BTreeMap::new();
        for domain in said.iter().filter_map(|word| self.with_word.get(word)).flatten() {
            *num_said.entry(*domain).or_default() += 1;
        }
        let is_whole = |(domain, said): &(u32, usize)| *said == self.num_words[*domain as usize];
        num_said.into_iter().filter(is_whole).map(|(domain, _)| domain).collect()
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Group<'a> {
    Name(u32),
    Document(&'a str),
}

/// The articles of an entity, the sections of a document, and what is left of a domain without entities.
fn groups(entries: &[Arc<Entry>], related: &Related) -> (Vec<u32>, usize) {
    let documents = Documents::of(entries.iter().map(|entry| entry.article.title.as_str()));
    let mut numbers: HashMap<Group<'_>, u32> = HashMap::new();
    let mut num_groups = 0;
    let mut next = || {
        num_groups += 1;
        num_groups - 1
    };
    let group_of = entries.iter().zip(&related.articles).map(|(entry, article)| {
        let name = article.name.map(Group::Name);
        let is_entity = article.name.is_some_and(|name| related.names[name as usize].entity.is_some());
        let document = documents.document(&entry.article.title).map(Group::Document);
        match if is_entity { name.or(document) } else { document.or(name) } {
            Some(group) => *numbers.entry(group).or_insert_with(&mut next),
            None => next(),
        }
    });
    let group_of = group_of.collect();
    (group_of, num_groups as usize)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;

    fn entry(title: &str, entity: Option<&str>, domain: Option<&str>) -> Arc<Entry> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let article = Article { title: title.into(), entity: text(entity), domain: text(domain), ..Article::default() };
        Arc::new(Entry {
            document: 1,
            content: ContentHash::of_article(&article),
            sources: BTreeSet::new(),
            passages: Vec::new(),
            sentences: 0..0,
            article: Arc::new(article),
        })
    }

    fn entries(articles: &[(&str, Option<&str>, Option<&str>)]) -> Vec<Arc<Entry>> {
        articles.iter().map(|(title, entity, domain)| entry(title, *entity, *domain)).collect()
    }

    #[test]
    fn each_article_knows_its_name_and_its_question() {
        let entries = entries(&[
            ("Is there parking at Avalon?", Some("AVALON"), Some("hotel")),
            ("Is there parking at Acorn?", Some("ACORN"), Some("hotel")),
            ("How do I get a taxi?", Some("*"), Some("taxi")),
            ("", Some("the"), None),
        ]);
        let (related, titles) = relate(&entries, "model");
        let names: Vec<_> = related.names.iter().map(Name::spelled).collect();
        assert_eq!(names, ["ACORN", "AVALON", "taxi"]);
        let of_articles = |of: fn(&RelatedArticle) -> Option<u32>| related.articles.iter().map(of).collect::<Vec<_>>();
        assert_eq!(of_articles(|article| article.name), [Some(1), Some(0), Some(2), None]);
        assert_eq!(titles, ["Is there parking at", "How do I get a taxi?"], "equal questions are one");
        assert_eq!(of_articles(|article| article.title), [Some(0), Some(0), Some(1), None]);
        assert!(related.is_whole());
        assert!(!Related { names: related.names[1..].to_vec(), ..related.clone() }.is_whole());
        assert!(!Related { titles: Vec::new(), ..related }.is_whole());
    }

    #[test]
    fn articles_belong_together_by_entity_and_by_document() {
        let entries = entries(&[
            ("Is there parking?", Some("AVALON"), Some("hotel")),
            ("Are pets allowed?", Some("AVALON"), Some("hotel")),
            ("Licences - Renewal", None, Some("dmv")),
            ("Licences - Fees", None, Some("dmv")),
            ("Boats - Fees", None, Some("dmv")),
            ("Ships", None, Some("dmv")),
            ("Planes", None, None),
        ]);
        let (related, _) = relate(&entries, "model");
        let mut titles = Codes::new(1);
        for _ in &related.titles {
            titles.push(&[1.0]);
        }
        let mut names = Codes::new(2);
        for _ in &related.names {
            names.push(&[0.0, 2.0]);
        }
        let relations = Relations::new(&entries, &related, names, titles);
        let groups: Vec<_> = (0..7).map(|article| relations.group_of(article)).collect();
        assert_eq!((groups, relations.num_groups()), (vec![0, 0, 1, 1, 2, 2, 3], 4));
        assert_eq!(related.articles[2].heading, "Renewal");
        let name = relations.name_of(1).unwrap();
        assert_eq!(relations.articles_of(name), [0, 1]);
        assert_eq!(relations.domains_named("a hotel, please"), [0]);
        assert_eq!((relations.domain_of(0), relations.domain_of(6)), (Some(0), None));
        assert_eq!(relations.without_name(&[0.6, 0.8], name), [1.0, 0.0]);
        assert_eq!(relations.without_name(&[0.0, 1.0], name), [0.0, 1.0]);
        assert_eq!(relations.without_name(&[1.0], name), [1.0]);
    }
}
