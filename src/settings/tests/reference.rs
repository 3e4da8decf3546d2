//! The page with every setting, made of the comments and values of `config/default.toml`.

use std::fmt::Write as _;

use super::*;
use crate::settings::keys::variables_of;
use crate::settings::reload::is_live;
use crate::settings::secrets::is_secret;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

const HEAD: &str = "\
# Configuration

This page is made of [config/default.toml](../config/default.toml) by `make docs`; a test compares the two.

Settings are the defaults, over them those of a file that `--config FILE` names, over them those of the environment. A key that nobody knows is refused
with the nearest known one, a value that can't be used with its place and what to write. `cuecard check --offline` checks them all; the admin port shows
those in force at `/config`, each with where it comes from.

A key `[section] key` is `CUECARD__SECTION__KEY` in the environment, that of a profile of its own `CUECARD__PROFILES__NAME__KEY`, and some have a shorter name
as well. Durations carry a unit: 250ms, 3s, 10m, 2h; lists are one text with commas in the environment. A **secret** may stand in a file that holds nothing else: `key_file` (in the environment
`NAME_FILE`) names it.

What says **live** is taken up by a running service on SIGHUP or `POST /reload`; all else needs a restart, and a reload names what does.
";

/// A few keys that share an explanation.
#[derive(Default)]
struct Group {
    explained: Vec<String>,
    keys: Vec<(String, String)>,
}

/// A part of the file: its comment, and its keys.
struct Section {
    name: String,
    explained: Vec<String>,
    groups: Vec<Group>,
}

fn sections() -> Vec<Section> {
    let (mut sections, mut comment): (Vec<Section>, Vec<String>) = (Vec::new(), Vec::new());
    let mut lines = DEFAULTS.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim().to_owned());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let explained = std::mem::take(&mut comment);
            sections.push(Section { name: name.to_owned(), explained, groups: Vec::new() });
        } else if let Some((key, value)) = line.split_once(" = ") {
            let mut value = value.to_owned();
            while value.starts_with('[') && !value.ends_with(']') {
                write!(value, " {}", lines.next().unwrap().trim()).unwrap();
            }
            let section = sections.last_mut().unwrap();
            if !comment.is_empty() {
                section.groups.push(Group { explained: std::mem::take(&mut comment), keys: Vec::new() });
            }
            section
                .groups
                .last_mut()
                .unwrap()
                .keys
                .push((key.to_owned(), value.replace("[ ", "[").replace(", ]", "]")));
        } else {
            // A gap: what stood above was about no key.
            comment.clear();
        }
    }
    sections
}

/// One paragraph, in which nothing is taken for markup.
fn paragraph(lines: &[String]) -> String {
    lines.join(" ").replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*").replace("__", "\\_\\_")
}

fn row(section: &str, group: &Group) -> String {
    let each = |shown: &dyn Fn(&str, &str) -> String| {
        group.keys.iter().map(|(key, value)| shown(key, value)).collect::<Vec<_>>().join("<br>")
    };
    let path = |key: &str| format!("{section}.{key}");
    let mark = |key: &str| {
        let (key, path) = (format!("`{key}`"), path(key));
        if is_secret(&path) { format!("{key} **secret**") } else { key }
    };
    let keys = each(&|key, _| mark(key));
    let values = each(&|_, value| format!("`{value}`"));
    let variables =
        each(&|key, _| variables_of(&path(key)).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    let live = each(&|key, _| if is_live(&path(key)) { "live".to_owned() } else { String::new() });
    format!("| {keys} | {values} | {variables} | {live} | {} |\n", paragraph(&group.explained))
}

fn reference() -> String {
    let mut page = HEAD.to_owned();
    for Section { name, explained, groups } in sections() {
        write!(page, "\n## [{name}]\n\n").unwrap();
        if !explained.is_empty() {
            write!(page, "{}\n\n", paragraph(&explained)).unwrap();
        }
        page += "| key | default | environment | reload | what it is |\n|---|---|---|---|---|\n";
        for group in &groups {
            page += &row(&name, group);
        }
    }
    page
}

#[test]
fn every_key_is_in_the_reference_once() {
    let page = reference();
    for key in keys() {
        let variable = format!("`{}`", variable(&key));
        assert_eq!(page.matches(&variable).count(), 1, "{key}");
    }
}

#[test]
fn the_reference_is_made_of_the_defaults() {
    let made = reference();
    if std::env::var_os("CUECARD_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &made).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert!(
        made == kept,
        "docs/configuration.md is not that of config/default.toml; write it with `make docs`: {differs:?}"
    );
}
