//! What CXone answers, and what its callers ask of the API in its name.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use cuecard_cxone::knowledge::articles::{self, NextPage};
use cuecard_cxone::knowledge::search;
use cuecard_cxone::ranking::{RankingRequest, order, ranking_checksum};
use cuecard_cxone::retry_after::RetryAfter;
use cuecard_cxone::token::{OauthError, Token};
use cuecard_cxone::{Connection, ConnectionSettings, Contract, Dialect, InteractionId, PushContent, PushTarget};
use cuecard_text::json;
use secrecy::ExposeSecret;
use serde_json::Value;
use strum::VariantArray;
use tokio::time::Instant;

const MOST_ID_BYTES: usize = 1024;
const LONGEST_HOLD: Duration = Duration::from_mins(5);
const LONGEST_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
const MARGIN: Duration = Duration::from_mins(5);
/// Of an error's code and of its description, with what stands between them.
const MOST_CHARACTERS_OF_ERROR: usize = 2 * 200 + 2;

/// A token is never shown, ends within ten years, and is renewed no sooner than after a second.
pub fn token_answer(input: &[u8]) {
    let asked = Instant::now();
    if let Ok(token) = Token::from_answer(input, asked, MARGIN) {
        let secret = token.secret().expose_secret();
        assert!(!secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(secret.len() < 20 || !format!("{token:?}").contains(secret));
        let (lifetime, refresh) = (token.expires_at() - asked, token.refresh_at() - asked);
        assert!(lifetime <= LONGEST_LIFETIME && refresh >= Duration::from_secs(1));
        assert!(refresh <= lifetime.max(Duration::from_secs(1)), "{refresh:?} of {lifetime:?}");
        assert_eq!(token.is_valid(asked), !lifetime.is_zero());
    }
    if let Some(error) = OauthError::from_answer(input) {
        let told = error.to_string();
        assert!(told.chars().count() <= MOST_CHARACTERS_OF_ERROR && !told.contains(char::is_control), "{told:?}");
    }
}

/// An id that is short enough to be kept, and a checksum that white space around the answer does not change.
pub fn push_answer(input: &[u8]) {
    for dialect in Dialect::VARIANTS {
        match dialect.returned_id(input) {
            Ok(Some(id)) => assert!(!id.is_empty() && id.len() <= MOST_ID_BYTES),
            Ok(None) => {}
            Err(long) => assert!(long.bytes > MOST_ID_BYTES),
        }
    }
    if let Some(checksum) = ranking_checksum(input) {
        assert!(checksum.len() == 64 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let apart = [input, b" \r\n\t"].concat();
        assert_eq!(ranking_checksum(&apart), Some(checksum));
    }
}

/// The header in the first line, the answer's date in the second: never a wait beyond the longest, and never a shorter one
/// than was asked for.
pub fn retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (header, date) = text.split_once('\n').map_or((&*text, None), |(header, date)| (header, Some(date)));
    let now = SystemTime::UNIX_EPOCH + Duration::from_mins(29_876_128);
    let Some(read) = RetryAfter::read(header, date, now, LONGEST_HOLD) else { return };
    assert!(read.wait() <= LONGEST_HOLD);
    assert!(!read.is_cut() || read.wait() == LONGEST_HOLD);
    if let Ok(seconds) = header.trim().parse::<f64>() {
        let asked = seconds.min(LONGEST_HOLD.as_secs_f64());
        assert!(read.wait().as_secs_f64() >= asked - 1e-6, "{header:?} is read as {:?}", read.wait());
    }
}

/// Each row is an article or is counted, no row costs another, and no link leads away from the tenant.
pub fn knowledge_answers(input: &[u8]) {
    if let Ok(page) = articles::parse(input) {
        let num_rows = num_rows(input, "items");
        assert_eq!(page.articles.len() + page.left_out.count, num_rows);
        for article in &page.articles {
            assert!(!article.id.trim().is_empty() && article.id.len() <= MOST_ID_BYTES);
            assert!(!article.content.trim().is_empty());
        }
        if let Some(NextPage::Link(link)) = &page.next {
            let next = TENANT.as_ref().and_then(|tenant| tenant.resolve_same_origin(link));
            assert!(next.is_none_or(|next| next.host_str() == Some("tenant.example") && next.scheme() == "https"));
        }
    }
    if let Ok(found) = search::parse(input) {
        assert_eq!(found.hits.len() + found.left_out.count, num_rows(input, "entities"));
        for hit in &found.hits {
            assert!(!hit.id.trim().is_empty() && hit.id.len() <= MOST_ID_BYTES && hit.score.is_finite());
        }
    }
}

static TENANT: LazyLock<Option<Connection>> = LazyLock::new(|| {
    let mut settings = ConnectionSettings::for_contract(Contract::Snippets, "client", "secret".into());
    "https://tenant.example/cxone".clone_into(&mut settings.base_url);
    Connection::new(settings).ok()
});

fn num_rows(answer: &[u8], list: &str) -> usize {
    let rows = json::parse::<Value>(answer).ok().and_then(|answer| Some(answer.value.get(list)?.as_array()?.len()));
    rows.unwrap_or_default()
}

/// A request that keeps the rules becomes an order that CXone takes, in each dialect.
pub fn ranking_request(input: &[u8]) {
    let Ok(session) = "session-1".parse::<InteractionId>() else { return };
    let Ok(request) = json::parse_object::<RankingRequest>(input).map(|read| read.value) else { return };
    let is_valid = request.validate(&session).is_ok();
    for normalise in [true, false] {
        let submission = order(&request, normalise);
        assert!((1..=50).contains(&submission.max_result_window));
        let most = request.snippets.len().min(submission.max_result_window as usize);
        assert_eq!(submission.snippets.len(), most);
        assert!(submission.snippets.iter().all(|snippet| (0.0..=1.0).contains(&snippet.relevance_score)));
        let scores = submission.snippets.windows(2).map(|pair| (pair[0].relevance_score, pair[1].relevance_score));
        assert!(scores.into_iter().all(|(better, worse)| better >= worse), "{submission:?}");
        let to = PushTarget { interaction: &session, agent_id: "agent" };
        for dialect in Dialect::VARIANTS {
            let body = dialect.body(&to, &PushContent::Ranking(submission.clone()));
            let written = body.to_json().unwrap_or_default();
            assert!(serde_json::from_str::<Value>(&written).is_ok(), "{dialect}: {written}");
            assert!(!is_valid || body.num_cards() > 0, "{dialect} shows nothing of a valid request");
        }
    }
}
