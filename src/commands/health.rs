//! `cuecard health`

use serde_json::Value;

use super::admin_port::AdminPort;
use crate::cli::HealthArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// Prints what `/readyz` says; fails where the service can't work, or does not answer.
pub fn run(arguments: &HealthArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let admin = AdminPort::of(&arguments.admin, || Ok(ToolSettings::load(arguments.config.as_deref())?.admin))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (can_work, said) = runtime.block_on(admin.probe("/readyz"))?;
    say!("{}", in_words(&said));
    Ok(if can_work { ExitCode::Success } else { ExitCode::Failure })
}

/// One line, since a container runtime keeps it beside the state: the word for the whole service, then each reason.
fn in_words(said: &Value) -> String {
    let reasons = said["reasons"].as_array().into_iter().flatten();
    let words = [&said["status"]].into_iter().chain(reasons).filter_map(Value::as_str);
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_why_it_is_not_ready() {
        for (said, line) in [
            (json!({"status": "loading", "profiles": []}), "loading"),
            (
                json!({"status": "degraded", "profiles": [], "reasons": ["south: the stream is down", "the disk is full"]}),
                "degraded; south: the stream is down; the disk is full",
            ),
        ] {
            assert_eq!(in_words(&said), line);
        }
    }
}
