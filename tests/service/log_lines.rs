//! What a line of the log looks like, which modules say how much, and how a line leads to its decision.

use cuecard_simulator::{Fault, FaultKind, Route, RunningSimulator};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::Launched;
use crate::support::{Page, Process, environment, say, simulator, until, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const OPENED: &str = "the admin port is open";

/// A service with these settings beside the usual ones; on the stream at last.
async fn serve(simulator: &RunningSimulator, data: &TempDir, own: &[(&str, &str)]) -> Process {
    let service = Process::serve(&environment(&simulator.base_url(), data.path(), own));
    until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
    service
}

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[actix_rt::test]
async fn the_format_of_the_log_is_that_of_the_settings() {
    for (format, is_json) in [("json", true), ("text", false)] {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let variables = environment(&simulator.base_url(), data.path(), &[("CUECARD__LOG__FORMAT", format)]);
        // Of text nobody reads where the ports are.
        let service = Launched::serve(&[], &variables);
        until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        let output = service.kill();
        let opened: Vec<_> = output.lines().filter(|line| line.contains(OPENED)).collect();
        assert_eq!(opened.len(), 1, "{format}: {output}");
        for line in output.lines() {
            let read = serde_json::from_str::<Value>(line);
            assert_eq!(read.is_ok_and(|read| read["level"].is_string()), is_json, "{format}: {line}");
            assert!(!line.contains('\u{1b}'), "{format}: colours where nobody reads: {line}");
        }
        assert!(is_json || opened[0].contains(" INFO "), "{}", opened[0]);
    }
}

#[actix_rt::test]
async fn one_module_may_say_more_than_the_others() {
    for (modules, says_more) in [("", false), ("cuecard_actors::cxone_calls=debug", true)] {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let service = serve(&simulator, &data, &[("CUECARD__LOG__MODULES", modules)]).await;
        simulator.inject(Fault { route: Route::Insights, times: 1, fault: FaultKind::status(503) });
        say(&simulator, "call-1", DOG).await;
        until_shown(&simulator, 1).await;
        service.terminate();
        let lines = lines(&service.output().await);
        let of_level = |level: &str| lines.iter().filter(|line| line["level"] == level).collect::<Vec<_>>();
        let more: Vec<_> = of_level("DEBUG").iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
        // Calls that went well are told by another module.
        let expected: &[&str] = if says_more { &["cxone's own words"] } else { &[] };
        assert_eq!(more, expected, "{modules:?}");
        assert!(of_level("INFO").iter().any(|line| line["message"] == OPENED), "{lines:?}");
    }
}

#[actix_rt::test]
async fn the_line_of_a_question_has_its_decisions_id() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let service = serve(&simulator, &data, &[]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let is_kept = |page: &Page| page.json()["deliveries"].as_array().is_some_and(|listed| listed.len() == 1);
    let decision =
        service.admin.until_page("/deliveries", "the decision", is_kept).await.json()["deliveries"][0].clone();
    service.terminate();
    let lines = lines(&service.output().await);
    let about: Vec<_> = lines.iter().filter(|line| line["id"] == decision["id"]).collect();
    let [line] = about.as_slice() else { panic!("one line: {about:?} of {lines:?}") };
    assert_eq!((&line["message"], &line["interaction"]), (&"delivered".into(), &"call-1".into()), "{line}");
}
