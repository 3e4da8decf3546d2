//! Counts every answer by route and status.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;
use cuecard_actors::telemetry::ApiRoute;

use super::Api;

/// Around every route.
pub(super) async fn count<B: MessageBody>(
    api: web::Data<Api>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let route = route(request.path());
    let answered = next.call(request).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    api.metrics.count_api(route, status.as_u16());
    answered
}

fn route(path: &str) -> ApiRoute {
    match path.rsplit('/').next().unwrap_or_default() {
        "push" => ApiRoute::Push,
        "query" => ApiRoute::Query,
        "ranking" => ApiRoute::Ranking,
        "click" => ApiRoute::Click,
        "metrics" => ApiRoute::Metrics,
        _ => ApiRoute::Unknown,
    }
}
