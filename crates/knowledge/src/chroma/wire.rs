//! The bodies of Chroma's API v2, as much of them as is used, and what a distance in them means.

use cuecard_text::json::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
pub struct CollectionBody {
    pub id: String,
    /// Unknown as long as the collection is empty.
    pub dimension: Option<usize>,
    #[serde(default)]
    configuration_json: Configuration,
    metadata: Option<Map<String, Value>>,
}

/// One of the two kinds of index that Chroma has says the space.
#[derive(Debug, Default, Deserialize)]
struct Configuration {
    hnsw: Option<Hnsw>,
    spann: Option<Hnsw>,
}

#[derive(Debug, Deserialize)]
struct Hnsw {
    space: Option<Space>,
}

impl CollectionBody {
    /// Collections made by clients before 1.0 have it in their metadata.
    pub fn space(&self) -> Space {
        let Configuration { hnsw, spann } = &self.configuration_json;
        let configured = hnsw.as_ref().or(spann.as_ref()).and_then(|index| index.space);
        let of_metadata = || self.metadata.as_ref()?.get("hnsw:space").map(Space::deserialize)?.ok();
        configured.or_else(of_metadata).unwrap_or_default()
    }
}

#[derive(Debug, Serialize)]
pub struct QueryBody<'a> {
    pub query_embeddings: &'a [&'a [f32]],
    pub n_results: usize,
    pub include: [&'static str; 3],
}

/// A value for each record, or null. One that is of another type than it should be costs no other.
pub type Values<T> = Vec<Option<Row<T>>>;

/// One list for each query embedding.
#[derive(Debug, Deserialize)]
pub struct QueryAnswer {
    pub ids: Vec<Vec<Row<String>>>,
    pub documents: Option<Vec<Values<String>>>,
    pub metadatas: Option<Vec<Values<Map<String, Value>>>>,
    pub distances: Option<Vec<Values<f64>>>,
}

#[derive(Debug, Serialize)]
pub struct GetBody {
    pub limit: usize,
    pub offset: usize,
    pub include: [&'static str; 3],
}

#[derive(Debug, Deserialize)]
pub struct GetAnswer {
    pub ids: Vec<Row<String>>,
    pub documents: Option<Values<String>>,
    pub metadatas: Option<Values<Map<String, Value>>>,
    pub embeddings: Option<Values<Vec<f32>>>,
}

/// What the server says of a failure.
#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    pub message: String,
}

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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_space_is_read_wherever_a_client_wrote_it() {
        for (rest, space) in [
            (r#""configuration_json":{"hnsw":{"space":"cosine"}}"#, Space::Cosine),
            (r#""configuration_json":{"hnsw":null,"spann":{"space":"ip"}}"#, Space::Ip),
            (r#""configuration_json":{"hnsw":{"space":"l2"}},"metadata":{"hnsw:space":"cosine"}"#, Space::L2),
            (r#""configuration_json":{},"metadata":{"hnsw:space":"cosine"}"#, Space::Cosine),
            (r#""metadata":{"hnsw:space":7}"#, Space::L2),
            (r#""metadata":null"#, Space::L2),
        ] {
            let body: CollectionBody = serde_json::from_str(&format!(r#"{{"id":"x","dimension":3,{rest}}}"#)).unwrap();
            assert_eq!(body.space(), space, "{rest}");
        }
    }

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
