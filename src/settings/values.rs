//! How values are written that are more than a number or a text.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = neither)]
pub enum Switch {
    On,
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

fn neither(_: &str) -> String {
    "write \"on\" or \"off\"".to_owned()
}

/// A value, or `auto` for what suits the contract or the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto<T>(pub Option<T>);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.trim() {
            "auto" | "" => Ok(Self(None)),
            text => text.parse().map(|value| Self(Some(value))).map_err(|error| D::Error::custom(named(text, &error))),
        }
    }
}

fn named(text: &str, error: &dyn Display) -> String {
    format!("`{text}`: {error}; or write \"auto\"")
}

/// A duration with its unit, for [`Auto`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

/// Words: a list in the file, one text in the environment with commas or spaces between them. An empty word is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Words;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of words, or one text with commas between them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
                Ok(Words(text.split([',', ' ']).filter_map(filled).map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = sequence.next_element::<String>()? {
                    words.extend(filled(&word).map(str::to_owned));
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Words {
    /// Every word as a value of its type.
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Result<Vec<T>, String> {
        self.0.iter().map(|word| word.parse().map_err(|error: T::Err| error.to_string())).collect()
    }
}

/// Names, each with a number to add to a score: a list of `NAME=NUMBER` in the file, one text with commas between them in
/// the environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boosted(pub BTreeMap<String, f64>);

impl<'de> Deserialize<'de> for Boosted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            List(Vec<String>),
            Text(String),
        }
        let pairs = match Written::deserialize(deserializer)? {
            Written::List(pairs) => pairs,
            Written::Text(text) => text.split(',').map(str::to_owned).collect(),
        };
        let pairs = pairs.iter().filter_map(|pair| filled(pair));
        pairs
            .map(|pair| boost(pair).ok_or_else(|| D::Error::custom(no_boost(pair))))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A name may hold the sign itself.
fn boost(pair: &str) -> Option<(String, f64)> {
    let (name, number) = pair.rsplit_once('=')?;
    let number = number.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
    Some((filled(name)?.to_owned(), number))
}

fn no_boost(pair: &str) -> String {
    format!("`{pair}` is no name with a number, as \"billing=0.5\"")
}

/// Reads a value through its `FromStr`, so that the error is the type's own and lists what there is.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// As [`parsed`]; an empty text is no value.
pub(super) fn unless_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    filled(&text).map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

/// A number with its unit; the error for one without names some.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parsed::<D, Span>(deserializer).map(|Span(duration)| duration)
}

/// Where to listen.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let no_address = || D::Error::custom(format!("`{text}` is no IP address with a port, as 127.0.0.1:8000"));
    text.parse().map_err(|_| no_address())
}

/// The text, unless it is empty.
pub(super) fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// The path from the root, unless it is empty: `data` and `./data` are one place.
pub(super) fn filled_path(path: &Path) -> Option<PathBuf> {
    Some(path).filter(|path| !path.as_os_str().is_empty()).map(absolute)
}

/// The path from the root; where the working directory is gone, as it is.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
