//! The house keeps its own rules: which room may use which, one table of lints, and a map that fits the rooms.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};
use cuecard::pipeline::{STAGES, Scope};
use toml::Table;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The leaf that holds the type of customers' words; every room may use it but the simulator, which uses none of ours.
const LEAF: &str = "cuecard-text";

/// Every other edge that there may be, whatever its kind: normal, build or dev.
const EDGES: [(&str, &str); 13] = [
    ("cuecard", "cuecard-actors"),
    ("cuecard", "cuecard-simulator"),
    ("cuecard", "cuecard-trainer"),
    ("cuecard-actors", "cuecard-cxone"),
    ("cuecard-actors", "cuecard-engine"),
    ("cuecard-actors", "cuecard-ledger"),
    ("cuecard-engine", "cuecard-encoder"),
    ("cuecard-engine", "cuecard-knowledge"),
    ("cuecard-engine", "cuecard-ranking"),
    ("cuecard-fuzz", "cuecard"),
    ("cuecard-fuzz", "cuecard-cxone"),
    ("cuecard-fuzz", "cuecard-knowledge"),
    ("cuecard-trainer", "cuecard-engine"),
];

fn metadata() -> Metadata {
    let manifest = Path::new(ROOT).join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]).exec().unwrap()
}

fn manifest(package: &Package) -> Table {
    toml::from_str(&fs::read_to_string(&package.manifest_path).unwrap()).unwrap()
}

#[test]
fn rooms_use_only_the_rooms_that_they_may() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let edges: BTreeSet<(&str, &str)> = metadata
        .packages
        .iter()
        .flat_map(|package| package.dependencies.iter().map(|used| (package.name.as_str(), used.name.as_str())))
        .filter(|(_, used)| ours.contains(used))
        .collect();
    let (to_leaf, between): (BTreeSet<_>, BTreeSet<_>) = edges.into_iter().partition(|(_, used)| *used == LEAF);
    assert_eq!(between, BTreeSet::from(EDGES));
    assert!(to_leaf.iter().all(|(room, _)| *room != "cuecard-simulator"), "{to_leaf:?}");
}

#[test]
fn every_package_is_a_room_named_after_its_folder() {
    for package in metadata().packages {
        let folder = package.manifest_path.parent().unwrap();
        let expected =
            if folder == ROOT { "cuecard".to_owned() } else { format!("cuecard-{}", folder.file_name().unwrap()) };
        assert_eq!(package.name.as_str(), expected);
    }
}

#[test]
fn every_package_takes_lints_edition_and_licence_from_the_workspace() {
    for package in metadata().packages {
        let manifest = manifest(&package);
        let inherits =
            |table: &str, key: &str| manifest[table].get(key).and_then(|value| value.get("workspace")).is_some();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", package.name);
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            assert!(inherits("package", key), "{}: {key}", package.name);
        }
    }
}

#[test]
fn every_dependency_has_its_version_in_one_place() {
    for package in metadata().packages {
        let manifest = manifest(&package);
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, written) in manifest.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
                assert_eq!(
                    written.get("workspace").and_then(toml::Value::as_bool),
                    Some(true),
                    "{}: {name}",
                    package.name
                );
            }
        }
    }
}

#[test]
fn the_architecture_names_every_stage_in_the_order_of_the_flow() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| stage |")).skip(2);
    let table: Vec<[&str; 4]> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            [cells[0], cells[1], cells[2], cells[3]]
        })
        .collect();
    let scope = |scope| match scope {
        Scope::Service => "service",
        Scope::Profile => "profile",
        Scope::Stream => "profile with a stream",
        Scope::Sync => "profile that polls",
    };
    let stages = STAGES.each_ref().map(|stage| [stage.name, stage.takes, stage.gives, scope(stage.scope)]);
    assert_eq!(table, stages);
}

#[test]
fn the_readme_has_every_room_on_its_map() {
    let page = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for package in metadata().packages {
        let folder = package.manifest_path.parent().unwrap().strip_prefix(ROOT).unwrap();
        let folder = if folder == "" { "src/".to_owned() } else { format!("{folder}/") };
        assert!(page.contains(&format!("| [{folder}](")), "{folder}");
    }
}

/// The tests of `tests/service` as `module::name`.
fn end_to_end_tests() -> BTreeSet<String> {
    let files = fs::read_dir(Path::new(ROOT).join("tests/service")).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let tests = sources.flat_map(|path| {
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).unwrap();
        let after_attribute = source.split("test]\n").skip(1);
        let names = after_attribute.filter_map(|rest| {
            let signature = rest.lines().next()?.trim_start_matches("async ").strip_prefix("fn ")?;
            Some(format!("{module}::{}", signature.split('(').next()?))
        });
        names.collect::<Vec<_>>()
    });
    tests.collect()
}

#[test]
fn the_reliability_page_names_tests_that_exist_in_every_row() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/reliability.md")).unwrap();
    // The tables of promises, and not those of figures.
    let promises = page.split("\n\n").filter(|part| part.starts_with("| what happens |"));
    let rows = promises.flat_map(|table| table.lines().skip(2));
    let mut named = 0;
    for row in rows {
        // `name` in [path](../path), several with commas.
        let tests = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        for test in tests.trim().split(", `") {
            let (name, place) = test.trim_start_matches('`').split_once("` in [").unwrap_or_else(|| panic!("{row}"));
            let (path, link) = place.trim_end_matches(')').split_once("](../").unwrap_or_else(|| panic!("{row}"));
            assert_eq!(path, link, "{row}");
            let source =
                fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            // Its attribute stands between the item before and its name.
            let before = source.split(&format!("fn {name}(")).next().filter(|before| before.len() < source.len());
            let is_test =
                before.and_then(|before| before.rsplit("\n\n").next()).is_some_and(|own| own.contains("test"));
            // Or the two of one on each database.
            let is_on_both = source.contains("on_both! {") && source.contains(&format!("fn {name}(store: Store)"));
            assert!(is_test || is_on_both, "{name} is no test of {path}");
            named += 1;
        }
    }
    assert!(named > 60, "{named} tests are named");
}

#[test]
fn the_contracts_page_names_tests_that_exist_in_every_cell() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/contracts.md")).unwrap();
    let tests = end_to_end_tests();
    let is_test =
        |word: &str| word.contains("::") && word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    let named: Vec<&str> = page.split('`').filter(|word| is_test(word)).collect();
    assert!(named.len() > 100, "{} tests are named", named.len());
    let unknown: BTreeSet<_> = named.into_iter().filter(|name| !tests.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let (_, answers) = page.split_once("## What CXone answers").unwrap();
    for row in answers.lines().filter(|line| line.starts_with("| ") && !line.contains("|---")) {
        let is_head = !row.contains("::");
        let mut cells = row.trim_matches('|').split(" | ").skip(1);
        assert!(is_head || cells.all(|cell| !cell.trim().is_empty()), "an empty cell: {row}");
    }
}

/// Every file of the service's own sources, with its place.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| {
        if path.is_dir() {
            return sources(&path);
        }
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if is_source { vec![(path.clone(), fs::read_to_string(&path).unwrap())] } else { Vec::new() }
    };
    entries.flat_map(of).collect()
}

#[test]
fn a_port_answers_nothing_that_its_document_does_not_describe() {
    // A route is made of a call with its description, and in no other way.
    let makes_routes = ["web::resource(", "web::scope(", "Resource::new(", "Scope::new(", ".route(\""];
    let files = sources(&Path::new(ROOT).join("src"));
    let making = files.iter().filter(|(_, source)| makes_routes.iter().any(|made| source.contains(made)));
    let making: Vec<_> = making.map(|(path, _)| path.strip_prefix(ROOT).unwrap()).collect();
    assert_eq!(making, [Path::new("src/openapi/call.rs")]);
}
