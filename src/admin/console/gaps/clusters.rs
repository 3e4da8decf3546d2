//! Questions about one thing together: by the words that they share, the rare ones above all, and by the article that came
//! nearest. Deterministic: the same questions in the same order give the same clusters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::questions::{Article, Kind, Question};

/// How alike a question and a cluster are at least, as a cosine of their weighted words.
const ALIKE: f64 = 0.35;
/// What the same nearest article adds to that: it is a hint, and no more, since none of them answers.
const SAME_ARTICLE: f64 = 0.15;
/// Clusters that are listed; behind the largest come single questions.
const MAX_CLUSTERS: usize = 50;
/// Questions that are quoted of each.
const MAX_EXAMPLES: usize = 3;

static STOP_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| stop_words::get("en").into_iter().collect());

/// Questions without a good article.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Gaps {
    /// Decisions that were read.
    pub(super) looked_through: usize,
    /// Decisions that another version wrote in another form; nothing is known of them.
    pub(super) unreadable: usize,
    /// When the oldest of those was heard.
    pub(super) since: Option<Timestamp>,
    /// Questions without a good article.
    pub(super) questions: usize,
    /// Those of them whose words are not kept.
    pub(super) without_words: usize,
    /// The largest first.
    pub(super) clusters: Vec<Cluster>,
    /// Clusters beyond those.
    pub(super) more: usize,
}

/// Questions about one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cluster {
    pub(super) count: usize,
    pub(super) silent: usize,
    pub(super) rejected: usize,
    pub(super) replaced: usize,
    /// What most of them came nearest to.
    pub(super) nearest: Option<Article>,
    /// The most typical first; none where no words are kept.
    pub(super) examples: Vec<Example>,
    pub(super) last_at: Timestamp,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Example {
    /// Masked.
    pub(super) text: String,
    pub(super) decision: Uuid,
    pub(super) kind: Kind,
}

/// Weighted words of a question, of length 1.
type Words = BTreeMap<String, f64>;

struct Group<'a> {
    members: Vec<(&'a Question<'a>, Words)>,
    /// The sum of its members' words.
    words: Words,
    /// Of its members, by how many came nearest to it.
    nearest: HashMap<&'a Article, usize>,
}

/// The clusters of these questions, given in the order in which they were asked.
pub(super) fn clustered(questions: &[Question<'_>]) -> Gaps {
    let words: Vec<Vec<String>> =
        questions.iter().map(|question| question.text.map(words_of).unwrap_or_default()).collect();
    let rarity = rarity(&words);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (question, words) in questions.iter().zip(&words) {
        let weighted = weighted(words, &rarity);
        match nearest_group(&groups, question, &weighted) {
            Some(place) => groups[place].add(question, weighted),
            None => groups.push(Group::of(question, weighted)),
        }
    }
    let mut clusters: Vec<Cluster> = groups.into_iter().map(Group::shown).collect();
    clusters.sort_by(|one, other| other.count.cmp(&one.count).then(other.last_at.cmp(&one.last_at)));
    let more = clusters.len().saturating_sub(MAX_CLUSTERS);
    clusters.truncate(MAX_CLUSTERS);
    let without_words = questions.iter().filter(|question| question.text.is_none()).count();
    Gaps { questions: questions.len(), without_words, clusters, more, ..Gaps::default() }
}

/// Words that say what a question is about, each once, without the marks of what was masked.
fn words_of(text: &str) -> Vec<String> {
    let outside_of_masks = text.split('[').map(|part| part.rsplit(']').next().unwrap_or_default());
    let mut words: Vec<String> = outside_of_masks
        .flat_map(|part| part.split(|character: char| !character.is_alphanumeric()))
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() > 2 && !STOP_WORDS.contains(word))
        .map(|word| word.strip_suffix('s').filter(|stem| stem.len() > 2).map_or(word.clone(), str::to_owned))
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// How much each word tells: ln(1 + questions ÷ questions that have it).
fn rarity(questions: &[Vec<String>]) -> HashMap<&str, f64> {
    let mut having: HashMap<&str, f64> = HashMap::new();
    for word in questions.iter().flatten() {
        *having.entry(word).or_default() += 1.0;
    }
    having.into_iter().map(|(word, count)| (word, (1.0 + questions.len() as f64 / count).ln())).collect()
}

fn weighted(words: &[String], rarity: &HashMap<&str, f64>) -> Words {
    let weight = |word: &String| rarity.get(word.as_str()).copied().unwrap_or_default();
    let length = words.iter().map(|word| weight(word).powi(2)).sum::<f64>().sqrt();
    words.iter().map(|word| (word.clone(), weight(word) / length)).collect()
}

/// The group that a question belongs to, if it is like any.
fn nearest_group(groups: &[Group<'_>], question: &Question<'_>, words: &Words) -> Option<usize> {
    let likeness = |group: &Group<'_>| {
        let is_near = question.nearest.is_some_and(|article| group.nearest.contains_key(article));
        match (question.text, group.has_words()) {
            (Some(_), true) => cosine(words, &group.words) + if is_near { SAME_ARTICLE } else { 0.0 },
            // Without words the article is all that there is.
            (None, false) if is_near || question.nearest.is_none() && group.nearest.is_empty() => 1.0,
            _ => 0.0,
        }
    };
    let mut best = None;
    for (place, likeness) in groups.iter().map(likeness).enumerate() {
        if likeness >= ALIKE && best.is_none_or(|(_, highest)| likeness > highest) {
            best = Some((place, likeness));
        }
    }
    best.map(|(place, _)| place)
}

/// Of a question's words, of length 1, and a group's.
fn cosine(question: &Words, group: &Words) -> f64 {
    let length = group.values().map(|weight| weight * weight).sum::<f64>().sqrt();
    let product: f64 = question.iter().filter_map(|(word, weight)| Some(weight * group.get(word)?)).sum();
    if length > 0.0 { product / length } else { 0.0 }
}

impl<'a> Group<'a> {
    fn of(question: &'a Question<'a>, words: Words) -> Self {
        let mut group = Self { members: Vec::new(), words: Words::new(), nearest: HashMap::new() };
        group.add(question, words);
        group
    }

    fn add(&mut self, question: &'a Question<'a>, words: Words) {
        for (word, weight) in &words {
            *self.words.entry(word.clone()).or_default() += weight;
        }
        if let Some(article) = question.nearest {
            *self.nearest.entry(article).or_default() += 1;
        }
        self.members.push((question, words));
    }

    fn has_words(&self) -> bool {
        self.members.iter().any(|(question, _)| question.text.is_some())
    }

    fn shown(self) -> Cluster {
        let count = |kind| self.members.iter().filter(|(question, _)| question.kind == kind).count();
        let nearest =
            self.nearest.iter().max_by(|(one, ones), (other, others)| ones.cmp(others).then(other.id.cmp(&one.id)));
        let mut typical: Vec<_> =
            self.members.iter().map(|(question, words)| (cosine(words, &self.words), *question)).collect();
        typical.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut seen = HashSet::new();
        let mut example = |question: &Question<'_>| {
            let text = question.text?;
            let (decision, kind) = (question.decision, question.kind);
            seen.insert(text.to_owned()).then(|| Example { text: text.to_owned(), decision, kind })
        };
        Cluster {
            count: self.members.len(),
            silent: count(Kind::Silent),
            rejected: count(Kind::Rejected),
            replaced: count(Kind::Replaced),
            nearest: nearest.map(|(article, _)| (*article).clone()),
            last_at: self.members.iter().map(|(question, _)| question.at).max().unwrap_or_default(),
            examples: typical.into_iter().filter_map(|(_, question)| example(question)).take(MAX_EXAMPLES).collect(),
        }
    }
}
