//! Building and updating an index: only what changed is embedded, sources don't disturb each other, a reader of the
//! generation before goes on.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::ALL;
use crate::fake_encoder::FakeEncoder;
use cuecard_knowledge::{
    Article, BuildPhase, BuildProgress, BuildReport, BuildSettings, CodedEmbedding, Completeness, Index, IndexError,
    IndexHandle, Rebase, Update, build, build_with,
};
use tempfile::TempDir;

fn article(id: &str, title: &str, body: &str) -> Article {
    Article { id: id.into(), title: title.into(), body: body.into(), ..Article::default() }
}

fn articles(num: usize) -> Vec<Article> {
    (0..num)
        .map(|n| article(&format!("a{n:04}"), &format!("Title {n}"), &format!("Body of number {n}, word{n}.")))
        .collect()
}

fn full(source: &str, articles: Vec<Article>) -> Update {
    Update { source: source.into(), articles, completeness: Completeness::Full }
}

fn partial(source: &str, articles: Vec<Article>) -> Update {
    Update { source: source.into(), articles, completeness: Completeness::Partial }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The ids of the nearest to the vector of `text`.
fn nearest(index: &Index, encoder: &FakeEncoder, text: &str, k: usize) -> Vec<String> {
    let hits = index.nearest(&encoder.vector(text), k, &ALL);
    hits.into_iter().map(|hit| index.article(hit.article).id.clone()).collect()
}

fn lexical(index: &Index, text: &str, k: usize) -> Vec<String> {
    index.lexical(text, k, &ALL).into_iter().map(|hit| index.article(hit.article).id.clone()).collect()
}

fn counts(report: &BuildReport) -> [usize; 5] {
    [report.added, report.changed, report.removed, report.unchanged, report.embedded]
}

fn everything(index: &Index, encoder: &FakeEncoder) -> String {
    let questions = ["word3 number", "Title 7", "parking", "body of"];
    let answers = questions.map(|text| {
        let ids =
            |hits: Vec<usize>| hits.into_iter().map(|hit| index.article(hit).as_ref().clone()).collect::<Vec<_>>();
        let near = index.nearest(&encoder.vector(text), 20, &ALL);
        let words = index.lexical(text, 20, &ALL);
        let scores: Vec<f32> = near.iter().map(|hit| hit.cosine).chain(words.iter().map(|hit| hit.bm25)).collect();
        (ids(near.iter().map(|hit| hit.article).collect()), ids(words.iter().map(|hit| hit.article).collect()), scores)
    });
    format!("{} {answers:?}", index.generation())
}

#[test]
fn what_was_built_is_found_by_meaning_and_by_words() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let mut all = articles(50);
    all.push(article("p", "Parking", "Guests park their cars in the garage behind the hotel for free."));
    let report = build(directory.path(), full("file:kb", all), &encoder, &()).unwrap();
    assert_eq!((report.generation, report.articles, report.chunks), (1, 51, 51));
    assert_eq!(counts(&report), [51, 0, 0, 0, 51]);
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(nearest(&index, &encoder, "park cars in the garage", 1), ["p"]);
    // The stemmer makes parking, parked and park one word.
    assert_eq!(lexical(&index, "Where can I get my CAR parked?", 1), ["p"]);
    let hit = index.nearest(&encoder.vector("garage"), 1, &ALL)[0];
    assert_eq!(index.best_chunk(hit.article, &encoder.vector("garage")).map(|best| best.cosine), Some(hit.cosine));
    assert!(index.chunk_text(hit.article, hit.chunk).unwrap().starts_with("Guests park"));
    assert_eq!(index.position("p").map(|position| index.article(position).title.clone()), Some("Parking".into()));
    assert_eq!(index.manifest().sources["file:kb"].articles, 51);
}

#[test]
fn building_again_embeds_only_what_changed() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let mut all = articles(100);
    build(directory.path(), full("file:kb", all.clone()), &encoder, &()).unwrap();
    assert_eq!(encoder.asked().len(), 300, "each passage, each sentence and each title");

    let unchanged = build(directory.path(), full("file:kb", all.clone()), &encoder, &()).unwrap();
    assert_eq!((unchanged.generation, unchanged.published), (1, false));
    assert_eq!(counts(&unchanged), [0, 0, 0, 100, 0]);
    assert_eq!((unchanged.articles, unchanged.chunks), (100, 100));

    all[7].body = "A new body with giraffes.".into();
    all.remove(50);
    all.push(article("z", "Zebra", "Stripes."));
    let report = build(directory.path(), full("file:kb", all), &encoder, &()).unwrap();
    assert_eq!((report.generation, report.published), (2, true));
    assert_eq!(counts(&report), [1, 1, 1, 98, 2]);
    let mut asked = encoder.asked();
    asked.sort();
    assert_eq!(
        asked,
        ["A new body with giraffes.", "Stripes.", "Title 7\nA new body with giraffes.", "Zebra", "Zebra\nStripes."]
    );
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(lexical(&index, "giraffe", 3), ["a0007"]);
    assert!(lexical(&index, "word7 word50", 3).is_empty());
    assert_eq!(nearest(&index, &encoder, "Zebra Stripes", 1), ["z"]);
}

#[test]
fn an_article_is_found_by_what_customers_say_when_they_need_it() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let mut all = articles(20);
    all[4].asked_as = vec!["my giraffe fell in the bath".into(), "  ".into()];
    all[4].entity = Some("Harbour".into());
    build(directory.path(), full("file:kb", all), &encoder, &()).unwrap();
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(lexical(&index, "giraffe", 3), ["a0004"]);
    assert_eq!(nearest(&index, &encoder, "Harbour: my giraffe fell in the bath", 1), ["a0004"]);
    let hit = index.best_chunk(4, &encoder.vector("my giraffe in the bath")).unwrap();
    assert_eq!(index.chunk_text(4, hit.chunk), Some("Body of number 4, word4."), "shown is the article");
}

#[test]
fn a_change_that_leaves_the_text_alone_embeds_nothing() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let mut all = articles(3);
    build(directory.path(), full("file:kb", all.clone()), &encoder, &()).unwrap();
    all[0].url = Some("https://example.com/new".into());
    let report = build(directory.path(), full("file:kb", all), &encoder, &()).unwrap();
    assert_eq!(counts(&report), [0, 1, 0, 2, 0]);
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(index.article(0).url.as_deref(), Some("https://example.com/new"));
}

#[test]
fn many_updates_leave_what_a_fresh_build_of_the_same_articles_gives() {
    let encoder = FakeEncoder::new();
    // With a graph and without; the graph of so few rows with a search this wide misses nothing.
    for exact_below in [usize::MAX, 1] {
        let settings = BuildSettings { exact_below, neighbour_threads: 1 };
        let updated = directory();
        let mut all = articles(120);
        build_with(updated.path(), full("file:kb", all.clone()), &encoder, &settings, &()).unwrap();
        for round in 0..15 {
            all[round * 3].body = format!("Changed in round {round}, parking for {round} cars.");
            all.remove(119 - round * 2);
            all.push(article(&format!("n{round}"), "New", &format!("Added in round {round}.")));
            let before = Index::open(updated.path(), None).unwrap();
            let report = build_with(updated.path(), full("file:kb", all.clone()), &encoder, &settings, &()).unwrap();
            assert!(report.generation > before.generation());
        }
        let fresh = directory();
        build_with(fresh.path(), full("file:kb", all.clone()), &encoder, &settings, &()).unwrap();
        let (updated, fresh) = (Index::open(updated.path(), None).unwrap(), Index::open(fresh.path(), None).unwrap());
        assert_eq!(updated.manifest().content, fresh.manifest().content);
        for text in ["word30 number", "parking cars", "round 9", "Title 14"] {
            let vector = encoder.vector(text);
            assert_eq!(updated.nearest(&vector, 10, &ALL), fresh.nearest(&vector, 10, &ALL), "{text}");
            // Deleted documents still count in the statistics, so the scores differ a little, not what is found.
            let found = |index| {
                let mut ids = lexical(index, text, 200);
                ids.sort();
                ids
            };
            assert_eq!(found(&updated), found(&fresh), "{text}");
        }
    }
}

#[test]
fn sources_do_not_disturb_each_other() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let path = directory.path();
    let open = || Index::open(path, None).unwrap();
    let shared = article("s", "Shared", "The same in both.");
    build(path, full("file:kb", vec![shared.clone(), article("f", "File", "Only here.")]), &encoder, &()).unwrap();
    encoder.asked();
    let report =
        build(path, full("cxone:a", vec![shared.clone(), article("c", "Cloud", "Only there.")]), &encoder, &())
            .unwrap();
    assert_eq!(counts(&report), [2, 0, 0, 0, 1]);
    let index = open();
    assert_eq!(nearest(&index, &encoder, "the same in both", 9).iter().filter(|id| *id == "s").count(), 1);
    let position = index.position("s").unwrap();
    assert_eq!(index.sources(position).collect::<Vec<_>>(), ["cxone:a", "file:kb"]);

    // A full answer of one source removes only what that source no longer holds.
    build(path, full("cxone:a", vec![article("c", "Cloud", "Changed.")]), &encoder, &()).unwrap();
    let index = open();
    assert_eq!(index.articles().map(|article| article.id.as_str()).collect::<Vec<_>>(), ["c", "f", "s"]);
    assert_eq!(index.sources(2).collect::<Vec<_>>(), ["file:kb"]);

    // A partial one removes nothing.
    let report = build(path, partial("file:kb", vec![article("g", "More", "Of it.")]), &encoder, &()).unwrap();
    assert_eq!((counts(&report), report.articles), ([1, 0, 0, 0, 1], 4));

    // Two sources that disagree about an id are two hits.
    let report = build(path, partial("cxone:a", vec![article("s", "Shared", "Another.")]), &encoder, &()).unwrap();
    assert_eq!((counts(&report), report.articles), ([1, 0, 0, 0, 1], 5));
    let manifest = open().manifest().clone();
    assert_eq!((manifest.sources["file:kb"].articles, manifest.sources["cxone:a"].articles), (3, 2));
    assert!(matches!(build(path, full(" ", Vec::new()), &encoder, &()), Err(IndexError::NoSourceName)));
}

#[test]
fn an_index_can_become_empty_and_full_again() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    build(directory.path(), full("file:kb", articles(5)), &encoder, &()).unwrap();
    let report = build(directory.path(), full("file:kb", Vec::new()), &encoder, &()).unwrap();
    assert_eq!((report.articles, report.removed), (0, 5));
    let index = Index::open(directory.path(), None).unwrap();
    assert!(
        index.is_empty()
            && index.nearest(&encoder.vector("x"), 3, &ALL).is_empty()
            && index.lexical("title", 3, &ALL).is_empty()
    );
    encoder.asked();
    let report = build(directory.path(), full("file:kb", articles(5)), &encoder, &()).unwrap();
    assert_eq!((report.articles, report.embedded), (5, 0));
    assert_eq!(Index::open(directory.path(), None).unwrap().lexical("title", 9, &ALL).len(), 5);
}

#[test]
fn a_long_article_is_one_hit_with_its_best_passage() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let paragraph = |topic: &str| format!("{topic} {topic} {topic} and so on. ").repeat(8);
    let body = ["refunds", "luggage", "breakfast", "parking"].map(paragraph).concat();
    let mut all = articles(30);
    all.push(article("long", "House rules", &body));
    let report = build(directory.path(), full("file:kb", all), &encoder, &()).unwrap();
    assert!(report.chunks > 34, "{report:?}");
    assert!(encoder.asked().iter().filter(|text| text.starts_with("House rules\n")).count() > 4);
    let index = Index::open(directory.path(), None).unwrap();
    for topic in ["refunds", "parking"] {
        let hits = index.nearest(&encoder.vector(topic), 5, &ALL);
        assert_eq!(hits.iter().filter(|hit| index.article(hit.article).id == "long").count(), 1);
        let text = index.chunk_text(hits[0].article, hits[0].chunk).unwrap();
        assert!(text.contains(topic) && text.len() < body.len(), "{topic}: {text}");
        assert_eq!(index.best_chunk(hits[0].article, &encoder.vector(topic)), Some(hits[0]));
    }
}

#[test]
fn a_reader_of_an_old_generation_goes_on_while_its_files_change_and_go() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let path = directory.path();
    let mut all = articles(60);
    build(path, full("file:kb", all.clone()), &encoder, &()).unwrap();
    let reader = Index::open(path, None).unwrap();
    let before = everything(&reader, &encoder);
    let files = |generation: u64| {
        let mut names: Vec<(String, Vec<u8>)> = walk(&path.join(format!("generations/{generation}")));
        names.sort();
        names
    };
    let first_files = files(1);
    for round in 0..3 {
        all[round].body = format!("Round {round} about parking.");
        all[round + 20].title = format!("Round {round}");
        build(path, full("file:kb", all.clone()), &encoder, &()).unwrap();
        if round == 0 {
            assert!(links_between(path, 1, 2) > 0, "no segment file is shared");
            assert!(files(1) == first_files, "the old generation was written to");
        }
        assert_eq!(everything(&reader, &encoder), before);
        assert_eq!(Index::open(path, None).unwrap().generation(), round as u64 + 2);
    }
    assert!(!path.join("generations/1").exists() && !path.join("generations/2").exists());
    assert!(path.join("generations/3").exists() && path.join("generations/4").exists());
    assert_eq!(everything(&reader, &encoder), before);
}

fn walk(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

#[cfg(unix)]
fn links_between(index: &Path, one: u64, other: u64) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inodes = |generation: u64| -> Vec<u64> {
        let files = walk(&index.join(format!("generations/{generation}/lexical")));
        files.iter().map(|(path, _)| std::fs::metadata(path).unwrap().ino()).collect()
    };
    let others = inodes(other);
    inodes(one).iter().filter(|inode| others.contains(inode)).count()
}

#[cfg(unix)]
#[test]
fn a_small_change_shares_the_base_and_a_large_one_replaces_it() {
    use std::os::unix::fs::MetadataExt;
    let encoder = FakeEncoder::new();
    let settings = BuildSettings { exact_below: 100, neighbour_threads: 1 };
    let directory = directory();
    let mut all = articles(200);
    let mut update = |num_changed: usize, num_kept: usize| {
        all.truncate(num_kept);
        all.iter_mut().take(num_changed).for_each(|article| article.body.push_str(" Changed."));
        let report = build_with(directory.path(), full("file:kb", all.clone()), &encoder, &settings, &()).unwrap();
        let directory = directory.path().join(format!("generations/{}", report.generation));
        let files = ["base.articles", "base.vectors", "base.sentences", "base.graph"].map(|file| directory.join(file));
        files.map(|file| std::fs::metadata(file).ok().map(|metadata| metadata.ino()))
    };
    let first = update(0, 200);
    assert!(first.iter().all(Option::is_some));
    // Ten changed articles are ten dead rows and ten in the delta, one in ten of the base.
    assert_eq!(update(10, 200), first);
    // The same ten again: their rows in the base are dead already and their rows in the delta are replaced.
    assert_eq!(update(10, 200), first);
    let second = update(11, 200);
    assert!(first.iter().zip(&second).all(|(first, second)| second.is_some() && first != second));
    // Below the threshold there is no graph.
    assert_eq!(update(0, 99)[3], None);
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(nearest(&index, &encoder, "Title 5 Body of number 5 word5 Changed Changed Changed", 1), ["a0005"]);
}

#[test]
fn what_changes_while_a_base_is_made_anew_is_not_lost() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let settings = BuildSettings { exact_below: 100, neighbour_threads: 1 };
    let mut all = articles(150);
    let scanned = BuildSettings { exact_below: usize::MAX, ..settings.clone() };
    build_with(directory.path(), full("file:kb", all.clone()), &encoder, &scanned, &()).unwrap();
    let index = Arc::new(Index::open(directory.path(), None).unwrap());
    let rebase = Rebase::prepare(&index, &settings, &()).unwrap().expect("it is due");
    // Meanwhile one article changes, one goes, one comes, and one is held by another source, too.
    all[3].body = "Giraffes are here now.".into();
    let shared = all[9].clone();
    all.remove(20);
    all.push(article("z", "Zebra", "Stripes."));
    build_with(directory.path(), full("file:kb", all.clone()), &encoder, &scanned, &()).unwrap();
    build_with(directory.path(), full("cxone:a", vec![shared]), &encoder, &scanned, &()).unwrap();
    rebase.publish(directory.path(), &()).unwrap();
    let index = Arc::new(Index::open(directory.path(), None).unwrap());
    assert!(index.articles().map(AsRef::as_ref).eq(sorted(&all).iter()));
    assert_eq!(nearest(&index, &encoder, "Zebra Stripes", 1), ["z"]);
    assert_eq!(nearest(&index, &encoder, "giraffes are here", 1), ["a0003"]);
    assert_eq!([lexical(&index, "giraffe", 9), lexical(&index, "stripes", 9)], [["a0003"], ["z"]]);
    assert_eq!(index.sources(9).collect::<Vec<_>>(), ["cxone:a", "file:kb"]);
    let giraffes = CodedEmbedding::of(&encoder.vector("Giraffes are here now."), &index).unwrap();
    assert!(index.sentence_closeness(3, &giraffes) > 0.98);
    let fifth = CodedEmbedding::of(&encoder.vector("Body of number 5, word5."), &index).unwrap();
    assert!(index.sentence_closeness(5, &fifth) > 0.98);
    assert!(Rebase::prepare(&index, &settings, &()).unwrap().is_none(), "it is new");
}

#[test]
fn a_base_that_is_due_is_made_anew_beside_the_handle_that_serves() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let scanned = BuildSettings { exact_below: usize::MAX, neighbour_threads: 1 };
    build_with(directory.path(), full("file:kb", articles(150)), &encoder, &scanned, &()).unwrap();
    let handle = Arc::new(IndexHandle::open(directory.path(), None).unwrap());
    handle.rebase_in_background(BuildSettings { exact_below: 100, neighbour_threads: 1 });
    let started = Instant::now();
    while handle.current().generation() == 1 {
        assert!(started.elapsed() < Duration::from_mins(1), "the base was not made anew");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(directory.path().join("generations/2/base.graph").exists());
    assert_eq!(nearest(&handle.current(), &encoder, "Title 5 Body of number 5 word5", 1), ["a0005"]);
}

#[test]
fn a_base_that_another_writer_made_meanwhile_stays() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let settings = BuildSettings { exact_below: 100, neighbour_threads: 1 };
    let scanned = BuildSettings { exact_below: usize::MAX, ..settings.clone() };
    build_with(directory.path(), full("file:kb", articles(150)), &encoder, &scanned, &()).unwrap();
    let index = Arc::new(Index::open(directory.path(), None).unwrap());
    let [first, second] = [(); 2].map(|()| Rebase::prepare(&index, &settings, &()).unwrap().unwrap());
    assert_eq!([first.publish(directory.path(), &()).unwrap(), second.publish(directory.path(), &()).unwrap()], [2, 2]);
    assert_eq!(Index::open(directory.path(), None).unwrap().generation(), 2);
}

fn sorted(articles: &[Article]) -> Vec<Article> {
    let mut articles = articles.to_vec();
    articles.sort_by(|a, b| a.id.cmp(&b.id));
    articles
}

#[test]
fn an_interrupted_build_leaves_the_index_and_goes_on_where_it_stopped() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    build(directory.path(), full("file:kb", articles(3)), &encoder, &()).unwrap();
    encoder.asked();
    encoder.fails_after.store(640, Ordering::Relaxed);
    let error = build(directory.path(), full("file:kb", articles(1_000)), &encoder, &()).unwrap_err();
    assert_eq!(error.to_string(), "the encoder failed: out of torch");
    assert_eq!(Index::open(directory.path(), None).unwrap().len(), 3);
    encoder.fails_after.store(usize::MAX, Ordering::Relaxed);
    assert_eq!(encoder.asked().len(), 640);
    let report = build(directory.path(), full("file:kb", articles(1_000)), &encoder, &()).unwrap();
    assert_eq!((report.embedded, report.articles), (357, 1_000));
}

#[test]
fn another_model_embeds_everything_anew_and_the_way_back_costs_nothing() {
    let (directory, one) = (directory(), FakeEncoder::new());
    let other = FakeEncoder::other("fake-2", 32);
    build(directory.path(), full("file:kb", articles(10)), &one, &()).unwrap();
    build(directory.path(), full("file:more", vec![article("m", "More", "Text")]), &one, &()).unwrap();
    let report = build(directory.path(), full("file:kb", articles(10)), &other, &()).unwrap();
    assert_eq!((report.articles, report.embedded, report.published), (11, 11, true));
    assert!(report.started_afresh.unwrap().contains("fake-1"));
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!((index.manifest().model.as_str(), index.manifest().dimensions), ("fake-2", 32));
    assert_eq!(nearest(&index, &other, "Title 3 Body of number 3 word3", 1), ["a0003"]);
    let report = build(directory.path(), full("file:kb", articles(10)), &one, &()).unwrap();
    assert_eq!((report.articles, report.embedded), (11, 0));
}

#[test]
fn wrong_answers_of_the_encoder_stop_the_build() {
    use cuecard_knowledge::TextEncoder;
    struct Wrong(Vec<Vec<f32>>);
    impl TextEncoder for Wrong {
        fn model(&self) -> &'static str {
            "wrong"
        }
        fn dimensions(&self) -> usize {
            2
        }
        fn chunks(&self, text: &str) -> Vec<std::ops::Range<usize>> {
            std::iter::once(0..text.len()).collect()
        }
        fn embed(&self, _: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.0.clone())
        }
    }
    for (answer, what) in [
        (vec![], "0 vectors for 1 texts"),
        (vec![vec![1.0]], "a vector of 1 dimensions instead of 2"),
        (vec![vec![3.0, 4.0]], "a vector of length 5 instead of 1"),
        (vec![vec![f32::NAN, 0.0]], "a vector of length NaN instead of 1"),
    ] {
        let directory = directory();
        let error = build(directory.path(), full("file:kb", articles(1)), &Wrong(answer), &()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("the encoder wrong gave {what}; ")), "{error}");
        assert!(matches!(Index::open(directory.path(), None), Err(IndexError::NoIndex { .. })));
    }
}

#[derive(Default)]
struct Seen {
    phases: Mutex<Vec<BuildPhase>>,
    done: Mutex<Vec<(usize, usize)>>,
}

impl BuildProgress for Seen {
    fn phase(&self, phase: BuildPhase) {
        self.phases.lock().unwrap().push(phase);
    }

    fn done(&self, done: usize, total: usize) {
        self.done.lock().unwrap().push((done, total));
    }
}

#[test]
fn progress_goes_from_nothing_to_all_through_the_phases() {
    use BuildPhase::{Comparing, Cutting, Embedding, Lexical, Neighbours, Publishing, Sentences, Titles, Vectors};
    let (directory, encoder, seen) = (directory(), FakeEncoder::new(), Seen::default());
    let settings = BuildSettings { exact_below: 100, neighbour_threads: 2 };
    build_with(directory.path(), full("file:kb", articles(150)), &encoder, &settings, &seen).unwrap();
    let writing = [Lexical, Vectors, Publishing];
    let phases = [&[Comparing, Cutting, Embedding, Sentences, Titles][..], &writing, &[Neighbours], &writing].concat();
    assert_eq!(seen.phases.into_inner().unwrap(), phases);
    let cut = (1..=150).map(|done| (done, 150));
    let embedded = [(0, 150), (64, 150), (128, 150), (150, 150)].repeat(3);
    assert_eq!(seen.done.into_inner().unwrap(), cut.chain(embedded).collect::<Vec<_>>());
}

#[test]
fn any_text_is_a_bag_of_words_and_ties_come_in_the_order_of_the_ids() {
    let (directory, encoder) = (directory(), FakeEncoder::new());
    let mut same: Vec<Article> =
        (0..300).map(|n| article(&format!("{n:03}"), "Opening hours", "We open at nine.")).collect();
    build(directory.path(), full("file:kb", same.clone()), &encoder, &()).unwrap();
    // An article that changed lies behind all others, in the lexical index and in the delta of the vectors.
    same[1].url = Some("https://example.com/hours".into());
    build(directory.path(), full("file:kb", same), &encoder, &()).unwrap();
    let index = Index::open(directory.path(), None).unwrap();
    assert_eq!(lexical(&index, "open", 3), ["000", "001", "002"]);
    assert_eq!(nearest(&index, &encoder, "open", 3), ["000", "001", "002"]);
    for text in ["title:open AND (", "\"hours", "+open -nine ~2^", "open OR *:*", "/[/", "\u{0}open\u{fffd}"] {
        let hits = index.lexical(text, 2, &ALL);
        assert!(hits.len() <= 2 && hits.iter().all(|hit| hit.bm25 > 0.0), "{text}");
    }
    for nothing in ["", "  ?! ", "zzz"] {
        assert!(index.lexical(nothing, 5, &ALL).is_empty(), "{nothing}");
    }
    assert!(index.lexical("open", 0, &ALL).is_empty());
    assert_eq!(index.lexical(&"open hours at nine ".repeat(5_000), usize::MAX, &ALL).len(), 300);
}
