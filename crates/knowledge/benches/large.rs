//! An index of many articles: where the time of a build goes beside the encoder's, how soon it is open, and how soon one
//! changed article can be found.
//!
//! The vector of a text is the sum of its words' own random ones: it costs microseconds, and texts with words in common
//! are near each other. All else is as in the program.
//!
//! `cargo bench --profile release -p cuecard-knowledge --bench large -- ARTICLES [DIRECTORY]`; with a directory the index
//! in it is kept, and brought up to date the next time.

mod drawn;

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cuecard_knowledge::{
    Article, ArticleFilter, BuildPhase, BuildProgress, BuildSettings, Completeness, IndexHandle, Update, build_with,
    read_articles,
};
use drawn::{DIMENSIONS, Drawn, direction, unit};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Openings and changes, of which each is said.
const TIMES: usize = 3;

/// Shorter words are in every text and tell none from another.
const SHORTEST_WORD: usize = 4;

/// When each phase began.
#[derive(Default)]
struct Phases(Mutex<Vec<(BuildPhase, Instant)>>);

impl BuildProgress for Phases {
    fn phase(&self, phase: BuildPhase) {
        if let Ok(mut phases) = self.0.lock() {
            phases.push((phase, Instant::now()));
        }
    }

    fn done(&self, _: usize, _: usize) {}
}

impl Phases {
    fn print(self) {
        let phases = self.0.into_inner().unwrap_or_default();
        let ends = phases.iter().skip(1).map(|(_, start)| *start).chain([Instant::now()]);
        for ((phase, start), end) in phases.iter().zip(ends) {
            row(&format!("{phase:?}"), &[end - *start]);
        }
    }
}

fn row(what: &str, times: &[Duration]) {
    let times: Vec<_> = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
    println!("| {what} | {} |", times.join(", "));
}

fn timed<T>(work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<(T, Duration), Box<dyn Error>> {
    let start = Instant::now();
    work().map(|made| (made, start.elapsed()))
}

/// The sum of the vectors of a text's words, each drawn from the word's hash.
fn of_words(text: &str) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSIONS];
    let words = text.split(|character: char| !character.is_alphanumeric());
    for word in words.filter(|word| word.len() >= SHORTEST_WORD) {
        let random = StdRng::from_seed(*blake3::hash(word.to_lowercase().as_bytes()).as_bytes());
        sum.iter_mut().zip(direction(random)).for_each(|(sum, value)| *sum += value);
    }
    // A text without a word has a direction, too.
    sum[0] += 0.001;
    unit(sum)
}

fn update(articles: Vec<Article>, completeness: Completeness) -> Update {
    Update { source: "bench".into(), articles, completeness }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let temporary = tempfile::tempdir()?;
    let (articles, directory) = match arguments.as_slice() {
        [_, articles] => (articles, temporary.path()),
        [_, articles, directory] => (articles, Path::new(directory)),
        _ => return Err("give ARTICLES [DIRECTORY]".into()),
    };
    let articles = read_articles(Path::new(articles))?.articles;
    let changed = articles[articles.len() / 2].clone();
    println!("{} articles\n<!-- large -->\n| | seconds |\n|---|---|", articles.len());
    let scanned = BuildSettings { exact_below: usize::MAX, ..BuildSettings::default() };
    bring_up_to_date("built", directory, update(articles, Completeness::Full), &scanned)?;
    open_and_change("without a graph", directory, &changed)?;
    let nothing = update(Vec::new(), Completeness::Partial);
    bring_up_to_date("the graph", directory, nothing, &BuildSettings::default())?;
    open_and_change("with the graph", directory, &changed)
}

fn bring_up_to_date(
    what: &str,
    directory: &Path,
    update: Update,
    settings: &BuildSettings,
) -> Result<(), Box<dyn Error>> {
    let phases = Phases::default();
    let (report, time) = timed(|| Ok(build_with(directory, update, &Drawn(of_words), settings, &phases)?))?;
    row(&format!("{what}: {} passages", report.chunks), &[time]);
    phases.print();
    Ok(())
}

fn open_and_change(what: &str, directory: &Path, article: &Article) -> Result<(), Box<dyn Error>> {
    let open = || timed(|| Ok(IndexHandle::open(directory, None)?)).map(|(_, time)| time);
    row(&format!("opened {what}"), &(0..TIMES).map(|_| open()).collect::<Result<Vec<_>, _>>()?);
    let handle = IndexHandle::open(directory, None)?;
    let times: Result<Vec<_>, _> = (0..TIMES).map(|number| visible(&handle, number, article)).collect();
    row(&format!("one article changed and visible, {what}"), &times?);
    Ok(())
}

fn visible(handle: &IndexHandle, number: usize, article: &Article) -> Result<Duration, Box<dyn Error>> {
    let word = format!("zyzzyva{number}");
    let changed = Article { title: format!("{word} {}", article.title), ..article.clone() };
    let (index, time) = timed(|| {
        handle.update(update(vec![changed], Completeness::Partial), &Drawn(of_words))?;
        Ok(handle.current())
    })?;
    let found = index.lexical(&word, 1, &ArticleFilter::default());
    let is_found = found.first().is_some_and(|hit| index.article(hit.article).id == article.id);
    if is_found { Ok(time) } else { Err(format!("{word} is not found").into()) }
}
