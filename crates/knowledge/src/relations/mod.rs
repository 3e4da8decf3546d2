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

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use self::labels::Labels;
use self::masking::masked_title;
use self::mined::mined_names;
pub use self::names::Heard;
use self::names::{Names, can_be_heard};
pub use self::siblings::Rival;
use self::siblings::Siblings;
use self::words::words;
use crate::article::Article;
use crate::hashing::ContentHash;
use crate::store::entries::{Entry, TitleRow};
use crate::vectors::codes::Codes;

/// An entity that stands for every one.
const ANY_ENTITY: &str = "*";

/// What stands between the title of a document and that of its section.
const SECTION_SEPARATOR: &str = " - ";

/// An entity that articles are about, within its domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    pub entity: String,
}

impl Name {
    fn of(article: &Article) -> Option<Self> {
        let entity = article.entity.clone().filter(|entity| entity != ANY_ENTITY && can_be_heard(entity))?;
        Some(Self { domain: article.domain.clone(), entity })
    }
}

/// What [`relate`] found beside what it wrote into the entries.
pub struct Related {
    /// In the order of the numbers that the entries name.
    pub names: Vec<Name>,
    /// The titles without the names in them, in the order of the rows that the entries name.
    pub titles: Vec<(ContentHash, String)>,
}

/// Notes in each entry its name and the row of its masked title. Keys of titles are those of `model`.
pub fn relate(entries: &mut [Entry], model: &str) -> Related {
    let articles = || entries.iter().map(|entry| entry.article.as_ref());
    let labels = Labels::of(articles().filter_map(|article| article.entity.as_deref()), articles());
    let mined = mined_names(articles().map(|article| article.title.as_str()));
    let mut names: BTreeMap<Name, u32> =
        articles().filter_map(Name::of).filter(|name| !labels.has(&name.entity)).map(|name| (name, 0)).collect();
    names.values_mut().zip(0..).for_each(|(number, next)| *number = next);
    let (mut titles, mut row_of_title) = (Vec::new(), HashMap::new());
    for entry in entries {
        entry.name = Name::of(&entry.article).and_then(|name| names.get(&name).copied());
        let masked = masked_title(&entry.article.title, entry.article.entity.as_deref(), &mined);
        entry.title = (!masked.trim().is_empty()).then(|| {
            let key = ContentHash::of_text(model, &masked);
            let row = *row_of_title.entry(key).or_insert_with(|| {
                titles.push((key, masked));
                titles.len() as u32 - 1
            });
            TitleRow { row, key }
        });
    }
    Related { names: names.into_keys().collect(), titles }
}

/// The relations of one generation's articles. An article is known by its position.
pub struct Relations {
    names: Names,
    siblings: Siblings,
    domains: Domains,
    group_of: Vec<u32>,
    num_groups: usize,
}

impl Relations {
    /// Of entries that name only names and titles that there are.
    pub fn new(entries: &[Entry], names: &[Name], titles: Codes) -> Self {
        let entity_of = entries.iter().map(|entry| entry.name).collect();
        let title_of = entries.iter().map(|entry| entry.title.as_ref().map(|title| title.row)).collect();
        let siblings = Siblings::new(titles, title_of, entity_of, names.len());
        let (group_of, num_groups) = groups(entries);
        let names = Names::new(names.iter().map(|name| name.entity.as_str()));
        Self { names, siblings, domains: Domains::of(entries), group_of, num_groups }
    }

    /// The entities of which something is said in a text. A word that `is_known` to be one of the articles' language is
    /// never taken for a name misheard.
    pub fn entities_heard(&self, text: &str, is_known: impl Fn(&str) -> bool) -> Vec<Heard> {
        self.names.heard(text, is_known)
    }

    /// The domains of which something is said in a text.
    pub fn domains_heard(&self, text: &str) -> Vec<Heard> {
        self.domains.heard(text)
    }

    pub fn num_entities(&self) -> usize {
        self.names.len()
    }

    /// The entity that an article is about.
    pub fn entity_of(&self, article: usize) -> Option<u32> {
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

    /// How near the nearest title, without the names in it, is to an embedding: a cosine, to the second place.
    pub fn title_closeness(&self, embedding: &[f32]) -> Option<f32> {
        self.siblings.title_closeness(embedding)
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

/// The domains of articles; what is said of one needs to be said as it is written.
#[derive(Default)]
struct Domains {
    of_article: Vec<Option<u32>>,
    /// For each word the domains that have it, each with the word's share of the domain.
    with_word: HashMap<String, Vec<(u32, f32)>>,
}

impl Domains {
    fn of(entries: &[Entry]) -> Self {
        let mut domains = Self::default();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        for entry in entries {
            let number = entry.article.domain.as_deref().map(|domain| {
                let next = numbers.len() as u32;
                *numbers.entry(domain).or_insert_with(|| {
                    domains.learn(domain, next);
                    next
                })
            });
            domains.of_article.push(number);
        }
        domains
    }

    fn learn(&mut self, domain: &str, number: u32) {
        let words: HashSet<String> = words(domain).collect();
        let share = 1.0 / words.len() as f32;
        for word in words {
            self.with_word.entry(word).or_default().push((number, share));
        }
    }

    fn heard(&self, text: &str) -> Vec<Heard> {
        let said: HashSet<String> = words(text).collect();
        let mut shares: BTreeMap<u32, f32> = BTreeMap::new();
        for (domain, share) in said.iter().filter_map(|word| self.with_word.get(word)).flatten() {
            *shares.entry(*domain).or_default() += share;
        }
        shares.into_iter().map(|(name, share)| Heard { name, share }).collect()
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Group<'a> {
    Entity(u32),
    Document(&'a str),
    Domain(&'a str),
}

fn groups(entries: &[Entry]) -> (Vec<u32>, usize) {
    let document =
        |entry: &'_ Entry| entry.article.title.split_once(SECTION_SEPARATOR).map(|(document, _)| document.len());
    let mut sections: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        if let Some(end) = document(entry) {
            *sections.entry(&entry.article.title[..end]).or_default() += 1;
        }
    }
    let mut numbers: HashMap<Group<'_>, u32> = HashMap::new();
    let mut num_groups = 0;
    let mut next = || {
        num_groups += 1;
        num_groups - 1
    };
    let group_of = entries.iter().map(|entry| {
        let document = document(entry).map(|end| &entry.article.title[..end]);
        let shared = document.filter(|document| sections[document] > 1).map(Group::Document);
        let domain = entry.article.domain.as_deref().map(Group::Domain);
        match entry.name.map(Group::Entity).or(shared).or(domain) {
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

    fn entry(title: &str, entity: Option<&str>, domain: Option<&str>) -> Entry {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let article = Article { title: title.into(), entity: text(entity), domain: text(domain), ..Article::default() };
        Entry {
            document: 1,
            content: ContentHash::of_article(&article),
            sources: BTreeSet::new(),
            passages: Vec::new(),
            name: None,
            title: None,
            article: Arc::new(article),
        }
    }

    fn related(articles: &[(&str, Option<&str>, Option<&str>)]) -> (Vec<Entry>, Related) {
        let mut entries: Vec<_> =
            articles.iter().map(|(title, entity, domain)| entry(title, *entity, *domain)).collect();
        let related = relate(&mut entries, "model");
        (entries, related)
    }

    #[test]
    fn each_entry_knows_its_name_and_its_question() {
        let (entries, related) = related(&[
            ("Is there parking at Avalon?", Some("AVALON"), Some("hotel")),
            ("Is there parking at Acorn?", Some("ACORN"), Some("hotel")),
            ("How do I get a taxi?", Some("*"), Some("taxi")),
            ("", Some("the"), None),
        ]);
        let names: Vec<_> = related.names.iter().map(|name| name.entity.as_str()).collect();
        assert_eq!(names, ["ACORN", "AVALON"]);
        assert_eq!(entries.iter().map(|entry| entry.name).collect::<Vec<_>>(), [Some(1), Some(0), None, None]);
        let titles: Vec<_> = related.titles.iter().map(|(_, title)| title.as_str()).collect();
        assert_eq!(titles, ["Is there parking at", "How do I get a taxi?"], "equal questions are one");
        let rows: Vec<_> = entries.iter().map(|entry| entry.title.as_ref().map(|title| title.row)).collect();
        assert_eq!(rows, [Some(0), Some(0), Some(1), None]);
    }

    #[test]
    fn articles_belong_together_by_entity_and_by_document() {
        let (entries, related) = related(&[
            ("Is there parking?", Some("AVALON"), Some("hotel")),
            ("Are pets allowed?", Some("AVALON"), Some("hotel")),
            ("Licences - Renewal", None, Some("dmv")),
            ("Licences - Fees", None, Some("dmv")),
            ("Boats - Fees", None, Some("dmv")),
            ("Ships", None, Some("dmv")),
            ("Planes", None, None),
        ]);
        let mut titles = Codes::new(1);
        for _ in &related.titles {
            titles.push(&[1.0]);
        }
        let relations = Relations::new(&entries, &related.names, titles);
        let groups: Vec<_> = (0..7).map(|article| relations.group_of(article)).collect();
        assert_eq!((groups, relations.num_groups()), (vec![0, 0, 1, 1, 2, 2, 3], 4));
        assert_eq!((relations.entity_of(1), relations.articles_of(0)), (Some(0), [0, 1].as_slice()));
        let heard: Vec<_> = relations.domains_heard("a hotel, please").into_iter().map(|heard| heard.name).collect();
        assert_eq!((heard, relations.domain_of(0), relations.domain_of(6)), (vec![0], Some(0), None));
    }
}
