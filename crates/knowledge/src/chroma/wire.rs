//! The bodies of Chroma's API v2, as much of them as is used.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chroma::space::Space;

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

/// A value for each record, or null.
pub type Values<T> = Vec<Option<T>>;

/// One list for each query embedding.
#[derive(Debug, Deserialize)]
pub struct QueryAnswer {
    pub ids: Vec<Vec<String>>,
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
    pub ids: Vec<String>,
    pub documents: Option<Values<String>>,
    pub metadatas: Option<Values<Map<String, Value>>>,
    pub embeddings: Option<Values<Vec<f32>>>,
}

/// What the server says of a failure.
#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    pub message: String,
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
}
