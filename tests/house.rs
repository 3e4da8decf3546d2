//! The house keeps its own rules: which room may use which, one table of lints, and a map that fits the rooms.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package};
use cuecard::pipeline::{Handed, STAGES, Scope, StageSpec};
use toml::Table;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What holds the type of customers' words, and the places at which rooms fail; every room may use them but the simulator,
/// which uses none of ours.
const LEAVES: [&str; 2] = ["cuecard-text", "cuecard-failure-points"];

/// Every other edge that there may be, whatever its kind: normal, build or dev.
const EDGES: [(&str, &str); 14] = [
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
    ("cuecard-fuzz", "cuecard-actors"),
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
    let (to_leaf, between): (BTreeSet<_>, BTreeSet<_>) = edges.into_iter().partition(|(_, used)| LEAVES.contains(used));
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
    let whats = |handed: Vec<&Handed>| handed.iter().map(|(what, _)| *what).collect::<Vec<_>>().join(", ");
    let stages = STAGES.each_ref().map(|stage| {
        let name = stage.name.to_owned();
        [name, whats(taken_by(stage)), whats(stage.gives.iter().collect()), scope(stage.scope).to_owned()]
    });
    assert_eq!(table, stages.each_ref().map(|stage| stage.each_ref().map(String::as_str)));
}

/// What a stage takes, from outside and from other stages.
fn taken_by(stage: &StageSpec) -> Vec<&'static Handed> {
    let given = STAGES.iter().flat_map(|giver| giver.gives).filter(|(_, to)| *to == stage.name);
    stage.takes.iter().chain(given).collect()
}

/// The flow in Mermaid's words: stages as boxes, what stands outside them round.
fn drawing() -> String {
    let outside: BTreeSet<&str> = STAGES
        .iter()
        .flat_map(|stage| stage.takes.iter().chain(stage.gives))
        .map(|(_, other)| *other)
        .filter(|other| STAGES.iter().all(|stage| stage.name != *other))
        .collect();
    let id = |name: &str| name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let boxes = STAGES.iter().map(|stage| format!("{}[{}]", id(stage.name), stage.name));
    let round = outside.iter().map(|name| format!("{}([\"{name}\"])", id(name)));
    let arrows = STAGES.iter().flat_map(|stage| {
        let taken = stage.takes.iter().map(|(what, from)| (*from, what, stage.name));
        let given = stage.gives.iter().map(|(what, to)| (stage.name, what, *to));
        let arrows = taken.chain(given).map(|(from, what, to)| format!("{} -->|{what}| {}", id(from), id(to)));
        arrows.collect::<Vec<_>>()
    });
    let lines: Vec<_> = boxes.chain(round).chain(arrows).map(|line| format!("    {line}\n")).collect();
    format!("```mermaid\nflowchart TD\n{}```\n", lines.concat())
}

#[test]
fn the_drawing_of_the_flow_is_made_of_the_stages() {
    let path = Path::new(ROOT).join("docs/architecture.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("```mermaid\n").unwrap();
    let (kept, after) = rest.split_once("```\n").unwrap();
    let made = drawing();
    if std::env::var_os("CUECARD_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{made}{after}")).unwrap();
    } else {
        assert_eq!(format!("```mermaid\n{kept}```\n"), made, "write it with `make docs`");
    }
}

#[test]
fn every_stage_is_given_something() {
    for stage in &STAGES {
        assert!(!taken_by(stage).is_empty() && !stage.gives.is_empty(), "{}", stage.name);
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn pages_of_docs() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join("docs")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| has_extension(path, "md")).collect()
}

/// Where a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_and_a_heading() {
    let root = Path::new(ROOT);
    let mut followed = 0;
    for page in pages_of_docs().into_iter().chain(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name))) {
        let text = fs::read_to_string(&page).unwrap();
        // Pictures are drawn apart.
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || has_extension(Path::new(link), "png") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let leads = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|known| known == heading);
                assert!(leads, "{}: {link}", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 150, "{followed} links");
}

fn affected(arguments: &[&str]) -> Vec<String> {
    let script = Path::new(ROOT).join("scripts/affected");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_a_change_should_pass_follows_from_its_files() {
    let places = affected(&["--places"]);
    assert!(places.len() > 10 && places.iter().all(|place| Path::new(ROOT).join(place).exists()), "{places:?}");
    // (file, targets)
    let (pages, drills, package, container) = ("pages-test", "drills", "package-test", "container-test");
    let table: [(&str, &[&str]); 18] = [
        ("docs/runbook.md", &[]),
        ("grafana/rules/alerts.yml", &[drills, package]),
        ("src/admin/console/page/why.js", &[pages, drills]),
        ("src/admin/readiness.rs", &[pages, drills]),
        ("src/pipeline/watch.rs", &[drills]),
        ("src/openapi/page/docs.js", &[pages]),
        ("actors/src/decisions/shadow.rs", &[pages]),
        ("actors/src/health.rs", &[drills]),
        ("crates/engine/src/why/mod.rs", &[pages]),
        ("crates/simulator/src/desktop/cards.rs", &[pages]),
        ("crates/simulator/src/serve/http/desktop.rs", &[pages]),
        ("config/default.toml", &[package, container]),
        ("demo/articles.jsonl", &[package, container]),
        ("deploy/systemd/cuecard.service", &[package, container]),
        ("scripts/package", &[package, container]),
        ("scripts/package.d/README.md", &[package, container]),
        ("scripts/wheels.model.txt", &[package, container]),
        ("Cargo.lock", &[package, container]),
    ];
    for (file, targets) in table {
        assert_eq!(affected(&["--of", "src/lib.rs", file]), targets, "{file}");
    }
}

#[test]
fn the_readme_leads_to_every_page_of_docs() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let row = readme.lines().find(|line| line.starts_with("| [docs/](docs) |")).unwrap();
    for page in pages_of_docs() {
        let name = page.file_name().unwrap().display();
        assert!(row.contains(&format!("](docs/{name})")), "{name}");
    }
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

/// The pages that people read.
fn pages() -> Vec<std::path::PathBuf> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain(["README.md", "CONTRIBUTING.md"].map(|page| Path::new(ROOT).join(page))).collect()
}

/// What the headings of a page are found by: their words in small letters, with a dash for each space.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut followed = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for found in link.captures_iter(&page) {
            let (file, anchor) = found[1].split_once('#').unwrap_or((&found[1], ""));
            if found[1].contains("://") {
                continue;
            }
            let place = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(place.exists(), "{}: nothing is at {}", path.display(), &found[1]);
            let is_there = || anchors(&fs::read_to_string(&place).unwrap()).contains(anchor);
            assert!(anchor.is_empty() || is_there(), "{}: no heading is at {}", path.display(), &found[1]);
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed} links were followed");
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
    // The tables of promises, and of what each figure rests on; not those of the figures themselves.
    let is_of_promises = |part: &&str| ["| what happens |", "| figure |"].iter().any(|head| part.starts_with(head));
    let promises = page.split("\n\n").filter(is_of_promises);
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
fn routes_are_made_of_described_calls_alone() {
    let files = sources(&Path::new(ROOT).join("src"));
    let that_hold = |words: &[&str]| {
        let holding = files.iter().filter(|(_, source)| words.iter().any(|word| source.contains(word)));
        let mut paths: Vec<_> = holding.map(|(path, _)| path.strip_prefix(ROOT).unwrap().to_owned()).collect();
        paths.sort();
        paths
    };
    let makes_routes = [
        "web::resource(",
        "web::scope(",
        "web::redirect(",
        "Resource::new(",
        "Scope::new(",
        "external_resource(",
        "app.route(",
        "#[get(",
        "#[post(",
        "#[put(",
        "#[delete(",
        "#[route(",
    ];
    assert_eq!(that_hold(&makes_routes), [Path::new("src/openapi/call.rs")]);
    // And they are answered from the lists that the documents are made of.
    let lists = ["src/admin/routes.rs", "src/api/routes.rs", "src/openapi/mod.rs"].map(Path::new);
    assert_eq!(that_hold(&["app.service("]), lists);
}
