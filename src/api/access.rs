//! Who may ask: whoever sends one of the keys. Without keys, which is for loopback only, everybody.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Api;
use super::problem::Problem;

/// The keys that open the API.
pub(super) struct Access {
    keys: Vec<SecretString>,
}

impl Access {
    pub(super) fn new(keys: Vec<SecretString>) -> Self {
        Self { keys }
    }

    /// Compares with every key, in a time that tells nothing of how much of a guess was right.
    fn is_granted(&self, sent: Option<&str>) -> bool {
        let Some(sent) = sent else { return self.keys.is_empty() };
        let is_key = |key: &SecretString| key.expose_secret().as_bytes().ct_eq(sent.as_bytes());
        let granted = self.keys.iter().map(is_key).fold(subtle::Choice::from(0), |any, this| any | this);
        self.keys.is_empty() || granted.into()
    }
}

/// Turns callers without a key away.
pub(super) async fn check(
    api: web::Data<Api>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    if api.access.is_granted(bearer.or_else(|| header("x-api-key"))) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let detail = "no valid API key; send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
    Ok(request.into_response(problem.error_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_keys_is_needed_unless_there_are_none() {
        let access = Access::new(vec!["first".into(), "second".into()]);
        for (sent, granted) in [(Some("first"), true), (Some("second"), true), (Some("third"), false), (None, false)] {
            assert_eq!(access.is_granted(sent), granted, "{sent:?}");
        }
        assert!(!access.is_granted(Some("")));
        assert!(!access.is_granted(Some("firstsecond")));
        assert!(Access::new(Vec::new()).is_granted(None) && Access::new(Vec::new()).is_granted(Some("any")));
        assert!(!Access::new(vec!["".into()]).is_granted(None), "no key is no empty key");
    }
}
