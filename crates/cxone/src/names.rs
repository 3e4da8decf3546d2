//! Names: closed sets that settings and messages write by name, and how long a name of CXone's may be.
//!
//! Input: a name that a set does not hold. Output: an error that lists those that it does.

use strum::VariantArray;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {set} '{name}', the served ones are: {served}")]
pub struct UnknownName {
    /// What the name should have named.
    pub set: &'static str,
    pub name: String,
    pub served: String,
}

impl UnknownName {
    pub(crate) fn of<Set: VariantArray + ToString>(set: &'static str, name: &str) -> Self {
        let served: Vec<_> = Set::VARIANTS.iter().map(ToString::to_string).collect();
        Self { set, name: name.to_owned(), served: served.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use strum::VariantArray;

    use super::UnknownName;
    use crate::contract::Contract;
    use crate::dialect::Dialect;
    use crate::stream::StreamKind;

    fn check<T, const N: usize>(names: [&str; N], what: &str)
    where
        T: Copy + Debug + Display + PartialEq + VariantArray + FromStr<Err = UnknownName>,
    {
        assert_eq!(T::VARIANTS.len(), N);
        for (member, name) in T::VARIANTS.iter().zip(names) {
            assert_eq!(member.to_string(), name);
            assert_eq!(name.parse::<T>().unwrap(), *member);
        }
        let expected = format!("unknown {what} 'insight', the served ones are: {}", names.join(", "));
        assert_eq!("insight".parse::<T>().unwrap_err().to_string(), expected);
    }

    #[test]
    fn names_are_read_back_as_written_and_an_unknown_one_is_answered_with_the_served_ones() {
        let contracts = ["rag", "snippets", "graph", "insights", "ranking"];
        check::<Contract, 5>(contracts, "contract");
        check::<Dialect, 5>(contracts, "dialect");
        check::<StreamKind, 2>(["snippets", "insights"], "stream");
    }
}
