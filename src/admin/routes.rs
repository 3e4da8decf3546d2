//! The routes of the admin port, each with the rights of which it asks for one. Errors are `{"detail": "…"}`.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpResponse, Route, web};
use cuecard_actors::decisions::{DecisionFilter, KeptDecision, ending};
use cuecard_actors::engine::why;
use cuecard_actors::ledger::LedgerError;
use cuecard_actors::messages::Outcome;
use cuecard_actors::supervision::ActorCell;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, console, ledger, marks};
use crate::access::{Guard, Needed, Right, Whose};
use crate::reload::ReloadError;

/// One route.
struct AdminEntry {
    path: &'static str,
    asks: Asks,
    handler: fn() -> Route,
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

const SEE: &[Right] = &[Right::Operate];
const CHANGE: &[Right] = &[Right::Operate];
const DECIDE: &[Right] = &[Right::Knowledge];
const SEE_KNOWLEDGE: &[Right] = &[Right::Knowledge, Right::Operate];
const SCRAPE: &[Right] = &[Right::Metrics, Right::Operate];

const ROUTES: &[AdminEntry] = &[
    AdminEntry { path: "/livez", asks: Nothing, handler: || web::get().to(livez) },
    AdminEntry { path: "/readyz", asks: Nothing, handler: || web::get().to(readyz) },
    AdminEntry { path: "/", asks: Nothing, handler: || web::get().to(console::moved) },
    AdminEntry { path: "/console", asks: Nothing, handler: || web::get().to(console::moved) },
    AdminEntry { path: "/console/", asks: Nothing, handler: || web::get().to(console::page) },
    AdminEntry { path: "/console/files/{name}", asks: Nothing, handler: || web::get().to(console::file) },
    AdminEntry { path: "/console/feed", asks: ForAll(SEE), handler: || web::get().to(console::feed) },
    AdminEntry { path: "/console/gaps", asks: ForAll(SEE_KNOWLEDGE), handler: || web::get().to(console::list_gaps) },
    AdminEntry { path: "/console/shadow", asks: ForAll(SEE), handler: || web::get().to(console::list_shadow) },
    AdminEntry { path: "/console/try", asks: ForAll(SEE_KNOWLEDGE), handler: || web::post().to(console::try_out) },
    AdminEntry { path: "/metrics", asks: ForAll(SCRAPE), handler: || web::get().to(metrics) },
    AdminEntry { path: "/actors", asks: ForAll(SEE), handler: || web::get().to(actors) },
    AdminEntry { path: "/actors/{name}", asks: ForAll(SEE), handler: || web::get().to(actor) },
    AdminEntry { path: "/actors/{name}/restart", asks: ForAll(CHANGE), handler: || web::post().to(restart) },
    AdminEntry { path: "/config", asks: ForAll(SEE), handler: || web::get().to(config) },
    AdminEntry { path: "/reload", asks: ForAll(CHANGE), handler: || web::post().to(reload) },
    AdminEntry { path: "/deliveries", asks: ForAll(SEE), handler: || web::get().to(deliveries) },
    AdminEntry { path: "/explain/{decision}", asks: ForAll(SEE), handler: || web::get().to(explain) },
    AdminEntry { path: "/decisions", asks: ForAll(SEE), handler: || web::get().to(ledger::of_interaction) },
    AdminEntry { path: "/profiles/{name}/refresh", asks: ForProfile(DECIDE), handler: || web::post().to(refresh) },
    AdminEntry { path: "/profiles/{name}/pin", asks: ForProfile(DECIDE), handler: || web::post().to(marks::pin) },
    AdminEntry { path: "/profiles/{name}/mute", asks: ForProfile(DECIDE), handler: || web::post().to(marks::mute) },
    AdminEntry {
        path: "/profiles/{name}/release",
        asks: ForProfile(DECIDE),
        handler: || web::post().to(marks::release),
    },
    AdminEntry {
        path: "/profiles/{name}/marks",
        asks: ForProfile(SEE_KNOWLEDGE),
        handler: || web::get().to(marks::list),
    },
    AdminEntry { path: DEAD, asks: ForAll(SEE), handler: || web::get().to(ledger::set_aside) },
    AdminEntry { path: RETRY, asks: ForAll(CHANGE), handler: || web::post().to(ledger::try_again) },
    AdminEntry { path: "/ledger/erase", asks: ForAll(CHANGE), handler: || web::post().to(ledger::erase) },
];
const DEAD: &str = "/{kind:feedback|callbacks}/dead";
const RETRY: &str = "/{kind:feedback|callbacks}/dead/{id}/retry";

/// Adds every route, each behind the guard; so is what is no route.
pub(super) fn configure(app: &mut web::ServiceConfig, guard: &Guard) {
    for entry in ROUTES {
        let resource = web::resource(entry.path).default_service(web::to(wrong_method)).route((entry.handler)());
        let (guard, asks) = (guard.clone(), entry.asks);
        app.service(resource.wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
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
    let guard = guard.clone();
    let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
        let guard = guard.clone();
        async move { guard.pass(request, next, Needed { rights: &[], whose: Whose::Nobody }).await }
    });
    app.default_service(web::to(async || not_found("there is no such page")).wrap(guarded));
}

async fn wrong_method() -> HttpResponse {
    HttpResponse::MethodNotAllowed().json(json!({ "detail": "this is not the method of this route" }))
}

async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    match state.metrics.render(state.started.elapsed().as_secs_f64()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(text),
        Err(error) => {
            let detail = format!("the metrics can't be written: {error}");
            HttpResponse::InternalServerError().json(json!({ "detail": detail }))
        }
    }
}

/// Depends on nothing outside: only an actor that gave up, or hangs, is a reason to start over.
async fn livez(state: web::Data<AdminState>) -> HttpResponse {
    let dead = super::dead(state.metrics.cells());
    if dead.is_empty() {
        HttpResponse::Ok().json(json!({ "status": "alive" }))
    } else {
        let names: Vec<_> = dead.iter().map(|actor| &actor.name).collect();
        HttpResponse::ServiceUnavailable().json(json!({ "status": "dead", "actors": names }))
    }
}

async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    let (is_ready, body) = readiness(&state);
    if is_ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

/// Whether the service can do anything, and what each part of it can.
pub(super) fn readiness(state: &AdminState) -> (bool, Value) {
    let facts = state.facts();
    let mut body = facts.page();
    if let Some(ledger) = state.ledger.get() {
        body["ledger"] = ledger::readiness(ledger);
    }
    (facts.word().is_ready(), body)
}

/// Every setting in force, with where it comes from; secrets as `***`.
async fn config(state: web::Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "settings": state.reloader.settings().in_force.shown() }))
}

/// Reads the settings again, and says what changed by it and what can't change before a restart.
async fn reload(state: web::Data<AdminState>) -> HttpResponse {
    match state.reloader.reload("POST /reload").await {
        Ok(reloaded) => HttpResponse::Ok().json(reloaded),
        Err(ReloadError::Loading) => loading(),
        Err(error) => unprocessable(&error.to_string()),
    }
}

async fn actors(state: web::Data<AdminState>) -> HttpResponse {
    let reports: Vec<_> = state.metrics.cells().iter().map(|cell| cell.report()).collect();
    HttpResponse::Ok().json(json!({ "actors": reports }))
}

async fn actor(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    match state.actor(&name) {
        Ok(cell) => HttpResponse::Ok().json(cell.report()),
        Err(unknown) => not_found(&unknown),
    }
}

/// Restarts an actor in place; the answer does not wait for it, and `/actors/{name}` shows one more restart afterwards.
async fn restart(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    match state.actor(&name).map(ActorCell::ask_restart) {
        Ok(Ok(())) => HttpResponse::Accepted().json(json!({ "status": "asked" })),
        Ok(Err(reason)) => HttpResponse::Conflict().json(json!({ "detail": format!("`{name}`: {reason}") })),
        Err(unknown) => not_found(&unknown),
    }
}

/// Polls the tenant's articles now; the answer does not wait for the poll, whose result `/readyz` and the metrics show.
async fn refresh(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    if state.refresh(&name) {
        HttpResponse::Accepted().json(json!({ "status": "asked" }))
    } else {
        not_found(&format!("no profile called `{name}` polls its articles; /readyz lists the profiles"))
    }
}

/// Decisions that are shown at most, and if nobody says how many.
const MAX_DECISIONS: usize = 1000;
const SHOWN_DECISIONS: usize = 50;

/// What `/deliveries` is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    outcome: Option<String>,
    profile: Option<String>,
    limit: Option<usize>,
}

/// The newest decisions, newest first: what was pushed, what was not, and why.
async fn deliveries(
    state: web::Data<AdminState>,
    asked: Result<web::Query<DeliveriesQuery>, actix_web::Error>,
) -> HttpResponse {
    let DeliveriesQuery { outcome, profile, limit } = match asked {
        Ok(asked) => asked.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    if let Some(outcome) = outcome.as_ref().filter(|outcome| !Outcome::LABELS.contains(&outcome.as_str())) {
        let known = Outcome::LABELS.join(", ");
        return unprocessable(&format!("no outcome is called `{outcome}`; there are {known}"));
    }
    let Some(recent) = state.recent.get() else { return loading() };
    let limit = limit.unwrap_or(SHOWN_DECISIONS).min(MAX_DECISIONS);
    let decisions = recent.newest(&DecisionFilter { outcome, profile }, limit);
    json_text(format!(r#"{{"deliveries":[{}]}}"#, decisions.join(",")))
}

/// One decision with everything that is known of it.
async fn explain(state: web::Data<AdminState>, decision: web::Path<String>) -> HttpResponse {
    let Some(recent) = state.recent.get() else { return loading() };
    let Ok(id) = decision.parse() else {
        return unprocessable(
            "a decision's id looks like 0196a3f2-7d1c-7000-8000-000000000000; /deliveries lists them",
        );
    };
    let decision = match (recent.find(id), state.ledger.get()) {
        (Some(decision), _) => Some(decision),
        // It is not of the newest.
        (None, Some(ledger)) => match ledger.decisions().find(id).await {
            Ok(decision) => decision,
            Err(error) => return unavailable(&error),
        },
        (None, None) => None,
    };
    let gone = || {
        not_found(
            "no decision of this id is kept; /deliveries lists the newest, and retention.decisions says how long others are",
        )
    };
    decision.map_or_else(gone, |decision| json_text(with_reasons(decision)))
}

/// The decision with its reasons in sentences: how it ended first, then how its ranking came about, where there is one; and
/// those of a second ranker. One that another version wrote in another form has none.
fn with_reasons(json: String) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&json) else { return json };
    let Ok(KeptDecision { decision, .. }) = KeptDecision::read(&json) else { return json };
    let of_ranking = decision.ranking.iter().flat_map(|ranking| why(ranking));
    let sentences: Vec<String> = std::iter::once(ending(&decision)).chain(of_ranking).collect();
    fields.insert("why".to_owned(), sentences.into());
    if let Some(shadow) = &decision.shadow {
        fields.insert("shadow_why".to_owned(), why(shadow).into());
    }
    Value::Object(fields).to_string()
}

fn json_text(json: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(json)
}

pub(super) fn loading() -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .json(json!({ "detail": "the service is still loading; /readyz says when it is not" }))
}

pub(super) fn unprocessable(detail: &str) -> HttpResponse {
    HttpResponse::UnprocessableEntity().json(json!({ "detail": detail }))
}

/// The ledger can't be asked now.
pub(super) fn unavailable(error: &LedgerError) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(json!({ "detail": error.to_string() }))
}

pub(super) fn not_found(detail: &str) -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "detail": detail }))
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
            for request in [TestRequest::get(), TestRequest::post()] {
                let answer = call_service(&app, request.uri(&path(entry.path)).to_request()).await;
                let is_refused = answer.status() == StatusCode::UNAUTHORIZED;
                assert_eq!(is_refused, !WITHOUT_KEY.contains(&entry.path), "{}", entry.path);
            }
        }
    }

    #[test]
    fn the_page_about_access_has_each_route_in_the_rows_of_its_rights() {
        let page = include_str!("../../docs/access.md");
        for entry in ROUTES {
            let (ForAll(rights) | ForProfile(rights)) = entry.asks else { continue };
            let written = match entry.path.strip_prefix("/{kind:feedback|callbacks}") {
                Some(rest) => vec![format!("/feedback{rest}"), format!("/callbacks{rest}")],
                None => vec![entry.path.to_owned()],
            };
            for (right, path) in rights.iter().flat_map(|right| written.iter().map(move |path| (right, path))) {
                let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", right.name()))).unwrap();
                assert!(row.contains(&format!("`{path}`")), "{path} in {row}");
            }
        }
    }
}
