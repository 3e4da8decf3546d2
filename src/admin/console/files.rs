//! What the page is made of.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};

use super::super::routes::not_found;
use crate::detail::Detail;
use crate::pages::{self, File};

const FILES: &[File] = &[
    ("console.css", include_str!("page/console.css")),
    ("console.js", include_str!("page/console.js")),
    ("actors.js", include_str!("page/actors.js")),
    ("admin.js", include_str!("page/admin.js")),
    ("decisions.js", include_str!("page/decisions.js")),
    ("feed.js", include_str!("page/feed.js")),
    ("finding.js", include_str!("page/finding.js")),
    ("flow.js", include_str!("page/flow.js")),
    ("gaps.js", include_str!("page/gaps.js")),
    ("key.js", include_str!("page/key.js")),
    ("profiles.js", include_str!("page/profiles.js")),
    ("settings.js", include_str!("page/settings.js")),
    ("shadow.js", include_str!("page/shadow.js")),
    ("tabs.js", include_str!("page/tabs.js")),
    ("trial.js", include_str!("page/trial.js")),
    ("why.js", include_str!("page/why.js")),
];
const PAGE: &str = include_str!("page/console.html");

/// The page.
#[utoipa::path(
    get, path = "/console/", operation_id = "console", tag = "console", summary = "The operator's page",
    responses((status = 200, description = "the page", body = String, content_type = "text/html")),
)]
pub async fn page() -> HttpResponse {
    pages::page(PAGE)
}

/// For whoever asks for the port itself.
#[utoipa::path(
    get, path = "/", operation_id = "root", tag = "console", summary = "Leads to the operator's page",
    responses((status = 303, description = "to `console/`")),
)]
pub async fn root() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "console/")).finish()
}

/// For whoever leaves the last character out.
#[utoipa::path(
    get, path = "/console", operation_id = "console_moved", tag = "console", summary = "Leads to the operator's page",
    responses((status = 303, description = "to `console/`")),
)]
pub async fn moved() -> HttpResponse {
    root().await
}

/// One of its files.
#[utoipa::path(
    get, path = "/console/files/{name}", operation_id = "console_file", tag = "console",
    summary = "What the operator's page is made of",
    params(("name" = String, Path, description = "a file of the page", example = "console.js")),
    responses(
        (status = 200, description = "the file", content(
            (String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"),
        )),
        (status = 404, description = "the page has no such file", body = Detail),
    ),
)]
pub async fn file(name: web::Path<String>) -> HttpResponse {
    pages::file(FILES, &name).unwrap_or_else(|| not_found("the console has no such file"))
}
