//! What a tenant's list of articles means for an index: pure functions beside the build.
//!
//! Input are the articles as the tenant sends them and the index in service; output is the [`Update`] that a build takes,
//! or a refusal where the list would wipe out what is known. Where the poll stands is kept in the index's directory.

mod state;

use crate::article::Article;
use crate::build::{Completeness, Update};
use crate::index::Index;

pub use state::{SyncState, read_state, write_state};

/// An article as a tenant sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteArticle {
    pub id: String,
    pub title: String,
    pub content: String,
}

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
/// the rest) stays as the index has it under the same id; a title that is repeated at the start of the content is
/// not kept twice, so that an index of the same articles needs nothing embedded anew.
pub fn update(index: &Index, source: String, sent: Vec<RemoteArticle>, completeness: Completeness) -> Update {
    let articles = sent.into_iter().map(|remote| merged(index, remote)).collect();
    Update { source, articles, completeness }
}

fn merged(index: &Index, remote: RemoteArticle) -> Article {
    let local = index.position(&remote.id).map(|position| Article::clone(index.article(position)));
    let body = without_title(&remote.content, &remote.title).to_owned();
    let title = remote.title;
    match local {
        // Without a title of the tenant's own the one that is known is as good as any.
        Some(local) if title.is_empty() => Article { body, ..local },
        Some(local) => Article { title, body, ..local },
        None => Article { id: remote.id, title, body, ..Article::default() },
    }
}

/// The content after a copy of the title that stands at its start, with whatever separates the two.
fn without_title<'a>(content: &'a str, title: &str) -> &'a str {
    let title = title.trim();
    match content.trim_start().strip_prefix(title) {
        Some(rest) if !title.is_empty() && !rest.starts_with(char::is_alphanumeric) => {
            rest.trim_start_matches(|character: char| character.is_whitespace() || ".:-–—|".contains(character))
        }
        _ => content,
    }
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
            assert_eq!(without_title(content, title), body, "{title}: {content}");
        }
    }
}
