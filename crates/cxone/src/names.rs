//! Closed sets that settings and messages write by name.
//!
//! Input: a set with `ALL` and `name`. Output: its `Display`, `FromStr` and the conversions that serde needs; a name
//! that is not in the set gives an error that lists those that are.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {set} '{name}', the served ones are: {served}")]
pub struct UnknownName {
    /// What the name should have named.
    pub set: &'static str,
    pub name: String,
    pub served: String,
}

macro_rules! written_by_name {
    ($set:ty, $what:literal) => {
        impl std::fmt::Display for $set {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl std::str::FromStr for $set {
            type Err = crate::names::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.into_iter().find(|member| member.name() == name);
                known.ok_or_else(|| crate::names::UnknownName {
                    set: $what,
                    name: name.to_owned(),
                    served: Self::ALL.map(Self::name).join(", "),
                })
            }
        }

        impl TryFrom<String> for $set {
            type Error = crate::names::UnknownName;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl From<$set> for &'static str {
            fn from(member: $set) -> Self {
                member.name()
            }
        }
    };
}

pub(crate) use written_by_name;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::contract::Contract;
    use crate::dialect::Dialect;
    use crate::stream::StreamKind;

    use super::UnknownName;

    fn check<T, const N: usize>(all: [T; N], names: [&str; N], what: &str)
    where
        T: Copy + Debug + Display + PartialEq + Serialize + DeserializeOwned + FromStr<Err = UnknownName>,
    {
        for (member, name) in all.into_iter().zip(names) {
            assert_eq!(member.to_string(), name);
            assert_eq!(name.parse::<T>().unwrap(), member);
            let json = serde_json::to_string(&member).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), member);
        }
        let expected = format!("unknown {what} 'insight', the served ones are: {}", names.join(", "));
        assert_eq!("insight".parse::<T>().unwrap_err().to_string(), expected);
        let error = serde_json::from_str::<T>("\"insight\"").unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn names_are_read_back_as_written_and_an_unknown_one_is_answered_with_the_served_ones() {
        let contracts = ["rag", "snippets", "graph", "insights", "ranking"];
        check(Contract::ALL, contracts, "contract");
        check(Dialect::ALL, contracts, "dialect");
        check(StreamKind::ALL, ["snippets", "insights"], "stream");
    }
}
