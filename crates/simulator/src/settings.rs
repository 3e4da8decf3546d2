//! What a simulator is started with: address, the clients it knows, token lifetime, articles for its search.
//!
//! [`SimulatorSettings::default`] is what tests want: a free loopback port, one client with every scope of
//! contract 003, tokens that last an hour.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::articles::Article;

/// The client that a simulator knows unless the settings say otherwise.
pub const DEFAULT_CLIENT_ID: &str = "cxone-sim-client";
/// Its secret: public, because it opens nothing but a stand-in on loopback.
pub const DEFAULT_CLIENT_SECRET: &str = "cxone-sim-secret";
/// Port of the command line when none is given.
pub const DEFAULT_PORT: u16 = 9200;

/// Everything that contract 003 calls for.
pub const SCOPES: [&str; 4] = [SCOPE_STREAM, SCOPE_KNOWLEDGE, SCOPE_INSIGHTS, SCOPE_TRAINING];
/// Opens the stream.
pub const SCOPE_STREAM: &str = "agentassist:read";
/// Searches articles.
pub const SCOPE_KNOWLEDGE: &str = "knowledge:read";
/// Pushes insights.
pub const SCOPE_INSIGHTS: &str = "agentassist:write";
/// Sends training feedback.
pub const SCOPE_TRAINING: &str = "ai:training:write";

/// One OAuth client and what it may do.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id` of the token request.
    pub id: String,
    /// `client_secret` of the token request.
    pub secret: String,
    /// Granted to every token of this client.
    pub scopes: Vec<String>,
}

impl Client {
    /// A client that may do everything in contract 003.
    pub fn with_all_scopes(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), scopes: SCOPES.map(str::to_owned).to_vec() }
    }
}

/// How a simulator behaves.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Who may ask for a token.
    pub clients: Vec<Client>,
    /// From the answer to a token request until the token is refused.
    pub token_lifetime: Duration,
    /// What the article search answers from.
    pub articles: Vec<Article>,
    /// Requests kept with their bodies, oldest dropped first; counts are never dropped.
    pub record_limit: usize,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clients: vec![Client::with_all_scopes(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)],
            token_lifetime: Duration::from_hours(1),
            articles: Vec::new(),
            // About 60 MB of five-card pushes.
            record_limit: 20_000,
        }
    }
}
