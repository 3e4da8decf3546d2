//! `GET /api/v2/knowledge/articles`: the whole knowledge, for whoever keeps a copy; `…/articles/search`: a page of it.
//!
//! Input of the list: `If-Modified-Since` with a date that was given here, and the parameters of the page where it is cut
//! into pages. Output: 304 when nothing has changed since, else 200 or 206 with `{"items": […]}` and `Last-Modified`.
//! Input of the search: `q`, `language` (a tag such as `en-US`; every article counts as written in it), `page` and
//! `pageSize`. Output: one page of entities. Both take a bearer token: 401 and 403 for it, 400 for a date or a parameter
//! that is missing, mistyped or not the contract's.

use std::fmt;
use std::num::ParseIntError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::{HttpDate, IF_MODIFIED_SINCE, LAST_MODIFIED};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::answer::{self, Refusal};
use crate::base::contracts::Route;
use crate::serve::hub::Hub;
use crate::serve::library::{ArticlesAnswer, Library, Listing};
use crate::serve::record::Verdict;
use crate::serve::settings::Paging;

/// Entities on one page of the search, at most.
const MAX_PAGE_SIZE: usize = 100;

/// Where a list goes on, and which list it is: the client need not repeat the condition that the first page had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Cursor {
    /// The first item.
    first: usize,
    /// Seconds since 1970 of the state that the client held.
    since: Option<u64>,
}

impl TryFrom<String> for Cursor {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, ParseIntError> {
        let (first, since) = text.split_once('.').map_or((text.as_str(), None), |(first, since)| (first, Some(since)));
        Ok(Self { first: first.parse()?, since: since.map(str::parse).transpose()? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first)?;
        self.since.map_or(Ok(()), |since| write!(formatter, ".{since}"))
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Parameters {
    /// Of a `nextPage` link.
    cursor: Option<Cursor>,
    page: Option<usize>,
    page_size: Option<usize>,
}

pub(super) async fn list(hub: web::Data<Hub>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    answer::authorise(&hub, &request, Route::Articles)?;
    let page = Page::asked(hub.settings.paging, request.query_string())?;
    let library = hub.articles();
    // A page after the first belongs to an answer that has begun: what the client held tells which articles are in that
    // answer, and no more whether there is one.
    let page = match page.first {
        0 => Page { since: since(&request)?, ..page },
        _ => Page { since: page.since.filter(|since| *since < library.modified()), ..page },
    };
    let mut response = match library.list(page.since) {
        None => answer::empty(304),
        Some(listing) => {
            let status = if listing.is_partial { 206 } else { 200 };
            answer::respond(status, body(&library, &listing, page), Verdict::Accepted)
        }
    };
    let date = last_modified(&library).to_string().parse();
    let date = date.map_err(|_| Refusal::refused(500, "the date of the articles can't be written"))?;
    response.headers_mut().insert(LAST_MODIFIED, date);
    Ok(response)
}

/// The date of a library's last change.
pub(super) fn last_modified(library: &Library) -> HttpDate {
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(library.modified()))
}

/// Seconds since 1970 of the state that the client holds.
fn since(request: &HttpRequest) -> Result<Option<u64>, Refusal> {
    let Some(sent) = request.headers().get(IF_MODIFIED_SINCE) else {
        return Ok(None);
    };
    let date = sent.to_str().ok().and_then(|text| text.parse::<HttpDate>().ok());
    let date = date.and_then(|date| SystemTime::from(date).duration_since(UNIX_EPOCH).ok());
    date.map(|since| Some(since.as_secs()))
        .ok_or_else(|| Refusal::bad_request(format!("If-Modified-Since {sent:?} is no HTTP date")))
}

/// Which part of the list is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    paging: Paging,
    first: usize,
    size: usize,
    /// Seconds since 1970 of the state that the client holds, or held when the list began.
    since: Option<u64>,
}

impl Page {
    fn asked(paging: Paging, query: &str) -> Result<Self, Refusal> {
        let wrong = |reason: String| Refusal::bad_request(format!("bad request for articles: {reason}"));
        let sent = web::Query::<Parameters>::from_query(query).map_err(|error| wrong(error.to_string()))?;
        let (Cursor { first, since }, size) = match (paging, sent.into_inner()) {
            (Paging::Whole, Parameters { cursor: None, page: None, page_size: None }) => {
                (Cursor::default(), usize::MAX)
            }
            (Paging::NextLink(size), Parameters { cursor, page: None, page_size: None }) => {
                (cursor.unwrap_or_default(), size.max(1))
            }
            (Paging::PageNumber(size), Parameters { cursor: None, page, page_size }) => {
                let size = page_size.unwrap_or(size).clamp(1, size.max(1));
                let before = page.unwrap_or(1).checked_sub(1).ok_or_else(|| wrong("page counts from 1".to_owned()))?;
                (Cursor { first: before.saturating_mul(size), since: None }, size)
            }
            (_, parameters) => return Err(wrong(format!("{parameters:?} is not how this tenant pages"))),
        };
        Ok(Self { paging, first, size, since })
    }
}

fn body(library: &Library, listing: &Listing<'_>, page: Page) -> web::Bytes {
    if page.paging == Paging::Whole && library.answer() == ArticlesAnswer::Whole {
        return library.whole();
    }
    let items = listing.items(page.first, page.size);
    let next = page.first.saturating_add(page.size);
    let more = match page.paging {
        Paging::NextLink(_) if next < listing.len() => {
            let cursor = Cursor { first: next, since: page.since };
            format!(",\"nextPage\":\"/api/v2/knowledge/articles?cursor={cursor}\"")
        }
        Paging::PageNumber(_) => format!(",\"page\":{},\"pageSize\":{}", page.first / page.size + 1, page.size),
        _ => String::new(),
    };
    format!("{{\"items\":{items}{more}}}").into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Search {
    q: String,
    language: String,
    page: usize,
    page_size: usize,
}

pub(super) async fn search(hub: web::Data<Hub>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    answer::authorise(&hub, &request, Route::Search)?;
    let search = web::Query::<Search>::from_query(request.query_string())
        .map_err(|error| Refusal::bad_request(format!("bad search: {error}")))?;
    if !is_language_tag(&search.language) || search.page == 0 || !(1..=MAX_PAGE_SIZE).contains(&search.page_size) {
        let reason = "language must be a tag such as en-US, page at least 1, pageSize from 1 to 100";
        return Err(Refusal::bad_request(reason));
    }
    let entities = hub.articles().search(&search.q, search.page, search.page_size);
    Ok(answer::accepted(format!("{{\"entities\":{entities}}}")))
}

fn is_language_tag(text: &str) -> bool {
    text.split('-').all(|part| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_by_parameters() {
        let page = |paging, query| Page::asked(paging, query).ok();
        let asked = |paging, query| page(paging, query).map(|page| (page.first, page.size));
        let table = [
            (Paging::Whole, "", Some((0, usize::MAX))),
            (Paging::Whole, "page=1", None),
            (Paging::Whole, "since=yesterday", None),
            (Paging::NextLink(10), "", Some((0, 10))),
            (Paging::NextLink(10), "cursor=20", Some((20, 10))),
            (Paging::NextLink(10), "cursor=x", None),
            (Paging::NextLink(10), "page=2", None),
            (Paging::PageNumber(10), "", Some((0, 10))),
            (Paging::PageNumber(10), "page=3&pageSize=10", Some((20, 10))),
            (Paging::PageNumber(10), "page=3&pageSize=5", Some((10, 5))),
            (Paging::PageNumber(10), "page=2&pageSize=500", Some((10, 10))),
            (Paging::PageNumber(10), "page=0", None),
            (Paging::PageNumber(10), "cursor=5", None),
        ];
        for (paging, query, expected) in table {
            assert_eq!(asked(paging, query), expected, "{paging:?} '{query}'");
        }
        let since = |query| page(Paging::NextLink(10), query).map(|page| page.since);
        assert_eq!(since("cursor=20.1700000000"), Some(Some(1_700_000_000)));
        assert_eq!((since("cursor=20"), since("cursor=20."), since("cursor=.1")), (Some(None), None, None));
    }
}
