//! The pages in a real Chromium: the agent's desktop over a service that explains its cards.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cuecard_simulator::{AdminPlace, Article, Conversation, Pace, Route, Simulator, SimulatorSettings, Turn};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    ARTICLES, PATIENCE, Service, body_of, browser, build_index, check_page, cuecard, send, until_shown,
};

/// Markup that would tell if it ever became any.
const SCRIPT: &str = "<img src=x onerror=\"globalThis.ran=1\"><script>globalThis.ran=1</script>";

#[actix_rt::test]
#[ignore = "a browser needs a machine that is not busy: `make pages-test`"]
async fn an_agent_reads_judges_and_understands_cards_on_a_page_on_which_nothing_foreign_runs() {
    let Some(tools) = browser() else { return };
    let pets = body_of("pets");
    let text = |field: &str| format!("{} {SCRIPT}", pets[field].as_str().unwrap());
    let article = Article { id: format!("{SCRIPT}pets"), title: text("title"), body: text("body"), url: None };
    let data = TempDir::new().unwrap();
    let (file, index) = (data.path().join("articles.jsonl"), data.path().join("index"));
    // As references: markup itself would become text when it is indexed.
    let written = |text: &str| text.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut rows =
        json!({"id": article.id, "title": written(&article.title), "body": written(&article.body)}).to_string();
    let others = std::fs::read_to_string(ARTICLES).unwrap();
    for other in others.lines().filter(|line| !line.contains("\"id\": \"pets\"")) {
        rows += "\n";
        rows += other;
    }
    std::fs::write(&file, rows).unwrap();
    build_index(&file, &index);
    let mut articles = Article::load(ARTICLES.as_ref()).unwrap();
    articles.push(article.clone());
    let simulator = Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap();
    let service = Service::start(&simulator, &[("CUECARD_INDEX", index.to_str().unwrap())]).await;
    simulator.explain_by(AdminPlace { base_url: format!("http://{}", service.admin.addr()), key: None });
    // The service takes no such id; a desktop shows what CXone names, whatever it is.
    let call = format!("{SCRIPT}call");
    let hello = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "Hello?", "interactionId": call, "participant": "AGENT"});
    send(&simulator, hello).await;
    let turn = |speaker: &str, text: String| Turn { speaker: speaker.to_owned(), text };
    let turns = vec![
        turn("agent", "Kestrel Ferries, hello.".to_owned()),
        turn("customer", format!("{SCRIPT} Can I take my dog on board, and does he need a cabin?")),
    ];
    let title = format!("Takes the dog along {SCRIPT}");
    let conversation = Conversation { id: "the-dog".to_owned(), title: Some(title.clone()), turns };
    simulator.play(vec![conversation], Pace { linger: PATIENCE * 10, ..Pace::instant() }).finished().await;
    until_shown(&simulator, 1).await;
    let given = json!({
        "desktop": format!("{}/", simulator.base_url()),
        "title": title,
        "call": call,
        "article": article.id,
        "card": article.title,
        "body": article.body,
    });
    check_page(&tools, "desktop.mjs", given).await;
    let taken = |route| simulator.received_on(route).last().and_then(|call| call.body.clone());
    assert!(simulator.until(PATIENCE, |_| taken(Route::Feedback).is_some()).await);
    let rejected = taken(Route::Feedback).unwrap();
    assert_eq!((&rejected["action"], &rejected["insightId"]), (&json!("REJECTED_WRONG_PRODUCT"), &json!(article.id)));
    service.finish(&simulator).await;
}

/// Not a test of anything: `make pictures` runs it.
#[actix_rt::test]
#[ignore = "draws the pictures of docs/ from the demo"]
async fn draw_the_pictures_of_the_docs() {
    let Some(tools) = browser() else { return };
    let mut command = cuecard(&["demo", "--port", "0", "--speed", "8"], &[]);
    let mut demo = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut address =
        |name: &str| lines.find_map(|line| Some(line.trim().strip_prefix(name)?.trim().to_owned())).unwrap();
    let (desktop, console) = (address("agent's desktop"), address("operator's console"));
    // The demo ends when nobody reads what it says.
    let reading = std::thread::spawn(move || lines.count());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    check_page(&tools, "pictures.mjs", json!({"desktop": desktop, "console": console, "folder": folder})).await;
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    assert!(demo.wait().unwrap().success() && reading.join().unwrap() > 0);
}
