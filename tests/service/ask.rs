//! A question at the command line: what the card would say of it, what silence would have done, and all of it by the rules of
//! the service that the settings name.

use std::fs;
use std::path::Path;

use cuecard_actors::ledger::{ArticleAction, Ledger, LedgerOptions, OperatorAction};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{CONVERSATIONS, Ended, QUIET, index, run};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// Of calls that are so near to articles that no turn of the ferry's lies as near.
const FAR_FROM_USUAL: &str = r#"{"version":7,"turns":500,"closeness":{"mean":0.99,"deviation":0.02},
    "certainty":{"mean":0.0,"deviation":2.0}}"#;

/// Asks the ferry's index with more on the command line.
fn ask(more: &[&str], variables: &[(&str, &str)]) -> Ended {
    let ended = run(&[&["ask", DOG, "--index", index().to_str().unwrap()], more].concat(), variables);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

fn asked(more: &[&str], variables: &[(&str, &str)]) -> Value {
    serde_json::from_str(&ask(&[&["--json"], more].concat(), variables).stdout).unwrap()
}

/// A tenant whose data are in this directory.
fn tenant(data: &Path) -> [(&str, &str); 4] {
    [
        ("CUECARD_DATA_DIR", data.to_str().unwrap()),
        ("CXONE_CONTRACT", "insights"),
        ("CXONE_CLIENT_ID", "client"),
        ("CXONE_CLIENT_SECRET", "opensesame"),
    ]
}

#[test]
fn ask_says_what_silence_would_have_done_and_explains_it_with_the_time_of_each_stage() {
    let told = ask(&[], &[]);
    let silence = told.stdout.lines().last().unwrap();
    assert!(silence.starts_with("had the customer said it in a call: Chosen: “Taking a dog or cat"), "{}", told.stdout);
    assert!(!told.stdout.contains("What spoke") && !told.stdout.contains("Time:"), "{}", told.stdout);
    let said = told.stderr.lines().filter(|line| line.starts_with("answered without")).collect::<Vec<_>>();
    assert!(matches!(said[..], [one] if one.contains("no profile is set")), "{}", told.stderr);

    let explained = ask(&["--explain"], &[]).stdout;
    let (_, time) = explained.rsplit_once("Time: ").unwrap();
    let stages: Vec<_> = time.trim().split(", ").map(|stage| stage.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(stages, ["extract", "retrieve", "rank"], "{explained}");
    for part in ["had the customer said it in a call:\n", "The next one was", "looks like a question"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }

    let (plain, explained) = (asked(&[], &[]), asked(&["--explain"], &[]));
    assert_eq!(plain["silence"], explained["why"][0]);
    assert_eq!((&plain["why"], &plain["stages"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert!(explained["stages"][2]["took_ms"].is_number(), "{explained}");
}

#[test]
fn ask_shows_the_sentence_that_answers_first() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("articles.jsonl");
    let row = r#"{"id":"parking","title":"Our garage","body":"The garage was built in 1990 and has three floors. Its walls are painted by artists of the town. Bicycles may be left beside the lift. A night in it costs nine euros for hotel guests."}"#;
    fs::write(&file, row).unwrap();
    let question = ["ask", "what does a night in the garage cost", "--articles", file.to_str().unwrap()];
    let told = run(&question, &[]);
    assert!(told.stdout.contains("   A night in it costs nine euros for hotel guests.\n"), "{}", told.stdout);
    assert!(!told.stdout.contains("built in 1990"), "{}", told.stdout);
    let start = run(&question, &[("CUECARD__PROFILE__SNIPPET", "start")]);
    assert!(start.stdout.contains("built in 1990"), "as its cards would: {}", start.stdout);
}

#[actix_rt::test]
async fn ask_follows_the_marks_and_the_usual_turns_of_the_service() {
    let data = TempDir::new().unwrap();
    let variables = tenant(data.path());
    let without = asked(&[], &variables);
    let left_out = without["left_out"].as_str().unwrap();
    assert!(left_out.contains("usual-insights.json is not there") && left_out.contains("pins and mutes"), "{left_out}");
    assert_eq!(without["cards"][0]["id"], "pets");
    assert!(without["silence"].as_str().unwrap().starts_with("Chosen"), "{without}");

    let url = format!("sqlite:{}", data.path().join("ledger.db").display());
    let ledger = Ledger::open(&url, LedgerOptions::default()).await.unwrap();
    for (profile, article_id, action) in [
        ("insights", "pets", ArticleAction::Mute),
        ("insights", "bicycles", ArticleAction::Pin),
        ("another", "check-in", ArticleAction::Pin),
    ] {
        let (profile, article_id) = (profile.to_owned(), article_id.to_owned());
        let action =
            OperatorAction { profile, article_id, action, reason: "Ana".into(), at: Timestamp::now(), ends_at: None };
        ledger.operator_actions().record(action).await.unwrap();
    }
    fs::write(data.path().join("usual-insights.json"), FAR_FROM_USUAL).unwrap();
    // Beside a service that has the ledger open.
    let within = asked(&["--explain"], &variables);
    ledger.close().await;
    assert!(within["left_out"].is_null(), "{within}");
    let cards = within["cards"].as_array().unwrap();
    assert_eq!(cards[0]["id"], "bicycles");
    assert!(cards.iter().all(|card| card["id"] != "pets"), "{within}");
    assert!(within["silence"].as_str().unwrap().starts_with("Silent: the newest customer turn does not"), "{within}");
    let why = within["why"].to_string();
    assert!(
        why.contains("An operator pinned the first article") && why.contains("muted by an operator: pets"),
        "{why}"
    );
}

#[test]
fn ask_orders_by_the_model_that_was_promoted_and_names_one_that_it_can_not_read() {
    let data = TempDir::new().unwrap();
    let (variables, model) = (tenant(data.path()), data.path().join("model.json"));
    let model = model.to_str().unwrap();
    let index = index().to_str().unwrap();
    let learn =
        ["train", "--index", index, "--conversations", CONVERSATIONS, "--quiet", QUIET, "--out", model, "--json"];
    let trained: Value = serde_json::from_str(&run(&learn, &[]).stdout).unwrap();
    assert_eq!(run(&["model", "promote", model, "--force"], &variables).code, Some(0));
    let version = trained["version"].as_str().unwrap();
    let why = |variables: &[_]| asked(&["--explain"], variables)["why"].to_string();
    assert!(why(&variables).contains(&format!("Model {version}")), "{}", why(&variables));
    assert!(!why(&[]).contains("Model "), "without a service");
    fs::write(data.path().join("models/insights/current.json"), "{}").unwrap();
    let left_out = asked(&[], &variables)["left_out"].to_string();
    assert!(left_out.contains("its model (") && left_out.contains("current.json"), "{left_out}");
}

#[test]
fn ask_answers_by_the_profile_that_is_named_and_says_where_none_can_be_meant() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("cuecard.toml");
    let text = "[data]\ndir = \"DATA\"\n[profile]\nclient_id = \"a\"\nclient_secret = \"b\"\n[profiles.asked]\ncontract = \"rag\"\n\
                [profiles.heard]\ncontract = \"insights\"\nmin_cosine = 0.99\n";
    fs::write(&file, text.replace("DATA", place.path().to_str().unwrap())).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let of = |profile: &str| asked(&[&config[..], &["--profile", profile]].concat(), &[]);
    assert!(of("heard")["silence"].as_str().unwrap().starts_with("Silent: no article answers"));
    let always = of("asked");
    assert_eq!((&always["ranker"], &always["silence"]), (&"cosine".into(), &Value::Null));
    let either = asked(&config, &[]);
    assert!(either["left_out"].as_str().unwrap().contains("--profile is meant: `asked`, `heard`"), "{either}");
    let nobody = [&["ask", DOG, "--index", index().to_str().unwrap()], &config[..], &["--profile", "nobody"]].concat();
    let refused = run(&nobody, &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("`asked`, `heard`"), "{}", refused.stderr);
}
