//! `cuecard why`

use std::time::Duration;

use anyhow::Context as _;
use cuecard_actors::cxone::http::client_config;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::WhyArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// A service that runs answers at once, or after its ledger has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the running service why an agent saw what they saw, and prints it.
pub fn run(arguments: &WhyArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let admin = match arguments.admin {
        Some(admin) => admin,
        None => ToolSettings::of_environment()?.admin.addr,
    };
    let base = format!("http://{admin}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ids = match (&arguments.decision, &arguments.interaction) {
            (Some(decision), _) => vec![decision.to_string()],
            (None, Some(interaction)) => decisions_of(&base, interaction).await?,
            (None, None) => Vec::new(),
        };
        for id in ids {
            print(&asked(&format!("{base}/explain/{id}")).await?);
        }
        anyhow::Ok(())
    })?;
    Ok(ExitCode::Success)
}

/// Newest first, as the service lists them.
async fn decisions_of(base: &str, interaction: &str) -> anyhow::Result<Vec<String>> {
    let encoded = utf8_percent_encode(interaction, NON_ALPHANUMERIC);
    let listed = asked(&format!("{base}/decisions?interaction={encoded}")).await?;
    let all = listed["decisions"].as_array().into_iter().flatten();
    let ids: Vec<String> = all.filter_map(Value::as_str).map(str::to_owned).collect();
    anyhow::ensure!(
        !ids.is_empty(),
        "no decision about interaction `{interaction}` is kept; data.keep_decisions and retention.decisions say which are"
    );
    Ok(ids)
}

/// What the admin port says; its refusals are told as they came.
pub(super) async fn asked(url: &str) -> anyhow::Result<Value> {
    answered(client()?.get(url), url).await
}

/// The same of what is posted.
pub(super) async fn posted(url: &str, body: &Value) -> anyhow::Result<Value> {
    answered(client()?.post(url).json(body), url).await
}

fn client() -> anyhow::Result<reqwest::Client> {
    let tls = client_config()?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone());
    Ok(client.no_proxy().timeout(PATIENCE).build()?)
}

async fn answered(request: reqwest::RequestBuilder, url: &str) -> anyhow::Result<Value> {
    let answer = request.send().await.with_context(|| {
        format!("no service answers at {url}; say where its admin port is with --admin or CUECARD_ADMIN_ADDR")
    })?;
    let status = answer.status();
    let body: Value = answer.json().await.with_context(|| format!("{url} answered {status} without JSON"))?;
    anyhow::ensure!(status.is_success(), "{}", body["detail"].as_str().unwrap_or("the service refused"));
    Ok(body)
}

fn text_of<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or("-")
}

fn print(decision: &Value) {
    let text = |name| text_of(decision, name);
    println!("decision {}, interaction {}, profile {}", text("id"), text("interaction"), text("profile"));
    println!("  came to: {}", decision["outcome"]["kind"].as_str().unwrap_or("nothing yet"));
    for turn in decision["words"].as_array().into_iter().flatten() {
        println!("  {}: {}", text_of(turn, "speaker"), text_of(turn, "text"));
    }
    for sentence in decision["why"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("  {sentence}");
    }
    let stages = decision["stages"].as_array().into_iter().flatten();
    let times: Vec<String> =
        stages.map(|stage| format!("{} {} ms", text_of(stage, "stage"), stage["took_ms"])).collect();
    if !times.is_empty() {
        println!("  Time: {}; {} ms from the last word.", times.join(", "), decision["latency_ms"]);
    }
    for sentence in decision["shadow_why"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("  in shadow: {sentence}");
    }
    println!();
}
