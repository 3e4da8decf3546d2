//! The routes of the admin port. Errors are `{"detail": "…"}`.

use actix_web::{HttpResponse, get, post, web};
use serde_json::{Value, json};

use super::AdminState;

/// Adds every route.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(metrics)
        .service(livez)
        .service(readyz)
        .service(actors)
        .service(actor)
        .service(refresh)
        .default_service(web::to(async || not_found("there is no such page")));
}

#[get("/metrics")]
async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    match state.metrics.render(state.started.elapsed().as_secs_f64()) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => {
            let detail = format!("the metrics can't be written: {error}");
            HttpResponse::InternalServerError().json(json!({ "detail": detail }))
        }
    }
}

/// Depends on nothing outside: only an actor that gave up, or blocks its thread, is a reason to start over.
#[get("/livez")]
async fn livez(state: web::Data<AdminState>) -> HttpResponse {
    let dead = state.dead_actors();
    if dead.is_empty() {
        HttpResponse::Ok().json(json!({ "status": "alive" }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "dead", "actors": dead }))
    }
}

#[get("/readyz")]
async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    let (is_ready, profiles) = state.readiness();
    let profiles: Vec<Value> = profiles
        .into_iter()
        .map(|(profile, state, reason)| {
            let mut line = json!({ "profile": profile, "state": state.name() });
            if !reason.is_empty() {
                line["reason"] = reason.into();
            }
            line
        })
        .collect();
    let status = match (is_ready, state.profiles.get()) {
        (true, _) => "ready",
        (false, None) => "loading",
        (false, Some(_)) => "not ready",
    };
    let body = json!({ "status": status, "profiles": profiles });
    if is_ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

#[get("/actors")]
async fn actors(state: web::Data<AdminState>) -> HttpResponse {
    let reports: Vec<_> = state.metrics.cells().iter().map(|cell| cell.report()).collect();
    HttpResponse::Ok().json(json!({ "actors": reports }))
}

#[get("/actors/{name}")]
async fn actor(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    match state.metrics.cells().iter().find(|cell| cell.name() == name.as_str()) {
        Some(cell) => HttpResponse::Ok().json(cell.report()),
        None => not_found(&format!("no actor is called `{name}`; /actors lists them")),
    }
}

/// Polls the tenant's articles now; the answer does not wait for the poll, whose result `/readyz` and the metrics show.
#[post("/profiles/{name}/refresh")]
async fn refresh(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    if state.refresh(&name) {
        HttpResponse::Accepted().json(json!({ "status": "asked" }))
    } else {
        not_found(&format!("no profile called `{name}` polls its articles; /readyz lists the profiles"))
    }
}

fn not_found(detail: &str) -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "detail": detail }))
}
