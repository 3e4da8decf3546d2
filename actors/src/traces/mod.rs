//! Traces: each question as one trace, a span for each stage, sent over OTLP to a collector where the settings name one.
//!
//! They are made of the decision when the question has ended, behind the tap, so that no question waits for them. The trace's
//! id is the decision's. Where the collector does not keep up, or is not there, spans are left out and counted; nothing else
//! notices.

mod export;
mod spans;

use std::time::Duration;

use async_channel::{Receiver, Sender};
use opentelemetry_proto::tonic::trace::v1::Span;
use rand::Rng;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use export::Exporter;
pub use export::TracesError;

use crate::messages::Decision;
use crate::telemetry::{DropReason, Metrics};

/// Traces that wait for the collector: some seconds of the busiest service.
const WAITING: usize = 2048;
/// A collector that answers needs no longer to take the last traces at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where traces go.
#[derive(Debug, Clone)]
pub struct TracesSettings {
    /// The collector, to whose address `/v1/traces` is added.
    pub endpoint: Url,
    /// Headers that it asks for, by name.
    pub headers: Vec<(String, SecretString)>,
    /// Of this share of the questions, 0 to 1.
    pub sample: f64,
}

/// Takes decisions and hands on what they come to.
pub struct Traces {
    waiting: Sender<Vec<Span>>,
    sample: f64,
    metrics: Metrics,
    exporting: JoinHandle<()>,
}

impl Traces {
    /// Sends to a collector from now on; must be called inside a tokio runtime.
    pub fn start(settings: &TracesSettings, metrics: Metrics) -> Result<Self, TracesError> {
        let (waiting, traces): (_, Receiver<Vec<Span>>) = async_channel::bounded(WAITING);
        let exporter = Exporter::new(settings, metrics.clone())?;
        let exporting = tokio::spawn(exporter.run(traces));
        Ok(Self { waiting, sample: settings.sample, metrics, exporting })
    }

    /// Hands a decision's trace on, unless it is none of the sample.
    pub fn add(&self, decision: &Decision) {
        if self.sample < 1.0 && !rand::rng().random_bool(self.sample) {
            return;
        }
        if self.waiting.try_send(spans::of(decision)).is_err() {
            self.metrics.count_dropped(DropReason::TraceNotExported, 1);
        }
    }

    /// Sends what still waits, for a moment.
    pub async fn close(self) {
        self.waiting.close();
        // What can't be sent by then is not worth a longer stop.
        let _ = timeout(LAST_WORDS, self.exporting).await;
    }
}
