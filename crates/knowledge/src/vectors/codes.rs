//! Vectors as one signed byte per dimension, each with its own scale: value ≈ code × scale.
//!
//! The file is a header (magic and version, dimensions as u32, number of rows as u64, little-endian), the scales as f32,
//! and the codes.

use std::io::{self, Write};

use simsimd::SpatialSimilarity;

use crate::vectors::matrix::Matrix;

/// The largest code; the range is symmetric, so that a vector and its opposite have opposite codes.
const LARGEST_CODE: f32 = 127.0;

const MAGIC: [u8; 8] = *b"cuecode\x01";
const HEADER_BYTES: usize = 20;

/// Rows of codes of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    dimensions: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Codes {
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Vec::new(), scales: Vec::new() }
    }

    pub fn of(vectors: &Matrix) -> Self {
        let mut codes = Self::new(vectors.dimensions());
        for vector in vectors.rows() {
            codes.push(vector);
        }
        codes
    }

    pub fn num_rows(&self) -> usize {
        self.scales.len()
    }

    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub fn row(&self, row: usize) -> &[i8] {
        &self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }

    pub fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    /// About the vector of a row.
    pub fn vector(&self, row: usize) -> impl Iterator<Item = f32> {
        let scale = self.scale(row);
        self.row(row).iter().map(move |code| f32::from(*code) * scale)
    }

    /// Appends a vector; gives the length of what its codes leave out.
    pub fn push(&mut self, vector: &[f32]) -> f32 {
        debug_assert_eq!(vector.len(), self.dimensions);
        let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / LARGEST_CODE } else { 1.0 };
        let mut squared_error = 0.0;
        for value in vector {
            let code = (value / scale).round();
            let left_out = value - code * scale;
            squared_error += left_out * left_out;
            self.values.push(code as i8);
        }
        self.scales.push(scale);
        squared_error.sqrt()
    }

    /// Appends a row of another table of the same dimensions.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        self.values.extend_from_slice(other.row(row));
        self.scales.push(other.scale(row));
    }

    /// About the cosine of two rows, to the second place.
    pub fn cosine(&self, one: u32, other: u32) -> f32 {
        let (one, other) = (one as usize, other as usize);
        dot(self.row(one), self.row(other)) * self.scale(one) * self.scale(other)
    }

    pub fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(&MAGIC)?;
        output.write_all(&(self.dimensions as u32).to_le_bytes())?;
        output.write_all(&(self.num_rows() as u64).to_le_bytes())?;
        for scale in &self.scales {
            output.write_all(&scale.to_le_bytes())?;
        }
        output.write_all(&self.values.iter().map(|code| code.cast_unsigned()).collect::<Vec<_>>())
    }

    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or("codes without a header")?;
        let (dimensions, num_rows) = read_header(header).ok_or("this is no file of codes")?;
        let misfit = || format!("{num_rows} codes of {dimensions} dimensions don't fit {} bytes", rest.len());
        let scale_bytes = num_rows.checked_mul(size_of::<f32>()).ok_or_else(misfit)?;
        let (scales, codes) = rest.split_at_checked(scale_bytes).ok_or_else(misfit)?;
        if num_rows.checked_mul(dimensions) != Some(codes.len()) {
            return Err(misfit());
        }
        let scales = scales.as_chunks().0.iter().map(|scale| f32::from_le_bytes(*scale)).collect();
        let codes = codes.iter().map(|code| code.cast_signed()).collect();
        Ok(Self { dimensions, values: codes, scales })
    }
}

fn read_header(header: &[u8]) -> Option<(usize, usize)> {
    let rest = header.strip_prefix(&MAGIC)?;
    let (dimensions, num_rows) = rest.split_first_chunk()?;
    let num_rows = u64::from_le_bytes(num_rows.try_into().ok()?);
    Some((u32::from_le_bytes(*dimensions) as usize, usize::try_from(num_rows).ok()?))
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

    #[test]
    fn codes_are_read_back_and_a_cut_file_is_refused() {
        let written = codes(&[[0.6, -0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]);
        let mut bytes = Vec::new();
        written.write(&mut bytes).unwrap();
        assert_eq!(Codes::read(&bytes).unwrap(), written);
        assert!((written.cosine(0, 2) - 0.6).abs() < 0.01);
        let mut taken = Codes::new(3);
        taken.push_row(&written, 0);
        assert_eq!(taken, codes(&[[0.6, -0.8, 0.0]]));
        for end in 0..bytes.len() {
            assert!(Codes::read(&bytes[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), with_magic: bool) {
            let start: &[u8] = if with_magic { &MAGIC } else { &[] };
            let _ = Codes::read(&[start, &bytes].concat());
        }
    }
}
