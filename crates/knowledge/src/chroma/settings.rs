//! Where a collection is and how long it may take.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Where a collection is.
#[derive(Debug, Clone)]
pub struct ChromaSettings {
    /// `http://host:8000` or `https://…`; a path in front of the API is kept.
    pub url: Url,
    /// `default_tenant` unless the server has several.
    pub tenant: String,
    /// `default_database` unless the tenant has several.
    pub database: String,
    pub collection: String,
    /// Sent as `x-chroma-token`.
    pub token: Option<SecretString>,
    /// What a query may take in all, and a page of an import.
    pub timeout: Duration,
}
