//! Any stream with any dialect: what was heard by contract 001 or 003 is pushed by each of the five, and the simulator
//! takes every push.

use cuecard::settings::Settings;
use cuecard_simulator::{Client, Frame, Received, Route, RunningSimulator, Simulator, SimulatorSettings, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Service, body_of, environment, until};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const DIALECTS: [(&str, Route); 5] = [
    ("rag", Route::Rag),
    ("snippets", Route::Snippets),
    ("graph", Route::Graph),
    ("insights", Route::Insights),
    ("ranking", Route::Ranking),
];

/// A profile for each dialect, each a client of its own: to the simulator they are five tenants.
async fn heard_by(stream: &str) -> (RunningSimulator, Service) {
    let clients = DIALECTS.map(|(dialect, _)| Client::with_all_scopes(dialect, "opensesame"));
    let settings = SimulatorSettings { clients: clients.to_vec(), ..SimulatorSettings::default() };
    let simulator = Simulator::start(settings).unwrap();
    let data = TempDir::new().unwrap();
    let base = simulator.base_url();
    let profiles = DIALECTS.map(|(dialect, _)| {
        format!(
            "[profiles.by-{dialect}]\ncontract = '{stream}'\ndialect = '{dialect}'\nclient_id = '{dialect}'\n\
             client_secret = 'opensesame'\nagent_id = 'agent-7'\nbase_url = '{base}'\nsync = 'off'\ncards = 2\n"
        )
    });
    let file = data.path().join("cuecard.toml");
    std::fs::write(&file, profiles.concat()).unwrap();
    let own = [("CXONE_CONTRACT", ""), ("CXONE_BASE_URL", ""), ("CXONE_CLIENT_ID", ""), ("CXONE_CLIENT_SECRET", "")];
    let settings = Settings::load(Some(&file), environment("", data.path(), &own)).unwrap();
    let service = Service::with(settings, data);
    until(&simulator, "five streams", |simulator| simulator.num_streams() == DIALECTS.len()).await;
    (simulator, service)
}

async fn pushed(simulator: &RunningSimulator, frames: &[Value]) -> Vec<Received> {
    for frame in frames {
        simulator.send(Frame::Text(frame.to_string())).await.unwrap();
    }
    let mut pushes = Vec::new();
    for (dialect, route) in DIALECTS {
        let is_shown = |push: &Received| push.verdict == Verdict::Accepted;
        let shown = |simulator: &RunningSimulator| simulator.received_on(route).into_iter().find(is_shown);
        until(simulator, &format!("a card by {dialect}"), |simulator| shown(simulator).is_some()).await;
        pushes.extend(shown(simulator));
    }
    pushes
}

fn assert_each_says_the_same(pushes: &[Received], interaction: &str) {
    let pets = body_of("pets");
    let (id, title, body) =
        (pets["id"].as_str().unwrap(), pets["title"].as_str().unwrap(), pets["body"].as_str().unwrap());
    let bodies: Vec<_> = pushes.iter().map(|push| push.body.clone().unwrap()).collect();
    let [rag, snippets, graph, insights, ranking] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert_eq!((&rag["conversationId"], &rag["agentId"]), (&json!(interaction), &json!("agent-7")));
    assert!(rag["content"][0]["data"]["text"].as_str().unwrap().contains(&body[..40]), "{rag}");
    let first_message = snippets["messages"][0]["content"]["body"].as_str().unwrap();
    assert!(first_message.starts_with(&format!("**{title}**\n")), "{snippets}");
    assert_eq!(graph["content"][0]["title"], title);
    let description = graph["content"][0]["description"].as_str().unwrap();
    assert!(body.starts_with(description.trim_end_matches('…')) && description.len() > 100, "{description}");
    assert_eq!(graph["content"][0]["metadata"]["source"], "cuecard");
    assert_eq!(
        (&insights["insights"][0]["id"], &insights["insights"][0]["interactionId"]),
        (&json!(id), &json!(interaction))
    );
    assert_eq!((&ranking["session_id"], &ranking["snippets"][0]["snippet_id"]), (&json!(interaction), &json!(id)));
    assert_eq!(
        (&ranking["snippets"][0]["boost_factor"], &ranking["snippets"][0]["metadata"]),
        (&json!(1.0), &json!({}))
    );
    let paths = pushes.iter().filter(|push| push.path.contains(interaction)).count();
    assert_eq!(paths, 3, "snippets, graph and ranking have the interaction in the path");
}

#[actix_rt::test]
async fn fragments_are_answered_in_every_dialect() {
    let (simulator, service) = heard_by("insights").await;
    let fragment = json!({"type": "TRANSCRIPT_FRAGMENT", "text": DOG, "interactionId": "call-1"});
    let turn_end = json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": "call-1"});
    assert_each_says_the_same(&pushed(&simulator, &[fragment, turn_end]).await, "call-1");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn finished_utterances_are_answered_in_every_dialect() {
    let (simulator, service) = heard_by("snippets").await;
    let data = json!({"id": "call-1", "state": "active", "channels": [{"transcript": DOG}]});
    let event = json!({"type": "interaction", "data": data});
    assert_each_says_the_same(&pushed(&simulator, &[event]).await, "call-1");
    service.finish(&simulator).await;
}

#[test]
fn a_stream_heard_in_the_dialect_rag_needs_an_agent() {
    let data = TempDir::new().unwrap();
    let own = [("CXONE_CONTRACT", "insights"), ("CUECARD__PROFILE__DIALECT", "rag")];
    let error = Settings::load(None, environment("http://127.0.0.1:1", data.path(), &own)).unwrap_err().to_string();
    assert!(error.contains("profile `insights`") && error.contains("agent_id"), "{error}");
}
