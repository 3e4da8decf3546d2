//! `cuecard health`

use serde_json::Value;

use super::admin_port::AdminPort;
use crate::cli::AdminArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// Prints what `/readyz` says; fails where the service can't work, or does not answer.
pub fn run(arguments: &AdminArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let admin = AdminPort::of(arguments, || Ok(ToolSettings::of_environment()?.admin))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (can_work, said) = runtime.block_on(admin.probe("/readyz"))?;
    println!("{}", in_words(&said));
    Ok(if can_work { ExitCode::Success } else { ExitCode::Failure })
}

/// One line, since a container runtime keeps it beside the state: the whole service, then each profile that is not ready.
fn in_words(said: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("-").to_owned();
    let profiles = said["profiles"].as_array().into_iter().flatten();
    let unready = profiles.filter(|profile| profile["state"] != "ready");
    unready.fold(text(said, "status"), |line, profile| {
        let [name, state, reason] = ["profile", "state", "reason"].map(|name| text(profile, name));
        format!("{line}; {name} is {state}: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_what_is_not_ready() {
        let north = json!({"profile": "north", "state": "ready"});
        let south = json!({"profile": "south", "state": "degraded", "reason": "the stream is down"});
        for (said, line) in [
            (json!({"status": "loading", "profiles": []}), "loading"),
            (json!({"status": "ready", "profiles": [north]}), "ready"),
            (
                json!({"status": "degraded", "profiles": [north, south]}),
                "degraded; south is degraded: the stream is down",
            ),
        ] {
            assert_eq!(in_words(&said), line);
        }
    }
}
