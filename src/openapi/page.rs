//! The page that shows the document. It is built in the browser from `/openapi.json`, and loads nothing from outside.

use actix_web::{HttpResponse, web};

use crate::detail::Detail;
use crate::pages::{self, File};

const PAGE: &str = include_str!("page/docs.html");
const FILES: &[File] = &[
    ("call.js", include_str!("page/call.js")),
    ("docs.css", include_str!("page/docs.css")),
    ("docs.js", include_str!("page/docs.js")),
    ("prose.js", include_str!("page/prose.js")),
    ("schema.js", include_str!("page/schema.js")),
];

/// The page.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "documentation", summary = "A page that shows this document",
    responses((status = 200, description = "the page", body = String, content_type = "text/html")),
)]
pub(super) async fn docs() -> HttpResponse {
    pages::page(PAGE)
}

/// One of its files.
#[utoipa::path(
    get, path = "/docs/{name}", operation_id = "docs_file", tag = "documentation", summary = "What that page is made of",
    params(("name" = String, Path, description = "a file of the page", example = "docs.js")),
    responses(
        (status = 200, description = "the file", content(
            (String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"),
        )),
        (status = 404, description = "the page has no such file", body = Detail),
    ),
)]
pub(super) async fn docs_file(name: web::Path<String>) -> HttpResponse {
    let missing = || HttpResponse::NotFound().json(Detail::new("the page has no such file"));
    pages::file(FILES, &name).unwrap_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_so_that_the_page_works_behind_a_path() {
        for text in FILES.iter().map(|(_, text)| *text).chain([PAGE]) {
            for absolute in ["href=\"/", "src=\"/", "fetch(\"/", "from \"/", "url(/"] {
                assert!(!text.contains(absolute), "{absolute} in {text}");
            }
        }
    }
}
