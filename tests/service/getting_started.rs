//! docs/getting-started.md, followed to the letter: each command that the page shows is typed in its order, and what one sees
//! by the page is looked for. A simulator stands for the tenant.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use cuecard::settings::Settings;
use cuecard_actors::engine::encoder::default_model_dir;
use cuecard_simulator::{
    Article, Conversation, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, Pace, RunningSimulator, Simulator,
    SimulatorSettings,
};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use tempfile::TempDir;

use crate::support::{ARTICLES, Admin, CONVERSATIONS, Shell, kept, pushes, until_shown};

const PAGE: &str = include_str!("../../docs/getting-started.md");

/// Commands that are not typed here, each with the reason.
const NOT_TYPED: [(&str, &str); 6] = [
    ("sudo apt-get update && sudo apt-get install --yes zstd ca-certificates", "it changes the machine"),
    ("tar --extract --zstd --file cuecard-0.1.0-linux-x86_64.tar.zst", "`make package-test` unpacks what is packed"),
    ("cd cuecard-0.1.0-linux-x86_64", "as above; the folder here has the programs at the same place"),
    (
        "sudo apt-get update && sudo apt-get install --yes build-essential python3-pip curl git",
        "it changes the machine",
    ),
    (
        r#"curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . "$HOME/.cargo/env""#,
        "it changes the machine",
    ),
    ("make demo", "it compiles what is tested here, and starts `cuecard demo`"),
];

/// What the reader puts in the place of the page's own words; the tenant's address is known when it runs.
const TENANT: &str = "https://tenant.example";
const CLIENT: &str = "CXONE_CLIENT_ID=…";

/// A place that has what the page needs, and the reader's terminal.
struct Reader {
    simulator: RunningSimulator,
    place: TempDir,
    terminal: Shell,
    /// How often the service was.
    num_started: usize,
}

impl Reader {
    fn new() -> Self {
        let articles = Article::load(ARTICLES.as_ref()).unwrap();
        let simulator = Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap();
        let place = TempDir::new().unwrap();
        std::fs::create_dir(place.path().join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_cuecard"), place.path().join("bin/cuecard")).unwrap();
        let terminal = Shell::open(place.path(), &variables(place.path(), ("CUECARD_ADMIN_ADDR", "127.0.0.1:0")));
        Self { simulator, place, terminal, num_started: 0 }
    }

    /// Types a command, and looks whether it does what the page says.
    async fn type_in(&mut self, command: &str) {
        let filled_in = command
            .replace(TENANT, &self.simulator.base_url())
            .replace(CLIENT, &format!("CXONE_CLIENT_ID={DEFAULT_CLIENT_ID}"));
        match command.split(" #").next().unwrap_or_default().trim_end() {
            "bin/cuecard demo" => self.watch_the_demo().await,
            "bin/cuecard serve" => self.serve(),
            "bin/cuecard health" => self.watch_from_a_second_terminal(&filled_in).await,
            "bin/cuecard check" => {
                let said = self.run(&filled_in);
                let articles = format!("token, stream, {} articles", self.simulator.num_articles());
                for found in ["settings  ok", "knowledge ok  models", "ledger    ok", "insights  ok", &articles] {
                    assert!(said.contains(found), "{found}: {said}");
                }
            }
            ask if ask.starts_with("bin/cuecard ask ") => {
                let said = self.run(&filled_in);
                assert!(said.starts_with("1. Moving house\n") && said.contains("\n  Time: "), "{said}");
            }
            _ => drop(self.run(&filled_in)),
        }
    }

    fn run(&mut self, command: &str) -> String {
        assert!(!self.terminal.is_busy(), "the page does not say to end what runs before: {command}");
        let secret = if command.contains("read -rsp") { DEFAULT_CLIENT_SECRET } else { "" };
        self.terminal.run(command, secret)
    }

    async fn watch_the_demo(&mut self) {
        self.terminal.start("bin/cuecard demo");
        let said = self.terminal.until("the demo's page", |line| line.contains("agent's desktop"));
        let address = said.last().and_then(|line| line.split_once("http://")?.1.trim_end_matches('/').parse().ok());
        let page = Admin::new(address.unwrap()).get("/").await;
        assert!(page.status == 200 && page.text.contains("Show why"), "{}", page.text);
        let said = self.terminal.until("a card", |line| line.starts_with("    card "));
        assert!(said.last().unwrap().contains(" ms  ") && said[said.len() - 2].starts_with("    said  "), "{said:#?}");
        let said = self.terminal.stop();
        assert!(said.contains("cards shown ") && said.contains("median, turn to card "), "{said}");
    }

    /// With `push` as it was set before.
    fn serve(&mut self) {
        assert!(!self.terminal.is_busy(), "the page does not say to end what runs before it is started anew");
        self.terminal.start("bin/cuecard serve");
        self.num_started += 1;
    }

    /// What is to be seen while cards are withheld.
    async fn watch_from_a_second_terminal(&mut self, health: &str) {
        let said = self.terminal.until("the admin port", |line| line.contains("\"admin_addr\""));
        let log: serde_json::Value = serde_json::from_str(said.last().unwrap()).unwrap();
        let address: SocketAddr = log["admin_addr"].as_str().unwrap().parse().unwrap();
        let admin = Admin::new(address);
        let place = self.place.path();
        let mut second = Shell::open(place, &variables(place, ("CUECARD_ADMIN_URL", &address.to_string())));
        // Until then it says what is missing, and ends with 1.
        admin.until_page("/readyz", "ready", |page| page.json()["status"] == "ready").await;
        assert_eq!(second.run(health, "").trim(), "ready");
        assert_eq!(admin.get("/console/").await.status, 200);

        let _calls = self.simulator.play(Conversation::load(CONVERSATIONS.as_ref()).unwrap(), Pace::instant());
        let has_one = |name: &'static str| {
            move |page: &crate::support::Page| page.json()[name].as_array().is_some_and(|listed| !listed.is_empty())
        };
        let shadow = admin.until_page("/console/shadow", "a card", has_one("decisions")).await;
        assert_eq!(shadow.json()["decisions"][0]["outcome"], "withheld", "{}", shadow.text);
        let listed = admin.until_page("/deliveries?outcome=withheld", "a card", has_one("deliveries")).await;
        let decision = listed.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();
        assert!(PAGE.contains("`bin/cuecard why DECISION`"), "it says another way");
        let why = second.run(&format!("bin/cuecard why {decision}"), "");
        assert!(why.starts_with(&format!("decision {decision}")) && why.contains("came to: withheld"), "{why}");
        assert!(pushes(&self.simulator).is_empty(), "no agent sees anything");
    }

    /// At the end of the page agents see cards.
    async fn arrive(&mut self) {
        let _calls = self.simulator.play(Conversation::load(CONVERSATIONS.as_ref()).unwrap(), Pace::instant());
        until_shown(&self.simulator, 1).await;
        self.terminal.stop();
        assert_eq!(self.simulator.num_violations(), 0, "{:#?}", self.simulator.violations());
    }
}

/// Of a terminal: those of every test, a home of its own, and this one, so that no port is anybody else's.
fn variables(home: &Path, port: (&str, &str)) -> Vec<(String, OsString)> {
    let own = [
        ("HOME", home.into()),
        ("CUECARD_CACHE", home.join("cache").into()),
        ("CUECARD_MODEL_DIR", default_model_dir().into()),
        ("PATH", std::env::var_os("PATH").unwrap()),
        (port.0, port.1.into()),
    ];
    let owned = |(name, value): (&str, OsString)| (name.to_owned(), value);
    kept().map(owned).chain(own.map(owned)).collect()
}

/// The commands of a page as a reader sees them: what stands in its blocks of code, line by line, and with what is handed to
/// them in the lines below.
fn commands(page: &str) -> Vec<String> {
    let (mut blocks, mut is_code) = (Vec::new(), false);
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                is_code = true;
                blocks.push(String::new());
            }
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Text(text) if is_code => blocks.last_mut().unwrap().push_str(&text),
            _ => {}
        }
    }
    let mut commands: Vec<String> = Vec::new();
    let mut until_end: Option<&str> = None;
    for line in blocks.iter().flat_map(|block| block.lines()) {
        if let (Some(end), Some(command)) = (until_end, commands.last_mut()) {
            command.push('\n');
            command.push_str(line);
            until_end = Some(end).filter(|end| line != *end);
        } else {
            commands.push(line.to_owned());
            until_end = line.split_once("<<'").and_then(|(_, rest)| rest.split('\'').next());
        }
    }
    commands.retain(|command| !command.trim().is_empty());
    commands
}

#[actix_rt::test]
async fn whoever_follows_the_page_arrives() {
    let commands = commands(PAGE);
    for (command, reason) in NOT_TYPED {
        assert!(commands.iter().any(|shown| shown == command), "the page does not show `{command}` ({reason})");
    }
    assert!(PAGE.contains(TENANT) && PAGE.contains(CLIENT), "what the reader has to fill in");
    let mut reader = Reader::new();
    for command in commands.iter().filter(|command| NOT_TYPED.iter().all(|(not_typed, _)| command != not_typed)) {
        if command.starts_with("export CUECARD__PROFILE__PUSH=on") {
            assert!(PAGE.contains("end the service with Ctrl-C and let agents see them"), "it says so");
            reader.terminal.stop();
        }
        reader.type_in(command).await;
    }
    assert_eq!(reader.num_started, 2, "once without cards, once with them");
    reader.arrive().await;
}

/// The test has ports of its own, and no package.
#[test]
fn the_page_names_the_ports_and_the_package_that_there_are() {
    let client = [("CXONE_CLIENT_ID", "client"), ("CXONE_CLIENT_SECRET", "secret"), ("CXONE_CONTRACT", "insights")];
    let client = client.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let admin = Settings::load(None, client).unwrap().admin.addr;
    let page = format!("http://127.0.0.1:{DEFAULT_PORT}/");
    let package = format!("cuecard-{}-linux-x86_64", env!("CARGO_PKG_VERSION"));
    for named in [&page, &format!("http://{admin}/console/"), &format!("{package}.tar.zst"), &format!("cd {package}\n")]
    {
        assert!(PAGE.contains(named), "{named}");
    }
    let ports = regex::Regex::new(r"127\.0\.0\.1:(\d+)").unwrap();
    let others = ports.captures_iter(PAGE).map(|found| found[1].to_owned());
    let known = [DEFAULT_PORT.to_string(), admin.port().to_string()];
    assert_eq!(others.filter(|port| !known.contains(port)).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn what_is_handed_to_a_command_is_a_part_of_it_and_what_is_no_code_is_none() {
    let page = "Text.\n\n    cat > a <<'END'\n    {\"b\": 1}\n    END\n    next   # a word\n\n- an item\n\n    no code\n\n```\nlast\n```\n";
    assert_eq!(commands(page), ["cat > a <<'END'\n{\"b\": 1}\nEND", "next   # a word", "last"]);
}
