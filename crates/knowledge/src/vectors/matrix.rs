//! Rows of f32 of one length, in one block of memory.

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

#[cfg(test)]
pub fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / norm).collect()
}
