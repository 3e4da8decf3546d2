//! Set-up fetches only what is missing and never takes anything of the user's away. The Python registry is played by a
//! `python3` that stands first on the path: it notes what it is asked for and unpacks small files.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const MODEL_FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

const PYTHON: &str = r#"#!/bin/sh
case "$*" in
  *'pip download'*) echo "$*" | sed 's/.*wheels\.\([a-z]*\)\.txt/\1/' >> "$FETCHED" ;;
  *version_info*) echo True ;;
  *'-m venv'*) mkdir -p "$4/bin"; printf '#!/bin/sh\necho schemathesis >> "$FETCHED"\n' > "$4/bin/pip"; chmod +x "$4/bin/pip" ;;
  *unpack_wheels.py*libtorch) mkdir -p "$4/lib" ;;
  *unpack_wheels.py*model) mkdir -p "$4"; for file in config.json tokenizer.json model.safetensors; do echo fetched > "$4/$file"; done ;;
esac
"#;
const NOTHING: &str = "#!/bin/sh\n";

struct Machine {
    directory: TempDir,
    /// Instead of the default one below the cache.
    model_dir: Option<PathBuf>,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap(), model_dir: None };
        for (name, program) in [("python3", PYTHON), ("cc", NOTHING), ("c++", NOTHING)] {
            machine.install(name, program);
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn install(&self, name: &str, program: &str) {
        let path = self.path("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, program).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn model_dir(&self) -> PathBuf {
        self.model_dir.clone().unwrap_or_else(|| self.path("cache/models/all-MiniLM-L6-v2"))
    }

    fn set_up(&self) -> Output {
        self.set_up_for(&[])
    }

    fn set_up_for(&self, purpose: &[&str]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup"));
        command
            .args(purpose)
            .env("PATH", path)
            .env("FETCHED", self.path("fetched"))
            .env("CUECARD_CACHE", self.path("cache"));
        match &self.model_dir {
            Some(directory) => command.env("CUECARD_MODEL_DIR", directory),
            None => command.env_remove("CUECARD_MODEL_DIR"),
        };
        command.output().unwrap()
    }

    /// What was asked of the registry since the last call.
    fn fetched(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("fetched")).unwrap_or_default();
        let _ = fs::remove_file(self.path("fetched"));
        text.lines().map(str::to_owned).collect()
    }

    fn model_file(&self, name: &str) -> String {
        fs::read_to_string(self.model_dir().join(name)).unwrap_or_default().trim().to_owned()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn only_what_is_missing_is_fetched() {
    let machine = Machine::new();
    let first = machine.set_up();
    assert!(first.status.success(), "{}", stderr(&first));
    assert_eq!(machine.fetched(), ["libtorch", "model"]);
    assert!(machine.set_up().status.success());
    assert_eq!(machine.fetched(), [""; 0]);

    fs::remove_file(machine.model_dir().join("tokenizer.json")).unwrap();
    fs::write(machine.model_dir().join("config.json"), "kept").unwrap();
    assert!(machine.set_up().status.success());
    assert_eq!(machine.fetched(), ["model"]);
    assert_eq!(["config.json", "tokenizer.json"].map(|name| machine.model_file(name)), ["kept", "fetched"]);

    fs::remove_file(machine.path("cache/libtorch-2.4.1/.complete")).unwrap();
    assert!(machine.set_up().status.success());
    assert_eq!(machine.fetched(), ["libtorch"]);
}

#[test]
fn a_directory_of_the_user_is_filled_but_nothing_in_it_is_touched() {
    let mut machine = Machine::new();
    machine.model_dir = Some(machine.path("mine"));
    fs::create_dir(machine.path("mine")).unwrap();
    fs::write(machine.path("mine/thesis.txt"), "years of work").unwrap();
    let output = machine.set_up();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(MODEL_FILES.map(|name| machine.model_file(name)), ["fetched"; 3]);
    assert_eq!(machine.model_file("thesis.txt"), "years of work");
    assert_eq!(fs::read_dir(machine.path("mine")).unwrap().count(), 4, "no marker and no part of a file is left");
}

#[test]
fn a_model_of_the_user_that_is_not_whole_is_refused_and_left_as_it_is() {
    let mut machine = Machine::new();
    machine.model_dir = Some(machine.path("mine"));
    fs::create_dir(machine.path("mine")).unwrap();
    fs::write(machine.path("mine/model.safetensors"), "own weights").unwrap();
    let output = machine.set_up();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for part in ["mine", "has model.safetensors", "lacks config.json tokenizer.json", "unset CUECARD_MODEL_DIR"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(machine.model_file("model.safetensors"), "own weights");
    assert_eq!(fs::read_dir(machine.path("mine")).unwrap().count(), 1);
    assert_eq!(machine.fetched(), [""; 0]);
}

#[test]
fn what_cannot_work_is_refused_with_advice() {
    let cases = [
        ("uname", "case $1 in -m) echo arm64 ;; *) echo Darwin ;; esac", "Darwin on arm64"),
        ("python3", "case \"$*\" in *download*) exit 1 ;; esac", "pip could not fetch"),
    ];
    for (program, text, expected) in cases {
        let machine = Machine::new();
        machine.install(program, &format!("#!/bin/sh\n{text}\n"));
        let output = machine.set_up();
        assert_eq!(output.status.code(), Some(1), "{program}");
        assert!(stderr(&output).contains(expected), "{program}: {}", stderr(&output));
    }
}

#[test]
fn an_older_java_or_python_is_refused_for_the_databases() {
    // (Java, what Python says of being new enough, what is missing)
    let table = [
        ("openjdk 11.0.2 2019-01-15", "True", Some("default-jre-headless is missing")),
        ("java 17 2021-09-14 LTS", "False", Some("Python 3.11 or later is missing")),
        ("java 17 2021-09-14 LTS", "True", None),
    ];
    for (version, is_new_python, missing) in table {
        let machine = Machine::new();
        machine.install("java", &format!("#!/bin/sh\necho {version}\n"));
        machine.install("mvn", NOTHING);
        machine.install("prometheus", NOTHING);
        machine.install("promtool", NOTHING);
        machine.install("id", "#!/bin/sh\necho 1000\n");
        let python = PYTHON.replace("echo True", &format!("echo {is_new_python}"));
        machine.install("python3", &python);
        let output = machine.set_up_for(&["databases"]);
        assert_eq!(output.status.success(), missing.is_none(), "{version}: {}", stderr(&output));
        assert!(missing.is_none_or(|missing| stderr(&output).contains(missing)), "{}", stderr(&output));
        assert_eq!(machine.fetched().contains(&"schemathesis".to_owned()), missing.is_none());
    }
}

#[test]
fn a_compiler_that_cannot_be_installed_is_named_with_what_to_do() {
    for (user, apt_get, expected) in [
        ("0", "exit 100", "apt-get could not install build-essential"),
        ("0", "exit 0", "`c++ --version` still fails"),
        ("1000", "exit 0", "sudo apt-get install build-essential"),
    ] {
        let machine = Machine::new();
        machine.install("c++", "#!/bin/sh\nexit 1\n");
        machine.install("id", &format!("#!/bin/sh\necho {user}\n"));
        machine.install("apt-get", &format!("#!/bin/sh\n{apt_get}\n"));
        let output = machine.set_up();
        assert_eq!(output.status.code(), Some(1), "{apt_get}");
        assert!(stderr(&output).contains(expected), "{apt_get}: {}", stderr(&output));
    }
}
