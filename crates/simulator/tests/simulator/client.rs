//! A client of the five contracts made of literals: what a correct caller sends, written once more by hand.

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

pub use crate::dialects::{Dialect, insights_body};

pub const FEEDBACK: &str = "/api/v2/ai/training/feedback";

/// Far beyond what loopback needs; only a broken test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

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
    pub id: String,
    pub secret: String,
}

/// Status and body of an answer; the body is null when it is no JSON.
pub type Answer = (u16, Value);

impl Client {
    pub fn of(simulator: &RunningSimulator) -> Self {
        Self::with(simulator, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)
    }

    pub fn with(simulator: &RunningSimulator, id: &str, secret: &str) -> Self {
        Self {
            http: awc::Client::builder().timeout(PATIENCE).finish(),
            base: simulator.base_url(),
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn token(&self) -> String {
        let form = [("grant_type", "client_credentials"), ("client_id", &self.id), ("client_secret", &self.secret)];
        let (status, body) = self.ask_token("/oauth/token", &form).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn ask_token(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        answer(self.http.post(self.url(path)).send_form(&form).await.unwrap()).await
    }

    /// A push as it should be, under `key`.
    pub async fn push(&self, dialect: Dialect, token: &str, key: &str, interaction: &str, body: &Value) -> Answer {
        let mut request = self.http.post(self.url(&dialect.path(interaction)));
        for (name, value) in dialect.headers(token, key) {
            request = request.insert_header((name, value));
        }
        answer(request.send_body(body.to_string()).await.unwrap()).await
    }

    /// A push of contract 003.
    pub async fn push_insights(&self, token: &str, key: &str, body: &Value) -> Answer {
        self.push(Dialect::Insights, token, key, "", body).await
    }

    pub async fn feedback(&self, token: &str, body: &Value) -> Answer {
        let request = self.http.post(self.url(FEEDBACK)).bearer_auth(token);
        answer(request.send_json(body).await.unwrap()).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        answer(self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap()).await
    }

    /// A call under `/_sim/`.
    pub async fn control(&self, path: &str, body: Value) -> Answer {
        answer(self.http.post(self.url(&format!("/_sim/{path}"))).send_json(&body).await.unwrap()).await
    }

    /// The open stream of contract 003, or the status that the handshake was answered with.
    pub async fn connect(&self, token: &str) -> Result<impl Socket + use<>, u16> {
        let url = self.url(&format!("/cxoneapi/v2/agentassist/stream?access_token={token}"));
        opened(self.http.ws(url)).await
    }

    /// The open stream of contract 001, or the status that the handshake was answered with.
    pub async fn connect_events(&self, token: &str) -> Result<impl Socket + use<>, u16> {
        let request = self.http.ws(self.url("/api/v2/interactions/events")).bearer_auth(token);
        opened(request.set_header("accept", "application/json")).await
    }
}

async fn opened(request: awc::ws::WebsocketsRequest) -> Result<impl Socket + use<>, u16> {
    match request.max_frame_size(16 * 1024 * 1024).connect().await {
        Ok((_, socket)) => Ok(socket),
        Err(awc::error::WsClientError::InvalidResponseStatus(status)) => Err(status.as_u16()),
        Err(error) => panic!("no handshake: {error}"),
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

pub fn feedback_body(interaction: &str) -> Value {
    json!({"interactionId": interaction, "insightId": "a", "action": "ACCEPTED", "timestamp": "2025-03-01T10:00:00Z"})
}

/// The frames of one customer turn.
pub fn turn(interaction: &str, text: &str) -> [Frame; 2] {
    let fragment = json!({
        "type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": interaction, "participant": "CUSTOMER",
    });
    let end = json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction});
    [fragment, end].map(|frame| Frame::Text(frame.to_string()))
}

/// Plays one customer turn of an interaction to whoever is connected.
pub async fn say(simulator: &RunningSimulator, interaction: &str, text: &str) {
    for frame in turn(interaction, text) {
        simulator.send(frame).await.unwrap();
    }
}

pub async fn until_connected(simulator: &RunningSimulator, number: usize) {
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == number).await);
}

/// A connected client, its token, and an interaction `i` in which one customer turn has ended.
pub async fn with_one_turn(simulator: &RunningSimulator) -> (Client, String, impl Socket + use<>) {
    let client = Client::of(simulator);
    let token = client.token().await;
    let socket = client.connect(&token).await.unwrap();
    until_connected(simulator, 1).await;
    say(simulator, "i", "where is my parcel").await;
    (client, token, socket)
}
