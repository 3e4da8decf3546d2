//! Which rows the f32 vectors have to decide.
//!
//! Every row comes with a lower and an upper bound of its cosine. An article is at least as near as the best lower bound
//! of its rows; the k-th largest of these is reached by k articles, so a row whose upper bound stays below it
//! can't belong to the k nearest articles.

/// A row with the bounds of its cosine.
#[derive(Debug, Clone, Copy)]
pub struct Bounded {
    pub row: u32,
    pub article: u32,
    pub low: f32,
    pub high: f32,
}

/// The rows that can hold the best passage of one of the `k` nearest articles.
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
    use super::*;

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
