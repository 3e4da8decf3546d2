//! A graph in a Neo4j database: the connection, lookups, and the loading of a graph file.

mod connection;
mod load;
mod lookup;

pub use connection::Neo4jSettings;
pub use load::Neo4jLoad;
pub use lookup::Neo4jGraph;
