//! Counts every answer by route and status.

use std::sync::LazyLock;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ResourceDef, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;
use cuecard_actors::telemetry::ApiRoute;

use super::{Api, PATHS, PREFIXES};

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

/// The paths of each route, as they are written in the table of all routes.
static PATTERNS: LazyLock<Vec<(ApiRoute, ResourceDef)>> = LazyLock::new(|| {
    let below = |path: &str| PREFIXES.map(|prefix| format!("{prefix}{path}")).to_vec();
    PATHS.iter().map(|(route, path)| (*route, ResourceDef::new(below(path)))).collect()
});

fn route(path: &str) -> ApiRoute {
    PATTERNS.iter().find(|(_, pattern)| pattern.is_match(path)).map_or(ApiRoute::Unknown, |(route, _)| *route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_for_the_route_that_its_path_leads_to() {
        let table = [
            ("/assist/push", ApiRoute::Push),
            ("/acme/assist/push", ApiRoute::Push),
            ("/agent-assist/query", ApiRoute::Query),
            ("/acme/sessions/s-1/snippets/ranking", ApiRoute::Ranking),
            ("/sessions/s-1/snippets/kb-1/click", ApiRoute::Click),
            ("/ranking/metrics", ApiRoute::Metrics),
            ("/metrics", ApiRoute::Unknown),
            ("/somebody/else/push", ApiRoute::Unknown),
        ];
        for (path, expected) in table {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
