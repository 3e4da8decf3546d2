//! `GET /api/v2/knowledge/articles/search`: the contracts' own article search.
//!
//! Input: `q`, `language=en-US`, `page` and `pageSize`, a bearer token. Output: one page of entities. 401 and 403 for
//! the token, 400 for a parameter that is missing, mistyped or not the contract's.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::answer::{self, Refusal};
use crate::hub::Hub;
use crate::record::Verdict;
use crate::routes::Route;

/// Entities on one page, at most.
const MAX_PAGE_SIZE: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Search {
    q: String,
    language: String,
    page: usize,
    page_size: usize,
}

pub(super) async fn search(hub: web::Data<Hub>, request: HttpRequest) -> HttpResponse {
    match find(&hub, &request) {
        Ok(page) => answer::respond(200, page, Verdict::Accepted),
        Err(refusal) => refusal.into_response(),
    }
}

fn find(hub: &Hub, request: &HttpRequest) -> Result<String, Refusal> {
    answer::authorise(hub, request, Route::Search)?;
    let search = web::Query::<Search>::from_query(request.query_string())
        .map_err(|error| Refusal::violation(400, format!("bad search: {error}")))?;
    if search.language != "en-US" || search.page == 0 || !(1..=MAX_PAGE_SIZE).contains(&search.page_size) {
        let reason = "language must be en-US, page at least 1, pageSize from 1 to 100";
        return Err(Refusal::violation(400, reason));
    }
    let entities = hub.articles().search(&search.q, search.page, search.page_size);
    Ok(format!("{{\"entities\":{entities}}}"))
}
