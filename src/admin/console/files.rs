//! What the page is made of. Nothing of it comes from elsewhere, and nothing in it is data.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpResponse, web};

use super::super::routes::not_found;

/// Each file by its name.
const FILES: &[(&str, &str)] = &[
    ("base.css", include_str!("../../../pages/base.css")),
    ("dom.js", include_str!("../../../pages/dom.js")),
    ("icon.svg", include_str!("../../../pages/icon.svg")),
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

/// In the place of the port's own policy, which lets nothing in: this page's files and its calls to this port, and nothing
/// else. What stands in an article, in what a customer said or in an id can be neither script nor style, and no text can
/// become markup.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The page. Its addresses are relative, so that it works behind a proxy that puts something in front of them.
pub async fn page() -> HttpResponse {
    served("text/html; charset=utf-8", PAGE)
}

/// For whoever asks for the port itself.
pub async fn moved() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "console/")).finish()
}

/// One of its files.
pub async fn file(name: web::Path<String>) -> HttpResponse {
    let Some((name, text)) = FILES.iter().find(|(known, _)| *known == name.as_str()) else {
        return not_found("the console has no such file");
    };
    let content_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    served(content_type, text)
}

fn served(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(content_type).insert_header((CONTENT_SECURITY_POLICY, POLICY)).body(text)
}
