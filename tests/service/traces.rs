//! Traces as a collector receives them: OTLP over HTTP, read by the published protobuf types.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::support::{Door, LOOK, PATIENCE, Service, say, simulator, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// A collector that keeps what it is sent, or refuses it.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    keys: Arc<Mutex<Vec<String>>>,
    refuses: bool,
}

impl Collector {
    /// Serves at a free port; must be called on an arbiter.
    fn serve(&self) -> (SocketAddr, ServerHandle) {
        let collector = web::Data::new(self.clone());
        let server =
            HttpServer::new(move || App::new().app_data(collector.clone()).route("/v1/traces", web::post().to(take)));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        (addr, handle)
    }

    async fn until(&self, num_spans: usize) -> Vec<Span> {
        let waiting = async {
            while self.spans.lock().unwrap().len() < num_spans {
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        let spans = self.spans.lock().unwrap().clone();
        assert!(in_time, "{spans:#?}");
        spans
    }
}

async fn take(collector: web::Data<Collector>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if collector.refuses || header("content-type") != "application/x-protobuf" {
        return HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE).finish();
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body.as_ref()) else {
        return HttpResponse::BadRequest().finish();
    };
    collector.keys.lock().unwrap().push(header("x-collector-key").to_owned());
    let spans = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans).flat_map(|spans| spans.spans);
    collector.spans.lock().unwrap().extend(spans);
    HttpResponse::Ok().finish()
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()
}

#[actix_rt::test]
async fn a_collector_receives_one_trace_for_each_question_by_the_id_of_its_decision() {
    let collector = Collector::default();
    let (addr, handle) = collector.serve();
    let endpoint = format!("http://{addr}");
    let simulator = simulator();
    let service = Service::start(
        &simulator,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=opensesame")],
    )
    .await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    // The question, what waited for the end of its turn, and five stages.
    let spans = collector.until(7).await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["question", "buffer", "admission", "extract", "retrieve", "rank", "inject"]);
    let delivery = service.admin.get("/deliveries?limit=1").await.json()["deliveries"][0].clone();
    let id = delivery["id"].as_str().unwrap();
    let hex = hex::encode(&spans[0].trace_id);
    assert_eq!(hex, id.replace('-', ""), "whoever has the one finds the other");
    assert_eq!(attribute(&spans[0], "cuecard.decision"), Some(&Value::StringValue(id.to_owned())));
    assert_eq!(attribute(&spans[0], "cuecard.outcome"), Some(&Value::StringValue("delivered".to_owned())));
    let explained = service.admin.get(&format!("/explain/{id}")).await;
    assert_eq!((explained.status, &explained.json()["id"]), (200, &json!(id)));
    // As the decision has it, to the microsecond.
    let took_ms = |span: &Span| (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e6;
    for (span, stage) in spans[2..].iter().zip(delivery["stages"].as_array().unwrap()) {
        assert_eq!(span.name, stage["stage"].as_str().unwrap());
        assert!((took_ms(span) - stage["took_ms"].as_f64().unwrap()).abs() < 0.002, "{span:?} {stage}");
    }
    assert!((took_ms(&spans[0]) - delivery["latency_ms"].as_f64().unwrap()).abs() < 0.002, "{delivery}");
    assert!(!format!("{spans:?}").contains("dog"), "no word of the conversation");
    assert_eq!(*collector.keys.lock().unwrap(), ["opensesame"]);
    service.finish(&simulator).await;
    handle.stop(false).await;
}

/// A port on which nobody listens, and a collector that answers nothing but 503.
#[actix_rt::test]
async fn a_collector_that_is_down_is_counted_and_not_noticed() {
    let nobody = Door::shut();
    let (addr, handle) = Collector { refuses: true, ..Collector::default() }.serve();
    for endpoint in [format!("http://{}", nobody.addr()), format!("http://{addr}")] {
        let simulator = simulator();
        let service = Service::start(&simulator, &[("CUECARD__TRACES__ENDPOINT", &endpoint)]).await;
        for call in ["call-1", "call-2"] {
            say(&simulator, call, DOG).await;
        }
        assert_eq!(until_shown(&simulator, 2).await.len(), 2);
        let not_exported = [("actor", "traces"), ("reason", "not_exported")];
        service
            .admin
            .until("both are counted", |metrics| metrics.sum("cuecard_dropped_total", &not_exported) == 2.0)
            .await;
        assert_eq!(service.admin.get("/readyz").await.json()["status"], "ready");
        service.finish(&simulator).await;
    }
    handle.stop(false).await;
}
