//! A real Chromium, driven by the checks of `tests/pages`.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::databases::address;

/// Where the tools are that drive a browser; `None` where there is no browser, which it says.
pub fn browser() -> Option<String> {
    let tools = address("CUECARD_BROWSER")?;
    if tools.is_empty() {
        println!("skipped: there is no Chromium, see scripts/services");
        return None;
    }
    Some(tools)
}

/// Runs a check of `tests/pages` to its end, with what it is to know; its pictures are kept where `CUECARD_PICTURES` names a
/// folder.
pub async fn check_page(tools: &str, check: &str, mut given: Value) {
    if let Ok(folder) = std::env::var("CUECARD_PICTURES") {
        given["pictures"] = folder.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(check);
    let mut command = Command::new("node");
    command.arg(script).arg(given.to_string()).env("CUECARD_BROWSER", tools);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let ended = timeout(super::PATIENCE * 5, child.wait_with_output()).await.unwrap().unwrap();
    let [told, complained] = [&ended.stdout, &ended.stderr].map(|text| String::from_utf8_lossy(text));
    println!("{told}");
    assert!(ended.status.success(), "{check}: {told}{complained}");
}
