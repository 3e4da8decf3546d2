//! The wire contracts and what each of them means by default.
//!
//! Input: a contract's name. Output: its defaults, its stream's codec and its dialect; an unknown name gives an error
//! that lists the served ones.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::stream::{InsightsCodec, StreamCodec};
use crate::websocket::TokenPlacement;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Contract {
    /// 003: transcript fragments in, insight cards out.
    Insights,
}

/// What a contract implies where the settings say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractDefaults {
    pub base_url: &'static str,
    pub token_path: &'static str,
    /// Sent with the token request; empty sends no `scope` at all.
    pub scopes: &'static [&'static str],
    /// What CXone's administrator must have allowed the client, named when a call is refused.
    pub required_scopes: &'static [&'static str],
    /// A token is renewed this long before it expires.
    pub refresh_margin: Duration,
    pub stream_path: &'static str,
    pub stream_token: TokenPlacement,
    /// Named when a handshake is refused.
    pub stream_scope: &'static str,
    pub dialect: Dialect,
    pub num_cards: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown contract '{name}', the served ones are: {}", served())]
pub struct UnknownContract {
    pub name: String,
}

const INSIGHTS: ContractDefaults = ContractDefaults {
    base_url: "https://api.niceincontact.com",
    token_path: "/oauth/token",
    scopes: &[],
    required_scopes: &["agentassist:read", "knowledge:read", "agentassist:write", "ai:training:write"],
    refresh_margin: Duration::from_mins(5),
    stream_path: "/cxoneapi/v2/agentassist/stream",
    stream_token: TokenPlacement::Query,
    stream_scope: "agentassist:read",
    dialect: Dialect::Insights,
    num_cards: 5,
};

impl Contract {
    pub const ALL: [Self; 1] = [Self::Insights];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Insights => "insights",
        }
    }

    pub const fn defaults(self) -> &'static ContractDefaults {
        match self {
            Self::Insights => &INSIGHTS,
        }
    }

    pub fn stream_codec(self) -> &'static dyn StreamCodec {
        match self {
            Self::Insights => &InsightsCodec,
        }
    }
}

fn served() -> String {
    Contract::ALL.map(Contract::name).join(", ")
}

impl fmt::Display for Contract {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Contract {
    type Err = UnknownContract;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|contract| contract.name() == name);
        known.ok_or_else(|| UnknownContract { name: name.to_owned() })
    }
}

impl TryFrom<String> for Contract {
    type Error = UnknownContract;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Contract> for &'static str {
    fn from(contract: Contract) -> Self {
        contract.name()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_read_back_as_written() {
        for contract in Contract::ALL {
            assert_eq!(contract.to_string().parse::<Contract>().unwrap(), contract);
            let json = serde_json::to_string(&contract).unwrap();
            assert_eq!(json, format!("\"{contract}\""));
            assert_eq!(serde_json::from_str::<Contract>(&json).unwrap(), contract);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_served_ones() {
        let expected = "unknown contract 'insight', the served ones are: insights";
        assert_eq!("insight".parse::<Contract>().unwrap_err().to_string(), expected);
        let error = serde_json::from_str::<Contract>("\"insight\"").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
