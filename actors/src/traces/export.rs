//! Sends traces to a collector: OTLP over HTTP, as protobuf, many at once.
//!
//! What a collector does not take is not sent again: what happened stands in the log and in the decisions, too.

use std::time::Duration;

use async_channel::Receiver;
use cuecard_cxone::http::{ClientError, client_config};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::TracesSettings;
use super::spans::attribute;
use crate::telemetry::{DropReason, LogThrottle, Metrics};

/// How long a trace waits for others to go with it.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// Traces in one request at most: some hundred kilobytes.
const MOST_AT_ONCE: usize = 512;
/// A collector that takes longer is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(5);
const PATH: &str = "v1/traces";

/// Traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// What every client of this process needs is not there.
    #[error("no HTTP client for traces can be made: {0}")]
    Tls(#[from] ClientError),
    /// The client of the traces alone.
    #[error("no HTTP client for traces can be made: {0}")]
    Client(#[from] reqwest::Error),
    /// A header that can't be sent; nothing is said of its value.
    #[error("`traces.headers` holds a header `{name}` that HTTP does not allow")]
    Header {
        /// Its name.
        name: String,
    },
}

pub(super) struct Exporter {
    client: reqwest::Client,
    url: Url,
    resource: Resource,
    metrics: Metrics,
    failures: LogThrottle<()>,
}

impl Exporter {
    pub(super) fn new(settings: &TracesSettings, metrics: Metrics) -> Result<Self, TracesError> {
        let client = reqwest::Client::builder().tls_backend_preconfigured(client_config()?.as_ref().clone());
        // A collector stands beside the service; neither a proxy nor another host is asked.
        let client = client.timeout(TIMEOUT).redirect(Policy::none()).no_proxy().default_headers(headers(settings)?);
        let mut url = settings.endpoint.clone();
        url.set_path(&format!("{}/{PATH}", url.path().trim_end_matches('/')));
        Ok(Self { client: client.build()?, url, resource: resource(), metrics, failures: LogThrottle::default() })
    }

    /// Sends what comes until nothing more does.
    pub(super) async fn run(mut self, traces: Receiver<Vec<Span>>) {
        while let Ok(first) = traces.recv().await {
            let (mut spans, mut num_traces) = (first, 1);
            let until = Instant::now() + GATHERED_FOR;
            while num_traces < MOST_AT_ONCE {
                // Closed, or nothing more by then.
                let Ok(Ok(next)) = timeout_at(until, traces.recv()).await else { break };
                spans.extend(next);
                num_traces += 1;
            }
            if let Err(reason) = self.send(spans).await {
                self.tell(num_traces, &reason);
            }
        }
    }

    async fn send(&self, spans: Vec<Span>) -> Result<(), String> {
        let scope = InstrumentationScope { name: env!("CARGO_PKG_NAME").to_owned(), ..InstrumentationScope::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let body = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
        };
        let request = self.client.post(self.url.clone()).body(body.encode_to_vec());
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
    }

    /// Counts all, and says once a minute why.
    fn tell(&mut self, num_traces: usize, reason: &str) {
        self.metrics.count_dropped(DropReason::TraceNotExported, num_traces as u64);
        if let Some(held_back) = self.failures.passes((), Instant::now()) {
            let collector = self.url.host_str();
            tracing::warn!(
                collector,
                reason,
                num_traces,
                held_back,
                "the collector takes no traces; they are left out"
            );
        }
    }
}

fn headers(settings: &TracesSettings) -> Result<HeaderMap, TracesError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for (name, value) in &settings.headers {
        let refused = || TracesError::Header { name: name.clone() };
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| refused())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
    }
    Ok(headers)
}

/// Who sends.
fn resource() -> Resource {
    let text = |name, value: &str| attribute(name, Value::StringValue(value.to_owned()));
    let attributes = vec![
        text("service.name", "cuecard"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        attribute("process.pid", Value::IntValue(i64::from(std::process::id()))),
    ];
    Resource { attributes, ..Resource::default() }
}
