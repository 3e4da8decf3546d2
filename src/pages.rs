//! How the pages of the two ports are served. Nothing of a page comes from elsewhere, and nothing in its files is data.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;

/// A page's file: its name and its text.
pub type File = (&'static str, &'static str);

/// What all pages have in common.
pub const SHARED: [File; 3] = [
    ("base.css", include_str!("../pages/base.css")),
    ("dom.js", include_str!("../pages/dom.js")),
    ("icon.svg", include_str!("../pages/icon.svg")),
];

/// In the place of the port's own policy, which lets nothing in: this page's files and its calls to this port, and nothing
/// else. What stands in an article, in what a customer said or in an id can be neither script nor style, and no text can
/// become markup.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// A page. Its addresses should be relative, so that it works behind a proxy that puts something in front of them.
pub fn page(text: &'static str) -> HttpResponse {
    served("text/html; charset=utf-8", text)
}

/// One of a page's files, its own or a shared one; nothing where it has none of this name.
pub fn file(own: &[File], name: &str) -> Option<HttpResponse> {
    let (name, text) = SHARED.iter().chain(own).find(|(known, _)| *known == name)?;
    let content_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    Some(served(content_type, text))
}

fn served(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(content_type).insert_header((CONTENT_SECURITY_POLICY, POLICY)).body(text)
}
