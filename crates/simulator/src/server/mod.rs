//! The HTTP side: which path leads where.
//!
//! Input: requests. Output: answers by the contract, each judged and recorded by `observe`, which wraps every route.
//! A path that the contract does not have, or another method than the contract's, is a violation.

mod answer;
mod control;
mod feedback;
mod insights;
mod knowledge;
mod observe;
mod page;
mod stream;
mod token;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, Resource, dev::Server, web};
use std::net::TcpListener;

use crate::hub::Hub;
use crate::record;

/// Largest body read; the contract's limit for anything but articles.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A server on `listener`, to be awaited inside an actix system.
pub(crate) fn serve(hub: Arc<Hub>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&hub)))
            .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
            .wrap(from_fn(observe::observe))
            .service(strict(record::TOKEN_PATH).route(web::post().to(token::issue)))
            .service(strict(record::STREAM_PATH).route(web::get().to(stream::open)))
            .service(strict(record::INSIGHTS_PATH).route(web::post().to(insights::push)))
            .service(strict(record::FEEDBACK_PATH).route(web::post().to(feedback::take)))
            .service(strict(record::KNOWLEDGE_PATH).route(web::get().to(knowledge::search)))
            .route("/", web::get().to(page::desktop))
            .service(control::scope())
            .default_service(web::to(answer::unknown_route))
    })
    .workers(1)
    .disable_signals()
    // A test that stops its simulator does not wait for idle connections.
    .shutdown_timeout(0);
    Ok(server.listen(listener)?.run())
}

/// A resource that takes any method but its own for a violation.
fn strict(path: &str) -> Resource {
    web::resource(path.to_owned()).default_service(web::to(answer::wrong_method))
}
