//! Rows of f32 of one length: one block of memory, and a file of a header and the rows, little-endian.
//!
//! The codes of the exact scan are not stored: computing them takes less time than reading and hashing them would.
//! Length and checksum are compared by the manifest before the bytes come here; what then doesn't fit is named.

use std::io::{self, Write};

/// Magic and version of the file, then dimensions (u32) and number of rows (u64).
const MAGIC: [u8; 8] = *b"cuevec\0\x01";
const HEADER_BYTES: usize = 20;

/// `num_rows` × `dimensions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    dimensions: usize,
    values: Vec<f32>,
}

impl Matrix {
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Vec::new() }
    }

    /// Rows of zeros, to be filled.
    pub fn zeros(dimensions: usize, num_rows: usize) -> Self {
        Self { dimensions, values: vec![0.0; dimensions * num_rows] }
    }

    /// `None` unless the values are whole rows.
    pub fn from_values(dimensions: usize, values: Vec<f32>) -> Option<Self> {
        (dimensions > 0 && values.len().is_multiple_of(dimensions)).then_some(Self { dimensions, values })
    }

    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub fn num_rows(&self) -> usize {
        self.values.len() / self.dimensions.max(1)
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.dimensions.max(1))
    }

    pub fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        self.values.chunks_exact_mut(self.dimensions.max(1))
    }

    /// Appends a row of the matrix's own length.
    pub fn push(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.dimensions);
        self.values.extend_from_slice(row);
    }

    pub fn append(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }
}

pub fn write_vectors(matrix: &Matrix, output: &mut dyn Write) -> io::Result<()> {
    output.write_all(&MAGIC)?;
    output.write_all(&(matrix.dimensions() as u32).to_le_bytes())?;
    output.write_all(&(matrix.num_rows() as u64).to_le_bytes())?;
    for value in matrix.values() {
        output.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

pub fn read_vectors(bytes: &[u8]) -> Result<Matrix, String> {
    let (header, rows) = bytes.split_at_checked(HEADER_BYTES).ok_or("vectors without a header")?;
    let (dimensions, num_rows) = read_header(header).ok_or("this is no file of vectors")?;
    let (values, rest) = rows.as_chunks();
    if !rest.is_empty() || num_rows.checked_mul(dimensions) != Some(values.len()) {
        return Err(format!("{num_rows} vectors of {dimensions} dimensions don't fit {} bytes", rows.len()));
    }
    let values = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Matrix::from_values(dimensions, values).ok_or_else(|| "vectors without dimensions".to_owned())
}

fn read_header(header: &[u8]) -> Option<(usize, usize)> {
    let rest = header.strip_prefix(&MAGIC)?;
    let (dimensions, num_rows) = rest.split_first_chunk()?;
    let num_rows = u64::from_le_bytes(num_rows.try_into().ok()?);
    Some((u32::from_le_bytes(*dimensions) as usize, usize::try_from(num_rows).ok()?))
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
            write_vectors(&matrix, &mut bytes).unwrap();
            assert_eq!(bytes.len(), HEADER_BYTES + num_rows * 20);
            assert_eq!(read_vectors(&bytes).unwrap(), matrix);
            assert!(read_vectors(&bytes[..bytes.len() - 1]).is_err());
            assert!(read_vectors(&[bytes.as_slice(), &[0; 4]].concat()).is_err());
            bytes[7] += 1;
            assert!(read_vectors(&bytes).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), with_magic: bool) {
            let start: &[u8] = if with_magic { &MAGIC } else { &[] };
            let _ = read_vectors(&[start, &bytes].concat());
        }
    }
}
