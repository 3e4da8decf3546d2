//! The vectors of all passages and the search for the nearest.
//!
//! Rows lie in two segments. The *base* is large and shared with earlier generations; a row whose passage is gone stays
//! in it without an owner. The *delta* is small, written anew with each generation, and always scanned. A base from a
//! size on has a nearest-neighbour graph, since instant-distance can't insert: the delta takes what came after it was built.
//!
//! Input of a search is a unit vector and the articles that are admitted, output the best passage of each of the nearest
//! of these with its f32 cosine.
//! Without a graph the result is that of comparing all f32 vectors; with one it may miss some of the base.

pub mod codes;
pub mod matrix;
pub mod nearest_neighbours;
pub mod numbers;
pub mod products;
pub mod quantised;

use std::sync::{Arc, OnceLock};

use crate::filter::Admitted;
use crate::vectors::matrix::Matrix;
use crate::vectors::nearest_neighbours::{MOST_ARTICLES, NeighbourGraph};
use crate::vectors::products::WideCodes;
use crate::vectors::quantised::{Bounded, Quantised, QuantisedQuery, shortlist};

/// Rows with their codes and, for a large base, the graph over them.
pub struct Segment {
    matrix: Matrix,
    quantised: Quantised,
    neighbours: Option<NeighbourGraph>,
    centre: OnceLock<Centre>,
}

/// The mean of all rows of a segment, and the cosine of each with it.
struct Centre {
    mean: Vec<f32>,
    cosines: Vec<f32>,
}

impl Segment {
    pub fn new(matrix: Matrix, neighbours: Option<NeighbourGraph>) -> Self {
        Self { quantised: Quantised::of(&matrix), matrix, neighbours, centre: OnceLock::new() }
    }

    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    pub fn has_neighbours(&self) -> bool {
        self.neighbours.is_some()
    }

    fn centre(&self) -> &Centre {
        self.centre.get_or_init(|| {
            let mut mean = vec![0.0; self.matrix.dimensions()];
            for row in self.matrix.rows() {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
            }
            let scale = 1.0 / self.matrix.num_rows().max(1) as f32;
            for value in &mut mean {
                *value *= scale;
            }
            let cosines = self.matrix.rows().map(|row| cosine(row, &mean)).collect();
            Centre { mean, cosines }
        })
    }
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Position of the article in its index.
    pub article: u32,
    /// Number of the passage within the article.
    pub chunk: u32,
}

/// An article near an embedding, by its best passage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorHit {
    /// Position of the article, see [`Index::article`](crate::Index::article).
    pub article: usize,
    /// Number of the passage, see [`Index::chunk_text`](crate::Index::chunk_text).
    pub chunk: usize,
    pub cosine: f32,
}

/// A look at all articles: for each the best cosine that was seen.
struct Look {
    query: Option<QuantisedQuery>,
    best: Vec<f32>,
}

impl Look {
    fn new(query: Option<QuantisedQuery>, num_articles: usize) -> Self {
        let unseen = if query.is_some() { f32::NEG_INFINITY } else { 0.0 };
        Self { query, best: vec![unseen; num_articles] }
    }

    fn raise(&mut self, owner: Owner, cosine: f32) {
        let best = &mut self.best[owner.article as usize];
        *best = best.max(cosine);
    }
}

/// What is looked for.
struct Query<'a> {
    vector: &'a [f32],
    quantised: QuantisedQuery,
    admitted: &'a Admitted,
}

pub struct VectorTable {
    base: Arc<Segment>,
    delta: Arc<Segment>,
    /// One for each row, base first; `None` for a row whose passage is gone.
    owners: Vec<Option<Owner>>,
    num_articles: usize,
}

impl VectorTable {
    pub fn new(base: Arc<Segment>, delta: Arc<Segment>, owners: Vec<Option<Owner>>, num_articles: usize) -> Self {
        Self { base, delta, owners, num_articles }
    }

    pub fn row(&self, row: usize) -> &[f32] {
        match row.checked_sub(self.base.matrix.num_rows()) {
            None => self.base.matrix.row(row),
            Some(in_delta) => self.delta.matrix.row(in_delta),
        }
    }

    /// The `k` admitted articles nearest to `query`, best first, ties in the order of the articles.
    /// A query of another length has no neighbours.
    pub fn nearest(&self, query: &[f32], k: usize, admitted: &Admitted) -> Vec<VectorHit> {
        if k == 0 || query.len() != self.base.matrix.dimensions() {
            return Vec::new();
        }
        let query = Query { vector: query, quantised: QuantisedQuery::of(query), admitted };
        if let Some(found) = self.nearest_by_neighbours(&query, k) {
            return found;
        }
        let base = self.scan(&self.base, 0, &query);
        self.best(&query, base, k)
    }

    /// For each query and each article the cosine of its best passage, to the second place, in one pass over the codes. A
    /// large base is looked at through its graph, which names only the nearest; all others in it have the least of those,
    /// which they hardly exceed. All have 0 where there is no query, or one of another length.
    pub fn closeness<const N: usize>(&self, queries: [Option<&[f32]>; N]) -> [Vec<f32>; N] {
        let dimensions = self.base.matrix.dimensions();
        let queries = queries.map(|query| Some(QuantisedQuery::of(query.filter(|query| query.len() == dimensions)?)));
        let mut looks = queries.map(|query| Look::new(query, self.num_articles));
        let base_rows = self.base.matrix.num_rows();
        match &self.base.neighbours {
            Some(neighbours) => looks.iter_mut().for_each(|look| self.look_through(neighbours, look)),
            None => self.look_at(&self.base.quantised, 0, &mut looks),
        }
        self.look_at(&self.delta.quantised, base_rows, &mut looks);
        looks.map(|look| look.best)
    }

    /// All at once, so that the codes of a row are read from memory once.
    fn look_at<const N: usize>(&self, codes: &Quantised, first_row: usize, looks: &mut [Look; N]) {
        let none = WideCodes::zero(self.base.matrix.dimensions());
        let queries = looks.each_ref().map(|look| look.query.clone());
        let vectors = queries.each_ref().map(|query| query.as_ref().map_or(&none, QuantisedQuery::wide));
        codes.each_cosine(vectors, |row, cosines| {
            if let Some(owner) = self.owners[first_row + row] {
                looks.iter_mut().zip(cosines).for_each(|(look, cosine)| look.raise(owner, cosine));
            }
        });
    }

    fn look_through(&self, neighbours: &NeighbourGraph, look: &mut Look) {
        let Some(query) = &look.query else { return };
        let near = |row: u32| (row as usize, self.base.quantised.near_cosine(row as usize, query));
        let seen: Vec<(usize, f32)> = neighbours.nearest(query).into_iter().map(near).collect();
        let least = seen.iter().map(|(_, cosine)| *cosine).fold(f32::INFINITY, f32::min);
        for owner in self.owners[..self.base.matrix.num_rows()].iter().flatten() {
            look.best[owner.article as usize] = least;
        }
        for (row, cosine) in seen {
            if let Some(owner) = self.owners[row] {
                look.raise(owner, cosine);
            }
        }
    }

    /// For each article the cosine of its best passage with the mean of all passages of the base, which an update
    /// leaves as it is.
    pub fn centrality(&self) -> Vec<f32> {
        let Centre { mean, cosines } = self.base.centre();
        let in_delta = self.delta.matrix.rows().map(|row| cosine(row, mean));
        let mut best = vec![f32::NEG_INFINITY; self.num_articles];
        for (owner, cosine) in self.owners.iter().zip(cosines.iter().copied().chain(in_delta)) {
            if let Some(owner) = owner {
                let best = &mut best[owner.article as usize];
                *best = best.max(cosine);
            }
        }
        best
    }

    /// `None` without a graph, or when too few of the articles that the graph can name are admitted.
    fn nearest_by_neighbours(&self, query: &Query<'_>, k: usize) -> Option<Vec<VectorHit>> {
        let neighbours = self.base.neighbours.as_ref()?;
        if k > MOST_ARTICLES {
            return None;
        }
        let rows = neighbours.nearest(&query.quantised).into_iter();
        let near = |row: u32| (row as usize, self.base.quantised.near_cosine(row as usize, &query.quantised));
        let bounded = |(row, cosine)| self.bounded(&self.base, 0, query, row, cosine);
        let from_base = rows.map(near).filter_map(bounded).collect();
        let found = self.best(query, from_base, k);
        (found.len() >= k.min(query.admitted.len())).then_some(found)
    }

    /// The best `k` of these rows of the base and of the whole delta.
    fn best(&self, query: &Query<'_>, mut rows: Vec<Bounded>, k: usize) -> Vec<VectorHit> {
        rows.extend(self.scan(&self.delta, self.base.matrix.num_rows(), query));
        let exact = shortlist(&rows, k, self.num_articles).into_iter().filter_map(|row| {
            let owner = self.owners[row as usize]?;
            let cosine = cosine(self.row(row as usize), query.vector);
            Some(VectorHit { article: owner.article as usize, chunk: owner.chunk as usize, cosine })
        });
        best_of_each_article(exact.collect(), k)
    }

    fn scan(&self, segment: &Segment, first_row: usize, query: &Query<'_>) -> Vec<Bounded> {
        let mut rows = Vec::with_capacity(segment.matrix.num_rows());
        segment.quantised.each_cosine([query.quantised.wide()], |row, [cosine]| {
            rows.extend(self.bounded(segment, first_row, query, row, cosine));
        });
        rows
    }

    fn bounded(
        &self,
        segment: &Segment,
        first_row: usize,
        query: &Query<'_>,
        row: usize,
        cosine: f32,
    ) -> Option<Bounded> {
        let owner = self.owners[first_row + row].filter(|owner| query.admitted.has(owner.article))?;
        let error = segment.quantised.bound(row, &query.quantised);
        let row = (first_row + row) as u32;
        Some(Bounded { row, article: owner.article, low: cosine - error, high: cosine + error })
    }
}

/// The dot product of two unit vectors of one length; 0 for vectors of different lengths.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    <f32 as simsimd::SpatialSimilarity>::dot(a, b).map_or(0.0, |dot| dot as f32)
}

fn best_of_each_article(mut found: Vec<VectorHit>, k: usize) -> Vec<VectorHit> {
    found.sort_by(|a, b| {
        a.article.cmp(&b.article).then_with(|| b.cosine.total_cmp(&a.cosine)).then_with(|| a.chunk.cmp(&b.chunk))
    });
    found.dedup_by_key(|hit| hit.article);
    found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then_with(|| a.article.cmp(&b.article)));
    found.truncate(k);
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::vectors::matrix::unit;

    const DIMENSIONS: usize = 48;

    /// One thread builds the graph, so that it is the same each time. Vectors around a few centres, as texts on a few themes are; about `chunks` rows for each article.
    fn table(seed: u64, num_rows: usize, chunks: usize, delta_rows: usize, with_graph: bool) -> VectorTable {
        let mut random = StdRng::seed_from_u64(seed);
        let centres = centres();
        let mut base = Matrix::new(DIMENSIONS);
        let mut delta = Matrix::new(DIMENSIONS);
        for row in 0..num_rows {
            let vector = themed(&centres, &mut random);
            if row < num_rows - delta_rows { &mut base } else { &mut delta }.push(&vector);
        }
        let num_articles = num_rows / chunks;
        let mut owners: Vec<Option<Owner>> = (0..num_rows)
            .map(|n| Owner { article: (n % num_articles) as u32, chunk: (n / num_articles) as u32 })
            .map(Some)
            .collect();
        owners.shuffle(&mut random);
        owners.iter_mut().step_by(17).for_each(|owner| *owner = None);
        let graph = with_graph.then(|| NeighbourGraph::build(&base, 1).unwrap());
        VectorTable::new(Arc::new(Segment::new(base, graph)), Arc::new(Segment::new(delta, None)), owners, num_articles)
    }

    fn centres() -> Vec<Vec<f32>> {
        let mut random = StdRng::seed_from_u64(0);
        (0..20).map(|_| random_vector(&mut random)).collect()
    }

    fn themed(centres: &[Vec<f32>], random: &mut StdRng) -> Vec<f32> {
        let centre = &centres[random.random_range(0..centres.len())];
        unit(centre.iter().zip(random_vector(random)).map(|(centre, own)| centre + 0.7 * own).collect())
    }

    fn random_vector(random: &mut StdRng) -> Vec<f32> {
        unit((0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0_f32)).collect())
    }

    fn all(table: &VectorTable) -> Admitted {
        every(1, table)
    }

    /// One article in `step`.
    fn every(step: usize, table: &VectorTable) -> Admitted {
        Admitted::of((0..table.num_articles).map(|article| article % step == 0))
    }

    fn brute_force(table: &VectorTable, query: &[f32], k: usize, admitted: &Admitted) -> Vec<VectorHit> {
        let all = table.owners.iter().enumerate().filter_map(|(row, owner)| {
            let Owner { article, chunk } = owner.filter(|owner| admitted.has(owner.article))?;
            let (article, chunk) = (article as usize, chunk as usize);
            Some(VectorHit { article, chunk, cosine: cosine(table.row(row), query) })
        });
        best_of_each_article(all.collect(), k)
    }

    #[test]
    fn rescoring_gives_exactly_the_order_of_f32() {
        for seed in 0..20 {
            let table = table(seed, 2_000, 1 + seed as usize % 4, 150, false);
            let mut random = StdRng::seed_from_u64(seed + 1_000);
            for k in [1, 5, 20, 100, 5_000] {
                let query = random_vector(&mut random);
                for admitted in [all(&table), every(7, &table), every(usize::MAX, &table)] {
                    let found = table.nearest(&query, k, &admitted);
                    assert_eq!(found, brute_force(&table, &query, k, &admitted), "seed {seed}, k {k}");
                }
            }
        }
    }

    #[test]
    fn equal_cosines_come_in_the_order_of_the_articles() {
        let row = unit(vec![1.0, 2.0, 3.0, 4.0]);
        let mut matrix = Matrix::new(4);
        (0..50).for_each(|_| matrix.push(&row));
        let owners = (0..50).rev().map(|article| Some(Owner { article, chunk: 0 })).collect();
        let table = VectorTable::new(
            Arc::new(Segment::new(matrix, None)),
            Arc::new(Segment::new(Matrix::new(4), None)),
            owners,
            50,
        );
        let articles: Vec<usize> =
            table.nearest(&row, 5, &all(&table)).into_iter().map(|nearest| nearest.article).collect();
        assert_eq!(articles, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_graph_finds_nearly_all_that_the_exact_scan_finds() {
        let table = table(7, 6_000, 2, 300, true);
        let (centres, mut random) = (centres(), StdRng::seed_from_u64(8));
        let (mut found, mut wanted) = (0, 0);
        for n in 0..200 {
            // A third of what the graph can name is enough, so that it decides in both cases.
            let admitted = every(1 + n % 2 * 2, &table);
            let query = themed(&centres, &mut random);
            let exact = brute_force(&table, &query, 10, &admitted);
            let near = table.nearest(&query, 10, &admitted);
            assert_eq!(near.len(), 10);
            assert!(near.is_sorted_by(|a, b| a.cosine >= b.cosine));
            wanted += exact.len();
            found += exact.iter().filter(|nearest| near.contains(nearest)).count();
        }
        let recall = found as f64 / wanted as f64;
        println!("recall at 10 of the graph over 5,700 rows: {recall:.4}");
        assert!(recall >= 0.95, "recall {recall}");
    }

    #[test]
    fn more_articles_than_the_graph_can_name_are_found_by_scanning() {
        let table = table(9, 3_000, 1, 0, true);
        let query = random_vector(&mut StdRng::seed_from_u64(1));
        for k in [MOST_ARTICLES + 1, 2_000] {
            assert_eq!(table.nearest(&query, k, &all(&table)), brute_force(&table, &query, k, &all(&table)));
        }
    }

    #[test]
    fn where_the_graph_names_too_few_admitted_articles_they_are_found_by_scanning() {
        let table = table(9, 3_000, 1, 0, true);
        let query = random_vector(&mut StdRng::seed_from_u64(1));
        // Of 3,000 articles 30 or 1 are admitted, of the 200 that the graph names some two or none.
        for step in [100, usize::MAX] {
            let admitted = every(step, &table);
            assert_eq!(table.nearest(&query, 20, &admitted), brute_force(&table, &query, 20, &admitted));
        }
    }

    #[test]
    fn a_look_at_all_articles_gives_each_its_cosine_or_what_it_can_reach() {
        for with_graph in [false, true] {
            let table = table(11, 3_000, 2, 200, with_graph);
            let query = themed(&centres(), &mut StdRng::seed_from_u64(5));
            let exact: std::collections::HashMap<usize, f32> =
                brute_force(&table, &query, table.num_articles, &all(&table))
                    .into_iter()
                    .map(|hit| (hit.article, hit.cosine))
                    .collect();
            let other = themed(&centres(), &mut StdRng::seed_from_u64(6));
            let [looked, alone, none] = table.closeness([Some(&query[..]), Some(&other), None]);
            assert_eq!([alone], table.closeness([Some(&other[..])]), "what else is looked for changes nothing");
            assert_eq!(none, vec![0.0; table.num_articles]);
            let off = |(article, exact): (&usize, &f32)| exact - looked[*article];
            let too_low = exact.iter().map(off).filter(|off| *off > 0.01).count();
            assert!(too_low * 50 < exact.len(), "{too_low} of {} reach more than they are given", exact.len());
            let nearest = exact.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            assert!(off(nearest).abs() < 0.01);
            if !with_graph {
                assert!(exact.iter().map(off).all(|off| off.abs() < 0.01));
            }
        }
        let table = table(1, 100, 1, 10, false);
        assert_eq!(table.closeness([Some(&[1.0])]), [vec![0.0; table.num_articles]]);
    }

    #[test]
    fn queries_that_fit_nothing_find_nothing() {
        let table = table(1, 100, 1, 10, false);
        let query = random_vector(&mut StdRng::seed_from_u64(1));
        assert!(table.nearest(&[1.0], 5, &all(&table)).is_empty());
        assert!(table.nearest(&[f32::NAN; DIMENSIONS], 5, &all(&table)).is_empty());
        assert!(table.nearest(&query, 0, &all(&table)).is_empty());
        assert!(table.nearest(&query, 5, &Admitted::of((0..100).map(|_| false))).is_empty());
    }
}
