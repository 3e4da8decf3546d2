//! What the two ports answer, as `OpenAPI` 3.1: the document at `/openapi.json`, and a page that shows it, at `/docs`.
//!
//! Input: the calls of a port in the order of its list of routes, each with the rights that it asks for. What a call takes and
//! answers stands in the attribute `utoipa::path` of its handler, and the bodies are the types that the handler reads and
//! writes. Output: one document for each port, made once. It holds no data and is the same for every service of a version, so
//! it asks for no key.

mod call;
mod document;
mod page;

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};

pub use call::Call;
pub use document::{About, Document, refusals};

/// The calls that show a port's document.
pub fn calls() -> [Call; 3] {
    [
        Call::of::<__path_served>(|route| route.to(served)),
        Call::of::<page::__path_docs>(|route| route.to(page::docs)),
        Call::of::<page::__path_docs_file>(|route| route.to(page::docs_file)),
    ]
}

/// Adds the calls that show the port's document, which is part of the port's data.
pub fn configure(app: &mut web::ServiceConfig) {
    for call in calls() {
        let address = call.address().to_owned();
        app.service(call.resource(&address));
    }
}

/// As it was made.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "document", tag = "documentation", summary = "This document",
    description = "It holds no data and is the same for every service of this version.",
    responses((status = 200, description = "the document", body = Object, content_type = "application/json")),
)]
async fn served(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(document.json())
}
