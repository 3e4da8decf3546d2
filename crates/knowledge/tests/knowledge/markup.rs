//! HTML from every source becomes the same text, and an index of the plain articles needs nothing embedded anew.

use std::io::Write;

use cuecard_knowledge::chroma::{ChromaCollection, update};
use cuecard_knowledge::graph::{EmbeddedGraph, GraphSettings};
use cuecard_knowledge::{Article, ArticleFile, Completeness, Index, Update, build, read_articles, sync};
use serde_json::{Value, json};

use crate::fake_chroma::FakeChroma;
use crate::fake_encoder::FakeEncoder;
use crate::graph_rows::Rows;

/// Title and body as an export of a help centre has them, and as they are read.
const PAGES: [[&str; 4]; 3] = [
    [
        "Fees &amp; charges",
        "<div class=\"article-body\"><h2 id=\"h_01\"><strong>Fees &amp; charges</strong></h2><p style=\"margin:0cm\">\
         <span lang=\"EN-GB\">A&nbsp;late fee of &euro;6 is added.</span></p><p>&nbsp;</p></div>",
        "Fees & charges",
        "A late fee of €6 is added.",
    ],
    [
        "<b>Lights</b> of the Hub",
        "<p>Press <a href=\"https://kb/reset\">reset</a>:<img src=\"data:image/png;base64,AAAA\" alt=\"the red button\"></p>\
         <script>track(\"<p>\")</script>",
        "Lights of the Hub",
        "Press reset:the red button",
    ],
    [
        "Speed",
        "A ping < 20 ms is fine, std::vector<int> is not HTML.",
        "Speed",
        "A ping < 20 ms is fine, std::vector<int> is not HTML.",
    ],
];

fn article(n: usize, title: &str, body: &str) -> Article {
    Article { id: n.to_string(), title: title.into(), body: body.into(), ..Article::default() }
}

fn plain() -> Vec<Article> {
    (0..).zip(PAGES).map(|(n, [_, _, title, body])| article(n, title, body)).collect()
}

fn file(rows: impl Iterator<Item = Value>) -> ArticleFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    rows.for_each(|row| writeln!(file, "{row}").unwrap());
    read_articles(file.path()).unwrap()
}

fn full(source: &str, articles: Vec<Article>) -> Update {
    Update { source: source.into(), articles, completeness: Completeness::Full }
}

#[test]
fn a_file_and_a_poll_of_pages_are_the_plain_articles() {
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    build(directory.path(), full("file:kb", plain()), &encoder, &()).unwrap();
    assert_eq!(encoder.asked().len(), 3 * PAGES.len(), "each passage, each sentence and each title");

    let pages = file((0..).zip(PAGES).map(|(n, [title, body, ..])| json!({"id": n, "title": title, "body": body})));
    assert_eq!((&pages.articles, pages.report.bad_rows.len()), (&plain(), 0));
    let report = build(directory.path(), full("file:kb", pages.articles), &encoder, &()).unwrap();
    assert_eq!((report.unchanged, report.published), (PAGES.len(), false));

    let mut remote: Vec<_> = (0..).zip(PAGES).map(|(n, [title, body, ..])| article(n, title, body)).collect();
    remote.push(article(9, "", "<p><img src=\"data:image/png;base64,AAAA\"></p>"));
    let index = Index::open(directory.path(), None).unwrap();
    let update = sync::update(&index, "cxone:acme".into(), remote, Completeness::Full);
    assert_eq!(update.articles, plain(), "a page of one picture is no article");
    let report = build(directory.path(), update, &encoder, &()).unwrap();
    assert_eq!((report.articles, report.embedded), (PAGES.len(), 0));
    assert!(encoder.asked().is_empty());
}

#[test]
fn a_row_of_nothing_but_a_picture_has_no_text_and_a_long_picture_is_no_passage() {
    let picture = format!("<img src=\"data:image/png;base64,{}\">", "A1b2 ".repeat(200));
    let rows = (0..20).map(|n| json!({"id": n, "title": "T", "body": format!("<p>Text {n}.</p>{picture}")}));
    let read = file(rows.chain([json!({"id": "p", "title": " ", "body": picture})]));
    assert_eq!(read.report.bad_rows[0].reason, "no text: neither title nor body");
    let (directory, encoder) = (tempfile::tempdir().unwrap(), FakeEncoder::new());
    let report = build(directory.path(), full("file:kb", read.articles), &encoder, &()).unwrap();
    assert_eq!((report.articles, report.chunks), (20, 20));
}

#[tokio::test]
async fn a_collection_and_a_graph_of_pages_are_the_plain_articles() {
    let encoder = FakeEncoder::new();
    let record = |(n, [title, body, _, text]): (usize, [&str; 4])| {
        // Of the text, as if whoever filled the collection had cut the markup out for the encoder alone.
        json!({"id": n.to_string(), "document": body, "metadata": {"title": title, "source": "kb"}, "distance": 0.1,
            "embedding": encoder.vector(text)})
    };
    let server = FakeChroma::with(PAGES.into_iter().enumerate().map(record).collect()).await;
    let expected: Vec<_> =
        plain().into_iter().map(|plain| Article { source_name: Some("kb".into()), ..plain }).collect();

    let collection = ChromaCollection::open_for_import(&server.settings).await.unwrap();
    let (imported, _, import) = update(collection.read_all().await.unwrap(), &encoder).unwrap();
    assert_eq!(imported.articles, expected);
    assert_eq!((import.taken_over, import.not_taken_over), (1, None), "the vectors of markup are nobody's");
    let hits = collection.query(&[&encoder.vector("fee")], 3, &crate::ALL).await.unwrap().remove(0);
    assert_eq!(hits.into_iter().map(|hit| hit.article).collect::<Vec<_>>(), expected);

    let mut rows = Rows::new("m");
    rows.query("q");
    for (n, [title, body, ..]) in PAGES.into_iter().enumerate() {
        rows.article(&n.to_string(), &json!({"title": title, "summary": body, "priority": 9 - n}));
        rows.relation("?q", "RESOLVES", &n.to_string());
    }
    rows.article(
        "p",
        &json!({"title": "Picture", "summary": "<img src=\"data:image/png;base64,AAAA\">", "priority": 1}),
    );
    rows.relation("?q", "RESOLVES", "p");
    let found = EmbeddedGraph::new(rows.read().0).related("m q", &GraphSettings::default());
    let read: Vec<_> = found.iter().map(|found| (found.title.as_str(), found.summary.as_deref())).collect();
    let pages = PAGES.map(|[_, _, title, text]| (title, Some(text)));
    assert_eq!(read, [pages.as_slice(), &[("Picture", None)]].concat());
}
