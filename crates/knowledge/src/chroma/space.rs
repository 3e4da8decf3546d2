//! What a distance of Chroma means.

use serde::Deserialize;

/// The space of a collection. Chroma's own default is `l2`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Squared Euclidean distance.
    #[default]
    L2,
    Cosine,
    /// One less the inner product.
    Ip,
}

impl Space {
    /// The cosine of two unit vectors at this distance: |a − b|² = 2 − 2 a·b.
    pub fn relevance(self, distance: f64) -> f64 {
        match self {
            Self::L2 => 1.0 - distance / 2.0,
            Self::Cosine | Self::Ip => 1.0 - distance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_the_cosine_of_unit_vectors_in_every_space() {
        for (space, distance, relevance) in [
            (Space::L2, 0.0, 1.0),
            (Space::L2, 2.0, 0.0),
            (Space::L2, 4.0, -1.0),
            (Space::Cosine, 0.25, 0.75),
            (Space::Ip, 0.25, 0.75),
        ] {
            assert_eq!(space.relevance(distance), relevance, "{space:?} {distance}");
        }
    }
}
