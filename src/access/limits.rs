//! What one request may take: the size of its head and of its body, and the time in which its body must have come. The time
//! of its head is watched by the server.
//!
//! A request beyond a limit is answered `{"detail": "…"}` with 431, 413 or 408; what is left of it is not read.

use std::cell::Cell;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage, HttpResponse};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use crate::detail::Detail;

/// The address and the headers of a request, together. What the server itself stops at is eight times as much.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The limits of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortLimits {
    /// How long a request's head may take, and a TLS handshake.
    pub head_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a caller may take to take an answer.
    pub answer_timeout: Duration,
    pub max_body_bytes: usize,
}

/// Which limit a body went over.
#[derive(Debug, Clone, Copy)]
enum Over {
    Size,
    Time,
}

impl PortLimits {
    /// Nothing that is as it should be leaves a connection without a request for longer.
    pub(super) fn longest_idle(&self) -> Duration {
        self.answer_timeout + self.keep_alive + self.head_timeout
    }

    /// Around every route of the port.
    pub async fn hold(
        self,
        mut request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let _under_way = request.conn_data::<Connection>().map(Connection::request);
        if head_bytes(&request) > MAX_HEAD_BYTES {
            let detail = format!("the request's head is longer than {MAX_HEAD_BYTES} bytes");
            return Ok(request.into_response(refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &detail)));
        }
        if announced_bytes(&request) > self.max_body_bytes {
            return Ok(request.into_response(self.over(Over::Size)));
        }
        let over = Rc::new(Cell::new(None));
        let payload = match request.take_payload() {
            Payload::None => Payload::None,
            payload => {
                let until = Instant::now() + self.body_timeout;
                Payload::Stream { payload: bounded(payload, self.max_body_bytes, until, Rc::clone(&over)) }
            }
        };
        request.set_payload(payload);
        let answered = next.call(request).await?.map_into_boxed_body();
        // Whatever the handler made of a body that broke off.
        Ok(match over.get() {
            Some(limit) => answered.into_response(self.over(limit)),
            None => answered,
        })
    }

    fn over(self, limit: Over) -> HttpResponse {
        match limit {
            Over::Size => {
                let detail = format!("the body is too large; it may have {} bytes", self.max_body_bytes);
                refusal(StatusCode::PAYLOAD_TOO_LARGE, &detail)
            }
            Over::Time => {
                let detail = format!("the body did not come within {:?}", self.body_timeout);
                refusal(StatusCode::REQUEST_TIMEOUT, &detail)
            }
        }
    }
}

fn refusal(status: StatusCode, detail: &str) -> HttpResponse {
    // What follows on this connection would be the rest of what was refused.
    HttpResponse::build(status).force_close().json(Detail::new(detail))
}

fn head_bytes(request: &ServiceRequest) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    request.uri().to_string().len() + headers.sum::<usize>()
}

fn announced_bytes(request: &ServiceRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The body up to a limit, which it notes.
fn bounded(
    payload: Payload,
    max_bytes: usize,
    until: Instant,
    over: Rc<Cell<Option<Over>>>,
) -> Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> {
    Box::pin(stream::unfold(Some((payload, max_bytes)), move |state| {
        let over = Rc::clone(&over);
        async move {
            let (mut payload, left) = state?;
            match timeout_at(until, payload.next()).await {
                Err(_) => {
                    over.set(Some(Over::Time));
                    Some((Err(PayloadError::Io(ErrorKind::TimedOut.into())), None))
                }
                Ok(Some(Ok(bytes))) if bytes.len() > left => {
                    over.set(Some(Over::Size));
                    Some((Err(PayloadError::Overflow), None))
                }
                Ok(Some(Ok(bytes))) => {
                    let left = left - bytes.len();
                    Some((Ok(bytes), Some((payload, left))))
                }
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) => None,
            }
        }
    }))
}

/// What browsers are to know of every answer; one that says otherwise keeps its own.
pub fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Cache-Control", "no-store"))
}
