//! What BM25's word statistics are worth: the hybrid of `snippets-words` with the statistics of its 20 candidates, and
//! with those of all articles.
//!
//! Run: `cargo run --release -p cuecard-engine --example bm25_statistics -- INDEX CONVERSATIONS`

use std::error::Error;
use std::path::Path;

use cuecard_engine::conversation::{TurnWindow, WindowLimits};
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::evaluation::{Judged, Report, read_conversations};
use cuecard_engine::knowledge::{ArticleFilter, Index};
use cuecard_engine::ranking::{Okapi, words};

const CANDIDATES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, index, conversations] = arguments.as_slice() else { return Err("give INDEX and CONVERSATIONS".into()) };
    let encoder = Encoder::load(&EncoderSettings::default())?;
    let index = Index::open(Path::new(index), None)?;
    let texts: Vec<String> = index.articles().map(|article| article.text()).collect();
    let all = Okapi::new(texts.iter().map(String::as_str));
    let conversations = read_conversations(Path::new(conversations))?;
    for window in [TurnWindow::Last(1), TurnWindow::Last(3)] {
        let (mut of_candidates, mut of_all) = (Vec::new(), Vec::new());
        for conversation in &conversations {
            let Some(utterance) = conversation.utterance(&WindowLimits::default()) else { continue };
            let text = utterance.window_text(window);
            let query: Vec<String> = words(text.verbatim()).collect();
            let embedding = encoder.encode_blocking(text.verbatim())?.embedding;
            let hits = index.nearest(&embedding, CANDIDATES, &ArticleFilter::default());
            let candidates = Okapi::new(hits.iter().map(|hit| texts[hit.article].as_str())).scores(&query);
            let everywhere = all.scores(&query);
            let everywhere: Vec<f64> = hits.iter().map(|hit| everywhere[hit.article]).collect();
            for (bm25, judged) in [(candidates, &mut of_candidates), (everywhere, &mut of_all)] {
                let best = bm25.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
                let score = |position: usize| 0.6 * f64::from(hits[position].cosine) + 0.4 * bm25[position] / best;
                let mut order: Vec<usize> = (0..hits.len()).collect();
                order.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
                let is_right = |position: &usize| conversation.is_right(&index.article(hits[*position].article).id);
                let right_at = order.iter().position(is_right).map(|rank| rank + 1);
                judged.push(Judged {
                    right_at,
                    shown: false,
                    first_card_right: false,
                    took: std::time::Duration::ZERO,
                });
            }
        }
        for (name, judged) in [("20 candidates", of_candidates), ("all articles", of_all)] {
            let report = Report::new(&judged, &[]);
            let (mrr, first, five) = (report.mrr_at_5, report.recall_at_1, report.recall_at_5);
            println!("window {window}, statistics of {name:<13}: MRR@5 {mrr:.4}  R@1 {first:.4}  R@5 {five:.4}");
        }
    }
    Ok(())
}
