//! How relations name the nodes that they join.

/// A node by its place in the lists of a graph file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphNode {
    Query(u32),
    Article(u32),
}

/// A directed relation of some type, by its place in the list of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GraphRelation {
    pub from: GraphNode,
    pub relation_type: u32,
    pub to: GraphNode,
}

/// The longest name of a relation type; names in real graphs are a few words.
const LONGEST_RELATION_TYPE: usize = 64;

/// Whether a name may stand in a Cypher text, which takes relation types nowhere else.
pub fn is_relation_type(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    starts_well && name.len() <= LONGEST_RELATION_TYPE && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_identifiers_are_relation_types() {
        for name in ["RELATED_TO", "_x", "a1", &"x".repeat(64)] {
            assert!(is_relation_type(name), "{name}");
        }
        for name in ["", "1a", "A B", "A|B", "A`", "A]->(n) DETACH DELETE n//", "GEHÖRT_ZU", &"x".repeat(65)] {
            assert!(!is_relation_type(name), "{name}");
        }
    }
}
