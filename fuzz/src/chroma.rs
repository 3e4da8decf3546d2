//! What a Chroma server answers.

use cuecard_knowledge::ArticleFilter;
use cuecard_knowledge::chroma::{ChromaRecord, CollectionBody, GetAnswer, QueryAnswer, Space};
use cuecard_text::json::{self, Row};

/// Whatever the lists hold, a record is whole, or it is left out.
pub fn chroma_answers(input: &[u8]) {
    if let Ok(answer) = json::parse_object::<GetAnswer>(input) {
        let num_ids = answer.value.ids.len();
        if let Ok(records) = answer.value.records() {
            assert_eq!(records.len(), num_ids);
            records.into_iter().filter_map(Row::usable).for_each(|record| check(&record));
        }
    }
    if let Ok(answer) = json::parse_object::<QueryAnswer>(input) {
        let num_lists = answer.value.ids.len();
        if let Ok(lists) = answer.value.hits(Space::Cosine, &ArticleFilter::default()) {
            assert_eq!(lists.len(), num_lists);
            for list in lists {
                assert!(list.hits.len() <= list.num_records);
                assert!(list.hits.iter().all(|hit| hit.relevance.is_finite() && !hit.passage().trim().is_empty()));
            }
        }
    }
    if let Ok(collection) = json::parse_object::<CollectionBody>(input) {
        let _ = collection.value.space();
    }
}

fn check(record: &ChromaRecord) {
    let Some(article) = record.article() else { return };
    assert_eq!(article.id, record.id);
    assert!(!article.title.trim().is_empty() || !article.body.trim().is_empty());
}
