//! `cuecard check`: looks at all that a service would work with, and changes none of it.

mod silence;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use anyhow::Context as _;
use cuecard_actors::cxone::stream::StreamKind;
use cuecard_actors::cxone::websocket::HandshakeError;
use cuecard_actors::cxone_calls::{ConnectFailure, CxoneCalls};
use cuecard_actors::engine::BackendName;
use cuecard_actors::knowledge_sync::count_articles;
use cuecard_actors::ledger::{Ledger, LedgerState, name as ledger_name};
use cuecard_actors::messages::{ProfileName, TokenError};
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::telemetry::{Metrics, Port};
use cuecard_actors::tenant::{Profile, Tenant, Tenants};
use cuecard_actors::token_actor::{TokenActor, TokenActorDeps};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::knowledge::half_phrased;
use super::progress::Progress;
use crate::access::expires_at;
use crate::cli::CheckArgs;
use crate::data_lock::{DataLock, may_be_written};
use crate::exit::ExitCode;
use crate::logging;
use crate::service;
use crate::settings::{DataSettings, Settings};

/// Whoever checks waits for one answer, not for a tenant to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks the settings and the machine, then each tenant; names what is wrong where.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let settings = Settings::of_environment(arguments.config.as_deref())?;
    say!("settings  ok  {}", described(&settings.profiles));
    for what in &settings.superseded {
        say!("settings  !!  {what}");
    }
    let has_certificates = certificates(&settings);
    let failed = service::on_system(async {
        let names: Vec<ProfileName> = settings.profiles.iter().map(|profile| profile.name.clone()).collect();
        let loading = Progress::waiting("loading models and indexes");
        let tenants = service::load(&settings, Metrics::new(&names, Vec::new())?, false).await?;
        drop(loading);
        say!("knowledge ok  models, indexes and graph files fit{}", indexes_to_come(&tenants));
        tenants.iter().for_each(|tenant| tell_articles(&tenant));
        say!("ledger    ok  {}", ledger(&settings.data).await?);
        let mut failed = false;
        for tenant in tenants.iter().filter(|_| !arguments.offline) {
            let reaching = Progress::waiting("reaching the tenant");
            let reached = reach(&tenant).await;
            drop(reaching);
            match &reached {
                Ok(what) => say!("{:<9} ok  {what}", tenant.name().as_str()),
                Err(error) => say!("{:<9} --  {error:#}", tenant.name().as_str()),
            }
            failed |= reached.is_err();
        }
        // Whoever has something to mend looks again; this one takes the longest.
        for tenant in tenants.iter().filter(|_| !failed) {
            tell_silence(&tenant).await?;
        }
        anyhow::Ok(failed)
    })??;
    Ok(if failed || !has_certificates { ExitCode::Failure } else { ExitCode::Success })
}

/// Whether the certificates of the ports can be used; says so of each.
fn certificates(settings: &Settings) -> bool {
    let mut are_good = true;
    for (port, files) in [Port::Admin, Port::Api].into_iter().filter_map(|port| Some((port, settings.tls(port)?))) {
        let (port, certificate) = (port.name(), files.certificate.display());
        match expires_at(&files) {
            Ok(end) if end > Timestamp::now() => say!("tls       ok  {port}: the certificate is valid until {end}"),
            Ok(end) => {
                say!("tls       --  {port}: the certificate {certificate} was valid until {end}; get a new one");
                are_good = false;
            }
            Err(error) => {
                say!("tls       --  {port}: {error}");
                are_good = false;
            }
        }
    }
    are_good
}

fn described(profiles: &[Profile]) -> String {
    let named = profiles.iter().map(|profile| format!("{} ({})", profile.name, profile.contract));
    named.collect::<Vec<_>>().join(", ")
}

/// The indexes that are not there yet, because only the polls of a service fill them; each once, whoever names it.
fn indexes_to_come(tenants: &Tenants) -> String {
    let to_come = tenants.iter().filter(|tenant| tenant.knowledge.index.is_none());
    let places: BTreeSet<_> = to_come.filter_map(|tenant| tenant.profile.knowledge.index.clone()).collect();
    places
        .into_iter()
        .fold(String::new(), |said, place| format!("{said}; the first start makes the index {}", place.display()))
}

/// How many articles a profile's index holds.
fn tell_articles(tenant: &Tenant) {
    let Some(index) = &tenant.knowledge.index else { return };
    let (name, current) = (tenant.name(), index.current());
    let articles = current.len();
    let mark = if articles == 0 { "!!" } else { "ok" };
    say!("articles  {mark}  {name}: {articles} in the index {}", index.directory().display());
    if let Some(half_phrased) = half_phrased(current.num_phrased(), articles) {
        say!("articles  !!  {name}: {half_phrased}");
    }
}

/// Whether silence would leave anything of them.
async fn tell_silence(tenant: &Tenant) -> anyhow::Result<()> {
    let asking = Progress::waiting("asking a sample");
    let sampled = silence::sample(tenant).await?;
    drop(asking);
    if let Some(sampled) = sampled {
        let mark = if sampled.is_swallowed() { "!!" } else { "ok" };
        say!("silence   {mark}  {}: {}", tenant.name(), sampled.told());
    }
    Ok(())
}

/// Looks at the ledger, and what the next start will do with it. One that a service has open is left alone.
async fn ledger(data: &DataSettings) -> anyhow::Result<String> {
    let url = data.ledger_url();
    let url = url.expose_secret();
    let name = ledger_name(url)?;
    if DataLock::is_taken(&data.directories())? {
        return Ok(format!("{name}, which a running cuecard has open"));
    }
    for directory in data.directories() {
        may_be_written(&directory)?;
    }
    let what = match Ledger::inspect(url).await? {
        LedgerState::Current => "",
        LedgerState::Missing => ", which the first start makes",
        LedgerState::Older => ", which the next start brings to this version's form",
        LedgerState::Unfolded => ", with what a killed process left beside it, which the next start takes in",
    };
    Ok(name + what)
}

/// Fetches a token, opens the stream and closes it, asks what the profile's knowledge comes from; says what was reached.
async fn reach(tenant: &Tenant) -> anyhow::Result<String> {
    let (profile, calls) = (&tenant.profile, &tenant.calls);
    let mut reached = vec!["token".to_owned()];
    token(tenant).await?;
    if let Some(stream) = profile.stream {
        open_and_close(calls, stream).await?;
        reached.push("stream".to_owned());
    }
    if profile.plan.asks(BackendName::Search) {
        let (language, until) = (profile.plan.filter.language.as_ref(), Instant::now() + PATIENCE);
        let asked = calls.search("check", language, profile.plan.cards, until).await;
        asked.context("CXone's search can't be asked")?;
        reached.push("search".to_owned());
    }
    if profile.knowledge.sync.is_some() {
        let listed = count_articles(calls, PATIENCE).await.context("the tenant's articles can't be listed")?;
        reached.push(format!("{listed} articles"));
    }
    if let Some(graph) = &tenant.knowledge.graph {
        graph.backend.keywords().await.context("the graph can't be asked")?;
        reached.push("graph".to_owned());
    }
    if let Some(collection) = &tenant.knowledge.collection {
        collection.open().await.context("the collection can't be asked")?;
        reached.push("collection".to_owned());
    }
    let through = calls.http().proxy(profile.connection.base_url()).map(|proxy| format!(" through the proxy {proxy}"));
    Ok(reached.join(", ") + &through.unwrap_or_default())
}

/// Starts the tenant's `TokenActor`, whose token must open all that the profile does.
async fn token(tenant: &Tenant) -> anyhow::Result<()> {
    let (calls, health) = (Arc::clone(&tenant.calls), Arc::clone(&tenant.health));
    let deps = TokenActorDeps { calls, health, cell: ActorCell::new("token_actor") };
    tenant.calls.introduce(TokenActor::new(deps).start().into());
    let url = tenant.calls.connection().token_url();
    let token = match tenant.calls.token().await {
        Err(error @ TokenError::Refused { .. }) => anyhow::bail!(refusal(&tenant.calls, &error).await),
        token => token.with_context(|| format!("no token from {url}"))?,
    };
    let required = tenant.profile.required_scopes.iter();
    let missing: Vec<_> = required.filter(|scope| !token.covers(scope)).collect();
    anyhow::ensure!(missing.is_empty(), not_allowed("the token lacks", &missing));
    Ok(())
}

/// What a refused request for a token was refused for: single scopes, or the credentials.
async fn refusal(calls: &CxoneCalls, error: &TokenError) -> String {
    let (url, refused) = (calls.connection().token_url(), refused_scopes(calls).await);
    if refused.is_empty() {
        return format!("{url}: {error}, and the scopes that this client may ask for");
    }
    not_allowed(&format!("{url} does not give this client"), &refused)
}

/// The scopes that are refused to a client that gets a token without them; none where it gets no token at all.
async fn refused_scopes(calls: &CxoneCalls) -> Vec<String> {
    if !calls.can_have(&[]).await {
        return Vec::new();
    }
    let mut refused = Vec::new();
    for scope in calls.connection().scopes() {
        if !calls.can_have(std::slice::from_ref(scope)).await {
            refused.push(scope.clone());
        }
    }
    refused
}

/// What an administrator of CXone must do.
fn not_allowed(what: &str, scopes: &[impl AsRef<str>]) -> String {
    let scopes: Vec<_> = scopes.iter().map(AsRef::as_ref).collect();
    format!("{what} the scope {}; CXone's administrator must allow it to this client", scopes.join(" "))
}

async fn open_and_close(calls: &CxoneCalls, stream: StreamKind) -> anyhow::Result<()> {
    match calls.open_stream(calls.http(), stream).await {
        Ok(opened) => opened.close().await,
        Err(error @ ConnectFailure::Handshake(HandshakeError::Unauthorised | HandshakeError::Forbidden)) => {
            anyhow::bail!(error.in_words(stream));
        }
        Err(error) => {
            let url = calls.connection().stream_url().map(ToString::to_string).unwrap_or_default();
            return Err(error)
                .with_context(|| format!("no stream at {url}; see that it is right and that this machine reaches it"));
        }
    }
    Ok(())
}
