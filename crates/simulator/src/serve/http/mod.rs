//! The HTTP side: which path leads where.
//!
//! Input: requests. Output: answers by the contracts, each judged and recorded by `observe`, which wraps every route.
//! A client's call of a path that no contract has, or by another method than the contract's, is a violation.

mod answer;
mod control;
mod desktop;
mod dialects;
mod faulty;
mod form;
mod insights;
mod knowledge;
mod observe;
mod push;
mod ranking;
mod stream;
mod token;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, Resource, dev::Server, web};

use super::explain;
use super::hub::Hub;
use crate::base::contracts::{ROUTES, Route, RouteSpec};
use crate::desktop::pages;

/// Largest body read; the contracts' limit for anything but articles.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Idle connections are kept so long for a client's next call.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A server on `listener`, to be awaited inside an actix system.
pub(crate) fn serve(hub: Arc<Hub>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&hub)))
            .app_data(explain::client())
            .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
            .wrap(from_fn(observe::observe))
            .configure(|service| {
                for spec in &ROUTES {
                    service.service(resource(spec));
                }
            })
            .route("/", web::get().to(pages::desktop))
            .service(control::scope())
            .default_service(web::to(answer::unknown_route))
    })
    .on_connect(faulty::keep_socket)
    .workers(1)
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    // A test that stops its simulator does not wait for idle connections.
    .shutdown_timeout(0);
    Ok(server.listen(listener)?.run())
}

/// A path of the contracts, which takes any method but its own for a violation.
fn resource(spec: &RouteSpec) -> Resource {
    let method = if spec.method == "GET" { web::get() } else { web::post() };
    let route = match spec.route {
        Route::Token => method.to(token::issue),
        Route::Stream => method.to(stream::fragments),
        Route::Events => method.to(stream::events),
        Route::Rag => method.to(push::push::<dialects::Rag>),
        Route::Snippets => method.to(push::push::<dialects::Snippets>),
        Route::Graph => method.to(push::push::<dialects::Graph>),
        Route::Insights => method.to(push::push::<insights::Insights>),
        Route::Ranking => method.to(push::push::<ranking::Ranking>),
        Route::Session => method.to(ranking::look_at_session),
        Route::Feedback => method.to(insights::take_feedback),
        Route::Articles => method.to(knowledge::list),
        Route::Search => method.to(knowledge::search),
        Route::Unknown => method.to(answer::unknown_route),
    };
    web::resource(spec.path).route(route).default_service(web::to(answer::wrong_method))
}
