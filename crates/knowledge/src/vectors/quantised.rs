//! Vectors as codes: a quarter of the memory to scan.
//!
//! Input are unit vectors, output is the cosine with a query together with a bound on its error, and from these
//! the shortlist: the rows between which only the f32 vectors can decide.

use crate::vectors::codes::Codes;
use crate::vectors::matrix::Matrix;
use crate::vectors::products::WideCodes;

/// What rounding in f32 adds to the error of the codes: 384 products below 1, each off by less than 2⁻²³.
const F32_ROUNDING: f32 = 1e-5;

/// One vector as codes, off by a vector of length `error`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedQuery {
    codes: Codes,
    wide: WideCodes,
    error: f32,
    norm: f32,
}

impl QuantisedQuery {
    pub fn of(vector: &[f32]) -> Self {
        let mut codes = Codes::new(vector.len());
        let error = codes.push(vector);
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        Self { wide: codes.wide(0), codes, error, norm }
    }

    pub fn codes(&self) -> &[i8] {
        self.codes.row(0)
    }

    pub fn scale(&self) -> f32 {
        self.codes.scale(0)
    }

    /// The same codes, to be compared with many rows.
    pub fn wide(&self) -> &WideCodes {
        &self.wide
    }
}

/// The codes of a whole segment.
pub struct Quantised {
    codes: Codes,
    errors: Vec<f32>,
}

impl Quantised {
    pub fn of(matrix: &Matrix) -> Self {
        let (codes, errors) = Codes::with_errors(matrix);
        Self { codes, errors }
    }

    pub fn num_rows(&self) -> usize {
        self.codes.num_rows()
    }

    pub fn codes(&self, row: usize) -> &[i8] {
        self.codes.row(row)
    }

    pub fn scale(&self, row: usize) -> f32 {
        self.codes.scale(row)
    }

    /// About the cosines of all rows with vectors of their length.
    pub fn each_cosine<const N: usize>(&self, vectors: [&WideCodes; N], take: impl FnMut(usize, [f32; N])) {
        self.codes.each_cosine(0..self.num_rows(), vectors, take);
    }

    /// About the cosine of one row with the query.
    pub fn near_cosine(&self, row: usize, query: &QuantisedQuery) -> f32 {
        self.codes.best_cosine(row..row + 1, query.wide()).unwrap_or_default()
    }

    /// By how much the cosine of a row can be off.
    ///
    /// With x = x̂ + e and q = q̂ + f: |x·q − x̂·q̂| = |e·q + x̂·f| ≤ |e||q| + (1 + |e|)|f| for a unit vector x.
    pub fn bound(&self, row: usize, query: &QuantisedQuery) -> f32 {
        let error = self.errors[row];
        error * query.norm + (1.0 + error) * query.error + F32_ROUNDING
    }
}

/// A row with the bounds of its cosine.
#[derive(Debug, Clone, Copy)]
pub struct Bounded {
    pub row: u32,
    pub article: u32,
    pub low: f32,
    pub high: f32,
}

/// The rows that can hold the best passage of one of the `k` nearest articles.
///
/// An article is at least as near as the best lower bound of its rows; the k-th largest of these is reached by k
/// articles, so a row whose upper bound stays below it can't belong to the k nearest articles.
pub fn shortlist(rows: &[Bounded], k: usize, num_articles: usize) -> Vec<u32> {
    let threshold = kth_largest(best_lows(rows, num_articles), k);
    rows.iter().filter(|row| row.high >= threshold).map(|row| row.row).collect()
}

fn best_lows(rows: &[Bounded], num_articles: usize) -> Vec<f32> {
    let mut lows = vec![f32::NEG_INFINITY; num_articles];
    for row in rows {
        let low = &mut lows[row.article as usize];
        *low = low.max(row.low);
    }
    lows
}

fn kth_largest(mut values: Vec<f32>, k: usize) -> f32 {
    if k == 0 || k > values.len() {
        return f32::NEG_INFINITY;
    }
    *values.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::vectors::cosine;
    use crate::vectors::matrix::unit;

    fn vector() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-1.0_f32..1.0, 33)
            .prop_filter("a zero vector has no direction", |values| values.iter().any(|value| value.abs() > 0.01))
            .prop_map(unit)
    }

    proptest! {
        #[test]
        fn the_true_cosine_lies_within_the_bound(row in vector(), query in vector()) {
            let quantised = Quantised::of(&Matrix::from_values(33, row.clone()).unwrap());
            let query_codes = QuantisedQuery::of(&query);
            let (near, bound) = (quantised.near_cosine(0, &query_codes), quantised.bound(0, &query_codes));
            let off = (cosine(&row, &query) - near).abs();
            prop_assert!(off <= bound, "off by {} with a bound of {}", off, bound);
            prop_assert!(bound < 0.05, "a bound of {} decides nothing", bound);
        }
    }

    fn bounded(row: u32, article: u32, low: f32, high: f32) -> Bounded {
        Bounded { row, article, low, high }
    }

    #[test]
    fn rows_stay_while_they_may_be_among_the_nearest_articles() {
        let rows = [
            bounded(0, 0, 0.80, 0.84),
            bounded(1, 0, 0.70, 0.74),
            bounded(2, 1, 0.69, 0.73),
            bounded(3, 2, 0.60, 0.68),
            bounded(4, 2, 0.10, 0.14),
        ];
        for (k, kept) in [
            (1, &[0][..]),
            // Row 1 may not be the best of its article, but its upper bound reaches the second article's lower one.
            (2, &[0, 1, 2]),
            (3, &[0, 1, 2, 3]),
            (9, &[0, 1, 2, 3, 4]),
        ] {
            assert_eq!(shortlist(&rows, k, 3), kept, "k {k}");
        }
        assert!(shortlist(&[], 2, 3).is_empty());
    }
}
