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

const DESKTOP: &str = include_str!("../../pages/desktop.html");
const FAULTS: &str = include_str!("../../pages/faults.html");
const BASE_STYLE: &str = include_str!("../../pages/base.css");
/// Nothing from elsewhere runs or loads; a page's own script, and what makes it look unlike the other, stand in it.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'unsafe-inline'; \
                              connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
/// A comment this often lets the server notice that a page is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(crate) async fn desktop() -> HttpResponse {
    content("text/html; charset=utf-8", DESKTOP)
}

pub(crate) async fn faults() -> HttpResponse {
    content("text/html; charset=utf-8", FAULTS)
}

pub(crate) async fn base_style() -> HttpResponse {
    content("text/css; charset=utf-8", BASE_STYLE)
}

fn content(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header(("content-security-policy", CONTENT_POLICY))
        .insert_header(("cache-control", "no-store"))
        .body(text)
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
