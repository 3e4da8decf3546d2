//! What is said on the stream, and what comes back to the agent's desktop.

use cuecard_simulator::{Frame, Received, Route, RunningSimulator, Verdict};
use serde_json::{Value, json};

use super::PATIENCE;

/// Puts one frame on the stream.
pub async fn send(simulator: &RunningSimulator, frame: Value) {
    simulator.send(Frame::Text(frame.to_string())).await.unwrap();
}

/// The customer says something and is done.
pub async fn say(simulator: &RunningSimulator, interaction: &str, text: &str) {
    let fragment = json!({
        "type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": interaction, "participant": "CUSTOMER",
    });
    send(simulator, fragment).await;
    send(simulator, json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction})).await;
}

/// Waits until the simulator has seen it.
pub async fn until(simulator: &RunningSimulator, what: &str, reached: impl FnMut(&RunningSimulator) -> bool) {
    assert!(simulator.until(PATIENCE, reached).await, "waited for: {what}\n{:#?}", simulator.received());
}

/// Every push that arrived, oldest first.
pub fn pushes(simulator: &RunningSimulator) -> Vec<Received> {
    simulator.received_on(Route::Insights)
}

/// Every push that reached the screen, oldest first.
pub fn shown(simulator: &RunningSimulator) -> Vec<Received> {
    pushes(simulator).into_iter().filter(|push| push.verdict == Verdict::Accepted).collect()
}

/// Waits until so many pushes have reached the screen.
pub async fn until_shown(simulator: &RunningSimulator, number: usize) -> Vec<Received> {
    until(simulator, &format!("{number} cards"), |simulator| shown(simulator).len() >= number).await;
    shown(simulator)
}

/// The best article of a push, and the interaction that it is for.
pub fn first_article(push: &Received) -> (&str, &str) {
    let first = &push.body.as_ref().unwrap()["insights"][0];
    (first["interactionId"].as_str().unwrap(), first["id"].as_str().unwrap())
}
