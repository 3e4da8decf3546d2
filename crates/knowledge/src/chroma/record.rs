//! A record of a collection and the article that it is.

use cuecard_text::json::{LeftOut, Row};
use serde_json::{Map, Value};

use crate::article::{Article, flaw_of_id};

/// All records of a collection, for [`update`](crate::chroma::update).
#[derive(Debug, Clone, PartialEq)]
pub struct ChromaRecords {
    /// Its name.
    pub(crate) collection: String,
    pub(crate) records: Vec<ChromaRecord>,
    /// What could not be read of them.
    pub left_out: LeftOut,
}

impl ChromaRecords {
    /// How many can be read.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChromaRecord {
    pub id: String,
    pub document: Option<String>,
    pub metadata: Metadata,
    pub embedding: Option<Vec<f32>>,
}

/// What a record says of itself; empty when it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(Map<String, Value>);

impl From<Option<Map<String, Value>>> for Metadata {
    fn from(fields: Option<Map<String, Value>>) -> Self {
        Self(fields.unwrap_or_default())
    }
}

impl Metadata {
    /// The field `source`, or what stands for a missing one.
    pub fn source(&self) -> String {
        self.text("source").unwrap_or_else(|| UNKNOWN_SOURCE.to_owned())
    }

    /// A field as text; none for a blank one, or one that is no single value.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
            _ => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }
}

/// What contract 000 calls the source of a document that names none.
const UNKNOWN_SOURCE: &str = "unknown";

/// Fields of an article that a record's metadata do not fill under their own names.
const OWN: [&str; 5] = ["id", "title", "body", "url", "source_name"];

/// Fields that became those of the article.
const READ: [&str; 3] = ["title", "url", "source"];

impl ChromaRecord {
    /// Puts a record together; without its document or its metadata it would be another one. A vector that can't be read
    /// is made anew.
    pub fn read(
        id: Row<String>,
        document: Option<Row<String>>,
        metadata: Option<Row<Map<String, Value>>>,
        embedding: Option<Row<Vec<f32>>>,
    ) -> Row<Self> {
        let id = match id {
            Row::Usable(id) => match flaw_of_id(&id) {
                Some(reason) => return Row::Bad { id: None, reason },
                None => id,
            },
            Row::Bad { reason, .. } => return Row::Bad { id: None, reason: format!("its id: {reason}") },
        };
        let (document, metadata) = match (document, metadata) {
            (Some(Row::Bad { reason, .. }), _) => {
                return Row::Bad { id: Some(id), reason: format!("its document: {reason}") };
            }
            (_, Some(Row::Bad { reason, .. })) => {
                return Row::Bad { id: Some(id), reason: format!("its metadata: {reason}") };
            }
            (document, metadata) => (document.and_then(Row::usable), metadata.and_then(Row::usable)),
        };
        let embedding = embedding.and_then(Row::usable);
        Row::Usable(Self { id, document, metadata: Metadata::from(metadata), embedding })
    }

    /// The record as an article: its document is the body, `title`, `url` and `source` of its metadata are the article's,
    /// what else an article has and the metadata name with the right type too. All other metadata are kept as unknown
    /// fields, with `metadata_` in front where an article has a field of that name. `None` without anything to read.
    pub fn article(&self) -> Option<Article> {
        let mut article = self.with_metadata();
        article.id.clone_from(&self.id);
        article.title = self.metadata.text("title").unwrap_or_default();
        article.body = self.document.clone().unwrap_or_default();
        (article.url, article.source_name) = (self.metadata.text("url"), Some(self.metadata.source()));
        Some(article.without_markup()).filter(|article| !article.is_blank())
    }

    fn with_metadata(&self) -> Article {
        let mut fields = Map::new();
        for (name, value) in self.metadata.0.iter().filter(|(name, _)| !READ.contains(&name.as_str())) {
            let fits = !OWN.contains(&name.as_str()) && is_readable(name, value);
            let name = if fits { name.clone() } else { format!("metadata_{name}") };
            fields.insert(name, value.clone());
        }
        serde_json::from_value(Value::Object(fields)).unwrap_or_default()
    }
}

/// Whether an article with this field can be read back.
fn is_readable(name: &str, value: &Value) -> bool {
    let field = Map::from_iter([(name.to_owned(), value.clone())]);
    serde_json::from_value::<Article>(Value::Object(field)).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn record(document: Option<&str>, metadata: &Value) -> ChromaRecord {
        let metadata = Metadata::from(metadata.as_object().cloned());
        ChromaRecord { id: "r1".into(), document: document.map(str::to_owned), metadata, embedding: None }
    }

    #[test]
    fn document_and_metadata_become_an_article_that_can_be_read_back() {
        let article = record(
            Some("Body."),
            &json!({
                "title": "T", "url": "https://kb/1", "source": "kb.pdf", "page": 7, "tags": ["a"], "priority": "high",
                "entity": "AVALON", "id": "other", "body": 3, "source_name": "x"
            }),
        );
        let article = article.article().unwrap();
        assert_eq!((article.id.as_str(), article.title.as_str(), article.body.as_str()), ("r1", "T", "Body."));
        assert_eq!(article.url.as_deref(), Some("https://kb/1"));
        assert_eq!(article.source_name.as_deref(), Some("kb.pdf"));
        assert_eq!((article.tags.as_slice(), article.entity.as_deref()), (["a".to_owned()].as_slice(), Some("AVALON")));
        let extra = json!({
            "metadata_body": 3, "metadata_id": "other", "metadata_priority": "high", "metadata_source_name": "x", "page": 7
        });
        assert_eq!(serde_json::to_value(&article.extra).unwrap(), extra);
        let written = serde_json::to_string(&article).unwrap();
        assert_eq!(serde_json::from_str::<Article>(&written).unwrap(), article);
    }

    #[test]
    fn an_id_that_no_article_has_is_refused() {
        let read = |id: String| ChromaRecord::read(Row::Usable(id), Some(Row::Usable("Body.".into())), None, None);
        assert!(read("x".repeat(1024)).usable().is_some());
        for (id, reason) in [("x".repeat(1025), "an id of 1025 bytes; one has at most 1024"), (" ".to_owned(), "no id")]
        {
            assert!(matches!(read(id), Row::Bad { reason: said, .. } if said == reason), "{reason}");
        }
    }

    #[test]
    fn a_record_without_text_is_no_article_and_null_metadata_are_none() {
        for (document, metadata, is_article) in [
            (Some("Body."), json!(null), true),
            (None, json!({"title": "T"}), true),
            (Some(" "), json!({"title": ""}), false),
            (None, json!(null), false),
        ] {
            assert_eq!(record(document, &metadata).article().is_some(), is_article);
        }
        let metadata = record(None, &json!({"source": 7, "title": ["T"], "url": true})).metadata;
        assert_eq!((metadata.source().as_str(), Metadata::default().source().as_str()), ("7", "unknown"));
        let texts = ["source", "title", "url", "none"].map(|name| metadata.text(name));
        assert_eq!(texts, [Some("7".to_owned()), None, Some("true".to_owned()), None]);
    }
}
