//! The pages: the agent's desktop with its live feed, and the panel that makes things go wrong.
//!
//! Input: page loads. Output: static pages, and server-sent events that begin with everything on the desk, so that a page
//! opened in the middle shows what is there. A page that reads too slowly gets the whole desk again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// What the pages are made of, each file by its name.
const FILES: &[(&str, &str)] = &[
    ("base.css", include_str!("../../../../pages/base.css")),
    ("dom.js", include_str!("../../../../pages/dom.js")),
    ("icon.svg", include_str!("../../../../pages/icon.svg")),
    ("desktop.html", include_str!("../../pages/desktop/desktop.html")),
    ("desktop.css", include_str!("../../pages/desktop/desktop.css")),
    ("desktop.js", include_str!("../../pages/desktop/desktop.js")),
    ("article.js", include_str!("../../pages/desktop/article.js")),
    ("card.js", include_str!("../../pages/desktop/card.js")),
    ("conversations.js", include_str!("../../pages/desktop/conversations.js")),
    ("figures.js", include_str!("../../pages/desktop/figures.js")),
    ("rows.js", include_str!("../../pages/desktop/rows.js")),
    ("verdict.js", include_str!("../../pages/desktop/verdict.js")),
    ("why.js", include_str!("../../pages/desktop/why.js")),
    ("faults.html", include_str!("../../pages/faults/faults.html")),
    ("faults.css", include_str!("../../pages/faults/faults.css")),
    ("faults.js", include_str!("../../pages/faults/faults.js")),
];
/// Nothing from elsewhere runs or loads, and nothing but files of the page: what stands in an article, in what a customer says
/// or in an id can be neither script nor style, and no text can become markup.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                              img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                              require-trusted-types-for 'script'";
/// A comment this often lets the server notice that a page is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(crate) async fn desktop() -> Option<HttpResponse> {
    file("desktop.html")
}

pub(crate) async fn faults() -> Option<HttpResponse> {
    file("faults.html")
}

/// The file of this name.
pub(crate) fn file(name: &str) -> Option<HttpResponse> {
    let (name, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let content_type = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    let mut answer = HttpResponse::Ok();
    answer.content_type(content_type);
    for (header, value) in [
        ("content-security-policy", CONTENT_POLICY),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        answer.insert_header((header, value));
    }
    Some(answer.body(*text))
}

/// The desk as it is, and every change after that.
pub(crate) type Subscription = (Arc<str>, Receiver<Arc<str>>);

/// A feed of its own for each page; `subscribe` begins it, and begins it anew for a page that lags behind.
pub(crate) fn feed(subscribe: impl Fn() -> Subscription + 'static) -> HttpResponse {
    let events = stream::unfold((subscribe, None), |(subscribe, changes)| async move {
        let (text, changes) = next_event(&subscribe, changes).await?;
        Some((Ok::<_, Infallible>(web::Bytes::from(text)), (subscribe, Some(changes))))
    });
    HttpResponse::Ok().content_type("text/event-stream").insert_header(("cache-control", "no-store")).streaming(events)
}

async fn next_event(
    subscribe: &impl Fn() -> Subscription,
    changes: Option<Receiver<Arc<str>>>,
) -> Option<(String, Receiver<Arc<str>>)> {
    if let Some(mut changes) = changes {
        match timeout(KEEP_ALIVE, changes.recv()).await {
            Err(_) => return Some((": still here\n\n".to_owned(), changes)),
            Ok(Ok(event)) => return Some((data(&event), changes)),
            Ok(Err(RecvError::Closed)) => return None,
            Ok(Err(RecvError::Lagged(_))) => {}
        }
    }
    let (snapshot, changes) = subscribe();
    Some((data(&snapshot), changes))
}

/// JSON has no line breaks, so one event is one line.
fn data(event: &str) -> String {
    format!("data: {event}\n\n")
}
