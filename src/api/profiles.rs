//! Which tenant a route speaks to.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use cuecard_actors::cxone::Contract;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::tenant::{Tenant, Tenants};

use super::problem::Problem;

/// The tenant of the profile that the path names, or the only one that has the contract.
pub(super) fn tenant(tenants: &Tenants, request: &HttpRequest, contract: Contract) -> Result<Arc<Tenant>, Problem> {
    let not_found = |detail| Problem::new(StatusCode::NOT_FOUND, detail);
    let with = || tenants.iter().filter(|tenant| tenant.profile.contract == contract);
    let names = || with().map(|tenant| tenant.name().to_string()).collect::<Vec<_>>().join(", ");
    if let Some(name) = request.match_info().get("profile") {
        let found = tenants.get(&ProfileName::new(name)).filter(|tenant| tenant.profile.contract == contract);
        return found.ok_or_else(|| {
            not_found(match names().as_str() {
                "" => format!("no profile has the contract {contract}"),
                names => format!("no profile of that name has the contract {contract}; there are: {names}"),
            })
        });
    }
    let mut with = with();
    match (with.next(), with.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(not_found(format!("no profile has the contract {contract}"))),
        (Some(_), Some(_)) => Err(not_found(format!(
            "several profiles have the contract {contract}, put one of their names before the path: {}",
            names()
        ))),
    }
}
