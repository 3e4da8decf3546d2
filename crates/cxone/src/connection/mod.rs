//! One CXone tenant: where its endpoints are and with which credentials.
//!
//! Input: [`ConnectionSettings`]. Output: a [`Connection`] whose URLs are all built and checked, so that nothing a
//! peer sends can change where a call goes. On failure a [`ConnectionError`] that names the setting.

mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use url::form_urlencoded::Serializer;

pub use settings::{ConnectionError, ConnectionSettings};

use crate::dialect::Dialect;
use crate::feedback;
use crate::interaction_id::InteractionId;
use crate::knowledge::{articles, search};
use crate::limits::Limits;
use crate::ranking;

/// Servers commonly refuse an address of more than 8 KiB, in which a byte takes up to three characters.
const MAX_SEARCH_BYTES: usize = 2000;
const ENGLISH: &str = "en";
/// The language that the documents search in; whoever wants English, or says nothing, is asked for as they write it.
const SEARCH_LANGUAGE: &str = "en-US";
/// Far above any link of a listing.
const MAX_LINK_BYTES: usize = 4096;

/// A tenant with checked URLs.
#[derive(Clone, Debug)]
pub struct Connection {
    base_url: Url,
    token_url: Url,
    stream_url: Option<Url>,
    client_id: String,
    client_secret: SecretString,
    scopes: Vec<String>,
    refresh_margin: Duration,
    limits: Limits,
}

impl Connection {
    pub fn new(settings: ConnectionSettings) -> Result<Self, ConnectionError> {
        if settings.client_id.trim().is_empty() {
            return Err(ConnectionError::Empty("client_id"));
        }
        if settings.client_secret.expose_secret().trim().is_empty() {
            return Err(ConnectionError::Empty("client_secret"));
        }
        let base_url = settings::check_url("base_url", &settings.base_url, settings.allow_plain_http)?;
        settings::check_path("token_path", &settings.token_path)?;
        let token_url = match &settings.token_url {
            Some(whole) => settings::check_url("token_url", whole, settings.allow_plain_http)?,
            None => join(&base_url, &settings.token_path),
        };
        Ok(Self {
            token_url,
            stream_url: settings.stream.map(|stream| to_web_socket(join(&base_url, stream.path()))),
            base_url,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            scopes: settings.scopes,
            refresh_margin: settings.refresh_margin,
            limits: settings.limits,
        })
    }

    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// With `ws` for `http` and `wss` for `https`, and without a token; none for a tenant that is not listened to.
    pub fn stream_url(&self) -> Option<&Url> {
        self.stream_url.as_ref()
    }

    pub fn push_url(&self, dialect: Dialect, interaction: &InteractionId) -> Url {
        join(&self.base_url, &dialect.path(interaction))
    }

    pub fn feedback_url(&self) -> Url {
        join(&self.base_url, feedback::PATH)
    }

    /// The listing of all articles, from its start.
    pub fn articles_url(&self) -> Url {
        join(&self.base_url, articles::PATH)
    }

    /// One page of the listing, for a tenant that pages by number; `page_size` as its last answer gave it.
    pub fn articles_page_url(&self, page: u32, page_size: Option<u32>) -> Url {
        let mut url = self.articles_url();
        url.query_pairs_mut().append_pair("page", &page.to_string());
        if let Some(page_size) = page_size {
            url.query_pairs_mut().append_pair("pageSize", &page_size.to_string());
        }
        url
    }

    /// The first page of what CXone finds in a language; `language` is a primary subtag. A long text is searched by its end,
    /// where the newest words are.
    pub fn search_url(&self, query: &str, language: Option<&str>, page_size: usize) -> Url {
        let language = language.filter(|&language| language != ENGLISH).unwrap_or(SEARCH_LANGUAGE);
        let mut url = join(&self.base_url, search::PATH);
        url.query_pairs_mut()
            .append_pair("q", end_of(query, MAX_SEARCH_BYTES))
            .append_pair("language", language)
            .append_pair("page", "1")
            .append_pair("pageSize", &page_size.to_string());
        url
    }

    /// Says whether the session is locked.
    pub fn session_url(&self, session: &InteractionId) -> Url {
        join(&self.base_url, &ranking::session_path(session))
    }

    /// Where a link in an answer leads, read against the listing of articles; none where it leaves this tenant's origin,
    /// to which alone the token may go.
    pub fn resolve_same_origin(&self, link: &str) -> Option<Url> {
        if link.len() > MAX_LINK_BYTES {
            return None;
        }
        let mut url = self.articles_url().join(link).ok()?;
        url.set_fragment(None);
        let stays = url.origin() == self.base_url.origin() && !settings::has_credentials(&url);
        stays.then_some(url)
    }

    pub fn refresh_margin(&self) -> Duration {
        self.refresh_margin
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The scopes that a token is asked for; none asks for all that the client may have.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The form that asks for a token; it holds the client's secret.
    pub fn token_form(&self) -> SecretString {
        self.token_form_for(&self.scopes)
    }

    /// The same for other scopes, to find out which of them the client may not have.
    pub fn token_form_for(&self, scopes: &[String]) -> SecretString {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret());
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        form.finish().into()
    }

    /// What the tenant says, for people: a token server may repeat the secret that it was sent.
    pub fn without_secret(&self, said: &str) -> String {
        said.replace(self.client_secret.expose_secret(), "***")
    }
}

/// `path` holds only checked segments, so setting it changes no other part of the URL.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

fn to_web_socket(mut url: Url) -> Url {
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    // Both are special schemes, between which the url crate always changes.
    let changed = url.set_scheme(scheme);
    debug_assert!(changed.is_ok());
    url
}

fn end_of(text: &str, most_bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most_bytes))..]
}
