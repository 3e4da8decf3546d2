//! What the service under test says of its own decisions.
//!
//! Input: the address of its admin port, the id of a decision, which is the idempotency key of its push. Output: the reasons
//! in its own words with the times of its stages, or in one sentence why there is none.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

/// A service that runs answers at once.
const PATIENCE: Duration = Duration::from_secs(2);
/// A decision is written down after the answer to its push, so it is looked for more than once.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// Far more than a decision takes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The admin port of the service under test.
#[derive(Clone)]
pub struct AdminPlace {
    /// Scheme, host and port, with no slash at the end.
    pub base_url: String,
    /// What it asks for, where it does.
    pub key: Option<String>,
}

impl fmt::Debug for AdminPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AdminPlace").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Makes all calls of a worker.
pub(crate) fn client() -> awc::Client {
    awc::Client::builder().timeout(PATIENCE).finish()
}

/// `{why, stages, latency_ms}`, or what is missing.
pub(crate) async fn ask(client: &awc::Client, admin: &AdminPlace, decision: Uuid) -> Result<Value, String> {
    let url = format!("{}/explain/{decision}", admin.base_url);
    for _ in 0..LOOKS {
        let mut request = client.get(&url);
        if let Some(key) = &admin.key {
            request = request.bearer_auth(key);
        }
        let mut answer =
            request.send().await.map_err(|error| format!("The service does not explain itself: {error}."))?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().limit(MAX_BYTES).await.unwrap_or_default();
        match status {
            200 => return Ok(told(&body)),
            404 => tokio::time::sleep(BETWEEN_LOOKS).await,
            _ => {
                return Err(format!(
                    "The service answered {status}: {}.",
                    body["detail"].as_str().unwrap_or("no reason")
                ));
            }
        }
    }
    Err("The service has not kept this decision.".to_owned())
}

/// What is shown of a decision.
fn told(decision: &Value) -> Value {
    let list = |name: &str| decision[name].as_array().cloned().unwrap_or_default();
    json!({ "why": list("why"), "stages": list("stages"), "latency_ms": decision["latency_ms"] })
}
