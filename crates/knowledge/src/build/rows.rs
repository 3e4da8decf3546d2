//! Which row of which segment each passage gets.
//!
//! The base is taken over while what changed since it was made stays small, so that an update writes little and needs no
//! new graph; otherwise all rows become a new base and the delta is empty.

use crate::build::start::Before;
use crate::store::entries::Entry;
use crate::vectors::matrix::Matrix;

/// A base is replaced when its dead rows and the delta are more than one in this many of its rows: the delta is always
/// scanned, and dead rows crowd out living ones in the graph's sight.
const BASE_ROWS_PER_CHANGED_ROW: usize = 10;

/// The segments of a new generation.
pub struct Arranged {
    /// `None` when the base of the generation before stays.
    pub new_base: Option<Matrix>,
    pub delta: Matrix,
    /// Rows of the base, new or not.
    pub base_rows: usize,
    /// Whether the base has a graph, or a new one is to get one.
    pub with_graph: bool,
}

/// Numbers the rows of `kept`, which count in the generation before, and of `added`, which count in `fresh`.
pub fn arrange(
    before: Option<&Before>,
    kept: &mut [Entry],
    added: &mut [Entry],
    fresh: Matrix,
    exact_below: usize,
) -> Arranged {
    let num_rows = count(kept, |_| true) + fresh.num_rows();
    let with_graph = num_rows >= exact_below;
    match before {
        Some(before) if keeps_base(before, kept, fresh.num_rows(), with_graph) => {
            let base_rows = before.base.num_rows();
            let mut delta = Matrix::new(fresh.dimensions());
            for row in rows_of(kept).filter(|row| **row as usize >= base_rows) {
                let in_delta = *row as usize - base_rows;
                *row = (base_rows + delta.num_rows()) as u32;
                delta.push(before.delta.row(in_delta));
            }
            number_from(added, base_rows + delta.num_rows());
            delta.append(&fresh);
            Arranged { new_base: None, delta, base_rows, with_graph }
        }
        Some(before) if !kept.is_empty() => {
            let mut base = Matrix::new(fresh.dimensions());
            for row in rows_of(kept) {
                let values = before.row(*row as usize);
                *row = base.num_rows() as u32;
                base.push(values);
            }
            number_from(added, base.num_rows());
            base.append(&fresh);
            Arranged::anew(base, with_graph)
        }
        _ => Arranged::anew(fresh, with_graph),
    }
}

impl Arranged {
    fn anew(base: Matrix, with_graph: bool) -> Self {
        let (delta, base_rows) = (Matrix::new(base.dimensions()), base.num_rows());
        Self { new_base: Some(base), delta, base_rows, with_graph }
    }
}

impl Before {
    fn row(&self, row: usize) -> &[f32] {
        match row.checked_sub(self.base.num_rows()) {
            None => self.base.row(row),
            Some(in_delta) => self.delta.row(in_delta),
        }
    }
}

fn keeps_base(before: &Before, kept: &[Entry], fresh_rows: usize, with_graph: bool) -> bool {
    let base_rows = before.base.num_rows();
    let living = count(kept, |row| (row as usize) < base_rows);
    let in_delta = count(kept, |row| row as usize >= base_rows) + fresh_rows;
    let changed = base_rows - living + in_delta;
    changed * BASE_ROWS_PER_CHANGED_ROW <= base_rows && before.generation.has_graph() == with_graph
}

fn count(entries: &[Entry], counts: impl Fn(u32) -> bool) -> usize {
    entries.iter().flat_map(|entry| &entry.passages).filter(|passage| counts(passage.row)).count()
}

fn rows_of(entries: &mut [Entry]) -> impl Iterator<Item = &mut u32> {
    entries.iter_mut().flat_map(|entry| &mut entry.passages).map(|passage| &mut passage.row)
}

fn number_from(entries: &mut [Entry], first_row: usize) {
    rows_of(entries).for_each(|row| *row += first_row as u32);
}
