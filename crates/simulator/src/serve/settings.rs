//! What a simulator is started with: address, the clients it knows, token lifetime, knowledge, strictness.
//!
//! [`SimulatorSettings::default`] is what tests want: a free loopback port, one client with every scope of the five
//! contracts, tokens that last an hour, and every rule that there is.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::Article;
use crate::base::contracts::SCOPES;

/// The client that a simulator knows unless the settings say otherwise.
pub const DEFAULT_CLIENT_ID: &str = "cxone-sim-client";
/// Its secret: public, because it opens nothing but a stand-in on loopback.
pub const DEFAULT_CLIENT_SECRET: &str = "cxone-sim-secret";
/// Port of the command line when none is given.
pub const DEFAULT_PORT: u16 = 9200;
/// The session that exists from the start, by the name that contract 004 gives it.
pub const DEFAULT_SESSION_ID: &str = "default-agent-session-001";

/// One OAuth client and what it may do. Each client is a tenant of its own: what one is told or pushes, no other sees.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id` of the token request.
    pub id: String,
    /// `client_secret` of the token request.
    pub secret: String,
    /// What its tokens may be granted.
    pub scopes: Vec<String>,
}

impl Client {
    /// A client that may do everything in all five contracts.
    pub fn with_all_scopes(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), scopes: SCOPES.iter().map(ToString::to_string).collect() }
    }
}

/// What one event of contract 001 carries when a conversation is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Transcripts {
    /// Everything that the customer has said so far.
    #[default]
    Whole,
    /// Only what was said since the last event.
    New,
}

/// How the list of articles is cut into pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// One answer holds all.
    #[default]
    Whole,
    /// So many items a page, and the address of the next one in `nextPage`.
    NextLink(usize),
    /// So many items a page, told as `page` and `pageSize`, which the next request repeats with the next number.
    PageNumber(usize),
}

/// How a simulator behaves.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Who may ask for a token.
    pub clients: Vec<Client>,
    /// From the arrival of a token request until its token is refused.
    pub token_lifetime: Duration,
    /// What the knowledge endpoints answer from at first.
    pub articles: Vec<Article>,
    /// How the list of articles is cut.
    pub paging: Paging,
    /// What an event of contract 001 carries.
    pub transcripts: Transcripts,
    /// Whether more is demanded than the documents' own programs send: an `Idempotency-Key` on every push, its `Accept`
    /// and that of the events being exactly `application/json`, no empty source or title and no null in a card, a
    /// timestamp with its offset, no token used beyond its lifetime. Without it only what breaks a document is a
    /// violation.
    pub strict: bool,
    /// Contracts 000, 002 and 004: a push for an interaction that nobody has named is answered 404 instead of bringing
    /// the interaction into being.
    pub known_interactions_only: bool,
    /// Interactions and sessions that every client has from the start.
    pub interactions: Vec<String>,
    /// Requests kept with their bodies, as many as 256 MiB hold at most, oldest dropped first; counts are never dropped.
    pub record_limit: usize,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clients: vec![Client::with_all_scopes(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)],
            token_lifetime: Duration::from_hours(1),
            articles: Vec::new(),
            paging: Paging::Whole,
            transcripts: Transcripts::Whole,
            strict: true,
            known_interactions_only: false,
            interactions: Vec::new(),
            // About 30 MB of five-card pushes.
            record_limit: 20_000,
        }
    }
}
