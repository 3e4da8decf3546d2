//! URLs and paths as they may be written in settings.

use url::{Host, Url};

use super::settings::ConnectionError;
use crate::interaction_id::is_segment_character;

/// A URL with a host, over TLS unless that is this machine or allowed, and with nothing in it but plain segments.
pub(super) fn check_url(setting: &'static str, text: &str, allow_plain_http: bool) -> Result<Url, ConnectionError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ConnectionError::Empty(setting));
    }
    let url = Url::parse(text).map_err(|error| ConnectionError::Url { setting, error })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ConnectionError::Scheme { setting, scheme: url.scheme().to_owned() });
    }
    if has_credentials(&url) {
        return Err(ConnectionError::Credentials { setting });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConnectionError::QueryOrFragment { setting });
    }
    if url.scheme() == "http" && !allow_plain_http && !is_loopback(&url) {
        return Err(ConnectionError::PlainHttp { setting, host: url.host_str().unwrap_or_default().to_owned() });
    }
    match url.path().trim_end_matches('/') {
        "" => {}
        path => check_path(setting, path)?,
    }
    Ok(url)
}

pub(super) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Segments of characters that need no escape, none of them empty or a dot segment.
pub(super) fn check_path(setting: &'static str, path: &str) -> Result<(), ConnectionError> {
    let is_plain = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_segment_character)
    };
    match path.strip_prefix('/') {
        Some(segments) if segments.split('/').all(is_plain) => Ok(()),
        _ => Err(ConnectionError::Path { setting, path: path.to_owned() }),
    }
}
