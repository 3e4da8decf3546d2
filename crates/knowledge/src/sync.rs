//! What a tenant's list of articles means for an index: pure functions beside the build.
//!
//! Input are the articles as the tenant sends them and the index in service; output is the [`Update`] that a build takes,
//! or a refusal where the list would wipe out what is known.
//!
//! Where the polls of each source stand is kept in `INDEX/sync.json`. It is only worth something together with the
//! articles that it speaks of: it counts as long as the source holds as many articles in the index as when it was
//! written, so that an index that was built anew is asked for whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::article::Article;
use crate::build::{Completeness, Update};
use crate::error::IndexError;
use crate::index::Index;
use crate::markup;
use crate::store::directory::sync_directory;

/// Below so many articles half of them may go at once: somebody tidies up a small list by hand.
const SMALL: usize = 10;

/// A list that holds so much less than before that something must be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tenant sent {sent} articles where it had {held}; nothing is removed until it sends more, or until the setting \
     allow_shrinking lets it"
)]
pub struct Shrunk {
    pub held: usize,
    pub sent: usize,
}

/// Refuses a full list that is empty, or holds half of what its source held or less. A handful may go at once.
pub fn check_size(held: usize, sent: usize) -> Result<(), Shrunk> {
    let is_wiped = sent == 0 && held > 0;
    let is_halved = held >= SMALL && sent <= held / 2;
    if is_wiped || is_halved { Err(Shrunk { held, sent }) } else { Ok(()) }
}

/// The update that a tenant's articles make of an index. What the tenant does not send (entity, tags, url, priority and
/// the rest) stays as the index has it under the same id; markup becomes text, and a title that is repeated at the start
/// of the body is not kept twice, so that an index of the same articles needs nothing embedded anew.
pub fn update(index: &Index, source: String, sent: Vec<Article>, completeness: Completeness) -> Update {
    let merged = sent.into_iter().map(|article| merged(index, article));
    // A page of pictures has a body, but nothing that can be read.
    let articles = merged.filter(|article| !article.is_blank()).collect();
    Update { source, articles, completeness }
}

fn merged(index: &Index, mut sent: Article) -> Article {
    sent.title = markup::title_of(sent.title);
    let body = markup::text_of(&sent.body).unwrap_or(sent.body);
    sent.body = without_title(body, &sent.title);
    let Some(position) = index.position(&sent.id) else { return sent };
    let local = Article::clone(index.article(position));
    Article {
        // Without a title of the tenant's own the one that is known is as good as any.
        title: if sent.title.is_empty() { local.title } else { sent.title },
        body: sent.body,
        status: sent.status.or(local.status),
        audience: sent.audience.or(local.audience),
        language: sent.language.or(local.language),
        ..local
    }
}

/// The content after a copy of the title that stands at its start, with whatever separates the two.
fn without_title(content: String, title: &str) -> String {
    let title = title.trim();
    match content.trim_start().strip_prefix(title) {
        Some(rest) if !title.is_empty() && !rest.starts_with(char::is_alphanumeric) => {
            let separates = |character: char| character.is_whitespace() || ".:-–—|".contains(character);
            rest.trim_start_matches(separates).to_owned()
        }
        _ => content,
    }
}

const FILE: &str = "sync.json";

/// How the last good poll of a source ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// `Last-Modified` as it came; sent back with the next poll.
    pub last_modified: Option<String>,
    /// Articles that the source held in the index after it.
    pub articles: usize,
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

fn read_all(directory: &Path) -> Result<BTreeMap<String, SyncState>, IndexError> {
    let path = path(directory);
    match fs::read(&path) {
        // A file that can't be read costs one full answer, and nothing is lost with it.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(IndexError::io("read", &path)(error)),
    }
}

/// How many articles of the index a source holds.
pub fn held(index: &Index, source: &str) -> usize {
    index.manifest().sources.get(source).map_or(0, |summary| summary.articles)
}

/// Where the polls of a source stand; `None` when it was never polled, or the index is another one since.
pub fn read_state(directory: &Path, index: &Index, source: &str) -> Result<Option<SyncState>, IndexError> {
    let state = read_all(directory)?.remove(source);
    Ok(state.filter(|state| state.articles == held(index, source)))
}

/// Notes that a poll of the source succeeded and its articles are in `index`.
pub fn write_state(
    directory: &Path,
    index: &Index,
    source: &str,
    last_modified: Option<String>,
) -> Result<(), IndexError> {
    let mut states = read_all(directory)?;
    states.insert(source.to_owned(), SyncState { last_modified, articles: held(index, source) });
    let path = path(directory);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, &states)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error).map(drop)
    };
    write().map_err(IndexError::io("write", &path))?;
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_would_wipe_out_what_is_known_is_refused() {
        // (held, sent, refused)
        let table = [
            (0, 0, false),
            (0, 5000, false),
            (1, 0, true),
            (9, 1, false),
            (10, 6, false),
            (10, 5, true),
            (12_039, 0, true),
            (12_039, 6019, true),
            (12_039, 6020, false),
            (12_039, 12_038, false),
            (12_039, 30_000, false),
        ];
        for (held, sent, refused) in table {
            assert_eq!(check_size(held, sent).is_err(), refused, "{held} → {sent}");
        }
    }

    #[test]
    fn a_title_at_the_start_of_the_content_is_cut_off_once() {
        // (title, content, body)
        let table = [
            ("Late fees", "Late fees\nA fee of 5 euros.", "A fee of 5 euros."),
            ("Late fees", "  Late fees: a fee.", "a fee."),
            ("Late fees", "Late fees – Late fees apply.", "Late fees apply."),
            ("Late fees", "Late feesible words", "Late feesible words"),
            ("Late fees", "About late fees", "About late fees"),
            ("Late fees", "Late fees", ""),
            ("", "A fee.", "A fee."),
            ("Gebühren", "Gebühren\n\nFünf Euro.", "Fünf Euro."),
        ];
        for (title, content, body) in table {
            assert_eq!(without_title(content.to_owned(), title), body, "{title}: {content}");
        }
    }
}
