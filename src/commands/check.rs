//! `cuecard check`

use anyhow::Context as _;
use cuecard_actors::cxone::Connection;
use cuecard_actors::cxone::http::{HttpClient, Request};
use cuecard_actors::cxone::knowledge::search;
use cuecard_actors::cxone::stream::StreamKind;
use cuecard_actors::cxone::token::Token;
use cuecard_actors::cxone::websocket::{self, HandshakeError};
use cuecard_actors::engine::BackendName;
use cuecard_actors::ledger::Ledger;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::telemetry::Metrics;
use cuecard_actors::tenant::{Profile, Tenant};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::time::Instant;

use crate::cli::CheckArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::service;
use crate::settings::Settings;

/// Checks the settings and the machine, then each tenant; names what is wrong where.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let settings = Settings::of_environment(arguments.config.as_deref())?;
    println!("settings  ok  {}", described(&settings.profiles));
    let failed = service::on_system(async {
        let names: Vec<ProfileName> = settings.profiles.iter().map(|profile| profile.name.clone()).collect();
        let tenants = service::load(&settings, Metrics::new(&names, Vec::new())?).await?;
        println!("knowledge ok  models, indexes and graph files fit");
        let ledger = Ledger::open(&settings.data.ledger_url()).await?;
        ledger.close().await;
        println!("ledger    ok  {}", settings.data.ledger_url());
        if arguments.offline {
            return Ok(false);
        }
        let mut failed = false;
        for tenant in tenants.iter() {
            let reached = reach(tenant).await;
            match &reached {
                Ok(what) => println!("{:<9} ok  {what}", tenant.name().as_str()),
                Err(error) => println!("{:<9} --  {error:#}", tenant.name().as_str()),
            }
            failed |= reached.is_err();
        }
        anyhow::Ok(failed)
    })??;
    Ok(if failed { ExitCode::Failure } else { ExitCode::Success })
}

fn described(profiles: &[Profile]) -> String {
    let named = profiles.iter().map(|profile| format!("{} ({})", profile.name, profile.contract));
    named.collect::<Vec<_>>().join(", ")
}

/// Fetches a token, opens the stream and closes it, asks what the profile's knowledge comes from; says what was reached.
async fn reach(tenant: &Tenant) -> anyhow::Result<String> {
    let (profile, http) = (&tenant.profile, tenant.calls.http());
    let connection = &profile.connection;
    let mut reached = vec!["token"];
    let (token, granted) = token(http, connection).await?;
    let missing: Vec<_> = profile.required_scopes.iter().filter(|scope| !granted.covers(scope)).cloned().collect();
    anyhow::ensure!(
        missing.is_empty(),
        "the token lacks the scope {}; CXone's administrator must allow it to this client",
        missing.join(" ")
    );
    if let (Some(stream), Some(url)) = (profile.stream, connection.stream_url()) {
        open_and_close(http, url, &token, stream).await?;
        reached.push("stream");
    }
    if profile.plan.asks(BackendName::Search) {
        search(http, profile, &token).await.context("CXone's search can't be asked")?;
        reached.push("search");
    }
    if profile.knowledge.sync.is_some() {
        articles(http, connection, &token).await.context("the tenant's articles can't be listed")?;
        reached.push("articles");
    }
    if let Some(graph) = &tenant.knowledge.graph {
        graph.backend.keywords().await.context("the graph can't be asked")?;
        reached.push("graph");
    }
    if let Some(collection) = &tenant.knowledge.collection {
        collection.open().await.context("the collection can't be asked")?;
        reached.push("collection");
    }
    let through = http.proxy(connection.base_url()).map(|proxy| format!(" through the proxy {proxy}"));
    Ok(reached.join(", ") + &through.unwrap_or_default())
}

/// The scopes that a token opens; an answer that does not say counts as all.
struct Granted(Option<Vec<String>>);

impl Granted {
    fn of(answer: &[u8]) -> Self {
        let answer: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
        let scopes = answer.as_ref().and_then(|answer| answer["scope"].as_str());
        Self(scopes.map(|scopes| scopes.split_whitespace().map(str::to_owned).collect()))
    }

    fn covers(&self, scope: &str) -> bool {
        self.0.as_ref().is_none_or(|granted| granted.iter().any(|given| given == scope))
    }
}

async fn token(http: &HttpClient, connection: &Connection) -> anyhow::Result<(Token, Granted)> {
    let (url, asked) = (connection.token_url(), Instant::now());
    let request = Request::form(url.clone(), connection.token_form());
    let answer = http
        .send(&request, None)
        .await
        .with_context(|| format!("no token from {url}; see that it is right and that this machine reaches it"))?;
    match answer.status {
        200..=299 => {}
        status @ (400 | 401 | 403) => anyhow::bail!(refusal(http, connection, status).await),
        status => {
            let place = answer.location.map(|place| format!(", which leads to {place},")).unwrap_or_default();
            anyhow::bail!("{url} answered {status}{place} instead of a token; check base_url and token_path")
        }
    }
    let token = Token::from_answer(&answer.body, asked, connection.refresh_margin())?;
    Ok((token, Granted::of(&answer.body)))
}

/// What a refused request for a token was refused for: single scopes, or the credentials.
async fn refusal(http: &HttpClient, connection: &Connection, status: u16) -> String {
    let url = connection.token_url();
    // 401 is the client itself; of anything else the scopes may be the reason, and each is asked for alone.
    let refused = if status == 401 { Vec::new() } else { refused_scopes(http, connection).await };
    if refused.is_empty() {
        return format!(
            "{url} refused the client credentials with {status}; check client_id and client_secret (CXONE_CLIENT_ID, \
             CXONE_CLIENT_SECRET) and the scopes that this client may ask for"
        );
    }
    format!(
        "{url} answered {status}: it does not give this client the scope {}; CXone's administrator must allow it to \
         this client",
        refused.join(" ")
    )
}

/// The scopes that are refused to a client that gets a token without them; none where it gets no token at all.
async fn refused_scopes(http: &HttpClient, connection: &Connection) -> Vec<String> {
    let (mut given, mut refused) = (false, Vec::new());
    for scope in connection.scopes() {
        if gives_token(http, connection, std::slice::from_ref(scope)).await {
            given = true;
        } else {
            refused.push(scope.clone());
        }
    }
    if given || gives_token(http, connection, &[]).await { refused } else { Vec::new() }
}

async fn gives_token(http: &HttpClient, connection: &Connection, scopes: &[String]) -> bool {
    let request = Request::form(connection.token_url().clone(), connection.token_form_for(scopes));
    http.send(&request, None).await.is_ok_and(|answer| (200..300).contains(&answer.status))
}

/// Asks the search once, as a question would.
async fn search(http: &HttpClient, profile: &Profile, token: &Token) -> anyhow::Result<()> {
    let url = profile.connection.search_url("check", profile.plan.cards);
    let answer = http.send(&Request::get(url.clone()).with_bearer(token.secret().clone()), None).await?;
    anyhow::ensure!(answer.status == 200, "{url} answered {}; see that the client may search", answer.status);
    search::parse(&answer.body)?;
    Ok(())
}

/// Asks for what changed since now, which is nothing: a tenant that holds many articles sends none of them.
async fn articles(http: &HttpClient, connection: &Connection, token: &Token) -> anyhow::Result<()> {
    let url = connection.articles_url();
    let now = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())?;
    let request = Request::get(url.clone()).with_bearer(token.secret().clone()).with_if_modified_since(now);
    let answer = http.read_large(&request).await?;
    let is_list = matches!(answer.status, 200 | 206 | 304);
    anyhow::ensure!(is_list, "{url} answered {}; see that the client may read articles", answer.status);
    Ok(())
}

async fn open_and_close(http: &HttpClient, url: &url::Url, token: &Token, stream: StreamKind) -> anyhow::Result<()> {
    match websocket::connect(http, url, token.secret(), stream.token_placement()).await {
        Ok(opened) => opened.close().await,
        Err(error @ (HandshakeError::Unauthorised | HandshakeError::Forbidden)) => {
            anyhow::bail!("{error}; the client needs the scope {}", stream.scope());
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("no stream at {url}; see that it is right and that this machine reaches it"));
        }
    }
    Ok(())
}
