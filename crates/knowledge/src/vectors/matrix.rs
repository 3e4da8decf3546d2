//! Rows of f32 of one length: one block of memory, or of a file that is mapped, which is a header and the rows,
//! little-endian.
//!
//! The codes of the exact scan are not stored: computing them takes less time than reading and hashing them would.
//! Length and checksum are compared by the manifest before the bytes come here; what then doesn't fit is named.

use std::io::{self, Write};

use crate::vectors::numbers::{Header, MappedBytes, Numbers};

/// Magic and version of the file.
const MAGIC: [u8; 8] = *b"cuevec\0\x02";

/// `num_rows` × `dimensions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    dimensions: usize,
    values: Numbers<f32>,
}

impl Matrix {
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Numbers::default() }
    }

    /// Rows of zeros, to be filled.
    pub fn zeros(dimensions: usize, num_rows: usize) -> Self {
        Self { dimensions, values: vec![0.0; dimensions * num_rows].into() }
    }

    /// `None` unless the values are whole rows.
    #[cfg(test)]
    pub fn from_values(dimensions: usize, values: Vec<f32>) -> Option<Self> {
        let is_whole = dimensions > 0 && values.len().is_multiple_of(dimensions);
        is_whole.then_some(Self { dimensions, values: values.into() })
    }

    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub fn num_rows(&self) -> usize {
        self.values().len() / self.dimensions.max(1)
    }

    pub fn values(&self) -> &[f32] {
        self.values.as_slice()
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.values()[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values.to_mut()[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values().chunks_exact(self.dimensions.max(1))
    }

    pub fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        let dimensions = self.dimensions.max(1);
        self.values.to_mut().chunks_exact_mut(dimensions)
    }

    /// Appends a row of the matrix's own length.
    pub fn push(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.dimensions);
        self.values.to_mut().extend_from_slice(row);
    }

    pub fn append(&mut self, other: &Self) {
        self.values.to_mut().extend_from_slice(other.values());
    }

    pub fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        Header { dimensions: self.dimensions, num_rows: self.num_rows() }.write(MAGIC, output)?;
        output.write_all(bytemuck::cast_slice(self.values()))
    }

    /// Of a file as [`write`](Self::write) makes it; what is wrong with one that is not.
    pub fn of_file(bytes: MappedBytes) -> Result<Self, String> {
        let (header, values) = Header::split(MAGIC, bytes)?;
        let length = header.num_rows.checked_mul(header.dimensions).filter(|_| header.dimensions > 0);
        let values = Numbers::<f32>::of_bytes(values).filter(|values| Some(values.as_slice().len()) == length);
        let values = values.ok_or_else(|| header.misfit("vectors"))?;
        Ok(Self { dimensions: header.dimensions, values })
    }
}

#[cfg(test)]
pub fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / norm).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_read_back_and_a_cut_file_is_refused() {
        for num_rows in [0, 1, 3] {
            let values = (0..num_rows * 5).map(|n| n as f32 / 7.0).collect();
            let matrix = Matrix::from_values(5, values).unwrap();
            let mut bytes = Vec::new();
            matrix.write(&mut bytes).unwrap();
            let read = |bytes: &[u8]| Matrix::of_file(MappedBytes::new(bytes.to_vec()));
            assert_eq!(read(&bytes).unwrap(), matrix);
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "{end}");
            }
            assert!(read(&[bytes.as_slice(), &[0; 4]].concat()).is_err());
            bytes[7] += 1;
            assert!(read(&bytes).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..128), with_magic: bool) {
            let start: &[u8] = if with_magic { &MAGIC } else { &[] };
            let _ = Matrix::of_file(MappedBytes::new([start, &bytes].concat()));
        }
    }
}
