//! What a deployment's customers mean, as a linear map of the question's embedding.

use serde::{Deserialize, Serialize};

/// Maps the embedding of a question to what is added to it when it is compared with passages. Square; one row for each
/// dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// Each of as many numbers as there are rows.
    pub rows: Vec<Vec<f32>>,
}

impl Adapter {
    /// The adapted question, `None` for an embedding of another length.
    pub fn adapted(&self, question: &[f32]) -> Option<Vec<f32>> {
        let row = |row: &Vec<f32>| row.iter().zip(question).map(|(weight, value)| weight * value).sum();
        (question.len() == self.rows.len()).then(|| self.rows.iter().map(row).collect())
    }

    pub(super) fn is_square(&self) -> bool {
        let is_sound = |row: &Vec<f32>| row.len() == self.rows.len() && row.iter().all(|weight| weight.is_finite());
        self.rows.iter().all(is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_linear_map() {
        let adapter = Adapter { rows: vec![vec![0.0, 2.0], vec![1.0, 0.0]] };
        assert_eq!(adapter.adapted(&[3.0, 4.0]), Some(vec![8.0, 3.0]));
        assert_eq!(adapter.adapted(&[3.0]), None);
        assert!(adapter.is_square() && !Adapter { rows: vec![vec![1.0, 2.0]] }.is_square());
    }
}
