//! Where the passages and sentences of a new generation lie: in the base of the one before, which stays, in a new base, or
//! in the delta.
//!
//! Rows count from the beginning of the base through to the end of the delta. A row of the base whose article is gone stays
//! without an owner.

use std::ops::Range;
use std::sync::Arc;

use crate::index::Index;
use crate::store::entries::Entry;
use crate::vectors::codes::Codes;
use crate::vectors::matrix::Matrix;

/// A base is replaced when what is dead in it and the delta are more than one in so many of it: the delta is always scanned and
/// written anew, and dead rows crowd out living ones in the graph's sight.
const BASE_PER_CHANGED: usize = 10;

/// The rows of a base or of a delta: of passages and of sentences.
pub struct Rows {
    pub vectors: Matrix,
    pub sentences: Codes,
}

impl Rows {
    pub fn new(dimensions: usize) -> Self {
        Self { vectors: Matrix::new(dimensions), sentences: Codes::new(dimensions) }
    }

    fn append(&mut self, other: &Self) {
        self.vectors.append(&other.vectors);
        self.sentences.push_rows(&other.sentences, 0..other.sentences.num_rows());
    }
}

/// Where rows begin to count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Begin {
    pub vectors: usize,
    pub sentences: usize,
}

impl Begin {
    fn after_base_of(index: &Index) -> Self {
        let base = index.base();
        Self { vectors: base.vectors.matrix().num_rows(), sentences: base.sentences.num_rows() }
    }

    pub fn after(self, rows: &Rows) -> Self {
        let (vectors, sentences) = (rows.vectors.num_rows(), rows.sentences.num_rows());
        Self { vectors: self.vectors + vectors, sentences: self.sentences + sentences }
    }
}

/// The rows of a new generation.
pub struct Arranged {
    /// `None` when the base of the generation before stays.
    pub new_base: Option<Rows>,
    pub delta: Rows,
}

/// Numbers the rows of `kept`, which count in the generation before, and of `added`, which count in `fresh`.
///
/// The base is taken over while little changed since it was made, so that an update writes little, and where it is so large
/// that a new one gets a graph: that takes minutes, and comes after the update ([`is_due`]). Otherwise all rows become a new
/// base, and the delta is empty.
pub fn arrange(
    before: Option<&Index>,
    kept: &mut [Arc<Entry>],
    added: &mut [Entry],
    fresh: &Rows,
    exact_below: usize,
) -> Arranged {
    let stays = before.filter(|before| {
        let num_changed = num_changed(before, kept, fresh.vectors.num_rows());
        let num_rows = num_passages(kept) + fresh.vectors.num_rows();
        let base = &before.base().vectors;
        match (num_rows >= exact_below, base.has_neighbours()) {
            (true, _) => base.matrix().num_rows() > 0,
            (false, has_neighbours) => !has_neighbours && !is_much(num_changed, before),
        }
    });
    let begin = stays.map_or_else(Begin::default, Begin::after_base_of);
    let mut rows = Rows::new(fresh.vectors.dimensions());
    if let Some(before) = before {
        let mut taking = Taking { from: before, stays: begin, begin, rows };
        for entry in kept {
            taking.take(entry);
        }
        rows = taking.rows;
    }
    let first = begin.after(&rows);
    for entry in added {
        shift(entry, first);
    }
    rows.append(fresh);
    match stays {
        Some(_) => Arranged { new_base: None, delta: rows },
        None => Arranged { delta: Rows::new(fresh.vectors.dimensions()), new_base: Some(rows) },
    }
}

/// Whether an index of so many passages that its base has a graph needs another: it has none yet, or much has changed.
pub fn is_due(index: &Index, exact_below: usize) -> bool {
    let entries = index.entries();
    let has_neighbours = index.base().vectors.has_neighbours();
    num_passages(entries) >= exact_below && (!has_neighbours || is_much(num_changed(index, entries, 0), index))
}

/// Of rows, or of articles, which can change without their rows.
fn is_much(num_changed: usize, index: &Index) -> bool {
    let is_much = |changed: usize, all: usize| changed * BASE_PER_CHANGED > all;
    let (base, delta) = (index.base(), index.delta());
    is_much(num_changed, base.vectors.matrix().num_rows()) || is_much(delta.entries.len(), base.entries.len())
}

/// Rows of the base that none of these entries has, and rows that are not in it.
fn num_changed(index: &Index, entries: &[Arc<Entry>], num_fresh: usize) -> usize {
    let base_rows = index.base().vectors.matrix().num_rows();
    let passages = entries.iter().flat_map(|entry| &entry.passages);
    let living = passages.filter(|passage| (passage.row as usize) < base_rows).count();
    (base_rows - living) + (num_passages(entries) - living) + num_fresh
}

fn num_passages(entries: &[Arc<Entry>]) -> usize {
    entries.iter().map(|entry| entry.passages.len()).sum()
}

/// Takes rows over from one generation to another.
pub struct Taking<'a> {
    pub from: &'a Index,
    /// Rows before these stay where they are.
    pub stays: Begin,
    /// Where the rows that are taken begin to count.
    pub begin: Begin,
    pub rows: Rows,
}

impl Taking<'_> {
    /// Takes over what an entry has of rows that do not stay; an entry without any stays as it is.
    pub fn take(&mut self, entry: &mut Arc<Entry>) {
        let stays = self.stays;
        let is_taken = |row: u32| row as usize >= stays.vectors;
        let are_taken = !entry.sentences.is_empty() && entry.sentences.start as usize >= stays.sentences;
        if !are_taken && !entry.passages.iter().any(|passage| is_taken(passage.row)) {
            return;
        }
        let entry = Arc::make_mut(entry);
        for passage in entry.passages.iter_mut().filter(|passage| is_taken(passage.row)) {
            let vector = self.from.vectors().row(passage.row as usize);
            passage.row = self.begin.after(&self.rows).vectors as u32;
            self.rows.vectors.push(vector);
        }
        if are_taken {
            let first = self.begin.after(&self.rows).sentences as u32;
            self.take_sentences(entry.sentences.start as usize..entry.sentences.end as usize);
            entry.sentences = first..self.begin.after(&self.rows).sentences as u32;
        }
    }

    fn take_sentences(&mut self, Range { start, end }: Range<usize>) {
        let (base, delta) = (&self.from.base().sentences, &self.from.delta().sentences);
        let in_base = base.num_rows();
        match start.checked_sub(in_base) {
            None => self.rows.sentences.push_rows(base, start..end),
            Some(start) => self.rows.sentences.push_rows(delta, start..end - in_base),
        }
    }
}

fn shift(entry: &mut Entry, first: Begin) {
    entry.passages.iter_mut().for_each(|passage| passage.row += first.vectors as u32);
    let Range { start, end } = entry.sentences;
    entry.sentences = start + first.sentences as u32..end + first.sentences as u32;
}
