//! The nearest-neighbour graph over a large base: instant-distance over the codes of its rows.
//!
//! It names the rows that are probably nearest; their f32 vectors decide. It is built once for a base, on a thread pool
//! of its own, since instant-distance otherwise takes every core.

use instant_distance::{Builder, HnswMap, Point, Search};
use rayon::ThreadPoolBuilder;
use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::vectors::codes::dot;
use crate::vectors::matrix::Matrix;
use crate::vectors::quantised::{Quantised, QuantisedQuery};

/// How many rows a search keeps in sight, twice the library's own number: several passages may belong to one article,
/// and rows of articles that are gone take up sight too.
const ROWS_IN_SIGHT: usize = 200;

/// The width of the search while the graph is built, the library's own.
const ROWS_IN_SIGHT_WHEN_BUILDING: usize = 100;

/// Above this many articles a search scans: several of the rows in sight may belong to one article.
pub const MOST_ARTICLES: usize = ROWS_IN_SIGHT / 4;

/// Any fixed number: the layers of a graph depend on it alone.
const SEED: u64 = 384;

#[derive(Clone, Serialize, Deserialize)]
struct CodedPoint {
    codes: Box<[i8]>,
    scale: f32,
}

impl Point for CodedPoint {
    fn distance(&self, other: &Self) -> f32 {
        1.0 - dot(&self.codes, &other.codes) * self.scale * other.scale
    }
}

/// Knows each row of its base by number.
#[derive(Serialize, Deserialize)]
pub struct NeighbourGraph(HnswMap<CodedPoint, u32>);

impl NeighbourGraph {
    /// Builds the graph over all rows with `threads` threads.
    pub fn build(matrix: &Matrix, threads: usize) -> Result<Self, IndexError> {
        let quantised = Quantised::of(matrix);
        let points = (0..matrix.num_rows())
            .map(|row| CodedPoint { codes: quantised.codes(row).into(), scale: quantised.scale(row) })
            .collect();
        let rows = (0..matrix.num_rows() as u32).collect();
        drop(quantised);
        let threads = threads.max(1);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("neighbours-{n}"))
            .build()
            .map_err(|source| IndexError::Threads { threads, source })?;
        let builder =
            Builder::default().ef_construction(ROWS_IN_SIGHT_WHEN_BUILDING).ef_search(ROWS_IN_SIGHT).seed(SEED);
        Ok(Self(pool.install(|| builder.build(points, rows))))
    }

    /// The rows that are probably nearest, nearest first, at most [`ROWS_IN_SIGHT`].
    pub fn nearest(&self, query: &QuantisedQuery) -> Vec<u32> {
        let point = CodedPoint { codes: query.codes().into(), scale: query.scale() };
        let mut search = Search::default();
        self.0.search(&point, &mut search).map(|item| *item.value).take(ROWS_IN_SIGHT).collect()
    }

    /// Whether it is a graph over a base of that size.
    pub fn fits(&self, matrix: &Matrix) -> bool {
        let num_rows = matrix.num_rows();
        self.0.values.len() == num_rows
            && self.0.values.iter().all(|&row| (row as usize) < num_rows)
            && self.0.iter().all(|(_, point)| point.codes.len() == matrix.dimensions())
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, IndexError> {
        bincode::serialize(self).map_err(IndexError::Neighbours)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        bincode::deserialize(bytes).map_err(|error| format!("the nearest-neighbour graph can't be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::vectors::matrix::unit;

    #[test]
    fn a_graph_is_read_back_and_finds_each_row_by_itself() {
        let mut random = StdRng::seed_from_u64(1);
        let mut row = || unit((0..16).map(|_| random.random_range(-1.0..1.0_f32)).collect());
        let rows: Vec<Vec<f32>> = (0..500).map(|_| row()).collect();
        let matrix = Matrix::from_values(16, rows.concat()).unwrap();
        let graph =
            NeighbourGraph::from_bytes(&NeighbourGraph::build(&matrix, 1).unwrap().to_bytes().unwrap()).unwrap();
        assert!(graph.fits(&matrix));
        assert!(!graph.fits(&Matrix::zeros(16, 499)));
        for (row, vector) in rows.iter().enumerate().step_by(50) {
            assert_eq!(graph.nearest(&QuantisedQuery::of(vector))[0] as usize, row);
        }
        assert!(NeighbourGraph::from_bytes(b"no graph").is_err());
    }
}
