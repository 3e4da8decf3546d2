//! Makes the next generation of a plan: embeds what is new, relates all, and puts it in service.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::build::files::{NewBase, NewGeneration, Published};
use crate::build::plan::{BuildPlan, Fresh};
use crate::build::rows::{Rows, arrange};
use crate::build::update::{BuildPhase, BuildProgress, BuildSettings};
use crate::embed::embed;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::index::Index;
use crate::passages::{Passage, passages};
use crate::relations::{Name, Related, RelatedArticle, relate};
use crate::sentences::sentences;
use crate::store::directory::Layout;
use crate::store::embeddings::Embeddings;
use crate::store::entries::{Entry, PassageRow};
use crate::vectors::codes::Codes;
use crate::vectors::matrix::Matrix;

/// Texts, each with the key under which its vector is kept.
type Texts = Vec<(ContentHash, String)>;

/// What every step of making a generation needs.
pub struct Writer<'a> {
    pub layout: &'a Layout,
    pub encoder: &'a dyn TextEncoder,
    pub settings: &'a BuildSettings,
    pub progress: &'a dyn BuildProgress,
}

impl Writer<'_> {
    /// Writes the generation that `plan` describes and puts it in service; also how many passages the encoder was asked for.
    pub fn publish(&self, before: Option<&Index>, plan: BuildPlan) -> Result<(Published, usize), IndexError> {
        let mut embeddings = Embeddings::open(Some(&self.layout.embeddings()));
        let first_new_document = before.map_or(1, |before| before.manifest().next_document);
        let BuildPlan { mut kept, fresh, gone, .. } = plan;
        let (mut added, passages, sentences) = self.entries(fresh, first_new_document);
        let (vectors, num_embedded) = self.embed(BuildPhase::Embedding, passages, &mut embeddings)?;
        let sentences = Codes::of(&self.embed(BuildPhase::Sentences, sentences, &mut embeddings)?.0);
        let fresh = Rows { vectors, sentences };
        let arranged = arrange(before, &mut kept, &mut added, &fresh, self.settings.exact_below);
        drop(fresh);
        let mut next_document = first_new_document + added.len() as u64;
        let mut removed: Vec<u64> = gone.iter().map(|entry| entry.document).collect();
        let mut entries = kept;
        entries.extend(added.into_iter().map(Arc::new));
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        let (mut related, titles) = relate(&entries, self.encoder.model());
        // What an article is found by can change with the names that others brought.
        for (entry, article) in reworded(before, &mut entries, &mut related) {
            removed.push(entry.document);
            Arc::make_mut(entry).document = next_document;
            article.document = next_document;
            next_document += 1;
        }
        let titles = self.titles(&related.titles, titles, before, &mut embeddings)?;
        let names = self.names(&related, &mut embeddings)?;
        let new_base = arranged.new_base.map(|rows| NewBase { entries: entries.clone(), rows, neighbours: None });
        let new = NewGeneration {
            identity: ModelIdentity::of(self.encoder),
            entries,
            next_document,
            first_new_document,
            removed,
            new_base,
            delta: arranged.delta,
            related,
            names,
            titles,
        };
        let published = new.publish(self.layout, before, self.progress)?;
        self.prune(&new, &mut embeddings);
        Ok((published, num_embedded))
    }

    /// Entries of `fresh`, whose documents count from `first_document`, with the texts of their passages and of their
    /// sentences, whose rows count from 0.
    fn entries(&self, fresh: Vec<Fresh>, first_document: u64) -> (Vec<Entry>, Texts, Texts) {
        let (mut texts, mut all_sentences) = (Texts::new(), Texts::new());
        let num_fresh = fresh.len();
        self.progress.phase(BuildPhase::Cutting);
        let entry = |(document, Fresh { article, content, sources })| {
            let row = |Passage { body, text }| {
                let (row, key) = (texts.len() as u32, ContentHash::of_text(self.encoder.model(), &text));
                texts.push((key, text));
                PassageRow { body, row, key }
            };
            let passages = passages(&article, self.encoder).into_iter().map(row).collect();
            let first = all_sentences.len() as u32;
            let own = sentences(&article.body).chain(article.phrases());
            all_sentences.extend(own.map(|sentence| self.keyed(sentence)));
            self.progress.done((document - first_document) as usize + 1, num_fresh);
            let sentences = first..all_sentences.len() as u32;
            Entry { document, content, sources, passages, sentences, article }
        };
        let entries = (first_document..).zip(fresh).map(entry).collect();
        (entries, texts, all_sentences)
    }

    fn keyed(&self, text: &str) -> (ContentHash, String) {
        (ContentHash::of_text(self.encoder.model(), text), text.to_owned())
    }

    fn embed(
        &self,
        phase: BuildPhase,
        texts: Texts,
        embeddings: &mut Embeddings,
    ) -> Result<(Matrix, usize), IndexError> {
        embed(texts, self.encoder, embeddings, &|num_done, num_asked| {
            if num_done == 0 {
                self.progress.phase(phase);
            }
            self.progress.done(num_done, num_asked);
        })
    }

    fn names(&self, related: &Related, embeddings: &mut Embeddings) -> Result<Codes, IndexError> {
        let texts = related.names.iter().map(|name| self.keyed(name.spelled())).collect();
        Ok(Codes::of(&self.embed(BuildPhase::Names, texts, embeddings)?.0))
    }

    /// The codes of titles, each with its key; those of the generation before are taken over.
    fn titles(
        &self,
        keys: &[ContentHash],
        titles: Vec<String>,
        before: Option<&Index>,
        embeddings: &mut Embeddings,
    ) -> Result<Codes, IndexError> {
        let known = before.map_or(&[][..], |before| &before.related().titles);
        let rows: HashMap<&ContentHash, usize> = known.iter().zip(0..).collect();
        let missing = keys.iter().zip(titles).filter(|(key, _)| !rows.contains_key(key));
        let missing = missing.map(|(key, title)| (*key, title)).collect();
        let fresh = Codes::of(&self.embed(BuildPhase::Titles, missing, embeddings)?.0);
        let mut codes = Codes::new(self.encoder.dimensions());
        let mut next_fresh = 0;
        for key in keys {
            if let Some((before, row)) = before.zip(rows.get(key)) {
                codes.push_rows(before.relations().titles(), *row..*row + 1);
            } else {
                codes.push_rows(&fresh, next_fresh..next_fresh + 1);
                next_fresh += 1;
            }
        }
        Ok(codes)
    }

    /// Drops vectors that nothing uses any more, once they are more than those in use.
    fn prune(&self, new: &NewGeneration, embeddings: &mut Embeddings) {
        let NewGeneration { entries, related, .. } = new;
        let passages = || entries.iter().flat_map(|entry| &entry.passages).map(|passage| passage.key);
        let num_sentences: usize = entries.iter().map(|entry| entry.sentences.len()).sum();
        let most_used = passages().count() + num_sentences + related.titles.len() + related.names.len();
        embeddings.prune(most_used, || {
            let texts = entries.iter().flat_map(|entry| sentences(&entry.article.body).chain(entry.article.phrases()));
            let names = related.names.iter().map(Name::spelled);
            let keys = texts.chain(names).map(|text| ContentHash::of_text(self.encoder.model(), text));
            passages().chain(related.titles.iter().copied()).chain(keys).collect::<HashSet<_>>()
        });
    }
}

/// The entries that the generation before has under another heading, each with what is related of it.
fn reworded<'a>(
    before: Option<&Index>,
    entries: &'a mut [Arc<Entry>],
    related: &'a mut Related,
) -> Vec<(&'a mut Arc<Entry>, &'a mut RelatedArticle)> {
    let known = before.into_iter().flat_map(|before| &before.related().articles);
    let headings: HashMap<u64, &str> = known.map(|article| (article.document, article.heading.as_str())).collect();
    let all = entries.iter_mut().zip(&mut related.articles);
    let has_other =
        |article: &RelatedArticle| headings.get(&article.document).is_some_and(|heading| *heading != article.heading);
    all.filter(|(_, article)| has_other(article)).collect()
}
