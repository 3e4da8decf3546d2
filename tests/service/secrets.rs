//! Secrets stay where they belong: planted in each place for one, and looked for in all that anybody reads.

use cuecard_simulator::{Client, Fault, FaultKind, Route, Simulator, SimulatorSettings};
use tempfile::TempDir;

use crate::support::{Caller, Process, environment, run, say, until, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// Planted where secrets belong; nothing that anybody reads may show them.
const PLANTED: [&str; 5] =
    ["zanzibar-secret", "zanzibar-key-0123456789", "zanzibar-token", "zanzibar-hook", "zanzibar-graph"];

#[actix_rt::test]
async fn a_secret_is_in_no_log_no_page_and_no_error() {
    let clients = vec![Client::with_all_scopes("cuecard", PLANTED[0])];
    let simulator = Simulator::start(SimulatorSettings { clients, ..SimulatorSettings::default() }).unwrap();
    let (data, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let hook = format!("https://127.0.0.1:9/{}", PLANTED[3]);
    let secret_file = data.path().join("secret");
    std::fs::write(&secret_file, format!("{}\n", PLANTED[0])).unwrap();
    let overrides = [
        ("CXONE_CLIENT_ID", "cuecard"),
        ("CXONE_CLIENT_SECRET", ""),
        ("CXONE_CLIENT_SECRET_FILE", secret_file.to_str().unwrap()),
        ("CUECARD__ACCESS__KEYS__ONE__KEY", PLANTED[1]),
        ("CUECARD__ACCESS__KEYS__ONE__RIGHTS", "operate"),
        ("CUECARD__PROFILE__CHROMA_TOKEN", PLANTED[2]),
        ("FEEDBACK_CALLBACK_URL", hook.as_str()),
        ("NEO4J_PASSWORD", PLANTED[4]),
        ("RUST_LOG", "debug"),
    ];
    let variables = environment(&simulator.base_url(), data.path(), &overrides);
    let service = Process::serve(&variables);
    until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let config = service.admin.get("/config").await;
    assert_eq!(config.json()["settings"]["profile.client_secret"]["by"], "CXONE_CLIENT_SECRET_FILE");
    let refused = Caller::new(service.admin.addr()).send("/reload", "application/json", "{}", Some(PLANTED[1])).await;
    assert_eq!(refused.status, 200, "{}", refused.text);
    // A tenant that repeats what it was sent.
    let repeated = FaultKind::Answer { status: 401, retry_after: None, body: Some(format!("no {}", PLANTED[0])) };
    simulator.inject(Fault { route: Route::Token, times: u32::MAX, fault: repeated });
    let pairs: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut said = vec![config.text, refused.text];
    let checked = run(&["check"], &pairs);
    assert_eq!(checked.code, Some(1), "{}{}", checked.stdout, checked.stderr);
    said.extend([checked.stdout, checked.stderr]);
    for (name, value) in [
        ("DATABASE_URL", "postgres://cuecard:zanzibar-key-0123456789@127.0.0.1:9/ledger"),
        ("DATABASE_URL", "mysql://cuecard:zanzibar-key-0123456789@127.0.0.1:9/ledger"),
        ("CUECARD__PROFILE__CHROMA_URL", "http://me:zanzibar-token@127.0.0.1:9"),
        ("CUECARD__ACCESS__KEYS__TWO__KEY", "zanzibar-hook"),
    ] {
        let own = [
            (name, value),
            ("CUECARD__PROFILE__BACKENDS", "index,chroma"),
            ("CUECARD_DATA_DIR", elsewhere.path().to_str().unwrap()),
        ];
        let others = pairs.iter().copied().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        let with: Vec<_> = others.chain(own).collect();
        let checked = run(&["check"], &with);
        assert_eq!(checked.code, Some(1), "{name}: {}", checked.stdout);
        said.extend([checked.stdout, checked.stderr]);
    }
    service.terminate();
    said.push(service.output().await);
    assert!(said.last().unwrap().contains(r#""level":"DEBUG""#), "libraries are heard, too");
    for text in said {
        for line in text.lines() {
            let shown = PLANTED.iter().find(|secret| line.contains(*secret));
            assert_eq!(shown, None, "{line}");
        }
    }
}
