//! Which scopes a profile needs, whatever stream and dialect it mixes.
//!
//! Input: the contract, the stream, the dialect, and whether articles are polled or searched at CXone. Output: scopes in
//! a fixed order without repeats. Pure.

use crate::contract::Contract;
use crate::dialect::Dialect;
use crate::stream::StreamKind;

/// What polling articles and searching them takes.
pub const KNOWLEDGE_SCOPE: &str = "knowledge:read";

/// The scopes to send with the token request; none sends no `scope` at all, which asks for all that the client may have.
///
/// A profile with the contract's own stream and dialect asks for exactly the contract's scopes, and for that of knowledge
/// calls where it makes some that its contract doesn't know. One that mixes asks for the scopes of its stream, its
/// knowledge calls and its dialect.
pub fn scopes_for(
    contract: Contract,
    stream: Option<StreamKind>,
    dialect: Dialect,
    reads_knowledge: bool,
) -> Vec<String> {
    if is_own(contract, stream, dialect) && !contract.defaults().sends_scopes {
        return Vec::new();
    }
    required_scopes_for(contract, stream, dialect, reads_knowledge)
}

/// The scopes that CXone's administrator must have allowed, for messages; those sent, or what a contract that sends none
/// relies on.
pub fn required_scopes_for(
    contract: Contract,
    stream: Option<StreamKind>,
    dialect: Dialect,
    reads_knowledge: bool,
) -> Vec<String> {
    let knowledge: &[&str] = if reads_knowledge { &[KNOWLEDGE_SCOPE] } else { &[] };
    if is_own(contract, stream, dialect) {
        return without_repeats(&[contract.defaults().required_scopes, knowledge]);
    }
    without_repeats(&[stream.map_or(&[], StreamKind::scopes), knowledge, dialect.scopes()])
}

fn is_own(contract: Contract, stream: Option<StreamKind>, dialect: Dialect) -> bool {
    let defaults = contract.defaults();
    stream == defaults.stream && dialect == defaults.dialect
}

fn without_repeats(groups: &[&[&str]]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for &scope in groups.iter().copied().flatten() {
        if scopes.iter().all(|known| known != scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    const INSIGHTS_STREAM: Option<StreamKind> = Some(StreamKind::Insights);
    const SNIPPETS_STREAM: Option<StreamKind> = Some(StreamKind::Snippets);

    #[test]
    fn a_contracts_own_stream_and_dialect_ask_for_exactly_its_scopes() {
        for &contract in Contract::VARIANTS {
            let defaults = contract.defaults();
            let (stream, dialect) = (defaults.stream, defaults.dialect);
            assert_eq!(scopes_for(contract, stream, dialect, false), defaults.scopes(), "{contract}");
            assert_eq!(required_scopes_for(contract, stream, dialect, false), defaults.required_scopes, "{contract}");
        }
        let snippets = Contract::Snippets.defaults();
        let listens_and_polls = scopes_for(Contract::Snippets, snippets.stream, snippets.dialect, true);
        assert_eq!(listens_and_polls, snippets.scopes());
        assert!(scopes_for(Contract::Insights, INSIGHTS_STREAM, Dialect::Insights, true).is_empty());
    }

    #[test]
    fn knowledge_calls_that_a_contract_does_not_know_are_asked_for() {
        let scopes = scopes_for(Contract::Rag, None, Dialect::Rag, true);
        assert_eq!(scopes, ["agentassists:write", "knowledge:read"]);
    }

    #[test]
    fn a_mix_asks_for_its_stream_its_knowledge_calls_and_its_dialect() {
        let table: [(Contract, Option<StreamKind>, Dialect, bool, &str); 6] = [
            (
                Contract::Insights,
                INSIGHTS_STREAM,
                Dialect::Rag,
                false,
                "agentassist:read ai:training:write agentassists:write",
            ),
            (
                Contract::Insights,
                INSIGHTS_STREAM,
                Dialect::Graph,
                true,
                "agentassist:read ai:training:write knowledge:read agentassist:interactions:write",
            ),
            (
                Contract::Snippets,
                SNIPPETS_STREAM,
                Dialect::Insights,
                true,
                "interactions:read knowledge:read agentassist:write",
            ),
            (
                Contract::Snippets,
                SNIPPETS_STREAM,
                Dialect::Ranking,
                false,
                "interactions:read agentassist:session:write agentassist:snippet:write",
            ),
            (Contract::Rag, None, Dialect::Snippets, false, "assist:write"),
            (Contract::Rag, SNIPPETS_STREAM, Dialect::Rag, false, "interactions:read agentassists:write"),
        ];
        for (contract, stream, dialect, reads_knowledge, expected) in table {
            let sent = scopes_for(contract, stream, dialect, reads_knowledge);
            assert_eq!(sent.join(" "), expected, "{contract} {stream:?} {dialect}");
            assert_eq!(required_scopes_for(contract, stream, dialect, reads_knowledge), sent);
        }
    }

    #[test]
    fn a_contracts_required_scopes_are_those_of_its_parts() {
        for &contract in Contract::VARIANTS {
            let defaults = contract.defaults();
            let stream = defaults.stream.map_or(&[][..], StreamKind::scopes);
            let mut parts = without_repeats(&[stream, &[KNOWLEDGE_SCOPE], defaults.dialect.scopes()]);
            let mut required = without_repeats(&[defaults.required_scopes, &[KNOWLEDGE_SCOPE]]);
            parts.sort();
            required.sort();
            assert_eq!(parts, required, "{contract}");
        }
    }
}
