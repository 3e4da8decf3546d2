//! The keys of the settings: which there are, and what sets them in the environment (the documents' own names, cuecard's
//! short ones, and any key by its path). Whatever else is set is refused with the nearest known name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use toml::{Table, Value};

use super::secrets::{SECRETS, file_key};

/// Above this Jaro-Winkler similarity a known key is worth suggesting.
const NEAR: f64 = 0.7;

/// Sections of one form, of which a file may have any number.
pub(super) struct Family {
    /// What the sections' names stand under.
    pub(super) all: &'static str,
    /// The section that says what each of them begins as.
    pub(super) each: &'static str,
}

pub(super) const KEYS: Family = Family { all: "access.keys", each: "access.key" };
pub(super) const FAMILIES: [Family; 2] = [Family { all: "profiles", each: "profile" }, KEYS];

impl Family {
    /// The name of the member and the rest of a dotted key that leads into one.
    pub(super) fn member<'a>(&self, dotted: &'a str) -> Option<(&'a str, &'a str)> {
        dotted.strip_prefix(self.all)?.strip_prefix('.')?.split_once('.')
    }
}

/// The key as the defaults have it: for one of a member that of the section which the member begins as.
pub(super) fn as_default(dotted: &str) -> String {
    let member = |family: &Family| Some(join(family.each, family.member(dotted)?.1));
    FAMILIES.iter().find_map(member).unwrap_or_else(|| dotted.to_owned())
}

/// The keys that a file or the environment may set: those of the defaults, and for each secret the one that names its file.
pub(super) struct KnownKeys(BTreeSet<String>);

/// A key that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownKey {
    pub(super) key: String,
    pub(super) nearest: Option<String>,
}

/// Something that a settings file can't hold in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misplaced {
    Unknown(UnknownKey),
    /// A value where a section belongs.
    NoSection(String),
}

impl KnownKeys {
    /// The keys of the defaults; a member of a family has those of the section that it begins as.
    pub(super) fn of(defaults: &Table) -> Self {
        let mut keys = BTreeSet::new();
        collect("", defaults, &mut keys);
        let files: Vec<_> = SECRETS.iter().filter(|secret| keys.contains(**secret)).map(|key| file_key(key)).collect();
        keys.extend(files);
        Self(keys)
    }

    /// What a settings file sets, by dotted keys; or the first thing that has no place there.
    pub(super) fn read(&self, file: &Table) -> Result<BTreeMap<String, Value>, Misplaced> {
        let mut read = BTreeMap::new();
        self.read_section("", "", file, &mut read)?;
        Ok(read)
    }

    /// `written` is the section as the file names it, `known_as` the section whose keys it has.
    fn read_section(
        &self,
        written: &str,
        known_as: &str,
        table: &Table,
        read: &mut BTreeMap<String, Value>,
    ) -> Result<(), Misplaced> {
        for (name, value) in table {
            let (written, known_as) = (join(written, name), join(known_as, name));
            let section = |value: &Value, written: &str| {
                value.as_table().cloned().ok_or_else(|| Misplaced::NoSection(written.to_owned()))
            };
            if let Some(family) = FAMILIES.iter().find(|family| family.all == known_as) {
                for (name, member) in &section(value, &written)? {
                    let written = join(&written, name);
                    self.read_section(&written, family.each, &section(member, &written)?, read)?;
                }
            } else if self.is_section(&known_as) {
                self.read_section(&written, &known_as, &section(value, &written)?, read)?;
            } else if self.0.contains(&known_as) {
                read.insert(written, value.clone());
            } else {
                let nearest = nearest(name, self.beside(&known_as)).map(|near| join(parent(&written), near));
                return Err(Misplaced::Unknown(UnknownKey { key: written, nearest }));
            }
        }
        Ok(())
    }

    fn is_section(&self, key: &str) -> bool {
        self.0.iter().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// What may stand where this key stands.
    fn beside(&self, key: &str) -> impl Iterator<Item = &str> {
        let section = match parent(key) {
            "" => String::new(),
            section => format!("{section}."),
        };
        let families = FAMILIES.iter().map(|family| family.all);
        let keys = self.0.iter().map(String::as_str).chain(families);
        keys.filter_map(move |known| known.strip_prefix(section.as_str())?.split('.').next())
    }

    /// Checks one dotted key of the environment.
    pub(super) fn check(&self, dotted: &str) -> Result<(), UnknownKey> {
        let key = as_default(dotted);
        if self.0.contains(&key) {
            return Ok(());
        }
        let nearest = nearest(&key, self.0.iter().map(String::as_str)).map(str::to_owned);
        Err(UnknownKey { key: dotted.to_owned(), nearest })
    }
}

/// Every key of a table by its dotted name, whatever tables it stands in.
fn collect(section: &str, table: &Table, keys: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = join(section, name);
        match value {
            Value::Table(inner) => collect(&key, inner, keys),
            _ => drop(keys.insert(key)),
        }
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn parent(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(section, _)| section)
}

fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|key| (strsim::jaro_winkler(written, key), key))
        .filter(|(similarity, _)| *similarity > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}

/// Short names and the keys that they stand for. An empty value counts as not set.
const SHORT_NAMES: [(&str, &str); 23] = [
    ("CUECARD_ADMIN_ADDR", "admin.addr"),
    ("CUECARD_API_ADDR", "api.addr"),
    ("CUECARD_API_KEYS", "api.keys"),
    ("CUECARD_DATA_DIR", "data.dir"),
    ("DATABASE_URL", "data.database_url"),
    ("CUECARD_MODEL_DIR", "encoder.model_dir"),
    ("CXONE_CONTRACT", "profile.contract"),
    ("CXONE_BASE_URL", "profile.base_url"),
    ("CXONE_ENV", "profile.env"),
    ("CXONE_OAUTH_URL", "profile.oauth_url"),
    ("CXONE_CLIENT_ID", "profile.client_id"),
    ("CXONE_CLIENT_SECRET", "profile.client_secret"),
    ("CUECARD_INDEX", "profile.index"),
    ("CUECARD_GRAPH", "profile.graph"),
    ("NEO4J_URI", "profile.neo4j_uri"),
    ("NEO4J_USER", "profile.neo4j_user"),
    ("NEO4J_PASSWORD", "profile.neo4j_password"),
    ("CHROMA_URL", "profile.chroma_url"),
    ("FEEDBACK_CALLBACK_URL", "profile.callback_url"),
    ("CUECARD_RANKER", "profile.ranker"),
    ("CUECARD_SILENCE", "profile.silence"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces.endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "traces.headers"),
];

/// What every other key starts with.
const PREFIX: &str = "CUECARD__";

/// Names that are a short one but for this many letters are taken for it misspelt. All others may be somebody's own: a
/// container runtime sets `CUECARD_PORT` for a service of that name.
const MISSPELT_LETTERS: usize = 2;

/// One variable and the key that it sets. The value may be a secret.
pub(super) struct Override {
    pub(super) variable: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// An environment variable that sets no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnknownVariable {
    /// A short name misspelt.
    Name { variable: String, nearest: String },
    /// A path that leads to no key.
    Path { variable: String, unknown: UnknownKey },
}

/// A variable of ours whose value is no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotText(pub(super) String);

/// The variables that may set a key, as text; what others hold is not looked at.
pub(super) fn own(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, NotText> {
    let named = variables.map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    let is_own = |name: &str| name.starts_with(PREFIX) || key_of(name).is_some() || misspelt(name).is_some();
    let own = named.filter(|(name, _)| is_own(name));
    own.map(|(name, value)| value.into_string().map(|value| (name.clone(), value)).map_err(|_| NotText(name))).collect()
}

/// The short names with their keys; that of a secret has a second one, which names its file.
fn short_names() -> impl Iterator<Item = (String, String)> {
    SHORT_NAMES.iter().flat_map(|(name, key)| {
        let file = SECRETS.contains(key).then(|| (format!("{name}_FILE"), file_key(key)));
        std::iter::once(((*name).to_owned(), (*key).to_owned())).chain(file)
    })
}

fn key_of(name: &str) -> Option<String> {
    short_names().find(|(short, _)| short == name).map(|(_, key)| key)
}

/// The short name that must have been meant. Only by names that begin as ours do: a tenant's `NEO4J_URL` is no mistake.
fn misspelt(name: &str) -> Option<String> {
    let prefix = ["CUECARD_", "CXONE_"].into_iter().find(|prefix| name.starts_with(prefix))?;
    let near = |short: &str| short.starts_with(prefix) && strsim::damerau_levenshtein(name, short) <= MISSPELT_LETTERS;
    short_names().map(|(short, _)| short).find(|short| short != name && near(short))
}

/// The overrides among the variables; a long name beats a short one for the same key.
pub(super) fn overrides(
    variables: impl IntoIterator<Item = (String, String)>,
    known: &KnownKeys,
) -> Result<Vec<Override>, UnknownVariable> {
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for (variable, value) in variables {
        if let Some(key) = key_of(&variable) {
            if !value.is_empty() {
                short.push(Override { variable, key, value });
            }
        } else if let Some(path) = variable.strip_prefix(PREFIX) {
            let key = path.to_lowercase().replace("__", ".");
            known.check(&key).map_err(|unknown| UnknownVariable::Path { variable: variable.clone(), unknown })?;
            long.push(Override { variable, key, value });
        } else if let Some(nearest) = misspelt(&variable) {
            return Err(UnknownVariable::Name { variable, nearest });
        }
    }
    short.append(&mut long);
    Ok(short)
}

/// The variables that set a key, the short one first.
#[cfg(test)]
pub(super) fn variables_of(key: &str) -> Vec<String> {
    let long = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
    let short = SHORT_NAMES.iter().filter(|(_, known)| *known == key).map(|(name, _)| (*name).to_owned());
    short.chain([long]).collect()
}

/// How a key of a profile can be set, for messages: the file's way and the environment's.
pub(super) fn both_ways(profile: &str, key: &str) -> String {
    let in_file = format!("set `{key}` in [profiles.{profile}]");
    let path = format!("profile.{key}");
    let short = SHORT_NAMES.iter().find(|(_, known)| *known == path).map(|(name, _)| (*name).to_owned());
    let variable = short.unwrap_or_else(|| format!("{PREFIX}PROFILE__{}", key.to_uppercase()));
    format!("{in_file} or {variable} in the environment")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn few() -> KnownKeys {
        let file =
            "[buffer]\npause_after_last='3s'\nmax_turns=1\n[profile]\ncards=5\n[access]\nask=''\n[access.key]\nhash=''";
        KnownKeys::of(&toml::from_str(file).unwrap())
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest_known_one() {
        // (file, unknown key, nearest)
        let table = [
            ("[buffer]\nmax_turn=3", "buffer.max_turn", Some("buffer.max_turns")),
            ("[bufer]\nmax_turns=3", "bufer", Some("buffer")),
            ("[profiles.acme]\ncard=3", "profiles.acme.card", Some("profiles.acme.cards")),
            ("[buffer]\nzzz=3", "buffer.zzz", None),
            ("[access]\nasks=''", "access.asks", Some("access.ask")),
            ("[access.keys.one]\nhsah=''", "access.keys.one.hsah", Some("access.keys.one.hash")),
            ("[access.kyes.one]\nhash=''", "access.kyes", Some("access.keys")),
            ("cards=3", "cards", None),
        ];
        for (file, key, nearest) in table {
            let unknown = UnknownKey { key: key.to_owned(), nearest: nearest.map(str::to_owned) };
            assert_eq!(few().read(&toml::from_str(file).unwrap()), Err(Misplaced::Unknown(unknown)));
        }
        let fine = "[buffer]\nmax_turns=3\n[profiles.acme]\ncards=3\n[access.keys.one]\nhash=''";
        let read = few().read(&toml::from_str(fine).unwrap()).unwrap();
        let keys: Vec<_> = read.keys().map(String::as_str).collect();
        assert_eq!(keys, ["access.keys.one.hash", "buffer.max_turns", "profiles.acme.cards"]);
    }

    #[test]
    fn the_environment_is_checked_by_dotted_keys() {
        assert_eq!(few().check("buffer.max_turns"), Ok(()));
        assert_eq!(few().check("profiles.acme.cards"), Ok(()));
        assert_eq!(few().check("access.keys.one.hash"), Ok(()));
        let unknown = few().check("buffer.pause_last").unwrap_err();
        assert_eq!(unknown.nearest.as_deref(), Some("buffer.pause_after_last"));
    }

    fn known() -> KnownKeys {
        KnownKeys::of(&toml::from_str(include_str!("../../config/default.toml")).unwrap())
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_short_name_stands_for_a_key_that_exists() {
        for (name, key) in short_names() {
            assert_eq!(known().check(&key), Ok(()), "{name}");
        }
        assert_eq!(key_of("NEO4J_PASSWORD_FILE").as_deref(), Some("profile.neo4j_password_file"));
        assert_eq!(key_of("NEO4J_URI_FILE"), None, "it is no secret");
    }

    #[test]
    fn a_variable_that_is_no_text_is_refused_if_it_is_ours() {
        let no_text = || OsString::from_vec(vec![b'a', 0xff]);
        let foreign = [(no_text(), "x".into()), ("LESSCHARSET".into(), no_text()), ("CXONE_ENV".into(), "acme".into())];
        assert_eq!(own(foreign.into_iter()), Ok(variables(&[("CXONE_ENV", "acme")])));
        for name in ["CXONE_CLIENT_SECRET", "CUECARD__PROFILE__CARDS"] {
            assert_eq!(own([(name.into(), no_text())].into_iter()), Err(NotText(name.to_owned())));
        }
    }

    #[test]
    fn long_names_come_after_short_ones_and_others_are_left_alone() {
        let variables = variables(&[
            ("CUECARD__PROFILE__RANKER", "bm25"),
            ("CUECARD_RANKER", "cosine"),
            ("CXONE_BASE_URL", ""),
            ("CUECARD_CACHE", "elsewhere"),
            ("PATH", "/bin"),
        ]);
        let overrides = overrides(variables, &known()).unwrap();
        let seen: Vec<_> = overrides.iter().map(|found| (found.key.as_str(), found.value.as_str())).collect();
        assert_eq!(seen, [("profile.ranker", "cosine"), ("profile.ranker", "bm25")]);
    }

    #[test]
    fn an_unknown_long_name_is_refused() {
        let error = overrides(variables(&[("CUECARD__BUFFER__PAUSE", "3s")]), &known()).err();
        let Some(UnknownVariable::Path { variable, unknown }) = error else { panic!("{error:?}") };
        assert_eq!(variable, "CUECARD__BUFFER__PAUSE");
        assert_eq!(unknown.nearest.as_deref(), Some("buffer.pause_after_last"));
    }

    #[test]
    fn a_short_name_misspelt_is_refused_and_names_of_others_are_not() {
        for (variable, nearest) in [
            ("CUECARD_INDXE", "CUECARD_INDEX"),
            ("CXONE_BASEURL", "CXONE_BASE_URL"),
            ("CXONE_CLIENT_SECRT_FILE", "CXONE_CLIENT_SECRET_FILE"),
        ] {
            let found = own([(variable.into(), "x".into())].into_iter()).unwrap();
            let refused = UnknownVariable::Name { variable: variable.to_owned(), nearest: nearest.to_owned() };
            assert_eq!(overrides(found, &known()).err(), Some(refused));
        }
        let others = ["CUECARD_PORT", "CUECARD_SERVICE_HOST", "CUECARD_CACHE", "CUECARD_SKIP_SERVICES", "NEO4J_URL"];
        assert_eq!(own(others.map(|name| (name.into(), "x".into())).into_iter()), Ok(Vec::new()));
    }
}
