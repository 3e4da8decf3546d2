//! Articles about different entities that answer the same question: where the customer named one of them, the others
//! are wrong.
//!
//! Two articles answer the same question as far as their titles, without the names in them, mean the same.

use std::num::NonZero;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::names::Heard;
use crate::vectors::codes::Codes;

/// Titles at this cosine have nothing in common.
const UNLIKE: f32 = 0.45;
/// Titles at this cosine ask the same.
const ALIKE: f32 = 0.8;

/// Only so many named entities speak against an article, the most clearly named ones.
const MOST_NAMED: usize = 25;
/// Entities named less clearly than this speak against none.
const LEAST_NAMED: f32 = 0.25;

/// An entity of more questions than this speaks through so many of them, evenly drawn: no call shall wait for it.
const HEARD_OF: usize = 128;

/// Memory for the likenesses of entities that were named.
const REMEMBERED_BYTES: usize = 16 * 1024 * 1024;
/// Where one takes much memory, so many are remembered all the same.
const LEAST_REMEMBERED: usize = MOST_NAMED;

/// How like the questions of articles are to those of one entity, in steps of 1/254, told when first asked for: a call looks at
/// the articles of a few entities.
struct Likeness {
    /// The entity's own titles.
    own: Codes,
    /// For each title the entity's best.
    of_title: Vec<Lazy>,
    /// For each entity the mean over its articles.
    of_entity: Vec<Lazy>,
}

/// A number that whoever comes first works out, once or a few times at once: it is the same each time.
struct Lazy(AtomicU8);

impl Lazy {
    const UNKNOWN: u8 = u8::MAX;
    const MOST: u8 = u8::MAX - 1;

    fn many(count: usize) -> Vec<Self> {
        (0..count).map(|_| Self(AtomicU8::new(Self::UNKNOWN))).collect()
    }

    fn get(&self, work_out: impl FnOnce() -> u8) -> u8 {
        let known = self.0.load(Ordering::Relaxed);
        if known != Self::UNKNOWN {
            return known;
        }
        let number = work_out();
        self.0.store(number, Ordering::Relaxed);
        number
    }
}

/// An entity that was named, and what it has to say.
pub struct Rival {
    heard: Heard,
    likeness: Arc<Likeness>,
}

/// Compares the articles of entities.
pub struct Siblings {
    titles: Codes,
    /// The row of each article's title.
    title_of: Vec<Option<u32>>,
    entity_of: Vec<Option<u32>>,
    /// The articles of each entity, in their order.
    articles_of: Vec<Vec<u32>>,
    likenesses: Mutex<LruCache<u32, Arc<Likeness>>>,
}

impl Siblings {
    /// `entity_of` says for each article which of so many entities it is about.
    pub fn new(titles: Codes, title_of: Vec<Option<u32>>, entity_of: Vec<Option<u32>>, num_entities: usize) -> Self {
        let mut articles_of = vec![Vec::new(); num_entities];
        for (article, entity) in (0..).zip(&entity_of) {
            if let Some(entity) = entity {
                articles_of[*entity as usize].push(article);
            }
        }
        let own_titles = entity_of.len().div_ceil(num_entities.max(1)).min(HEARD_OF);
        let likeness_bytes = titles.num_rows() + num_entities + own_titles * titles.dimensions();
        let remembered = (REMEMBERED_BYTES / likeness_bytes.max(1)).max(LEAST_REMEMBERED);
        let likenesses = Mutex::new(LruCache::new(NonZero::new(remembered).unwrap_or(NonZero::<usize>::MIN)));
        Self { titles, title_of, entity_of, articles_of, likenesses }
    }

    /// The articles about an entity.
    pub fn articles_of(&self, entity: u32) -> &[u32] {
        self.articles_of.get(entity as usize).map_or(&[], Vec::as_slice)
    }

    pub fn titles(&self) -> &Codes {
        &self.titles
    }

    /// The entity that an article is about.
    pub fn entity_of(&self, article: usize) -> Option<u32> {
        self.entity_of[article]
    }

    /// The entities that can speak against an article: those named most clearly, first of all.
    pub fn rivals(&self, named: impl Iterator<Item = Heard>) -> Vec<Rival> {
        let mut named: Vec<Heard> = named.filter(|heard| heard.share > LEAST_NAMED).collect();
        named.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.name.cmp(&b.name)));
        named.truncate(MOST_NAMED);
        named.into_iter().map(|heard| Rival { heard, likeness: self.likeness(heard.name) }).collect()
    }

    /// How strongly these speak against an article whose own entity was named this clearly: 0 to about 1, 0 for an article
    /// without an entity.
    pub fn contradiction(&self, article: usize, named: f32, rivals: &[Rival]) -> f32 {
        let Some(entity) = self.entity_of[article] else { return 0.0 };
        let mut strongest = 0.0_f32;
        for Rival { heard, likeness } in rivals.iter().filter(|rival| rival.heard.name != entity) {
            let most = heard.share - named;
            // Those who were named less clearly can't speak more strongly than that.
            if most <= strongest {
                break;
            }
            let of_title = self.title_of[article].map_or(0, |title| self.of_title(title, likeness));
            let alike = if of_title == Lazy::MOST { of_title } else { of_title.max(self.of_entity(entity, likeness)) };
            strongest = strongest.max(f32::from(alike) / f32::from(Lazy::MOST) * most);
        }
        strongest
    }

    fn likeness(&self, entity: u32) -> Arc<Likeness> {
        let mut likenesses = self.likenesses.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(likenesses.get_or_insert(entity, || Arc::new(self.new_likeness(entity))))
    }

    fn new_likeness(&self, entity: u32) -> Likeness {
        let mut own: Vec<u32> =
            self.articles_of(entity).iter().filter_map(|article| self.title_of[*article as usize]).collect();
        own.sort_unstable();
        own.dedup();
        let step = own.len().div_ceil(HEARD_OF).max(1);
        let mut titles = Codes::new(self.titles.dimensions());
        for title in own.into_iter().step_by(step) {
            titles.push_rows(&self.titles, title as usize..title as usize + 1);
        }
        Likeness {
            own: titles,
            of_title: Lazy::many(self.titles.num_rows()),
            of_entity: Lazy::many(self.articles_of.len()),
        }
    }

    fn of_title(&self, title: u32, likeness: &Likeness) -> u8 {
        likeness.of_title[title as usize].get(|| {
            let title = self.titles.wide(title as usize);
            let best = likeness.own.best_cosine(0..likeness.own.num_rows(), &title).unwrap_or(0.0);
            ((best - UNLIKE) / (ALIKE - UNLIKE) * f32::from(Lazy::MOST)).clamp(0.0, f32::from(Lazy::MOST)) as u8
        })
    }

    fn of_entity(&self, entity: u32, likeness: &Likeness) -> u8 {
        likeness.of_entity[entity as usize].get(|| {
            let articles = self.articles_of(entity);
            let titles = articles.iter().filter_map(|article| self.title_of[*article as usize]);
            let sum: usize = titles.map(|title| usize::from(self.of_title(title, likeness))).sum();
            (sum / articles.len().max(1)) as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(name: u32, share: f32) -> Heard {
        Heard { name, share }
    }

    /// Entity 0 has an article on parking and one on pets, entity 1 one on parking.
    fn siblings() -> Siblings {
        let mut titles = Codes::new(3);
        for title in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] {
            titles.push(&title);
        }
        let entity_of = vec![Some(0), Some(0), Some(1), None];
        Siblings::new(titles, vec![Some(0), Some(1), Some(0), None], entity_of, 3)
    }

    #[test]
    fn a_named_entity_speaks_against_articles_of_others_on_the_same_question() {
        let siblings = siblings();
        assert_eq!(siblings.articles_of(0), [0, 1]);
        let against = |article, named, rivals: &[Heard]| {
            siblings.contradiction(article, named, &siblings.rivals(rivals.iter().copied()))
        };
        let named = [heard(1, 0.9)];
        assert!((against(0, 0.2, &named) - 0.7).abs() < 0.01, "it has one on parking too");
        // Half of the articles of entity 0 have their like, so that all of them are suspect.
        assert!((against(1, 0.2, &named) - 0.35).abs() < 0.01);
        assert_eq!(against(0, 0.9, &named), 0.0, "both were named");
        assert_eq!(against(0, 0.2, &[heard(0, 0.9)]), 0.0, "its own entity was named");
        assert_eq!(against(0, 0.0, &[heard(2, 0.9)]), 0.0, "an entity without articles");
        assert_eq!(against(3, 0.0, &named), 0.0, "an article about none");
    }

    #[test]
    fn those_named_most_clearly_speak_and_only_so_many() {
        let entity_of = (0..40).map(Some).collect();
        let siblings = Siblings::new(Codes::new(1), vec![None; 40], entity_of, 40);
        let named = (0..40).map(|name| heard(name, name as f32 / 40.0));
        let rivals = siblings.rivals(named);
        assert_eq!((rivals.len(), rivals[0].heard.name), (MOST_NAMED, 39));
        assert!(siblings.rivals([heard(0, LEAST_NAMED)].into_iter()).is_empty());
    }
}
