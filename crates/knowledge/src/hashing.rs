//! The two hashes of the index: of an article's content, and of a text under a model.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::article::Article;

const SHORT_DIGITS: usize = 16;

/// A BLAKE3 hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Every field of the article counts, unknown ones too.
    pub fn of_article(article: &Article) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Writing into a hasher can't fail, and every field of an article can be written as JSON.
        if serde_json::to_writer(&mut hasher, article).is_err() {
            hasher.update(article.id.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The key of an embedding: the same text under another model is another vector.
    pub fn of_text(model: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        // The length keeps model and text apart: no other pair joins to the same bytes.
        hasher.update(&(model.len() as u64).to_le_bytes());
        hasher.update(model.as_bytes());
        hasher.update(text.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Its first 16 digits: enough to tell an article from what it said before, where many are kept.
    pub fn short(&self) -> String {
        self.to_string()[..SHORT_DIGITS].to_owned()
    }

    /// Whether these digits, 16 or more, are its first.
    pub fn begins_with(&self, digits: &str) -> bool {
        digits.len() >= SHORT_DIGITS && self.to_string().starts_with(digits)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl From<blake3::Hash> for ContentHash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ContentHash {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn model_and_text_do_not_run_into_each_other() {
        assert_ne!(ContentHash::of_text("ab", "c"), ContentHash::of_text("a", "bc"));
        assert_eq!(ContentHash::of_text("a", "bc"), ContentHash::of_text("a", "bc"));
    }

    #[test]
    fn every_field_of_an_article_counts() {
        let plain = Article { id: "a".into(), title: "T".into(), ..Article::default() };
        let mut tagged = plain.clone();
        tagged.extra.insert("license".into(), "MIT".into());
        assert_ne!(ContentHash::of_article(&plain), ContentHash::of_article(&tagged));
    }

    #[test]
    fn hexadecimal_and_back() {
        let hash = ContentHash::of_bytes(b"x");
        assert_eq!(ContentHash::try_from(hash.to_string()).unwrap(), hash);
        assert!(ContentHash::try_from("no hash".to_owned()).is_err());
    }

    #[test]
    fn what_is_kept_of_a_hash_tells_it_from_others() {
        let (hash, other) = (ContentHash::of_bytes(b"x"), ContentHash::of_bytes(b"y"));
        assert_eq!(hash.short().len(), 16);
        for kept in [hash.short(), hash.to_string()] {
            assert!(hash.begins_with(&kept) && !other.begins_with(&kept), "{kept}");
        }
        assert!(!hash.begins_with("") && !hash.begins_with(&hash.short()[..15]), "too little to tell");
    }
}
