//! The routes of the API: which contract each belongs to, and which right it asks for. Each stands below
//! nothing, or below a profile's name.

use std::sync::LazyLock;

use actix_web::dev::{ResourceDef, ServiceRequest};
use actix_web::middleware::{Next, from_fn};
use actix_web::web;
use cuecard_actors::cxone::Contract;
use cuecard_actors::telemetry::ApiRoute;
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};

use super::{Api, graph, problem, profiles, rag, ranking};
use crate::access::{Guard, Needed, Right, Whose};
use crate::openapi::{self, About, Call, Document};

/// One route.
struct ApiEntry {
    route: ApiRoute,
    contract: Contract,
    rights: &'static [Right],
    call: fn() -> Call,
}

const ROUTES: [ApiEntry; 5] = [
    ApiEntry {
        route: ApiRoute::Push,
        contract: Contract::Rag,
        rights: &[Right::Query],
        call: || Call::of::<rag::__path_push>(|route| route.to(rag::push)),
    },
    ApiEntry {
        route: ApiRoute::Query,
        contract: Contract::Graph,
        rights: &[Right::Query],
        call: || Call::of::<graph::__path_query>(|route| route.to(graph::query)),
    },
    ApiEntry {
        route: ApiRoute::Ranking,
        contract: Contract::Ranking,
        rights: &[Right::Query],
        call: || Call::of::<ranking::__path_submit>(|route| route.to(ranking::submit)),
    },
    ApiEntry {
        route: ApiRoute::Click,
        contract: Contract::Ranking,
        rights: &[Right::Feedback],
        call: || Call::of::<ranking::__path_click>(|route| route.to(ranking::click)),
    },
    ApiEntry {
        route: ApiRoute::Metrics,
        contract: Contract::Ranking,
        rights: &[Right::Query],
        call: || Call::of::<ranking::__path_metrics>(|route| route.to(ranking::metrics)),
    },
];
/// Nothing, or a profile's name.
const PREFIXES: [&str; 2] = ["", "/{profile}"];

/// Adds every route, each behind the guard; so is what is no route, of which not even that is told to strangers.
pub(super) fn configure(app: &mut web::ServiceConfig, api: &web::Data<Api>, guard: &Guard) {
    for prefix in PREFIXES {
        for entry in &ROUTES {
            let (api, guard, contract, rights) = (api.clone(), guard.clone(), entry.contract, entry.rights);
            let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
                let (api, guard) = (api.clone(), guard.clone());
                async move {
                    let profile = profile(&api, &request, contract);
                    let whose = profile.as_deref().map_or(Whose::Nobody, Whose::Profile);
                    guard.pass(request, next, Needed { rights, whose }).await
                }
            });
            let call = (entry.call)();
            let address = format!("{prefix}{}", call.address());
            app.service(call.resource(&address).wrap(guarded));
        }
    }
    openapi::configure(app);
    let guard = guard.clone();
    let guarded = from_fn(move |request: ServiceRequest, next: Next<_>| {
        let guard = guard.clone();
        async move { guard.pass(request, next, Needed { rights: &[], whose: Whose::Nobody }).await }
    });
    app.default_service(web::to(problem::unknown_route).wrap(guarded));
}

/// What is documented of this port.
pub(super) fn document() -> serde_json::Result<Document> {
    let below = |prefix: &str, description: &str| {
        let server = ServerBuilder::new().url(format!(".{prefix}")).description(Some(description));
        match prefix.strip_prefix("/{").and_then(|named| named.strip_suffix('}')) {
            Some(named) => server.parameter(named, ServerVariableBuilder::new().default_value("north")).build(),
            None => server.build(),
        }
    };
    let [plain, named] = PREFIXES;
    let about = About {
        title: "cuecard API",
        description: "What agents' desktops and back ends ask. Every error is `{\"detail\": \"…\"}`. A key is asked for on an \
                      address that other machines reach, or where the settings say so; a service that asks for no \
                      key ignores one that is sent.",
        tags: &[
            ("rag", "contract 000: an agent's question brings reference context"),
            ("graph", "contract 002: an agent's question brings the articles that a knowledge graph relates to it"),
            ("ranking", "contract 004: a session's snippets are ordered as one unit"),
            ("documentation", "what this port answers"),
        ],
        servers: vec![
            below(plain, "where one profile has the contract of a call"),
            below(named, "where several have it: the name of one of them comes first"),
        ],
    };
    let calls = ROUTES.iter().map(|entry| ((entry.call)(), entry.rights));
    Document::new(about, calls.chain(openapi::calls().map(|call| (call.served_at("."), &[][..]))))
}

/// The profile that the path names, whether there is one of that name or not, or the only one that has the contract.
fn profile(api: &Api, request: &ServiceRequest, contract: Contract) -> Option<String> {
    if let Some(named) = request.match_info().get("profile") {
        return Some(named.to_owned());
    }
    let tenant = profiles::tenant(&api.tenants, request.request(), contract).ok()?;
    Some(tenant.name().to_string())
}

/// The paths of each route.
static PATTERNS: LazyLock<Vec<(ApiRoute, ResourceDef)>> = LazyLock::new(|| {
    let below = |path: &str| PREFIXES.map(|prefix| format!("{prefix}{path}")).to_vec();
    let routes = ROUTES.iter().map(|entry| (entry.route, ResourceDef::new(below((entry.call)().address()))));
    let documentation = openapi::calls().map(|call| (ApiRoute::Documentation, ResourceDef::new(call.address())));
    documentation.into_iter().chain(routes).collect()
});

/// The route of a path, for the metrics.
pub(super) fn route(path: &str) -> ApiRoute {
    PATTERNS.iter().find(|(_, pattern)| pattern.is_match(path)).map_or(ApiRoute::Unknown, |(route, _)| *route)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
            ("/openapi.json", ApiRoute::Documentation),
            ("/docs/docs.js", ApiRoute::Documentation),
            ("/metrics", ApiRoute::Unknown),
            ("/somebody/else/push", ApiRoute::Unknown),
        ];
        for (path, expected) in table {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn the_page_about_access_has_each_route_in_the_rows_of_its_rights() {
        let page = include_str!("../../docs/access.md");
        for entry in &ROUTES {
            let path = (entry.call)().path();
            for right in entry.rights {
                let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", right.name()))).unwrap();
                assert!(row.contains(&format!("`{path}`")), "{path} in {row}");
            }
        }
    }
}
