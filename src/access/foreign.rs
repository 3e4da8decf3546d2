//! Whether a request comes from a page of somebody else's in a browser on this machine.
//!
//! A port that asks nobody for a key trusts whoever reaches it, and a browser reaches it on behalf of every page that is open in
//! it: by a name that leads to this machine (DNS rebinding), or by a request whose answer the page can't read but whose effect
//! stays. What a browser says of its requests tells; callers that are no browser say nothing of the kind.

use std::net::{IpAddr, SocketAddr};

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use actix_web::http::uri::Authority;

/// What a request says of where it comes from; what it does not say is `None`.
#[derive(Debug, Clone, Copy, Default)]
struct Said<'a> {
    /// What the port is called, with its number.
    host: Option<&'a str>,
    /// The page that sends it.
    origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page stands to this port.
    site: Option<&'a str>,
    /// Somebody follows a link: the answer becomes a page of its own, which no other page reads.
    is_navigation: bool,
}

/// Whether no page but this port's own may have sent it. `bound` is where the port listens.
pub(super) fn is_foreign(request: &ServiceRequest, bound: SocketAddr) -> bool {
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let mode = header(HeaderName::from_static("sec-fetch-mode"));
    let said = Said {
        host: request.uri().authority().map(Authority::as_str).or_else(|| header(HOST)),
        origin: header(ORIGIN),
        site: header(HeaderName::from_static("sec-fetch-site")),
        is_navigation: request.method() == Method::GET && mode == Some("navigate"),
    };
    said.is_foreign(bound)
}

impl Said<'_> {
    fn is_foreign(self, bound: SocketAddr) -> bool {
        // Elsewhere nobody knows by which names the port is reached.
        let is_renamed = bound.ip().is_loopback() && self.host.is_some_and(|host| !is_loopback(host));
        let is_of_other_page = self.origin.is_some_and(|origin| !self.is_own(origin));
        let is_from_elsewhere =
            !self.is_navigation && self.site.is_some_and(|site| !["same-origin", "none"].contains(&site));
        is_renamed || is_of_other_page || is_from_elsewhere
    }

    /// Whether an origin is this port, under the name that the request calls it by.
    fn is_own(self, origin: &str) -> bool {
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        place.zip(self.host).is_some_and(|(place, host)| place.eq_ignore_ascii_case(host))
    }
}

/// Whether a name, or an address, with or without a port's number, is this machine for itself whatever a name server says.
fn is_loopback(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = without_port.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken_where_others_can_not_reach_it() {
        let (here, everywhere) = (SocketAddr::from(([127, 0, 0, 1], 9100)), SocketAddr::from(([0, 0, 0, 0], 9100)));
        let table = [
            ("127.0.0.1:9100", false),
            ("127.0.0.77", false),
            ("localhost:9100", false),
            ("LocalHost", false),
            ("console.localhost:9100", false),
            ("[::1]:9100", false),
            ("[::1]", false),
            ("evil.example:9100", true),
            ("localhost.evil.example", true),
            ("127.0.0.1.evil.example:9100", true),
            ("192.168.0.7:9100", true),
            ("", true),
        ];
        for (host, is_foreign) in table {
            let said = Said { host: Some(host), ..Said::default() };
            assert_eq!(said.is_foreign(here), is_foreign, "{host}");
            assert!(!said.is_foreign(everywhere), "{host}");
        }
        assert!(!Said::default().is_foreign(here), "no browser leaves the name out");
    }

    #[test]
    fn a_page_of_somebody_else_is_told_by_what_the_browser_says() {
        let here = SocketAddr::from(([127, 0, 0, 1], 9100));
        let said = Said { host: Some("localhost:9100"), ..Said::default() };
        let of = |origin| Said { origin: Some(origin), ..said };
        let from = |site| Said { site: Some(site), ..said };
        let table = [
            (said, false),
            (of("http://localhost:9100"), false),
            (of("https://LOCALHOST:9100"), false),
            (of("http://localhost:3000"), true),
            (of("https://evil.example"), true),
            (of("null"), true),
            (from("same-origin"), false),
            (from("none"), false),
            (from("same-site"), true),
            (from("cross-site"), true),
            (Said { is_navigation: true, ..from("cross-site") }, false),
            (Said { is_navigation: true, ..of("https://evil.example") }, true),
        ];
        for (said, is_foreign) in table {
            assert_eq!(said.is_foreign(here), is_foreign, "{said:?}");
        }
    }
}
