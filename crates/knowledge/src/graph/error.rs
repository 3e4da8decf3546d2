//! Why a graph can't be read or asked, and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::graph::file::row::BadGraphRow;
use crate::rows::ROWS_PER_TOLERATED_BAD_ROW;

#[derive(Debug, Error)]
pub enum GraphError {
    #[error("can't open the graph file {}: {source}; name JSON Lines that this user may read", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("can't read the graph file {} after line {line}: {source}; is the file complete?", path.display())]
    Damaged { path: PathBuf, line: u64, source: io::Error },
    #[error(
        "{bad} of {rows} rows in {} are bad, more than one in {ROWS_PER_TOLERATED_BAD_ROW}; mend them, the first is {first}",
        path.display()
    )]
    TooManyBadRows { path: PathBuf, bad: u64, rows: u64, first: BadGraphRow },
    #[error("there is no article in the graph file {}; give it rows with id and title", path.display())]
    NoArticles { path: PathBuf },
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
