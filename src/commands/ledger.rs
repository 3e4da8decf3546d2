//! `cuecard ledger`

use std::io::IsTerminal;
use std::path::absolute;
use std::time::Duration;

use anyhow::Context as _;
use cuecard_actors::ledger::{LedgerError, LedgerStats, Rows, backup, erase, name, purge, stats};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::json;

use super::admin_port::AdminPort;
use super::progress::Progress;
use crate::cli::{AdminArgs, LedgerArgs, LedgerCommand};
use crate::data_lock::DataLock;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::ToolSettings;

/// Between two steps of a purge: a service that runs comes first.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks after a ledger, also while a service has it open.
pub fn run(arguments: &LedgerArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let settings = ToolSettings::load(arguments.config.as_deref())?;
    let url = settings.data.ledger_url();
    let url = url.expose_secret();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &arguments.command {
            LedgerCommand::Stats { json } => {
                let counting = Progress::waiting("counting");
                let stats = stats(url).await?;
                drop(counting);
                if *json { say!("{}", serde_json::to_string(&stats)?) } else { print(&name(url)?, &stats) }
            }
            LedgerCommand::Purge => {
                let purging = Progress::waiting("taking away what is too old");
                let rows = purge(url, settings.retention.retention(), PAUSE).await?;
                drop(purging);
                told("taken away", &rows);
            }
            LedgerCommand::Erase { interaction, profile, admin } => {
                erase_everywhere(&settings, admin, interaction, profile.as_deref()).await?;
            }
            LedgerCommand::Backup { file } => {
                let file = absolute(file)?;
                let copying = Progress::waiting("copying");
                backup(url, &file).await?;
                drop(copying);
                say!("a copy of {} is in {}", name(url)?, file.display());
            }
        }
        anyhow::Ok(())
    })?;
    Ok(ExitCode::Success)
}

/// A service that runs has some of it in memory, and erases that as well. One on this host is known by its lock, one elsewhere
/// by its claim on the server's schema.
async fn erase_everywhere(
    settings: &ToolSettings,
    admin: &AdminArgs,
    interaction: &str,
    profile: Option<&str>,
) -> anyhow::Result<()> {
    if admin.admin.is_none() && !DataLock::is_taken(&settings.data.directories())? {
        let erasing = Progress::waiting("erasing");
        let erased = erase(settings.data.ledger_url().expose_secret(), interaction, profile).await;
        if let Err(error @ LedgerError::InService) = erased {
            anyhow::bail!("{error}; name its admin port with --admin");
        }
        drop(erasing);
        told("erased", &erased?);
        return Ok(());
    }
    let admin = AdminPort::of(admin, || Ok(settings.admin.clone()))?;
    let body = json!({ "interaction": interaction, "profile": profile });
    let answer = admin
        .post("/ledger/erase", &body)
        .await
        .context("a service has the ledger open, so it is the one to erase there")?;
    for (table, rows) in answer["erased"].as_object().into_iter().flatten() {
        say!("erased {rows} of {table}");
    }
    Ok(())
}

fn told(what: &str, rows: &Rows) {
    for (kind, rows) in rows {
        say!("{what} {rows} of {kind}");
    }
    if rows.is_empty() {
        say!("nothing is kept for a time: all of it is kept for ever");
    }
}

fn print(name: &str, stats: &LedgerStats) {
    say!("{name}: {:.1} MB", stats.num_bytes as f64 / 1e6);
    let day = |second: Option<i64>| {
        let time = second.and_then(|second| Timestamp::from_second(second).ok());
        time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
    };
    let is_read = std::io::stdout().is_terminal();
    if is_read {
        say!("{:<18} {:>12}  {:<16}  newest", "", "rows", "oldest");
    }
    for table in &stats.tables {
        say!("{:<18} {:>12}  {:<16}  {}", table.name, table.rows, day(table.oldest), day(table.newest));
    }
    for queue in &stats.queue {
        say!("{:<18} {:>12}", format!("{} {}", queue.kind, queue.state), queue.rows);
    }
}
