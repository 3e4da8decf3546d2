//! The routes of the admin port, each with the rights of which it asks for one. Errors are `{"detail": "…"}`.

use std::fmt;

use actix_web::dev::ServiceRequest;
use actix_web::error::InternalError;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpResponse, web};
use cuecard_actors::ledger::LedgerError;
use cuecard_actors::supervision::{ActorCell, ActorReport};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Server;

use super::readiness::Readiness;
use super::shapes::ShownSettings;
use super::{AdminState, console, decisions, ledger, marks};
use crate::access::{Guard, Needed, Right, Whose};
use crate::detail::Detail;
use crate::openapi::{self, About, Call, Document};
use crate::reload::{ReloadError, Reloaded};

/// One route.
struct AdminEntry {
    asks: Asks,
    call: fn() -> Call,
}

/// What a route asks of its caller.
#[derive(Clone, Copy)]
enum Asks {
    /// Nothing: probes have no key, and a browser that loads the page has none yet.
    Nothing,
    /// One of these rights, for all profiles.
    ForAll(&'static [Right]),
    /// One of these rights, for the profile that the path names.
    ForProfile(&'static [Right]),
}
use Asks::{ForAll, ForProfile, Nothing};

impl Asks {
    fn rights(self) -> &'static [Right] {
        match self {
            Nothing => &[],
            ForAll(rights) | ForProfile(rights) => rights,
        }
    }
}

const SEE: &[Right] = &[Right::Operate];
const CHANGE: &[Right] = &[Right::Operate];
const DECIDE: &[Right] = &[Right::Knowledge];
const SEE_KNOWLEDGE: &[Right] = &[Right::Knowledge, Right::Operate];
const SCRAPE: &[Right] = &[Right::Metrics, Right::Operate];

const ROUTES: &[AdminEntry] = &[
    AdminEntry { asks: Nothing, call: || Call::of::<__path_livez>(|route| route.to(livez)) },
    AdminEntry { asks: Nothing, call: || Call::of::<__path_readyz>(|route| route.to(readyz)) },
    AdminEntry { asks: Nothing, call: || Call::of::<console::__path_root>(|route| route.to(console::root)) },
    AdminEntry { asks: Nothing, call: || Call::of::<console::__path_moved>(|route| route.to(console::moved)) },
    AdminEntry { asks: Nothing, call: || Call::of::<console::__path_page>(|route| route.to(console::page)) },
    AdminEntry { asks: Nothing, call: || Call::of::<console::__path_file>(|route| route.to(console::file)) },
    AdminEntry { asks: ForAll(SEE), call: || Call::of::<console::__path_feed>(|route| route.to(console::feed)) },
    AdminEntry {
        asks: ForAll(SEE_KNOWLEDGE),
        call: || Call::of::<console::__path_list_gaps>(|route| route.to(console::list_gaps)),
    },
    AdminEntry {
        asks: ForAll(SEE),
        call: || Call::of::<console::__path_list_shadow>(|route| route.to(console::list_shadow)),
    },
    AdminEntry {
        asks: ForAll(SEE_KNOWLEDGE),
        call: || Call::of::<console::__path_try_out>(|route| route.to(console::try_out)),
    },
    AdminEntry { asks: ForAll(SCRAPE), call: || Call::of::<__path_metrics>(|route| route.to(metrics)) },
    AdminEntry { asks: ForAll(SEE), call: || Call::of::<__path_actors>(|route| route.to(actors)) },
    AdminEntry { asks: ForAll(SEE), call: || Call::of::<__path_actor>(|route| route.to(actor)) },
    AdminEntry { asks: ForAll(CHANGE), call: || Call::of::<__path_restart>(|route| route.to(restart)) },
    AdminEntry { asks: ForAll(SEE), call: || Call::of::<__path_config>(|route| route.to(config)) },
    AdminEntry { asks: ForAll(CHANGE), call: || Call::of::<__path_reload>(|route| route.to(reload)) },
    AdminEntry {
        asks: ForAll(SEE),
        call: || Call::of::<decisions::__path_deliveries>(|route| route.to(decisions::deliveries)),
    },
    AdminEntry {
        asks: ForAll(SEE),
        call: || Call::of::<decisions::__path_explain>(|route| route.to(decisions::explain)),
    },
    AdminEntry {
        asks: ForAll(SEE),
        call: || Call::of::<decisions::__path_of_interaction>(|route| route.to(decisions::of_interaction)),
    },
    AdminEntry { asks: ForProfile(DECIDE), call: || Call::of::<__path_refresh>(|route| route.to(refresh)) },
    AdminEntry { asks: ForProfile(DECIDE), call: || Call::of::<marks::__path_pin>(|route| route.to(marks::pin)) },
    AdminEntry { asks: ForProfile(DECIDE), call: || Call::of::<marks::__path_mute>(|route| route.to(marks::mute)) },
    AdminEntry {
        asks: ForProfile(DECIDE),
        call: || Call::of::<marks::__path_release>(|route| route.to(marks::release)),
    },
    AdminEntry {
        asks: ForProfile(SEE_KNOWLEDGE),
        call: || Call::of::<marks::__path_list>(|route| route.to(marks::list)),
    },
    AdminEntry {
        asks: ForAll(SEE),
        call: || Call::of::<ledger::__path_set_aside>(|route| route.to(ledger::set_aside)),
    },
    AdminEntry {
        asks: ForAll(CHANGE),
        call: || Call::of::<ledger::__path_try_again>(|route| route.to(ledger::try_again)),
    },
    AdminEntry { asks: ForAll(CHANGE), call: || Call::of::<ledger::__path_erase>(|route| route.to(ledger::erase)) },
];

/// Adds every route, each behind the guard; so is what is no route.
pub(super) fn configure(app: &mut web::ServiceConfig, guard: &Guard) {
    for entry in ROUTES {
        let (guard, asks, call) = (guard.clone(), entry.asks, (entry.call)());
        let address = call.address().to_owned();
        app.service(call.resource(&address).wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
            let guard = guard.clone();
            async move {
                let named = request.match_info().get("name").map(str::to_owned);
                match asks {
                    Nothing => next.call(request).await,
                    ForAll(rights) => guard.pass(request, next, Needed { rights, whose: Whose::All }).await,
                    ForProfile(rights) => {
                        let whose = named.as_deref().map_or(Whose::All, Whose::Profile);
                        guard.pass(request, next, Needed { rights, whose }).await
                    }
                }
            }
        })));
    }
    openapi::configure(app);
    let guard = guard.clone();
    let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
        let guard = guard.clone();
        async move { guard.pass(request, next, Needed { rights: &[], whose: Whose::Nobody }).await }
    });
    app.default_service(web::to(async || not_found("there is no such page")).wrap(guarded));
}

/// What is documented of this port.
pub(super) fn document() -> serde_json::Result<Document> {
    let about = About {
        title: "cuecard admin port",
        description: "What operators, probes and scrapers look at, and what operators decide. Every error but a probe's 503 is \
                      `{\"detail\": \"…\"}`. A key is asked for on an address that other machines reach, or where the \
                      settings say so; a service that asks for no key ignores one that is sent. Calls below \
                      `/profiles/{name}` are open to keys for that profile; every other call that asks for a key needs one \
                      for all profiles.",
        tags: &[
            ("probes", "what container runtimes, load balancers and scrapers ask"),
            ("actors", "what the service is made of"),
            ("settings", "what is in force, and taking up what changed"),
            ("decisions", "what became of each question, and why"),
            ("articles", "what operators decide about a profile's articles"),
            ("ledger", "what was set aside, and what a customer wants forgotten"),
            ("console", "the operator's page, and what it asks for"),
            ("documentation", "what this port answers"),
        ],
        servers: vec![Server::new(".")],
    };
    let calls = ROUTES.iter().map(|entry| ((entry.call)(), entry.asks.rights()));
    Document::new(about, calls.chain(openapi::calls().map(|call| (call, &[][..]))))
}

/// For Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "probes", summary = "All metrics, as Prometheus reads them",
    responses(
        (status = 200, description = "the metrics, in Prometheus's text format", body = String, content_type = "text/plain"),
        (status = 500, description = "the metrics can't be written", body = Detail),
    ),
)]
async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    match state.metrics.render(state.started.elapsed().as_secs_f64()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(text),
        Err(error) => {
            HttpResponse::InternalServerError().json(Detail::new(format!("the metrics can't be written: {error}")))
        }
    }
}

/// Whether the process does its work.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Liveness {
    Alive,
    Dead {
        /// Those that gave up or hang.
        actors: Vec<String>,
    },
}

/// Depends on nothing outside: only an actor that gave up, or hangs, is a reason to start over.
#[utoipa::path(
    get, path = "/livez", tag = "probes", summary = "Whether the process has to be started anew",
    description = "Depends on nothing outside.",
    responses(
        (status = 200, description = "it does its work", body = Liveness, example = json!({"status": "alive"})),
        (status = 503, description = "an actor gave up or hangs", body = Liveness),
    ),
)]
async fn livez(state: web::Data<AdminState>) -> HttpResponse {
    let dead = super::dead(state.metrics.cells());
    if dead.is_empty() {
        HttpResponse::Ok().json(Liveness::Alive)
    } else {
        let actors = dead.into_iter().map(|actor| actor.name).collect();
        HttpResponse::ServiceUnavailable().json(Liveness::Dead { actors })
    }
}

/// The truth at a glance.
#[utoipa::path(
    get, path = "/readyz", tag = "probes", summary = "Whether questions may be sent here, and why not",
    responses(
        (status = 200, description = "ready or degraded", body = Readiness, example = json!({
            "status": "ready", "profiles": [{"profile": "insights", "state": "ready"}], "ledger": {"state": "ready"}
        })),
        (status = 503, description = "nothing can be done now; the status says why", body = Readiness),
    ),
)]
async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    let (is_ready, body) = readiness(&state);
    if is_ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

/// Whether the service can do anything, and what each part of it can.
pub(super) fn readiness(state: &AdminState) -> (bool, Readiness) {
    let facts = state.facts();
    let mut page = facts.page();
    page.ledger = state.ledger.get().map(ledger::readiness);
    (facts.word().is_ready(), page)
}

/// Every setting in force, with where it comes from; secrets as `***`.
#[utoipa::path(
    get, path = "/config", tag = "settings", summary = "Every setting in force, and where it comes from",
    description = "Secrets are shown as `***`.",
    responses((status = 200, description = "the settings by their keys", body = ShownSettings, example = json!({
        "settings": {"api.addr": {"value": "127.0.0.1:8000", "from": "default"}}
    }))),
)]
async fn config(state: web::Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "settings": state.reloader.settings().in_force.shown() }))
}

/// Reads the settings again, and says what changed by it and what can't change before a restart.
#[utoipa::path(
    post, path = "/reload", tag = "settings", summary = "Read the settings again, and take up what changed",
    responses(
        (status = 200, description = "what changed by it", body = Reloaded,
            example = json!({"changed": ["profile.selectivity"], "needs_restart": []})),
        (status = 422, description = "the settings can't be used, and nothing changed", body = Detail),
        (status = 503, description = "the service is still loading", body = Detail),
    ),
)]
async fn reload(state: web::Data<AdminState>) -> HttpResponse {
    match state.reloader.reload("POST /reload").await {
        Ok(reloaded) => HttpResponse::Ok().json(reloaded),
        Err(ReloadError::Loading) => loading(),
        Err(error) => unprocessable(&error.to_string()),
    }
}

/// Every actor, in the order of the flow.
#[derive(Serialize, ToSchema)]
struct Actors {
    actors: Vec<ActorReport>,
}

/// Read from their cells: no actor is asked.
#[utoipa::path(
    get, path = "/actors", tag = "actors", summary = "Every actor, in the order of the flow",
    responses((status = 200, description = "what each of them is doing", body = Actors)),
)]
async fn actors(state: web::Data<AdminState>) -> HttpResponse {
    let actors = state.metrics.cells().iter().map(|cell| cell.report()).collect();
    HttpResponse::Ok().json(Actors { actors })
}

/// Read from its cell.
#[utoipa::path(
    get, path = "/actors/{name}", tag = "actors", summary = "One actor",
    params(("name" = String, Path, description = "the actor's name", example = "ranker")),
    responses(
        (status = 200, description = "what it is doing", body = ActorReport),
        (status = 404, description = "no actor is called so; the detail names all", body = Detail),
    ),
)]
async fn actor(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    match state.actor(&name) {
        Ok(cell) => HttpResponse::Ok().json(cell.report()),
        Err(unknown) => not_found(&unknown),
    }
}

/// What was asked for is under way; the answer does not wait for its end.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Taken {
    Asked,
}

/// Restarts an actor in place; the answer does not wait for it, and `/actors/{name}` shows one more restart afterwards.
#[utoipa::path(
    post, path = "/actors/{name}/restart", tag = "actors", summary = "Restart an actor in place",
    description = "What it has in hand is lost, what waits for it is not. `/actors/{name}` shows one more restart afterwards.",
    params(("name" = String, Path, description = "the actor's name", example = "ranker")),
    responses(
        (status = 202, description = "it will be restarted", body = Taken, example = json!({"status": "asked"})),
        (status = 404, description = "no actor is called so; the detail names all", body = Detail),
        (status = 409, description = "it has ended, and is not started any more", body = Detail),
    ),
)]
async fn restart(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    match state.actor(&name).map(ActorCell::ask_restart) {
        Ok(Ok(())) => HttpResponse::Accepted().json(Taken::Asked),
        Ok(Err(reason)) => HttpResponse::Conflict().json(Detail::new(format!("`{name}`: {reason}"))),
        Err(unknown) => not_found(&unknown),
    }
}

/// Polls the tenant's articles now; the answer does not wait for the poll, whose result `/readyz` and the metrics show.
#[utoipa::path(
    post, path = "/profiles/{name}/refresh", tag = "articles", summary = "Poll a tenant's articles now",
    description = "`/readyz` and the metrics show what came of it.",
    params(("name" = String, Path, description = "the profile's name", example = "snippets")),
    responses(
        (status = 202, description = "they will be polled", body = Taken, example = json!({"status": "asked"})),
        (status = 404, description = "no profile of this name polls its articles", body = Detail),
        (status = 503, description = "the service is still loading", body = Detail),
    ),
)]
async fn refresh(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    if state.refreshers.get().is_none() {
        return loading();
    }
    if state.refresh(&name) {
        HttpResponse::Accepted().json(Taken::Asked)
    } else {
        not_found(&format!("no profile called `{name}` polls its articles; /readyz lists the profiles"))
    }
}

pub(super) fn loading() -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(Detail::new("the service is still loading; /readyz says when it is not"))
}

/// How bodies are read: up to the port's own limit, and what can't be read is told as everything else that is wrong.
pub(super) fn json(max_bytes: usize) -> web::JsonConfig {
    web::JsonConfig::default().limit(max_bytes).error_handler(|error, _| unreadable(error))
}

/// How queries are read.
pub(super) fn query() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|error, _| unreadable(error))
}

fn unreadable<E: fmt::Debug + fmt::Display + 'static>(error: E) -> Error {
    let answer = unprocessable(&error.to_string());
    InternalError::from_response(error, answer).into()
}

pub(super) fn unprocessable(detail: &str) -> HttpResponse {
    HttpResponse::UnprocessableEntity().json(Detail::new(detail))
}

/// The ledger can't be asked now.
pub(super) fn unavailable(error: &LedgerError) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(Detail::new(error.to_string()))
}

pub(super) fn not_found(detail: &str) -> HttpResponse {
    HttpResponse::NotFound().json(Detail::new(detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use actix_web::App;
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};
    use arc_swap::ArcSwap;
    use cuecard_actors::telemetry::{Metrics, Port};

    use super::*;
    use crate::access::{Access, AccessInForce};
    use crate::reload::Reloader;
    use crate::service::Controls;
    use crate::settings::Settings;

    /// A path that leads to the route.
    fn path(pattern: &str) -> String {
        let part = |part: &str| match part.strip_prefix('{') {
            None => part.to_owned(),
            Some(named) if named.starts_with("kind") => "feedback".to_owned(),
            Some(_) => "x".to_owned(),
        };
        pattern.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    #[actix_rt::test]
    async fn every_route_asks_strangers_for_a_key_but_the_probes_and_the_empty_page() {
        const WITHOUT_KEY: [&str; 6] = ["/livez", "/readyz", "/", "/console", "/console/", "/console/files/{name}"];
        let metrics = Metrics::new(&[], Vec::new()).unwrap();
        let access: AccessInForce = Arc::new(ArcSwap::from_pointee(Access::new(Vec::new(), true, true)));
        let guard = Guard::new(Arc::clone(&access), Port::Admin, ([127, 0, 0, 1], 0).into(), metrics.clone());
        let tenant = ["CXONE_CONTRACT=insights", "CXONE_CLIENT_ID=client", "CXONE_CLIENT_SECRET=opensesame"];
        let tenant =
            tenant.iter().filter_map(|set| set.split_once('=')).map(|(name, value)| (name.into(), value.into()));
        let settings = Settings::load(None, tenant).unwrap();
        let state = AdminState::new(metrics, Reloader::new(settings, access, Controls::default()));
        let state = web::Data::from(state);
        let app = init_service(App::new().app_data(state).configure(|app| configure(app, &guard))).await;
        for entry in ROUTES {
            let address = (entry.call)().address().to_owned();
            for request in [TestRequest::get(), TestRequest::post()] {
                let answer = call_service(&app, request.uri(&path(&address)).to_request()).await;
                let is_refused = answer.status() == StatusCode::UNAUTHORIZED;
                assert_eq!(is_refused, !WITHOUT_KEY.contains(&address.as_str()), "{address}");
            }
        }
    }

    #[test]
    fn the_page_about_access_has_each_route_in_the_rows_of_its_rights() {
        let page = include_str!("../../docs/access.md");
        for entry in ROUTES {
            let (ForAll(rights) | ForProfile(rights)) = entry.asks else { continue };
            let call = (entry.call)();
            let written = match call.address().strip_prefix("/{kind:feedback|callbacks}") {
                Some(rest) => vec![format!("/feedback{rest}"), format!("/callbacks{rest}")],
                None => vec![call.address().to_owned()],
            };
            for (right, path) in rights.iter().flat_map(|right| written.iter().map(move |path| (right, path))) {
                let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", right.name()))).unwrap();
                assert!(row.contains(&format!("`{path}`")), "{path} in {row}");
            }
        }
    }
}
