//! What scripted faults look like on the wire.
//!
//! Input: what the script says, and the answer of a handler where it has run. Output: an answer in place of it, the same
//! one damaged, or one whose body breaks.

use std::any::Any;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use actix_web::body::{BodyStream, BoxBody, MessageBody, SizedStream};
use actix_web::dev::{Extensions, ResponseHead, ServiceRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, DATE, HeaderValue, HttpDate, LOCATION, RETRY_AFTER};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder, rt};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};

use super::answer;
use crate::serve::faults::{FaultKind, RetryAfter};
use crate::serve::record::Verdict;

/// Time for the first half to leave before the connection breaks.
const HALF_IS_SENT: Duration = Duration::from_millis(50);

/// As a proxy shows it whose session has ended.
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>\
                          <form method=\"post\"><input name=\"user\"><input name=\"password\"></form></body></html>";

/// A second handle on a connection's socket, for what the server itself can't send.
struct Socket(TcpStream);

/// Keeps the handle with the data of the connection.
pub(super) fn keep_socket(connection: &dyn Any, data: &mut Extensions) {
    let connection = connection.downcast_ref::<rt::net::TcpStream>();
    if let Some(socket) = connection.and_then(|connection| connection.as_fd().try_clone_to_owned().ok()) {
        data.insert(Socket(socket.into()));
    }
}

/// Sends an interim answer; the server's own follows it.
pub(super) fn send_interim(request: &ServiceRequest, status: u16) -> std::io::Result<()> {
    let Some(Socket(socket)) = request.conn_data() else {
        return Err(std::io::ErrorKind::NotConnected.into());
    };
    let mut socket: &TcpStream = socket;
    // So short that it fits: the client waits, so nothing else is under way to it.
    socket.write_all(format!("HTTP/1.1 {status} {}\r\n\r\n", reason(answer::code(status))).as_bytes())
}

fn reason(status: StatusCode) -> &'static str {
    // The status line of 103 is younger than the list of them.
    status.canonical_reason().unwrap_or(if status.as_u16() == 103 { "Early Hints" } else { "" })
}

/// The answer of a fault that lets no handler run; nothing for any other.
pub(super) fn in_place_of_the_handler(fault: &FaultKind) -> Option<HttpResponse> {
    let (FaultKind::Answer { status, .. } | FaultKind::Redirect { status, .. } | FaultKind::LoginPage { status }) =
        fault
    else {
        return None;
    };
    let code = answer::code(*status);
    let mut builder = HttpResponse::build(code);
    builder.reason(reason(code));
    let response = match fault {
        FaultKind::Redirect { location, .. } => builder.insert_header((LOCATION, location.as_str())).finish(),
        FaultKind::LoginPage { .. } => builder.content_type("text/html; charset=utf-8").body(LOGIN_PAGE),
        FaultKind::Answer { retry_after, body, .. } => {
            insert_retry_after(&mut builder, retry_after.as_ref());
            let body = body.clone().unwrap_or_else(|| answer::error_body(*status, "scripted fault").to_string());
            // Whoever sends a body with a status that has none puts the connection out of step.
            match status {
                100..=199 | 204 | 304 => builder.finish(),
                _ => builder.content_type("application/json").body(body),
            }
        }
        _ => return None,
    };
    Some(answer::with_verdict(response, Verdict::Scripted))
}

fn insert_retry_after(builder: &mut HttpResponseBuilder, retry_after: Option<&RetryAfter>) {
    let now = SystemTime::now();
    match retry_after {
        Some(RetryAfter::Seconds(seconds)) => builder.insert_header((RETRY_AFTER, *seconds)),
        Some(RetryAfter::DateIn(later)) => builder.insert_header((RETRY_AFTER, HttpDate::from(now + *later))),
        Some(RetryAfter::DateByClock { date_in, ahead }) => {
            let far = ahead.unsigned_abs();
            let shown = if ahead.is_negative() { now - far } else { now + far };
            builder.insert_header((DATE, HttpDate::from(shown)));
            builder.insert_header((RETRY_AFTER, HttpDate::from(shown + *date_in)))
        }
        Some(RetryAfter::Literal(text)) => builder.insert_header((RETRY_AFTER, text.as_str())),
        None => builder,
    };
}

/// The body, compressed; an open stream has none.
pub(super) fn gzip(head: &mut ResponseHead, body: BoxBody) -> BoxBody {
    let whole = match body.try_into_bytes() {
        Ok(whole) if !whole.is_empty() => whole,
        Ok(empty) => return BoxBody::new(empty),
        Err(stream) => return stream,
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory can't fail.
    let _ = encoder.write_all(&whole);
    head.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    BoxBody::new(encoder.finish().unwrap_or_default())
}

/// The body with one passage replaced; an error where none reads so. An open stream has none.
pub(super) fn edit(head: &mut ResponseHead, body: BoxBody, find: &str, replace: &[u8]) -> BoxBody {
    let whole = match body.try_into_bytes() {
        Ok(whole) => whole,
        Err(stream) => return stream,
    };
    let reads_so = |place: &usize| whole[*place..].starts_with(find.as_bytes());
    if let Some(place) = (0..=whole.len()).find(reads_so) {
        return BoxBody::new([&whole[..place], replace, &whole[place + find.len()..]].concat());
    }
    head.status = StatusCode::INTERNAL_SERVER_ERROR;
    BoxBody::new(answer::error_body(500, &format!("scripted edit: '{find}' is not in the answer")).to_string())
}

/// An answer whose body fails before its first byte: the server drops the connection with the head unsent.
pub(super) fn cut() -> HttpResponse {
    let body = stream::iter([Err::<Bytes, _>(broken())]);
    HttpResponse::Ok().body(BodyStream::new(body))
}

/// The first half of a body that promises the whole.
pub(super) fn cut_in_body(body: BoxBody) -> BoxBody {
    let whole = body.try_into_bytes().unwrap_or_default();
    let half = whole.slice(..whole.len().div_ceil(2).min(whole.len().saturating_sub(1)));
    let breaks = stream::once(async {
        tokio::time::sleep(HALF_IS_SENT).await;
        Err(broken())
    });
    let half = stream::iter((!half.is_empty()).then_some(Ok::<_, std::io::Error>(half)));
    BoxBody::new(SizedStream::new(whole.len() as u64, Box::pin(half.chain(breaks))))
}

fn broken() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionAborted)
}
