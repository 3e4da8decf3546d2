//! The routes of the API: where each is, which contract it belongs to, and which right it asks for. Each stands below
//! nothing, or below a profile's name.

use std::sync::LazyLock;

use actix_web::dev::{ResourceDef, ServiceRequest};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Route, web};
use cuecard_actors::cxone::Contract;
use cuecard_actors::telemetry::ApiRoute;

use super::{Api, graph, problem, profiles, rag, ranking};
use crate::access::{Guard, Needed, Right, Whose};

/// One route.
struct ApiEntry {
    route: ApiRoute,
    path: &'static str,
    contract: Contract,
    right: Right,
    handler: fn() -> Route,
}

const ROUTES: [ApiEntry; 5] = [
    ApiEntry {
        route: ApiRoute::Push,
        path: "/assist/push",
        contract: Contract::Rag,
        right: Right::Query,
        handler: || web::post().to(rag::push),
    },
    ApiEntry {
        route: ApiRoute::Query,
        path: "/agent-assist/query",
        contract: Contract::Graph,
        right: Right::Query,
        handler: || web::post().to(graph::query),
    },
    ApiEntry {
        route: ApiRoute::Ranking,
        path: "/sessions/{session_id}/snippets/ranking",
        contract: Contract::Ranking,
        right: Right::Query,
        handler: || web::post().to(ranking::submit),
    },
    ApiEntry {
        route: ApiRoute::Click,
        path: "/sessions/{session_id}/snippets/{snippet_id}/click",
        contract: Contract::Ranking,
        right: Right::Feedback,
        handler: || web::post().to(ranking::click),
    },
    ApiEntry {
        route: ApiRoute::Metrics,
        path: "/ranking/metrics",
        contract: Contract::Ranking,
        right: Right::Query,
        handler: || web::get().to(ranking::metrics),
    },
];
/// Nothing, or a profile's name.
const PREFIXES: [&str; 2] = ["", "/{profile}"];

/// Adds every route, each behind the guard; so is what is no route, of which not even that is told to strangers.
pub(super) fn configure(app: &mut web::ServiceConfig, api: &web::Data<Api>, guard: &Guard) {
    for prefix in PREFIXES {
        for entry in &ROUTES {
            let (api, guard, contract, rights) = (api.clone(), guard.clone(), entry.contract, [entry.right]);
            let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
                let (api, guard) = (api.clone(), guard.clone());
                async move {
                    let profile = profile(&api, &request, contract);
                    let whose = profile.as_deref().map_or(Whose::Nobody, Whose::Profile);
                    guard.pass(request, next, Needed { rights: &rights, whose }).await
                }
            });
            let resource = web::resource(format!("{prefix}{}", entry.path));
            let resource = resource.default_service(web::to(problem::wrong_method)).route((entry.handler)());
            app.service(resource.wrap(guarded));
        }
    }
    let guard = guard.clone();
    let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
        let guard = guard.clone();
        async move { guard.pass(request, next, Needed { rights: &[], whose: Whose::Nobody }).await }
    });
    app.default_service(web::to(problem::unknown_route).wrap(guarded));
}

/// The profile that the path names, whether there is one of that name or not, or the only one that has the contract.
fn profile(api: &Api, request: &ServiceRequest, contract: Contract) -> Option<String> {
    if let Some(named) = request.match_info().get("profile") {
        return Some(named.to_owned());
    }
    let tenant = profiles::tenant(&api.tenants, request.request(), contract).ok()?;
    Some(tenant.name().to_string())
}

/// The paths of each route, as they are written in the list of all routes.
static PATTERNS: LazyLock<Vec<(ApiRoute, ResourceDef)>> = LazyLock::new(|| {
    let below = |path: &str| PREFIXES.map(|prefix| format!("{prefix}{path}")).to_vec();
    ROUTES.iter().map(|entry| (entry.route, ResourceDef::new(below(entry.path)))).collect()
});

/// The route of a path, for the metrics.
pub(super) fn route(path: &str) -> ApiRoute {
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
