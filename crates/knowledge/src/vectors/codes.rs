//! Vectors as one signed byte per dimension, each with its own scale: value ≈ code × scale.
//!
//! The file is a header, the scales as f32, little-endian, and the codes.

use std::array;
use std::io::{self, Write};
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use simsimd::SpatialSimilarity;

use crate::vectors::matrix::Matrix;
use crate::vectors::numbers::{Header, MappedBytes, Numbers};
use crate::vectors::products::{WideCodes, products};

/// The largest code; the range is symmetric, so that a vector and its opposite have opposite codes.
const LARGEST_CODE: f32 = 127.0;

/// A number of this size has no binary places: added and taken away again it rounds, without a call for each number.
const NO_PLACES: f32 = 12_582_912.0;

/// What comes of so many rows lies in the first cache.
const ROWS_AT_ONCE: usize = 32;

/// Fewer are not worth another task.
const ROWS_PER_TASK: usize = 1_024;

const MAGIC: [u8; 8] = *b"cuecode\x02";

/// Rows of codes of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    dimensions: usize,
    values: Numbers<i8>,
    scales: Numbers<f32>,
}

impl Codes {
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Numbers::default(), scales: Numbers::default() }
    }

    pub fn of(vectors: &Matrix) -> Self {
        Self::with_errors(vectors).0
    }

    /// The codes of all rows, and for each the length of what its codes leave out. On all cores.
    pub fn with_errors(vectors: &Matrix) -> (Self, Vec<f32>) {
        let dimensions = vectors.dimensions();
        let mut values = vec![0; vectors.values().len()];
        let rows = vectors.values().par_chunks(dimensions.max(1)).zip(values.par_chunks_mut(dimensions.max(1)));
        let (scales, errors): (Vec<f32>, Vec<f32>) =
            rows.with_min_len(ROWS_PER_TASK).map(|(vector, codes)| encode(vector, codes)).unzip();
        (Self { dimensions, values: values.into(), scales: scales.into() }, errors)
    }

    pub fn num_rows(&self) -> usize {
        self.scales.as_slice().len()
    }

    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub fn row(&self, row: usize) -> &[i8] {
        &self.values.as_slice()[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn scale(&self, row: usize) -> f32 {
        self.scales.as_slice()[row]
    }

    /// A row, to be compared with many.
    pub fn wide(&self, row: usize) -> WideCodes {
        WideCodes::new(self.row(row), self.scale(row))
    }

    /// About the vector of a row.
    pub fn vector(&self, row: usize) -> impl Iterator<Item = f32> {
        let scale = self.scale(row);
        self.row(row).iter().map(move |code| f32::from(*code) * scale)
    }

    /// Appends a vector; gives the length of what its codes leave out.
    pub fn push(&mut self, vector: &[f32]) -> f32 {
        debug_assert_eq!(vector.len(), self.dimensions);
        let values = self.values.to_mut();
        let first = values.len();
        values.resize(first + vector.len(), 0);
        let (scale, error) = encode(vector, &mut values[first..]);
        self.scales.to_mut().push(scale);
        error
    }

    /// Appends these rows of another table of the same dimensions.
    pub fn push_rows(&mut self, other: &Self, rows: Range<usize>) {
        let values = rows.start * self.dimensions..rows.end * self.dimensions;
        self.values.to_mut().extend_from_slice(&other.values.as_slice()[values]);
        self.scales.to_mut().extend_from_slice(&other.scales.as_slice()[rows]);
    }

    /// About the cosines of each of these rows with vectors of its length, to the second place.
    pub fn each_cosine<const N: usize>(
        &self,
        rows: Range<usize>,
        vectors: [&WideCodes; N],
        mut take: impl FnMut(usize, [f32; N]),
    ) {
        debug_assert!(vectors.iter().all(|vector| vector.dimensions() == self.dimensions));
        let mut found = [[0.0; N]; ROWS_AT_ONCE];
        let mut block = rows.start;
        while block < rows.end {
            let end = rows.end.min(block + ROWS_AT_ONCE);
            let found = &mut found[..end - block];
            products(&self.values.as_slice()[block * self.dimensions..end * self.dimensions], vectors, found);
            for ((row, products), scale) in (block..end).zip(found).zip(&self.scales.as_slice()[block..end]) {
                take(row, array::from_fn(|place| products[place] * scale * vectors[place].scale()));
            }
            block = end;
        }
    }

    /// The largest of the cosines of these rows with a vector of their length.
    pub fn best_cosine(&self, rows: Range<usize>, vector: &WideCodes) -> Option<f32> {
        let mut best: Option<f32> = None;
        self.each_cosine(rows, [vector], |_, [cosine]| best = Some(best.map_or(cosine, |best| best.max(cosine))));
        best
    }

    pub fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        Header { dimensions: self.dimensions, num_rows: self.num_rows() }.write(MAGIC, output)?;
        output.write_all(bytemuck::cast_slice(self.scales.as_slice()))?;
        output.write_all(bytemuck::cast_slice(self.values.as_slice()))
    }

    /// Of a file as [`write`](Self::write) makes it; what is wrong with one that is not.
    pub fn of_file(bytes: MappedBytes) -> Result<Self, String> {
        let (header, rest) = Header::split(MAGIC, bytes)?;
        let misfit = || header.misfit("codes");
        let scale_bytes = header.num_rows.checked_mul(size_of::<f32>()).filter(|bytes| *bytes <= rest.len());
        let (scales, codes) = rest.split(scale_bytes.ok_or_else(misfit)?);
        if header.num_rows.checked_mul(header.dimensions) != Some(codes.len()) {
            return Err(misfit());
        }
        let (scales, values) = Numbers::of_bytes(scales).zip(Numbers::of_bytes(codes)).ok_or_else(misfit)?;
        Ok(Self { dimensions: header.dimensions, values, scales })
    }
}

/// Writes the codes of a vector; gives its scale and the length of what the codes leave out.
fn encode(vector: &[f32], codes: &mut [i8]) -> (f32, f32) {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = if largest > 0.0 { largest / LARGEST_CODE } else { 1.0 };
    let mut squared_error = 0.0;
    for (value, code) in vector.iter().zip(codes) {
        let rounded = (value / scale + NO_PLACES) - NO_PLACES;
        let left_out = value - rounded * scale;
        squared_error += left_out * left_out;
        *code = rounded as i8;
    }
    (scale, squared_error.sqrt())
}

/// The dot product of codes of one length.
pub fn dot(a: &[i8], b: &[i8]) -> f32 {
    <i8 as SpatialSimilarity>::dot(a, b).map_or(0.0, |dot| dot as f32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn codes(rows: &[[f32; 3]]) -> Codes {
        let mut codes = Codes::new(3);
        for row in rows {
            codes.push(row);
        }
        codes
    }

    fn read(bytes: &[u8]) -> Result<Codes, String> {
        Codes::of_file(MappedBytes::new(bytes.to_vec()))
    }

    #[test]
    fn codes_are_read_back_and_a_cut_file_is_refused() {
        let written = codes(&[[0.6, -0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]);
        let mut bytes = Vec::new();
        written.write(&mut bytes).unwrap();
        assert_eq!(read(&bytes).unwrap(), written);
        let mut cosines = Vec::new();
        written.each_cosine(1..3, [&written.wide(0), &written.wide(2)], |row, [one, other]| {
            cosines.push((row, (one * 10.0).round(), (other * 10.0).round()));
        });
        assert_eq!(cosines, [(1, 0.0, 0.0), (2, 6.0, 10.0)]);
        assert_eq!(written.best_cosine(0..0, &written.wide(0)), None);
        let mut taken = Codes::new(3);
        taken.push_rows(&written, 1..3);
        assert_eq!(taken, codes(&[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]));
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..128), with_magic: bool) {
            let start: &[u8] = if with_magic { &MAGIC } else { &[] };
            let _ = read(&[start, &bytes].concat());
        }
    }
}
