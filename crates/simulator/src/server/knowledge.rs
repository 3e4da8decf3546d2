//! `GET /api/v2/knowledge/articles/search`: the contract's own article search.
//!
//! Input: `q`, `language=en-US`, `page` and `pageSize`, a bearer token. Output: one page of entities. 401 and 403 for
//! the token, 400 for a parameter that is missing, mistyped or not the contract's.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use crate::articles;
use crate::hub::Hub;
use crate::record::Verdict;
use crate::settings::SCOPE_KNOWLEDGE;

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
        Ok(page) => answer::respond(200, &page, Verdict::Accepted),
        Err(refusal) => refusal.into_response(),
    }
}

fn find(hub: &Hub, request: &HttpRequest) -> Result<Value, Refusal> {
    answer::authorise(hub, request, SCOPE_KNOWLEDGE, Instant::now())?;
    let search = web::Query::<Search>::from_query(request.query_string())
        .map_err(|error| Refusal::violation(400, format!("bad search: {error}")))?;
    if search.language != "en-US" || search.page == 0 || search.page_size == 0 {
        let reason = "language must be en-US, page and pageSize at least 1";
        return Err(Refusal::violation(400, reason));
    }
    let entities = articles::search(&hub.settings.articles, &search.q, search.page, search.page_size);
    Ok(json!({"entities": entities}))
}
