//! Somebody who asks the API, as an agent's desktop or a back end would.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;

use super::PATIENCE;

/// A caller of a service's API. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    base_url: String,
}

/// What a caller was told.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
}

impl Answered {
    /// The answer as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// What was wrong, in one sentence.
    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_else(|| panic!("no detail in {}", self.text)).to_owned()
    }
}

impl Caller {
    pub fn new(addr: SocketAddr) -> Self {
        // Without TLS, but no client is made without a provider of it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Given up before the service does: a request over a connection that just then closes is no fault of anybody's.
        let idle = Duration::from_secs(1);
        let client = Client::builder().timeout(PATIENCE).pool_idle_timeout(idle).no_proxy().build().unwrap();
        Self { client, base_url: format!("http://{addr}") }
    }

    /// Posts a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.send(path, "application/json", body.to_string(), None).await
    }

    /// Posts a body that may be anything.
    pub async fn send(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>, key: Option<&str>) -> Answered {
        let request = self.client.post(format!("{}{path}", self.base_url)).header(CONTENT_TYPE, content_type);
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        answered(request.body(body.into())).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        answered(self.client.get(format!("{}{path}", self.base_url))).await
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let retry_after = answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    Answered { status, retry_after, text: answer.text().await.unwrap() }
}
