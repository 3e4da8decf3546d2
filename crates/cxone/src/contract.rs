//! The wire contracts and what each of them means by default.
//!
//! Input: a contract's name. Output: its defaults; an unknown name gives an error that lists the served ones.

use std::time::Duration;

use strum::{Display, EnumString, VariantArray};

use crate::dialect::Dialect;
use crate::names::UnknownName;
use crate::stream::StreamKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown)]
pub enum Contract {
    /// 000: an agent asks, passages are pushed as context.
    Rag,
    /// 001: finished utterances in, message cards out, articles polled.
    Snippets,
    /// 002: an agent asks, the knowledge graph answers.
    Graph,
    /// 003: transcript fragments in, insight cards out.
    Insights,
    /// 004: the snippets of a session are put in order.
    Ranking,
}

/// What a contract implies where the settings say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractDefaults {
    /// None where every tenant has a host of its own, or where `env` names it.
    pub base_url: Option<&'static str>,
    /// Stands for a base URL, see [`env_base_url`].
    pub env: Option<&'static str>,
    pub token_path: &'static str,
    /// Asked instead of the base URL's `token_path`.
    pub token_url: Option<&'static str>,
    /// What CXone's administrator must have allowed the client, named when a call is refused.
    pub required_scopes: &'static [&'static str],
    /// Whether the token request names them; else it sends no `scope` at all.
    pub sends_scopes: bool,
    /// A token is renewed this long before it expires.
    pub refresh_margin: Duration,
    /// None for a contract that is asked over HTTP.
    pub stream: Option<StreamKind>,
    pub dialect: Dialect,
    pub num_cards: usize,
}

impl ContractDefaults {
    /// What the token request asks for.
    pub const fn scopes(&self) -> &'static [&'static str] {
        if self.sends_scopes { self.required_scopes } else { &[] }
    }
}

const RAG: ContractDefaults = ContractDefaults {
    base_url: Some("https://platform.niceincontact.com"),
    env: None,
    token_path: "/oauth/token",
    token_url: None,
    required_scopes: &["agentassists:write"],
    sends_scopes: true,
    refresh_margin: Duration::from_mins(1),
    stream: None,
    dialect: Dialect::Rag,
    num_cards: 3,
};

const SNIPPETS: ContractDefaults = ContractDefaults {
    base_url: None,
    env: None,
    token_path: "/oauth/token",
    token_url: None,
    required_scopes: &["interactions:read", "assist:write", "knowledge:read"],
    sends_scopes: true,
    refresh_margin: Duration::from_mins(5),
    stream: Some(StreamKind::Snippets),
    dialect: Dialect::Snippets,
    num_cards: 3,
};

const GRAPH: ContractDefaults = ContractDefaults {
    base_url: None,
    env: None,
    token_path: "/oauth2/token",
    token_url: None,
    required_scopes: &["agentassist:interactions:write", "agentassist:read"],
    sends_scopes: true,
    refresh_margin: Duration::from_mins(1),
    stream: None,
    dialect: Dialect::Graph,
    num_cards: 5,
};

const INSIGHTS: ContractDefaults = ContractDefaults {
    base_url: Some("https://api.niceincontact.com"),
    env: None,
    token_path: "/oauth/token",
    token_url: None,
    required_scopes: &["agentassist:read", "knowledge:read", "agentassist:write", "ai:training:write"],
    sends_scopes: false,
    refresh_margin: Duration::from_mins(5),
    stream: Some(StreamKind::Insights),
    dialect: Dialect::Insights,
    num_cards: 5,
};

const RANKING: ContractDefaults = ContractDefaults {
    base_url: None,
    env: Some("mypurecloud.janus"),
    token_path: "/api/v2/oauth/token",
    token_url: Some("https://api.mypurecloud.com/api/v2/oauth/token"),
    required_scopes: &["agentassist:session:write", "agentassist:snippet:write"],
    sends_scopes: true,
    refresh_margin: Duration::from_mins(1),
    stream: None,
    dialect: Dialect::Ranking,
    num_cards: 10,
};

/// Where a tenant's environment is served.
pub fn env_base_url(env: &str) -> String {
    format!("https://{env}.api.cxone.com")
}

impl Contract {
    pub const fn defaults(self) -> &'static ContractDefaults {
        match self {
            Self::Rag => &RAG,
            Self::Snippets => &SNIPPETS,
            Self::Graph => &GRAPH,
            Self::Insights => &INSIGHTS,
            Self::Ranking => &RANKING,
        }
    }
}

fn unknown(name: &str) -> UnknownName {
    UnknownName::of::<Contract>("contract", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_documents() {
        let table = [
            (Contract::Rag, "/oauth/token", "agentassists:write", 60, 3),
            (Contract::Snippets, "/oauth/token", "interactions:read assist:write knowledge:read", 300, 3),
            (Contract::Graph, "/oauth2/token", "agentassist:interactions:write agentassist:read", 60, 5),
            (Contract::Insights, "/oauth/token", "", 300, 5),
            (Contract::Ranking, "/api/v2/oauth/token", "agentassist:session:write agentassist:snippet:write", 60, 10),
        ];
        for (contract, token_path, scopes, margin_seconds, num_cards) in table {
            let defaults = contract.defaults();
            assert_eq!((defaults.token_path, defaults.num_cards), (token_path, num_cards), "{contract}");
            assert_eq!(defaults.scopes().join(" "), scopes, "{contract}");
            assert_eq!(defaults.refresh_margin, Duration::from_secs(margin_seconds), "{contract}");
            let name = contract.to_string();
            assert_eq!(defaults.dialect.to_string(), name);
            assert!(defaults.stream.is_none_or(|stream| stream.to_string() == name));
        }
    }

    #[test]
    fn the_token_url_of_a_contract_ends_with_its_path() {
        for &contract in Contract::VARIANTS {
            let defaults = contract.defaults();
            assert!(defaults.token_url.is_none_or(|url| url.ends_with(defaults.token_path)), "{contract}");
        }
    }

    #[test]
    fn an_environment_names_a_host() {
        let env = Contract::Ranking.defaults().env.unwrap_or_default();
        assert_eq!(env_base_url(env), "https://mypurecloud.janus.api.cxone.com");
    }
}
