//! `cuecard check`

use std::process::ExitCode;

use anyhow::Context as _;
use cuecard_actors::cxone::http::{HttpClient, Request};
use cuecard_actors::cxone::token::Token;
use cuecard_actors::cxone::websocket::{self, HandshakeError};
use tokio::time::Instant;

use crate::cli::CheckArgs;
use crate::logging;
use crate::pipeline::Knowledge;
use crate::service;
use crate::settings::{Profile, Settings};

/// Checks the settings and the machine, then each tenant; names what is wrong where.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let settings = Settings::load(arguments.config.as_deref(), std::env::vars())?;
    println!("settings  ok  {} profile(s)", settings.profiles.len());
    Knowledge::load(&settings)?;
    println!("knowledge ok  model and indexes fit");
    if arguments.offline {
        return Ok(ExitCode::SUCCESS);
    }
    let failed = service::on_system(async {
        let mut failed = false;
        for profile in &settings.profiles {
            match reach(profile).await {
                Ok(()) => println!("{:<9} ok  token and stream", profile.name.as_str()),
                Err(error) => {
                    failed = true;
                    println!("{:<9} --  {error:#}", profile.name.as_str());
                }
            }
        }
        failed
    })?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Fetches a token, opens the stream, and closes it.
async fn reach(profile: &Profile) -> anyhow::Result<()> {
    let connection = &profile.connection;
    let http = HttpClient::new(connection.limits().clone()).context("no TLS client can be made")?;
    let asked = Instant::now();
    let request = Request::form(connection.token_url().clone(), connection.token_form());
    let answer =
        http.send(&request, None).await.with_context(|| format!("no token from {}", connection.token_url()))?;
    anyhow::ensure!(
        (200..300).contains(&answer.status),
        "{} answered {} to the client credentials",
        connection.token_url(),
        answer.status
    );
    let token = Token::from_answer(&answer.body, asked, connection.refresh_margin())?;
    let defaults = profile.contract.defaults();
    match websocket::connect(&http, connection.stream_url(), token.secret(), defaults.stream_token).await {
        Ok(stream) => stream.close().await,
        Err(error @ (HandshakeError::Unauthorised | HandshakeError::Forbidden)) => {
            anyhow::bail!("{error}; the client needs the scope {}", defaults.stream_scope);
        }
        Err(error) => return Err(error).with_context(|| format!("no stream at {}", connection.stream_url())),
    }
    Ok(())
}
