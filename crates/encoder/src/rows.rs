//! A batch between two products: the word pieces of all its texts one below the other, without padding.

use std::ops::Range;

use tch::{TchError, Tensor};

/// `[word pieces, width]`, row by row.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
}

impl Rows {
    /// Makes room for as many rows. What they hold is left from before.
    pub(crate) fn resize(&mut self, count: usize, width: usize) {
        self.values.resize(count * width, 0.0);
        self.width = width;
    }

    /// Copied from a tensor of two dimensions.
    pub(crate) fn copy(&mut self, tensor: &Tensor) -> Result<(), TchError> {
        let (count, width) = tensor.size2()?;
        self.resize(count as usize, width as usize);
        tensor.f_copy_data(&mut self.values, tensor.numel())
    }

    /// Copied, as everything that torch computes with is.
    pub(crate) fn tensor(&self) -> Result<Tensor, TchError> {
        tensor(&self.values, self.width)
    }

    pub(crate) fn count(&self) -> usize {
        self.values.len() / self.width
    }

    pub(crate) fn slice(&self, rows: Range<usize>) -> &[f32] {
        &self.values[rows.start * self.width..rows.end * self.width]
    }

    pub(crate) fn slice_mut(&mut self, rows: Range<usize>) -> &mut [f32] {
        &mut self.values[rows.start * self.width..rows.end * self.width]
    }
}

/// `[values.len() / width, width]`
pub(crate) fn tensor(values: &[f32], width: usize) -> Result<Tensor, TchError> {
    let width = i64::try_from(width).map_err(|error| TchError::Shape(error.to_string()))?;
    Tensor::f_from_slice(values)?.f_view([-1, width])
}

/// The rows of each text, given how many word pieces it has.
pub(crate) fn text_rows(lengths: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    lengths
        .scan(0, |end, length| {
            let start = *end;
            *end += length;
            Some(start..*end)
        })
        .collect()
}
