//! One way to ask the server: within a time, with a typed error, whatever it answers.
//!
//! The driver keeps a pool and throws away a connection that broke, or on which an answer was not awaited. Its panic
//! on an answer that it can't read becomes an error.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use neo4rs::{ConfigBuilder, Error, Graph, Neo4jClientErrorKind, Neo4jErrorKind, Query};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use crate::graph::error::GraphError;

/// What takes longer than a lookup: reading all keywords, a batch of a load, the making of a constraint.
pub const LONG: Duration = Duration::from_secs(30);

/// Schemes that the driver knows, without those that don't check the server's certificate.
const SCHEMES: [&str; 4] = ["bolt", "bolt+s", "neo4j", "neo4j+s"];

/// Rows for each request; a lookup gives a handful, all keywords are read in fifty rounds.
const FETCHED_AT_ONCE: usize = 2_000;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct Neo4jSettings {
    /// `bolt://host:port`, or `bolt+s://host:port` for TLS with a certificate that this machine trusts.
    pub uri: String,
    pub user: String,
    pub password: SecretString,
    /// What a lookup may take in all.
    pub timeout: Duration,
}

pub struct Connection {
    graph: Graph,
    /// Without what stands in front of the host.
    uri: String,
    user: String,
}

/// On the heap: the driver's futures have 17 KB, which every future around them would carry along.
type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl Connection {
    pub fn open(settings: &Neo4jSettings) -> Result<Self, GraphError> {
        let uri = shown(&settings.uri)?;
        // The driver asks for the process's provider when the scheme wants TLS. Another one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |error: Error| GraphError::Address { uri: uri.clone(), what: error.to_string() };
        let config = ConfigBuilder::default()
            .uri(uri.as_str())
            .user(settings.user.as_str())
            .password(settings.password.expose_secret())
            .fetch_size(FETCHED_AT_ONCE)
            .connection_timeout(LONG)
            .build()
            .map_err(wrong)?;
        let graph = Graph::connect(config).map_err(wrong)?;
        Ok(Self { graph, uri, user: settings.user.clone() })
    }

    /// All rows of a query that only reads.
    pub async fn rows<T: DeserializeOwned + Send>(&self, query: Query, within: Duration) -> Result<Vec<T>, GraphError> {
        let query = query.extra("mode", "r");
        let read = Box::pin(async {
            let mut stream = self.graph.execute(timed(query, within)).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await? {
                rows.push(row.to()?);
            }
            Ok(rows)
        });
        self.ask(read, within).await
    }

    /// Runs a query for its effect.
    pub async fn run(&self, query: Query, within: Duration) -> Result<(), GraphError> {
        self.ask(Box::pin(self.graph.run(timed(query, within))), within).await
    }

    async fn ask<T>(&self, work: Work<'_, T>, within: Duration) -> Result<T, GraphError> {
        match tokio::time::timeout(within, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(answer)) => answer.map_err(|error| self.error(&error, within)),
            Ok(Err(_)) => Err(self.failed("its answer can't be understood".to_owned())),
            Err(_) => Err(self.timed_out(within)),
        }
    }

    fn error(&self, error: &Error, within: Duration) -> GraphError {
        let what = error.to_string();
        match error {
            Error::AuthenticationError(_) => self.refused(what),
            Error::Neo4j(failure) if is_refusal(failure.kind(), failure.code()) => self.refused(what),
            Error::IOError { .. }
            | Error::ConnectionError
            | Error::UnsupportedVersion(..)
            | Error::ProtocolMismatch(_)
            | Error::ServerUnavailableError(_) => GraphError::Unreachable { uri: self.uri.clone(), what },
            Error::ConnectionTimedOut => self.timed_out(within),
            _ => self.failed(what),
        }
    }

    fn refused(&self, what: String) -> GraphError {
        GraphError::CredentialsRefused { uri: self.uri.clone(), user: self.user.clone(), what }
    }

    fn failed(&self, what: String) -> GraphError {
        GraphError::QueryFailed { uri: self.uri.clone(), what }
    }

    fn timed_out(&self, after: Duration) -> GraphError {
        GraphError::TimedOut { uri: self.uri.clone(), after }
    }
}

/// Lets the server give up when nobody waits any more.
fn timed(query: Query, within: Duration) -> Query {
    query.extra("tx_timeout", i64::try_from(within.as_millis()).unwrap_or(i64::MAX))
}

/// Every failure of security but that of a user who may do less than was asked.
fn is_refusal(kind: Neo4jErrorKind, code: &str) -> bool {
    let is_security = matches!(kind, Neo4jErrorKind::Client(Neo4jClientErrorKind::Security(_)));
    is_security && !code.ends_with(".Forbidden")
}

/// The address without user, password, path and query, which the driver would not use.
fn shown(uri: &str) -> Result<String, GraphError> {
    let wrong = |what: &str| GraphError::Address { uri: hidden(uri), what: what.to_owned() };
    let parsed = Url::parse(uri).map_err(|error| wrong(&error.to_string()))?;
    if !SCHEMES.contains(&parsed.scheme()) {
        return Err(wrong(&format!("its scheme must be one of {}", SCHEMES.join(", "))));
    }
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
    Ok(format!("{}://{host}:{}", parsed.scheme(), parsed.port().unwrap_or(7687)))
}

/// What may be a password in front of the host is not for the log.
fn hidden(uri: &str) -> String {
    match uri.rsplit_once('@') {
        Some((_, behind)) => format!("…@{behind}"),
        None => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets_and_a_wrong_one_is_refused() {
        for (uri, kept) in [
            ("bolt://127.0.0.1:1234", "bolt://127.0.0.1:1234"),
            ("neo4j+s://user:secret@graph.internal/x?y=secret", "neo4j+s://graph.internal:7687"),
            ("bolt://[::1]:7", "bolt://[::1]:7"),
        ] {
            assert_eq!(shown(uri).unwrap(), kept);
        }
        for (uri, said) in [
            ("localhost", "relative URL without a base"),
            ("http://user:secret@host:7474", "its scheme must be one of bolt, bolt+s"),
            ("bolt+ssc://host", "its scheme must be one of"),
            ("bolt://", "names no host"),
        ] {
            let error = shown(uri).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
