//! What people and programs send to the two ports: whole requests, answered by the ports' own routes.
//!
//! A port is opened once for each thread, on an empty ledger of its own. Behind the API nobody works: every question that was
//! let in is let go.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::{System, SystemRunner};
use actix_web::App;
use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::ServiceConfig;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use cuecard::access::{Access, AccessInForce, Guard};
use cuecard::admin::AdminState;
use cuecard::api::Api;
use cuecard::reload::Reloader;
use cuecard::service::{Controls, load};
use cuecard::settings::Settings;
use cuecard_actors::admission::{Admission, AdmissionSettings, LoadShedding};
use cuecard_actors::decisions::{DecisionRecords, Decisions, RecentDecisions, Shadows};
use cuecard_actors::ledger::{Durability, Ledger, LedgerOptions};
use cuecard_actors::messages::Outcome;
use cuecard_actors::telemetry::{Metrics, Port};
use cuecard_actors::tenant::{ArticleMarks, Tenants};
use futures_util::StreamExt;
use serde_json::Value;
use tempfile::TempDir;

/// A profile of each contract that is asked over HTTP.
const PROFILES: &str = concat!(
    "[encoder]\nthreads=1\n[profile]\nclient_id='client'\nclient_secret='opensesame'\nbase_url='https://tenant.example'\n",
    "[profiles.rag]\ncontract='rag'\nsync='on'\n",
    "[profiles.graph]\ncontract='graph'\ngraph='",
    env!("CARGO_MANIFEST_DIR"),
    "/seeds/graph_file/whole'\n[profiles.ranking]\ncontract='ranking'\noauth_url='https://tenant.example/token'\n"
);
/// More than the one question that there is at a time.
const AT_ONCE: usize = 9;

/// An open port.
type Asked = Box<dyn Fn(&[u8])>;

thread_local! {
    static API: Asked = opened(api);
    static ADMIN: Asked = opened(admin);
}

/// A request to the API, the method and the address in its first line, then its body: it is answered, and whatever is wrong
/// is said.
pub fn api_requests(input: &[u8]) {
    API.with(|port| port(input));
}

/// The same to the admin port, of a service that is loaded and has no profiles.
pub fn admin_requests(input: &[u8]) {
    ADMIN.with(|port| port(input));
}

/// A port with these routes, made from the settings and a directory for its ledger.
fn opened<R: Fn(&mut ServiceConfig)>(routes: impl AsyncFnOnce(&Settings, &Path) -> anyhow::Result<R>) -> Asked {
    let open = || {
        let data = TempDir::new()?;
        let file = data.path().join("cuecard.toml");
        std::fs::write(&file, PROFILES)?;
        let data_dir = data.path().to_str().context("the directory's name is no text")?.to_owned();
        let settings = Settings::load(Some(&file), [("CUECARD_DATA_DIR".to_owned(), data_dir)])?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // A runtime that is dropped with its thread would look for what the thread has lost by then.
        let system: &SystemRunner = Box::leak(Box::new(System::with_tokio_rt(|| runtime)));
        let app = system.block_on(async {
            let routes = routes(&settings, data.path()).await?;
            anyhow::Ok(init_service(App::new().configure(routes)).await)
        })?;
        anyhow::Ok((system, Box::leak(Box::new(app)), data))
    };
    let (system, app, data) = open().unwrap_or_else(|error| panic!("the port can't be opened: {error:#}"));
    Box::new(move |input| {
        // As long as the port is open.
        let _ = &data;
        if let Some(request) = request(input) {
            system.block_on(async { check(app.call(request.to_request()).await).await });
        }
    })
}

async fn api(settings: &Settings, data: &Path) -> anyhow::Result<impl Fn(&mut ServiceConfig) + use<>> {
    let (metrics, ledger) = (metrics(settings)?, ledger(data).await?);
    let tenants = load(settings, metrics.clone(), false).await?;
    let (decisions, _) = Decisions::new(metrics.clone());
    let admission = Admission::new(admission(), tenants.clone(), decisions);
    let admitted = admission.admitted();
    actix_rt::spawn(admitted.for_each(|admitted| async move { admitted.ticket.finish(Outcome::Shed) }));
    let api = Api::new(tenants, admission, ledger, metrics.clone())?;
    Ok(api.routes(guard(Port::Api, metrics), settings.limits(Port::Api))?)
}

async fn admin(settings: &Settings, data: &Path) -> anyhow::Result<impl Fn(&mut ServiceConfig) + use<>> {
    let (metrics, ledger, tenants) = (metrics(settings)?, ledger(data).await?, Tenants::default());
    let (decisions, tap) = Decisions::new(metrics.clone());
    let recent = RecentDecisions::default();
    let records = DecisionRecords::new(tenants.clone(), metrics.clone(), Some(ledger.decisions()));
    let shadows = Shadows::new(tenants.clone(), metrics.clone(), AT_ONCE, Duration::from_secs(1));
    actix_rt::spawn(recent.clone().keep(tap, shadows, records, None));
    let marks = ArticleMarks::restored(tenants.clone(), ledger.operator_actions()).await?;
    let state = AdminState::new(metrics.clone(), Reloader::new(settings.clone(), access(), Controls::default()));
    state.loaded(tenants, [].into(), (decisions, recent), Arc::new(marks), ledger);
    Ok(state.routes(guard(Port::Admin, metrics), settings.limits(Port::Admin))?)
}

fn metrics(settings: &Settings) -> anyhow::Result<Metrics> {
    let names: Vec<_> = settings.profiles.iter().map(|profile| profile.name.clone()).collect();
    Ok(Metrics::new(&names, Vec::new())?)
}

/// No input waits for a disk.
async fn ledger(data: &Path) -> anyhow::Result<Ledger> {
    let url = format!("sqlite:{}", data.join("ledger.db").display());
    Ok(Ledger::open(&url, LedgerOptions { durability: Durability::Process, ..LedgerOptions::default() }).await?)
}

fn admission() -> AdmissionSettings {
    let [newest_turn_after, lexical_only_after, drop_oldest_after] = [1, 2, 3].map(Duration::from_secs);
    let load_shedding = LoadShedding { newest_turn_after, lexical_only_after, drop_oldest_after };
    AdmissionSettings { queue: AT_ONCE, in_flight: AT_ONCE, at_work: AT_ONCE, load_shedding }
}

fn access() -> AccessInForce {
    Arc::new(ArcSwap::from_pointee(Access::new(Vec::new(), false, false)))
}

fn guard(port: Port, metrics: Metrics) -> Guard {
    Guard::new(access(), port, ([127, 0, 0, 1], 0).into(), metrics)
}

/// What comes in as a request; what is none never comes as far as the routes.
fn request(input: &[u8]) -> Option<TestRequest> {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (head, body) = (std::str::from_utf8(parts.next()?).ok()?, parts.next().unwrap_or_default());
    let (method, address) = head.split_once(' ')?;
    let address = address.parse::<Uri>().ok().filter(|address| address.path().starts_with('/'))?;
    let request = TestRequest::with_uri(&address.to_string()).method(method.parse::<Method>().ok()?);
    Some(request.insert_header((CONTENT_TYPE, "application/json")).set_payload(body.to_vec()))
}

/// Nothing fails, and whatever is refused is told why.
async fn check(answered: Result<ServiceResponse<impl MessageBody + 'static>, actix_web::Error>) {
    let answer = match answered {
        Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let status = answer.status();
    if status.is_success() || status.is_redirection() {
        return;
    }
    assert!(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
    let Ok(body) = to_bytes(answer.into_body()).await else { panic!("{status} can't be read to its end") };
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    // A probe says its status.
    let told = told.get("detail").or_else(|| told.get("status")).and_then(Value::as_str).unwrap_or_default();
    assert!(!told.trim().is_empty(), "{status} says nothing: {}", String::from_utf8_lossy(&body));
}
