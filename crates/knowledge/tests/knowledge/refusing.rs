//! Opening an index that isn't there, is damaged, or is another one; writers that die or meet; handles that refresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use crate::ALL;
use crate::fake_encoder::{DIMENSIONS, FakeEncoder};
use cuecard_knowledge::{
    Article, BuildPhase, BuildProgress, BuildSettings, Completeness, Index, IndexError, IndexHandle, ModelIdentity,
    Update, build, build_with, set_aside,
};
use tempfile::TempDir;

fn update(bodies: &[&str]) -> Update {
    let articles = bodies.iter().enumerate().map(|(n, body)| Article {
        id: n.to_string(),
        title: format!("Title {n}"),
        body: (*body).to_owned(),
        ..Article::default()
    });
    Update { source: "file:kb".into(), articles: articles.collect(), completeness: Completeness::Full }
}

/// What can be made again from the articles.
const VECTORS_AND_WORDS: &[&str] = &[
    "base.vectors",
    "base.sentences",
    "base.graph",
    "delta.vectors",
    "delta.sentences",
    "names.codes",
    "titles.codes",
    "lexical/meta.json",
];

/// What says which articles there are.
const ARTICLES: &[&str] = &["manifest.json", "base.articles", "delta.articles", "relations.json"];

/// An index with a graph, so that every kind of file is there: its first generation has none yet, its second does.
fn built() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let settings = BuildSettings { exact_below: 1, neighbour_threads: 1 };
    build_with(directory.path(), update(&["one", "two", "three"]), &FakeEncoder::new(), &settings, &()).unwrap();
    directory
}

/// Where the files of the generation in service are.
fn generation(directory: &TempDir) -> PathBuf {
    let current = fs::read_to_string(directory.path().join("CURRENT")).unwrap();
    directory.path().join("generations").join(current.split(' ').next().unwrap())
}

fn open(path: &Path) -> Result<Index, IndexError> {
    Index::open(path, Some(&ModelIdentity::of(&FakeEncoder::new())))
}

fn what_to_run(path: &Path) -> String {
    format!("`cuecard index --articles FILE --index {}`", path.display())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn no_index_says_what_to_run() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("nowhere")] {
        let error = open(&path).err().unwrap();
        assert!(matches!(error, IndexError::NoIndex { .. }));
        assert!(error.to_string().contains(&what_to_run(&path)), "{error}");
    }
}

#[test]
fn every_file_that_is_missing_cut_or_changed_is_refused_by_name() {
    let directory = built();
    let all = files(&generation(&directory));
    let names: Vec<String> = all.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in [VECTORS_AND_WORDS, ARTICLES].concat() {
        assert!(names.iter().any(|there| name.ends_with(there)), "{name} in {names:?}");
    }
    for (path, name) in all.iter().zip(&names) {
        let content = fs::read(path).unwrap();
        let mut changed = content.clone();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        let cut = &content[..content.len() / 2];
        for damaged in
            [None, Some(cut), Some(changed.as_slice())].into_iter().filter(|damaged| *damaged != Some(&content))
        {
            fs::remove_file(path).unwrap();
            if let Some(damaged) = damaged {
                fs::write(path, damaged).unwrap();
            }
            let error = open(directory.path()).err().unwrap_or_else(|| panic!("{name} was not missed"));
            assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(&what_to_run(directory.path())), "{text}");
            fs::write(path, &content).unwrap();
        }
    }
    open(directory.path()).unwrap();
}

/// The articles of every source are there, and the vectors are kept by their texts.
#[test]
fn damaged_vectors_and_words_are_made_again_and_cost_no_source_its_articles() {
    for file in VECTORS_AND_WORDS {
        for completeness in [Completeness::Full, Completeness::Partial] {
            let (sound, damaged) = (built(), built());
            let polled = || Update { source: "cxone:acme".into(), completeness, ..update(&["one", "new"]) };
            build(sound.path(), polled(), &FakeEncoder::new(), &()).unwrap();
            fs::write(generation(&damaged).join(file), "x").unwrap();
            let encoder = FakeEncoder::new();
            let report = build(damaged.path(), polled(), &encoder, &()).unwrap();
            assert!(report.started_afresh.unwrap().contains(file.rsplit('/').next().unwrap()));
            assert_eq!(encoder.asked(), ["Title 1\nnew", "new"], "{file}");
            let articles = |path| open(path).unwrap().articles().cloned().collect::<Vec<_>>();
            assert_eq!(articles(damaged.path()), articles(sound.path()), "{file} {completeness:?}");
        }
    }
}

#[test]
fn unreadable_articles_are_replaced_by_a_full_build_of_their_only_source() {
    for file in ARTICLES {
        let directory = built();
        fs::write(generation(&directory).join(file), "x").unwrap();
        let encoder = FakeEncoder::new();
        let partial = Update { completeness: Completeness::Partial, ..update(&["one", "new"]) };
        let error = build(directory.path(), partial, &encoder, &()).unwrap_err();
        assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
        let report = build(directory.path(), update(&["one", "new"]), &encoder, &()).unwrap();
        assert!(report.started_afresh.unwrap().contains(file.rsplit('/').next().unwrap()));
        assert_eq!(encoder.asked(), ["Title 1\nnew", "new"], "vectors that are kept are not made anew");
        assert_eq!(open(directory.path()).unwrap().len(), 2);
    }
    let directory = built();
    fs::write(generation(&directory).join("base.articles"), "x").unwrap();
    let polled = Update { source: "cxone:acme".into(), ..update(&["one"]) };
    let error = build(directory.path(), polled, &FakeEncoder::new(), &()).unwrap_err();
    assert!(matches!(error, IndexError::OthersLost { .. }) && error.to_string().contains("file:kb"), "{error}");
}

#[test]
fn another_model_or_length_is_refused_with_both_names() {
    let directory = built();
    for (model, dimensions) in [("fake-2", DIMENSIONS), ("fake-1", 384)] {
        let expected = ModelIdentity { model: model.into(), dimensions };
        let error = Index::open(directory.path(), Some(&expected)).err().unwrap();
        assert!(matches!(error, IndexError::OtherModel { .. }));
        let text = error.to_string();
        for part in ["fake-1", model, &dimensions.to_string(), &what_to_run(directory.path())] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    Index::open(directory.path(), None).unwrap();
}

#[test]
fn another_format_is_refused_and_built_anew() {
    let directory = built();
    let manifest = generation(&directory).join("manifest.json");
    // A later version may have renamed everything else.
    fs::write(&manifest, r#"{"format_version": 99, "is": "unlike"}"#).unwrap();
    let hash = blake3::hash(&fs::read(&manifest).unwrap()).to_hex();
    fs::write(directory.path().join("CURRENT"), format!("2 {hash}\n")).unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, IndexError::OtherFormat { found: 99, .. }), "{error}");
    assert!(error.to_string().contains(&what_to_run(directory.path())), "{error}");
    let report = build(directory.path(), update(&["one"]), &FakeEncoder::new(), &()).unwrap();
    assert!(report.started_afresh.unwrap().contains("99"));
    assert_eq!(open(directory.path()).unwrap().len(), 1);
}

#[test]
fn debris_of_a_writer_that_died_is_ignored_and_removed_by_the_next() {
    let directory = built();
    let debris = directory.path().join("generations/3/lexical");
    fs::create_dir_all(&debris).unwrap();
    fs::write(debris.join("half.idx"), "half").unwrap();
    assert_eq!(open(directory.path()).unwrap().generation(), 2);
    // Even a build that changes nothing cleans up.
    let encoder = FakeEncoder::new();
    assert!(!build(directory.path(), update(&["one", "two", "three"]), &encoder, &()).unwrap().published);
    assert!(!debris.exists() && generation(&directory).exists());
    fs::create_dir_all(&debris).unwrap();
    assert_eq!(build(directory.path(), update(&["one", "two"]), &encoder, &()).unwrap().generation, 3);
    assert_eq!(open(directory.path()).unwrap().len(), 2);
}

#[test]
fn debris_of_a_first_build_is_no_index() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("generations/1/lexical")).unwrap();
    assert!(matches!(open(directory.path()).err().unwrap(), IndexError::NoIndex { .. }));
    let report = build(directory.path(), update(&["one"]), &FakeEncoder::new(), &()).unwrap();
    assert_eq!((report.generation, report.started_afresh), (1, None));
}

/// Stops in the middle of a build until told to go on.
struct Gate {
    reached: mpsc::SyncSender<()>,
    go_on: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl BuildProgress for Gate {
    fn phase(&self, phase: BuildPhase) {
        if phase == BuildPhase::Vectors {
            self.reached.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
    }

    fn done(&self, _: usize, _: usize) {}
}

#[test]
fn a_second_writer_is_turned_away_while_readers_and_then_it_come_in() {
    let directory = built();
    let (reached, at_gate) = mpsc::sync_channel(0);
    let (open_gate, go_on) = mpsc::channel();
    let gate = Gate { reached, go_on: std::sync::Mutex::new(go_on) };
    let encoder = FakeEncoder::new();
    thread::scope(|scope| {
        let first = scope.spawn(|| build(directory.path(), update(&["one", "changed"]), &encoder, &gate).unwrap());
        at_gate.recv().unwrap();
        let error = build(directory.path(), update(&["other"]), &FakeEncoder::new(), &()).unwrap_err();
        assert!(matches!(error, IndexError::Locked { .. }));
        assert!(error.to_string().contains(&directory.path().join("lock").display().to_string()), "{error}");
        assert_eq!(open(directory.path()).unwrap().generation(), 2);
        open_gate.send(()).unwrap();
        assert_eq!(first.join().unwrap().generation, 3);
    });
    assert_eq!(build(directory.path(), update(&["other"]), &encoder, &()).unwrap().generation, 4);
}

#[test]
fn a_handle_sees_a_new_generation_and_keeps_the_old_one_before_a_damaged_one() {
    let directory = built();
    let encoder = FakeEncoder::new();
    let handle = IndexHandle::open(directory.path(), Some(ModelIdentity::of(&encoder))).unwrap();
    let held = handle.current();
    let first = held.generation();
    assert!(!handle.refresh().unwrap());
    build(directory.path(), update(&["one", "new", "three"]), &encoder, &()).unwrap();
    assert_eq!(handle.current().generation(), first);
    assert!(handle.refresh().unwrap());
    assert!(!handle.refresh().unwrap());
    assert_eq!((handle.current().generation(), held.generation()), (first + 1, first));
    assert_eq!(handle.current().nearest(&encoder.vector("Title 1 new"), 1, &ALL)[0].article, 1);
    assert_eq!(held.nearest(&encoder.vector("Title 1 two"), 1, &ALL)[0].article, 1);

    build(directory.path(), update(&["one", "newer", "three"]), &encoder, &()).unwrap();
    let relations = generation(&directory).join("relations.json");
    let content = fs::read(&relations).unwrap();
    fs::write(&relations, &content[1..]).unwrap();
    assert!(matches!(handle.refresh().unwrap_err(), IndexError::Damaged { .. }));
    assert_eq!(handle.current().generation(), first + 1);
    fs::write(&relations, &content).unwrap();
    assert!(handle.refresh().unwrap());

    build(directory.path(), update(&["one"]), &FakeEncoder::other("fake-2", 8), &()).unwrap();
    assert!(matches!(handle.refresh().unwrap_err(), IndexError::OtherModel { .. }));
    assert_eq!(handle.current().generation(), first + 2);
    fs::remove_file(directory.path().join("CURRENT")).unwrap();
    assert!(matches!(handle.refresh().unwrap_err(), IndexError::NoIndex { .. }));
    assert_eq!(handle.current().generation(), first + 2);
}

/// What holds the opening back is a pipe in the place of the manifest, which gives nothing until that is written into it.
#[cfg(unix)]
#[test]
fn a_slow_opening_never_puts_an_older_generation_over_a_newer_one() {
    use std::io::Write;
    let (directory, encoder) = (built(), FakeEncoder::new());
    let (path, current) = (directory.path(), directory.path().join("CURRENT"));
    let handle = IndexHandle::open(path, None).unwrap();
    build(path, update(&["one", "two"]), &encoder, &()).unwrap();
    let (second, manifest) = (fs::read(&current).unwrap(), generation(&directory).join("manifest.json"));
    build(path, update(&["one"]), &encoder, &()).unwrap();
    let third = fs::read(&current).unwrap();
    let newest = Index::open(path, None).unwrap().generation();
    let content = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    fs::write(&current, second).unwrap();
    thread::scope(|scope| {
        let slow = scope.spawn(|| handle.refresh().unwrap());
        // Opens as soon as the other end does.
        let mut pipe = fs::OpenOptions::new().write(true).open(&manifest).unwrap();
        fs::write(&current, third).unwrap();
        assert!(handle.refresh().unwrap());
        assert_eq!(handle.current().generation(), newest);
        pipe.write_all(&content).unwrap();
        drop(pipe);
        slow.join().unwrap();
    });
    assert_eq!(handle.current().generation(), newest);
    // An index that was made anew begins at 1 again, and is the newer one all the same.
    fs::remove_dir_all(path.join("generations")).unwrap();
    fs::remove_file(&current).unwrap();
    build(path, update(&["new"]), &encoder, &()).unwrap();
    assert!(handle.refresh().unwrap());
    assert_eq!((handle.current().generation(), handle.current().len()), (1, 1));
}

#[test]
fn readers_that_open_while_generations_come_and_go_see_a_whole_one() {
    let directory = built();
    let encoder = FakeEncoder::new();
    let first = open(directory.path()).unwrap().generation();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..25 {
                let body = format!("round {round}");
                build(directory.path(), update(&["one", &body, "three"]), &encoder, &()).unwrap();
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let index = open(directory.path()).unwrap();
            assert!(index.generation() >= last);
            last = index.generation();
            assert_eq!(index.lexical("title", 9, &ALL).len(), 3);
        }
        writer.join().unwrap();
    });
    assert_eq!(open(directory.path()).unwrap().generation(), first + 25);
}

#[cfg(unix)]
#[test]
fn opening_writes_nothing_into_a_generation() {
    use std::os::unix::fs::MetadataExt;
    let directory = built();
    let state = || {
        let mut state: Vec<_> = files(directory.path())
            .into_iter()
            .map(|path| {
                let metadata = fs::metadata(&path).unwrap();
                (path, metadata.ino(), metadata.len(), metadata.mtime_nsec())
            })
            .collect();
        state.sort();
        state
    };
    let before = state();
    open(directory.path()).unwrap().lexical("one", 1, &ALL);
    assert_eq!(state(), before);
}

#[test]
fn a_damaged_index_that_is_set_aside_stays_as_it_was_and_another_one_begins() {
    let directory = built();
    fs::write(generation(&directory).join("base.articles"), "x").unwrap();
    let before: Vec<_> =
        files(&directory.path().join("generations")).into_iter().map(|path| fs::read(path).unwrap()).collect();
    let aside = set_aside(directory.path()).unwrap();
    assert!(aside.starts_with(directory.path()) && aside.to_string_lossy().contains("damaged-"), "{aside:?}");
    assert!(matches!(open(directory.path()).err().unwrap(), IndexError::NoIndex { .. }));
    let encoder = FakeEncoder::new();
    build(directory.path(), update(&["one", "two", "new"]), &encoder, &()).unwrap();
    assert_eq!(encoder.asked(), ["Title 2\nnew", "new"], "what was embedded once is still there");
    assert_eq!(open(directory.path()).unwrap().len(), 3);
    let after: Vec<_> = files(&aside.join("generations")).into_iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(after == before && !after.is_empty(), "it must be kept as it was");
    assert!(matches!(open(&aside).err().unwrap(), IndexError::Damaged { .. }), "with what named it");
}

#[test]
fn an_index_that_somebody_writes_is_not_set_aside() {
    let directory = built();
    let lock = fs::File::open(directory.path().join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(set_aside(directory.path()).unwrap_err(), IndexError::Locked { .. }));
    open(directory.path()).unwrap();
}
