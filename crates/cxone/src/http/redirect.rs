//! Where an answer sends its caller on to, and whether a call may follow.
//!
//! Input: the URL that was asked, and the `Location` as it came. Output: the place for people, and the URL to ask
//! instead. The token goes to nobody else: only a redirect that stays on the same host, over the same port or from plain
//! text to TLS, is one to follow.

use url::Url;

/// More of a place tells nobody more.
const SHOWN: usize = 200;

pub(crate) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The place in words, without query and password: both may be secrets.
pub(crate) fn place(asked: &Url, location: &str) -> String {
    let Ok(mut url) = asked.join(location) else { return "a place that is no URL".to_owned() };
    url.set_query(None);
    url.set_fragment(None);
    // Only a URL without a host has neither.
    let _ = (url.set_username(""), url.set_password(None));
    url.as_str().chars().take(SHOWN).collect()
}

/// What to ask instead; none where that is somebody else, or would show the token to the network.
pub(crate) fn target(asked: &Url, location: &str) -> Option<Url> {
    let mut url = asked.join(location).ok()?;
    // A stream's peer may write either scheme.
    match (asked.scheme(), url.scheme()) {
        ("ws" | "wss", "http") => url.set_scheme("ws").ok()?,
        ("ws" | "wss", "https") => url.set_scheme("wss").ok()?,
        _ => {}
    }
    url.set_fragment(None);
    let is_safer = matches!((asked.scheme(), url.scheme()), ("http", "https") | ("ws", "wss"));
    let stays = asked.host_str() == url.host_str()
        && (is_safer || asked.scheme() == url.scheme() && asked.port_or_known_default() == url.port_or_known_default());
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    (stays && !has_credentials).then_some(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_redirect_is_followed_only_where_the_token_may_go() {
        for (asked, location, expected) in [
            ("https://a.example/v1/x?q=1", "/v2/x?q=1", Some("https://a.example/v2/x?q=1")),
            ("https://a.example/v1/x", "https://a.example:443/v2#top", Some("https://a.example/v2")),
            ("http://a.example/x", "https://a.example/x", Some("https://a.example/x")),
            ("http://a.example:8080/x", "https://a.example:8443/x", Some("https://a.example:8443/x")),
            ("wss://a.example/s", "https://a.example/t", Some("wss://a.example/t")),
            ("ws://a.example/s", "/t", Some("ws://a.example/t")),
            ("ws://a.example/s", "https://a.example/t", Some("wss://a.example/t")),
            ("https://a.example/x", "http://a.example/x", None),
            ("https://a.example/x", "https://b.example/x", None),
            ("https://a.example/x", "https://a.example:8443/x", None),
            ("https://a.example/x", "https://me:pw@a.example/x", None),
            ("https://a.example/x", "//b.example/x", None),
            ("wss://a.example/s", "http://a.example/s", None),
            ("https://a.example/x", "mailto:a@b.example", None),
            ("https://a.example/x", "https://", None),
        ] {
            let followed = target(&asked.parse().unwrap(), location);
            assert_eq!(followed.as_ref().map(Url::as_str), expected, "{asked} -> {location}");
        }
    }

    #[test]
    fn the_place_is_told_without_secrets() {
        let asked = "https://a.example/s?access_token=s3cret".parse().unwrap();
        let location = "https://me:s3cret@b.example/login?access_token=s3cret#s3cret";
        assert_eq!(place(&asked, location), "https://b.example/login");
        assert_eq!(place(&asked, "/v2?access_token=s3cret"), "https://a.example/v2");
        assert_eq!(place(&asked, "https://"), "a place that is no URL");
        assert_eq!(place(&asked, &format!("/{}", "x".repeat(9000))).len(), SHOWN);
    }
}
