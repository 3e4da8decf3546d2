//! What silence is judged by, with the real model and a real index.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use cuecard_engine::conversation::{FlushReason, Speaker, Turn, TurnWindow, Utterance};
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::knowledge::{Article, Completeness, IndexHandle, Update, build};
use cuecard_engine::ranking::{Formula, SilenceRule};
use cuecard_engine::{BulkEncoder, Candidates, Effort, Engine, Excerpt, Plan, SearchPool};
use tokio::time::Instant;

fn plan(silence: Option<SilenceRule>, window: usize, ranker: Formula) -> Arc<Plan> {
    Arc::new(Plan { window: TurnWindow::Last(window), silence, excerpt: Excerpt::Start, ..Plan::of_index(ranker) })
}

fn articles() -> Vec<Article> {
    [("parking", "Guests park in the garage below the hotel."), ("dogs", "Small dogs may stay in every room.")]
        .map(|(id, body)| Article { id: id.into(), title: id.into(), body: body.into(), ..Article::default() })
        .to_vec()
}

fn engine(directory: &std::path::Path) -> Engine {
    let encoder = Encoder::load(&EncoderSettings::default()).unwrap_or_else(|error| panic!("{error}"));
    let update = Update { source: "test".into(), articles: articles(), completeness: Completeness::Full };
    build(directory, update, &BulkEncoder::new(encoder.clone()), &()).unwrap();
    Engine::of_index(encoder, SearchPool::new(1).unwrap(), Arc::new(IndexHandle::open(directory, None).unwrap()))
}

fn nearest(found: &Candidates) -> Option<f32> {
    found.candidates.iter().filter_map(|candidate| candidate.scores.cosine).max_by(f32::total_cmp)
}

#[tokio::test]
async fn the_newest_turn_is_compared_with_what_is_nearest_to_it_and_only_where_silence_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path());
    let customer = |text: &str| Turn { speaker: Speaker::Customer, text: text.into() };
    let turns = vec![customer("Can I bring my dog?"), customer("Thank you, goodbye.")];
    let utterance = Utterance { turns, flushed: FlushReason::State };
    let find = async |silence, window, ranker| {
        let plan = plan(silence, window, ranker);
        let query = engine.extract(&utterance, &plan, Effort::Full).await;
        engine.retrieve(query, &plan, Instant::now() + plan.deadline).await
    };
    let judged = Some(SilenceRule::MinCosine(0.5));
    for ranker in [Formula::Cosine, Formula::Bm25] {
        assert_eq!(find(None, 2, ranker).await.nearness.passage, None, "{ranker}: nobody reads it");
    }
    let alone = find(judged, 1, Formula::Cosine).await;
    assert_eq!(alone.nearness.passage, nearest(&alone));
    let of_newest = alone.nearness.passage.unwrap();
    for ranker in [Formula::Cosine, Formula::Bm25] {
        let window = find(judged, 2, ranker).await;
        assert_eq!(window.nearness.passage, Some(of_newest), "{ranker}");
        assert!(nearest(&window).unwrap() > of_newest + 0.1, "{ranker}: the window asks, the newest turn does not");
    }
}
