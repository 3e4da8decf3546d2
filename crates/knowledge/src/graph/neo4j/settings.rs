//! Where the database is and how long it may take.

use std::time::Duration;

use secrecy::SecretString;

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
