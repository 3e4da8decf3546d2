//! What a help centre and an operator bring: articles with markup, and files of them.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use cuecard_knowledge::graph::{EmbeddedGraph, GraphSettings};
use cuecard_knowledge::{Article, ReadError, read_articles};
use tempfile::NamedTempFile;

/// The longest that markup of a few letters becomes is the number of a list's item, far inside other lists.
const MOST_GROWTH: usize = 8;

/// The title in the first line, then the body: what has no markup stays as it is, and no markup fills the memory.
pub fn markup(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (title, body) = text.split_once('\n').unwrap_or(("", &text));
    let page = Article { title: title.to_owned(), body: body.to_owned(), ..Article::default() };
    let read = page.clone().without_markup();
    assert!(text.contains(['<', '&']) || read == page, "{read:?}");
    for (read, page) in [(&read.title, title), (&read.body, body)] {
        assert!(read.len() <= page.len() * MOST_GROWTH, "{} bytes became {}", page.len(), read.len());
    }
}

/// Each row is an article or is named as bad; no two articles have one id, and none says nothing.
pub fn article_file(input: &[u8]) {
    let Some(file) = written(input) else { return };
    match read_articles(file.path()) {
        Ok(read) => {
            let (num_articles, num_bad) = (read.articles.len() as u64, read.report.bad_rows.len() as u64);
            assert_eq!(num_articles + num_bad, read.report.rows);
            let ids: HashSet<&str> = read.articles.iter().map(|article| article.id.as_str()).collect();
            assert_eq!(ids.len(), read.articles.len());
            for article in &read.articles {
                assert!(!article.id.trim().is_empty() && !article.text().trim().is_empty());
                check_round_trip(article);
            }
        }
        Err(error) => check_error(&error, file.path()),
    }
}

/// What is kept in an index is read back as it was written, but for the last digit of a number.
fn check_round_trip(article: &Article) {
    let again = serde_json::to_string(article).and_then(|written| serde_json::from_str::<Article>(&written));
    assert!(
        again.as_ref().is_ok_and(|again| {
            (
                &again.id,
                &again.title,
                &again.body,
                &again.url,
                &again.tags,
                &again.asked_as,
                &again.entity,
                again.audience,
            ) == (
                &article.id,
                &article.title,
                &article.body,
                &article.url,
                &article.tags,
                &article.asked_as,
                &article.entity,
                article.audience,
            ) && again.extra.len() == article.extra.len()
        }),
        "{article:?} became {again:?}"
    );
}

/// Each keyword leads to no more articles than are asked for, and to each once.
pub fn graph_file(input: &[u8]) {
    let Some(file) = written(input) else { return };
    let settings = GraphSettings::default();
    match EmbeddedGraph::read(file.path()) {
        Ok((graph, report)) => {
            assert_eq!(graph.keywords().count(), report.queries);
            for keyword in graph.keywords() {
                let found = graph.related(keyword, &settings);
                let ids: HashSet<&str> = found.iter().map(|article| article.id.as_str()).collect();
                assert!(found.len() <= settings.limit && ids.len() == found.len());
                assert!(found.iter().all(|article| article.status == settings.status));
            }
            let _ = graph.unreachable(&settings);
        }
        Err(error) => check_error(&error, file.path()),
    }
}

fn check_error(error: &ReadError, path: &Path) {
    let told = error.to_string();
    assert!(told.contains(&*path.to_string_lossy()), "the error does not name its file: {told}");
}

/// A file as an operator names it. Where it can't be written, the machine is at fault and not the code.
fn written(input: &[u8]) -> Option<NamedTempFile> {
    let mut file = NamedTempFile::new().ok()?;
    file.write_all(input).ok()?;
    Some(file)
}
