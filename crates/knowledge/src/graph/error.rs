//! Why a graph can't be read or asked, and what to do.

use std::time::Duration;

use thiserror::Error;

use crate::rows::ReadError;

#[derive(Debug, Error)]
pub enum GraphError {
    #[error(transparent)]
    File(#[from] ReadError),
    #[error("the graph can't be asked so: {what}")]
    Settings { what: String },
    #[error("{uri} is no address of a Neo4j server: {what}; it looks like bolt://host:7687, or bolt+s://host:7687")]
    Address { uri: String, what: String },
    #[error("Neo4j at {uri} can't be reached: {what}; is it running, and is this its bolt address?")]
    Unreachable { uri: String, what: String },
    #[error("Neo4j at {uri} refused the user {user}: {what}; check NEO4J_USER and NEO4J_PASSWORD")]
    CredentialsRefused { uri: String, user: String, what: String },
    #[error("Neo4j at {uri} did not answer within {} ms; is it overloaded, or the timeout too short?", after.as_millis())]
    TimedOut { uri: String, after: Duration },
    #[error("Neo4j at {uri} failed the query: {what}; its query log has more")]
    QueryFailed { uri: String, what: String },
}
