//! What the record of a decision costs a question: `cargo bench --profile release --bench decision`.
//!
//! A question over the demo's articles, asked once; its record is then made as the stages make it on its way, and written
//! down as behind the tap.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use async_channel::Receiver;
use criterion::{Criterion, criterion_group, criterion_main};
use cuecard::service;
use cuecard::settings::Settings;
use cuecard_actors::decisions::{Decisions, Tapped};
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::engine::encoder::{Encoder, EncoderSettings};
use cuecard_actors::engine::knowledge::{Completeness, Update, build, read_articles};
use cuecard_actors::engine::{BulkEncoder, Effort};
use cuecard_actors::messages::{Ask, Decision, Outcome, ProfileName, Receipt, Stage, Ticket};
use cuecard_actors::telemetry::Metrics;
use cuecard_actors::tenant::Tenant;
use tempfile::TempDir;

const ARTICLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/articles.jsonl");
const QUESTION: &str = "My hub loses the connection every evening, and the light on it turns red. What can I do?";

/// A tenant of contract 001 that answers from this index, with the settings as shipped.
async fn tenant(index: &Path, metrics: &Metrics) -> Arc<Tenant> {
    let variables = [
        ("CXONE_CONTRACT", "insights"),
        ("CXONE_CLIENT_ID", "client"),
        ("CXONE_CLIENT_SECRET", "secret"),
        ("CXONE_BASE_URL", "https://tenant.example"),
        ("CUECARD_INDEX", index.to_str().unwrap()),
    ];
    let settings = Settings::load(None, variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    let tenants = service::load(&settings, metrics.clone(), true).await.unwrap();
    tenants.iter().next().unwrap()
}

fn recording(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let index = TempDir::new().unwrap();
    let encoder = BulkEncoder::new(Encoder::load(&EncoderSettings::default()).unwrap());
    let articles = read_articles(ARTICLES.as_ref()).unwrap().articles;
    let update = Update { source: "demo".to_owned(), articles, completeness: Completeness::Full };
    build(index.path(), update, &encoder, &()).unwrap();
    let metrics = Metrics::new(&[ProfileName::new("insights")], Vec::new()).unwrap();
    let tenant = runtime.block_on(tenant(index.path(), &metrics));
    let (decisions, tap) = Decisions::new(metrics);

    let utterance = Arc::new(Utterance::question(QUESTION));
    let answer = runtime.block_on(tenant.engine.answer(&utterance, &tenant.profile.plan)).unwrap();
    let (query, ranking) = (answer.query, Arc::new(answer.ranking));
    let item = tenant.question("call-1".parse().unwrap(), None, Ask::Cards(utterance));
    println!("{} candidates", ranking.order.ranked.len());

    // What the stages do to it between the flush and the end.
    let recorded = || {
        let mut ticket = Ticket::new(&item, Arc::clone(&tenant), decisions.clone(), None);
        ticket.note(|decision| decision.effort = Some(Effort::Full));
        ticket.leave(Stage::Admission);
        ticket.leave(Stage::Extract);
        ticket.note(|decision| decision.query = Some(Arc::clone(&query)));
        ticket.leave(Stage::Retrieve);
        ticket.note(|decision| decision.ranking = Some(Arc::clone(&ranking)));
        ticket.leave(Stage::Rank);
        let receipt = Receipt { cxone_id: None, count: 5, order: None, answer: "{}".into() };
        ticket.finish(Outcome::Delivered(receipt));
        taken(&tap)
    };
    criterion.bench_function("made along the way and handed to the tap", |bench| bench.iter(recorded));
    let decision = recorded();
    println!("{} bytes of JSON", serde_json::to_string(&decision).unwrap().len());
    criterion.bench_function("written down behind the tap", |bench| bench.iter(|| serde_json::to_string(&decision)));
}

fn taken(tap: &Receiver<Tapped>) -> Box<Decision> {
    let Ok(Tapped::Ended(decision)) = tap.try_recv() else { panic!("nothing ended") };
    decision
}

criterion_group!(benches, recording);
criterion_main!(benches);
