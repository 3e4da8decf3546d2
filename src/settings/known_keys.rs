//! Which keys there are: those of `config/default.toml`. Every other key is refused with the nearest known one.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// Above this Jaro-Winkler similarity a known key is worth suggesting.
const NEAR: f64 = 0.7;

/// The keys that a file or the environment may set.
pub(super) struct KnownKeys {
    sections: BTreeSet<String>,
    keys: BTreeSet<String>,
}

/// A key that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownKey {
    pub(super) key: String,
    pub(super) nearest: Option<String>,
}

impl KnownKeys {
    /// The keys of the defaults; a profile of its own has those of `[profile]`.
    pub(super) fn of(defaults: &Table) -> Self {
        let mut keys = BTreeSet::new();
        for (section, value) in defaults {
            for key in value.as_table().into_iter().flat_map(Table::keys) {
                keys.insert(format!("{section}.{key}"));
            }
        }
        Self { sections: defaults.keys().cloned().collect(), keys }
    }

    /// The first unknown key of a settings file.
    pub(super) fn first_unknown(&self, file: &Table) -> Option<UnknownKey> {
        file.iter().find_map(|(section, value)| match value {
            Value::Table(profiles) if section == "profiles" => profiles
                .iter()
                .find_map(|(name, profile)| self.unknown_in(&format!("profiles.{name}"), "profile", profile)),
            _ if section != "profiles" && !self.sections.contains(section) => {
                let known = self.sections.iter().map(String::as_str).chain(["profiles"]);
                Some(UnknownKey { key: section.clone(), nearest: nearest(section, known) })
            }
            _ => self.unknown_in(section, section, value),
        })
    }

    /// `written` is the section as the file names it, `known_as` the section whose keys it has.
    fn unknown_in(&self, written: &str, known_as: &str, value: &Value) -> Option<UnknownKey> {
        let keys = value.as_table()?.keys();
        let unknown = keys.into_iter().find(|key| !self.keys.contains(&format!("{known_as}.{key}")))?;
        let prefix = format!("{known_as}.");
        let known = self.keys.iter().filter_map(|key| key.strip_prefix(&prefix));
        let nearest = nearest(unknown, known).map(|key| format!("{written}.{key}"));
        Some(UnknownKey { key: format!("{written}.{unknown}"), nearest })
    }

    /// Checks one dotted key of the environment.
    pub(super) fn check(&self, dotted: &str) -> Result<(), UnknownKey> {
        let as_profile_key = || {
            let (_, key) = dotted.strip_prefix("profiles.")?.split_once('.')?;
            Some(format!("profile.{key}"))
        };
        let key = as_profile_key().unwrap_or_else(|| dotted.to_owned());
        if self.keys.contains(&key) {
            return Ok(());
        }
        Err(UnknownKey { key: dotted.to_owned(), nearest: nearest(&key, self.keys.iter().map(String::as_str)) })
    }
}

fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|key| (strsim::jaro_winkler(written, key), key))
        .filter(|(similarity, _)| *similarity > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn known() -> KnownKeys {
        KnownKeys::of(&toml::from_str("[buffer]\npause_after_last='3s'\nmax_turns=1\n[profile]\ncards=5").unwrap())
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest_known_one() {
        // (file, unknown key, nearest)
        let table = [
            ("[buffer]\nmax_turn=3", "buffer.max_turn", Some("buffer.max_turns")),
            ("[bufer]\nmax_turns=3", "bufer", Some("buffer")),
            ("[profiles.acme]\ncard=3", "profiles.acme.card", Some("profiles.acme.cards")),
            ("[buffer]\nzzz=3", "buffer.zzz", None),
            ("cards=3", "cards", None),
        ];
        for (file, key, nearest) in table {
            let unknown = known().first_unknown(&toml::from_str(file).unwrap()).unwrap();
            assert_eq!((unknown.key.as_str(), unknown.nearest.as_deref()), (key, nearest));
        }
        let fine = "[buffer]\nmax_turns=3\n[profiles.acme]\ncards=3";
        assert_eq!(known().first_unknown(&toml::from_str(fine).unwrap()), None);
    }

    #[test]
    fn the_environment_is_checked_by_dotted_keys() {
        assert_eq!(known().check("buffer.max_turns"), Ok(()));
        assert_eq!(known().check("profiles.acme.cards"), Ok(()));
        let unknown = known().check("buffer.pause_last").unwrap_err();
        assert_eq!(unknown.nearest.as_deref(), Some("buffer.pause_after_last"));
    }
}
