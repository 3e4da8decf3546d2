//! A client of contract 003 made of literals: what a correct caller sends, written once more by hand.

use std::time::Duration;

use actix_web::web::Bytes;
use actix_ws::ProtocolError;
use awc::ClientResponse;
use awc::ws::{Frame as WsFrame, Message};
use cuecard_simulator::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Frame, RunningSimulator, Simulator, SimulatorSettings,
};
use futures_util::{Sink, Stream, StreamExt};
use serde_json::{Value, json};

pub const INSIGHTS: &str = "/api/v2/agentassist/insights";
pub const FEEDBACK: &str = "/api/v2/ai/training/feedback";

/// Far beyond what loopback needs; only a broken test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream as a client holds it.
pub trait Socket: Stream<Item = Result<WsFrame, ProtocolError>> + Sink<Message, Error = ProtocolError> + Unpin {}

impl<S> Socket for S where
    S: Stream<Item = Result<WsFrame, ProtocolError>> + Sink<Message, Error = ProtocolError> + Unpin
{
}

pub fn start() -> RunningSimulator {
    Simulator::start(SimulatorSettings::default()).unwrap()
}

pub struct Client {
    pub http: awc::Client,
    pub base: String,
}

/// Status and body of an answer; the body is null when it is no JSON.
pub type Answer = (u16, Value);

impl Client {
    pub fn of(simulator: &RunningSimulator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: awc::Client::builder().timeout(PATIENCE).finish(), base: simulator.base_url() }
    }

    pub async fn token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", DEFAULT_CLIENT_SECRET),
        ];
        let (status, body) = self.ask_token(&form).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn ask_token(&self, form: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}/oauth/token", self.base));
        answer(request.send_form(&form).await.unwrap()).await
    }

    /// A push as it should be, under `key`.
    pub async fn push(&self, token: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .http
            .post(format!("{}{INSIGHTS}", self.base))
            .bearer_auth(token)
            .insert_header(("accept", "application/json"))
            .insert_header(("idempotency-key", key));
        answer(request.send_json(body).await.unwrap()).await
    }

    pub async fn feedback(&self, token: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{FEEDBACK}", self.base)).bearer_auth(token);
        answer(request.send_json(body).await.unwrap()).await
    }

    /// The open stream, or the status that the handshake was answered with.
    pub async fn connect(&self, token: &str) -> Result<impl Socket + use<>, u16> {
        let url = format!("{}/cxoneapi/v2/agentassist/stream?access_token={token}", self.base);
        match self.http.ws(url).max_frame_size(16 * 1024 * 1024).connect().await {
            Ok((_, socket)) => Ok(socket),
            Err(awc::error::WsClientError::InvalidResponseStatus(status)) => Err(status.as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }
}

pub async fn answer<S>(mut response: ClientResponse<S>) -> Answer
where
    S: Stream<Item = Result<Bytes, awc::error::PayloadError>>,
{
    let body = response.body().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
}

/// The next frame that is no ping or pong; nothing when the connection has ended.
pub async fn next_frame(socket: &mut impl Socket) -> Option<WsFrame> {
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        match next?.ok()? {
            WsFrame::Ping(_) | WsFrame::Pong(_) => {}
            frame => return Some(frame),
        }
    }
}

/// The next text frame as JSON.
pub async fn next_json(socket: &mut impl Socket) -> Option<Value> {
    match next_frame(socket).await? {
        WsFrame::Text(text) => Some(serde_json::from_slice(&text).unwrap()),
        _ => None,
    }
}

pub fn insight(id: &str, priority: usize, interaction: &str) -> Value {
    json!({
        "id": id,
        "title": format!("About {id}"),
        "priority": priority,
        "score": 0.75,
        "citation": "https://kb.example/a",
        "snippet": "The first words of the article.",
        "interactionId": interaction,
    })
}

pub fn push_body(interaction: &str, ids: &[&str]) -> Value {
    let insights: Vec<Value> = ids.iter().enumerate().map(|(index, id)| insight(id, index + 1, interaction)).collect();
    json!({"insights": insights, "displayType": "CARD", "autoDismiss": true})
}

pub fn feedback_body(interaction: &str) -> Value {
    json!({"interactionId": interaction, "insightId": "a", "action": "ACCEPTED", "timestamp": "2025-03-01T10:00:00Z"})
}

/// Plays one customer turn of an interaction to whoever is connected.
pub async fn say(simulator: &RunningSimulator, interaction: &str, text: &str) {
    let fragment = json!({
        "type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": interaction, "participant": "CUSTOMER",
    });
    let end = json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction});
    for frame in [fragment, end] {
        simulator.send(Frame::Text(frame.to_string())).await.unwrap();
    }
}

/// A connected client, its token, and an interaction `i` in which one customer turn has ended.
pub async fn with_one_turn(simulator: &RunningSimulator) -> (Client, String, impl Socket + use<>) {
    let client = Client::of(simulator);
    let token = client.token().await;
    let socket = client.connect(&token).await.unwrap();
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == 1).await);
    say(simulator, "i", "where is my parcel").await;
    (client, token, socket)
}
