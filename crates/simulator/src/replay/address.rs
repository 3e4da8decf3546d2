//! Where the service under test is asked, as the options write it.
//!
//! Input: a URL or `host:port`. Output: the URL without a slash at its end. Anything but plain HTTP is refused: the
//! service itself speaks nothing else, and TLS in front of it would be measured along.

use super::ReplayError;

pub(super) fn base_url(option: &'static str, address: &str) -> Result<String, ReplayError> {
    let address = address.trim_end_matches('/');
    match address.split_once("://") {
        None => Ok(format!("http://{address}")),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Ok(address.to_owned()),
        Some(_) => Err(ReplayError::Scheme { option, address: address.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("127.0.0.1:8000", Some("http://127.0.0.1:8000")),
            ("http://host:8000/base/", Some("http://host:8000/base")),
            ("HTTP://host", Some("HTTP://host")),
            ("https://host", None),
            ("ftp://host", None),
        ];
        for (address, expected) in table {
            assert_eq!(base_url("--target", address).ok().as_deref(), expected, "{address}");
        }
    }
}
