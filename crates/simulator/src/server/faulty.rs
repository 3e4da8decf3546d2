//! What scripted faults look like on the wire.
//!
//! Input: what the script says. Output: an answer in place of a handler's, or one whose body breaks.

use std::time::{Duration, SystemTime};

use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody, MessageBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HttpDate, RETRY_AFTER};
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};

use super::answer;
use crate::faults::RetryAfter;
use crate::record::Verdict;

/// Time for the first half to leave before the connection breaks.
const HALF_IS_SENT: Duration = Duration::from_millis(50);

/// An answer in place of the handler's.
pub(super) fn answer(status: u16, retry_after: Option<RetryAfter>, body: Option<String>) -> HttpResponse {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(code);
    match retry_after {
        Some(RetryAfter::Seconds(seconds)) => {
            builder.insert_header((RETRY_AFTER, seconds));
        }
        Some(RetryAfter::DateIn(later)) => {
            builder.insert_header((RETRY_AFTER, HttpDate::from(SystemTime::now() + later)));
        }
        Some(RetryAfter::Literal(text)) => {
            builder.insert_header((RETRY_AFTER, text));
        }
        None => {}
    }
    let mut response = match body {
        Some(body) => builder.content_type("application/json").body(body),
        None => builder.json(answer::error_body(status, "scripted fault")),
    };
    response.extensions_mut().insert(Verdict::Scripted);
    response
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
