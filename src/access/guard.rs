//! The guard around each route of a port: lets through whoever [`Access`] lets through, and answers all others.
//!
//! A refusal is `{"detail": "…"}` with 401, 403 or 429; it is logged with the key's name, never the key, and counted.

use std::net::SocketAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use cuecard_actors::telemetry::{CallerRefused, Metrics, Port};

use super::foreign::is_foreign;
use super::{AccessInForce, Needed, Refused};
use crate::detail::Detail;

/// The guard of a port. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Guard {
    access: AccessInForce,
    port: Port,
    /// Where the port listens.
    bound: SocketAddr,
    metrics: Metrics,
}

impl Guard {
    pub fn new(access: AccessInForce, port: Port, bound: SocketAddr, metrics: Metrics) -> Self {
        Self { access, port, bound, metrics }
    }

    /// Hands the request on where its caller may have what the route needs.
    pub async fn pass(
        &self,
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
        needed: Needed<'_>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        match self.refusal(&request, needed) {
            None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
            Some(refusal) => Ok(request.into_response(refusal)),
        }
    }

    fn refusal(&self, request: &ServiceRequest, needed: Needed<'_>) -> Option<HttpResponse> {
        let access = self.access.load();
        // Whoever sends a key is no foreign page: a browser asks before it sends one for it.
        let is_foreign = || !access.asks(self.port) && is_foreign(request, self.bound);
        let decided = access.decide(self.port, sent_key(request), needed);
        let refused = decided.err().or_else(|| is_foreign().then_some(Refused::ForeignPage))?;
        self.tell(request, &refused);
        Some(answer(&refused))
    }

    fn tell(&self, request: &ServiceRequest, refused: &Refused<'_>) {
        let route = request.match_pattern();
        CallerRefused {
            port: self.port,
            reason: refused.reason(),
            key: refused.key(),
            route: route.as_deref().unwrap_or("unknown"),
            peer: request.peer_addr().map(|peer| peer.ip()),
        }
        .emit(&self.metrics);
    }
}

/// The key as either of the two headers has it.
fn sent_key(request: &ServiceRequest) -> Option<&str> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| header("x-api-key"))
}

fn answer(refused: &Refused<'_>) -> HttpResponse {
    let status = match refused {
        Refused::NoKey | Refused::WrongKey => StatusCode::UNAUTHORIZED,
        Refused::NoRight { .. } | Refused::OtherProfile { .. } | Refused::ForeignPage => StatusCode::FORBIDDEN,
        Refused::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    if let Refused::TooMany { retry_after, .. } = refused {
        // In whole seconds, never less than the wait.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        answer.insert_header((RETRY_AFTER, seconds.max(1)));
    }
    answer.json(Detail::new(refused.to_string()))
}
