//! What an operator sets.

use std::collections::HashSet;
use std::io::Write;

use cuecard::settings::Settings;
use tempfile::NamedTempFile;

/// What stands between the variables and the file.
const BORDER: &str = "\n---\n";
/// Begins every secret that is set, and nothing that is not.
const SECRET: &str = "opensesame";

/// Variables, a line each, then a file: they make settings or are refused, no secret is ever shown, and what nobody changed is
/// the same when it is read again.
pub fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (variables, file) = text.split_once(BORDER).unwrap_or(("", &text));
    let secrets = ["CXONE_CLIENT_SECRET", "NEO4J_PASSWORD", "CUECARD_API_KEYS", "CUECARD__PROFILE__CHROMA_TOKEN"]
        .map(|variable| (variable.to_owned(), format!("{SECRET}-{SECRET}-{SECRET}")));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Ok(mut settings_file) = NamedTempFile::new() else { return };
    if settings_file.write_all(file.as_bytes()).is_err() {
        return;
    }
    let shown = match Settings::load(Some(settings_file.path()), secrets.into_iter().chain(variables)) {
        Ok(settings) => {
            let names: HashSet<&str> = settings.profiles.iter().map(|profile| profile.name.as_str()).collect();
            assert!(!names.is_empty() && names.len() == settings.profiles.len());
            let again = settings.reread().map(|read| (read.changed, read.needs_restart));
            assert!(again.as_ref().is_ok_and(|(live, others)| live.is_empty() && others.is_empty()), "{again:?}");
            format!("{settings:?} {}", settings.in_force.shown())
        }
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
}
