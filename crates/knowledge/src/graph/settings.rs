//! What a lookup follows and how much of it is given.

use crate::graph::error::GraphError;
use crate::graph::nodes::is_relation_type;

/// Beyond this a path says nothing of its start any more, and the number of paths explodes.
const MOST_HOPS: usize = 5;

/// A lookup: paths of 1 to `max_hops` relations of these types lead to articles of this status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSettings {
    pub max_hops: usize,
    pub relations: Vec<String>,
    pub status: String,
    /// Articles given at most.
    pub limit: usize,
}

impl Default for GraphSettings {
    /// Contract 002.
    fn default() -> Self {
        Self {
            max_hops: 2,
            relations: ["RELATED_TO", "SIMILAR_TO", "RESOLVES"].map(str::to_owned).into(),
            status: "published".to_owned(),
            limit: 5,
        }
    }
}

impl GraphSettings {
    /// Refuses what can't be asked of a graph. The embedded graph finds nothing by such settings.
    pub fn check(&self) -> Result<(), GraphError> {
        let refuse = |what: String| Err(GraphError::Settings { what });
        if !(1..=MOST_HOPS).contains(&self.max_hops) {
            return refuse(format!("max_hops is {}, it must be 1 to {MOST_HOPS}", self.max_hops));
        }
        if self.relations.is_empty() {
            return refuse("no relation type is named, name at least one".to_owned());
        }
        match self.relations.iter().find(|name| !is_relation_type(name)) {
            Some(name) => {
                refuse(format!("{name:?} is no relation type; letters, digits and underscores of ASCII make one"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_that_no_graph_can_answer_are_refused_by_name() {
        let plain = GraphSettings::default();
        plain.check().unwrap();
        for (settings, said) in [
            (GraphSettings { max_hops: 0, ..plain.clone() }, "max_hops is 0"),
            (GraphSettings { max_hops: 6, ..plain.clone() }, "max_hops is 6"),
            (GraphSettings { relations: Vec::new(), ..plain.clone() }, "no relation type"),
            (GraphSettings { relations: vec!["A`B".to_owned()], ..plain.clone() }, "\"A`B\" is no relation type"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
