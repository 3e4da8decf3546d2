//! `cuecard why`

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::admin_port::AdminPort;
use crate::cli::WhyArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// Asks the running service why an agent saw what they saw, and prints it.
pub fn run(arguments: &WhyArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let admin = AdminPort::of(&arguments.admin, || Ok(ToolSettings::load(arguments.config.as_deref())?.admin))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ids = match (&arguments.decision, &arguments.interaction) {
            (Some(decision), _) => vec![decision.to_string()],
            (None, Some(interaction)) => decisions_of(&admin, interaction).await?,
            (None, None) => Vec::new(),
        };
        for id in ids {
            print(&admin.get(&format!("/explain/{id}")).await?);
        }
        anyhow::Ok(())
    })?;
    Ok(ExitCode::Success)
}

/// Newest first, as the service lists them.
async fn decisions_of(admin: &AdminPort, interaction: &str) -> anyhow::Result<Vec<String>> {
    let encoded = utf8_percent_encode(interaction, NON_ALPHANUMERIC);
    let listed = admin.get(&format!("/decisions?interaction={encoded}")).await?;
    let all = listed["decisions"].as_array().into_iter().flatten();
    let ids: Vec<String> = all.filter_map(Value::as_str).map(str::to_owned).collect();
    anyhow::ensure!(
        !ids.is_empty(),
        "no decision about interaction `{interaction}` is kept; data.keep_decisions and retention.decisions say which are"
    );
    Ok(ids)
}

fn text_of<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or("-")
}

fn print(decision: &Value) {
    let text = |name| text_of(decision, name);
    say!("decision {}, interaction {}, profile {}", text("id"), text("interaction"), text("profile"));
    say!("  came to: {}", decision["outcome"]["kind"].as_str().unwrap_or("nothing yet"));
    for turn in decision["words"].as_array().into_iter().flatten() {
        say!("  {}: {}", text_of(turn, "speaker"), text_of(turn, "text"));
    }
    if let Some(sentence) = decision["words_left_out"].as_str() {
        say!("  ({sentence})");
    }
    for sentence in decision["why"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say!("  {sentence}");
    }
    let stages = decision["stages"].as_array().into_iter().flatten();
    let times: Vec<String> =
        stages.map(|stage| format!("{} {} ms", text_of(stage, "stage"), stage["took_ms"])).collect();
    if !times.is_empty() {
        say!("  Time: {}; {} ms from the last word.", times.join(", "), decision["latency_ms"]);
    }
    for sentence in decision["shadow_why"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say!("  in shadow: {sentence}");
    }
    say!("");
}
