//! `GET /cxoneapi/v2/agentassist/stream?access_token=…`: the WebSocket on which conversations are heard.
//!
//! Input: a handshake with a token that may read. Output: an open connection among the hub's streams, which answers
//! pings until either side ends it. 401 or 403 for the token before the upgrade, 400 for a request that is no handshake
//! or has other parameters. A client has nothing to say here: its data frames are violations.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{Message, MessageStream, Session};
use tokio::sync::oneshot;

use super::answer::Refusal;
use super::token;
use crate::auth::Denial;
use crate::hub::Hub;
use crate::record::{Received, Route, STREAM_PATH, Verdict};
use crate::settings::SCOPE_STREAM;

pub(super) async fn open(hub: web::Data<Hub>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let opened = admit(&hub, &request).and_then(|()| {
        actix_ws::handle(&request, payload)
            .map_err(|error| Refusal::violation(400, format!("no WebSocket handshake: {error}")))
    });
    let (response, session, incoming) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return refusal.into_response(),
    };
    let (cut, is_cut) = oneshot::channel();
    let id = hub.update(|state| state.streams.add(session.clone(), cut));
    actix_web::rt::spawn(async move {
        listen(&hub, session, incoming).await;
        hub.update(|state| state.streams.remove(id));
    });
    let mut response = response.map_body(|_, body| BoxBody::new(Cuttable { body, is_cut: Some(is_cut) }));
    response.extensions_mut().insert(Verdict::Accepted);
    response
}

fn admit(hub: &Hub, request: &HttpRequest) -> Result<(), Refusal> {
    let parameters = token::fields(request.query_string().as_bytes());
    let presented = match parameters.as_slice() {
        [(name, value)] if name == "access_token" => value,
        [] => return Err(Denial::Missing.into()),
        _ => return Err(Refusal::violation(400, "the stream takes access_token and nothing else")),
    };
    Ok(hub.read(|state| state.tokens.check(presented, SCOPE_STREAM, Instant::now()))?)
}

/// Answers pings and the closing frame until the connection ends.
async fn listen(hub: &Hub, mut session: Session, mut incoming: MessageStream) {
    while let Some(Ok(message)) = incoming.recv().await {
        match message {
            Message::Ping(payload) => {
                if session.pong(&payload).await.is_err() {
                    return;
                }
            }
            Message::Close(reason) => {
                // The other side may be gone before it reads the answer.
                let _ = session.close(reason).await;
                return;
            }
            Message::Text(_) | Message::Binary(_) | Message::Continuation(_) => file_stray(hub),
            Message::Pong(_) | Message::Nop => {}
        }
    }
}

fn file_stray(hub: &Hub) {
    let at = Instant::now();
    let entry = Received {
        sequence: 0,
        at,
        since_start_ms: at.saturating_duration_since(hub.started_at).as_secs_f64() * 1000.0,
        route: Route::Stream,
        method: "FRAME".to_owned(),
        path: STREAM_PATH.to_owned(),
        status: None,
        verdict: Verdict::Violation { reason: "a client sends no data on the stream".to_owned() },
        idempotency_key: None,
        body: None,
    };
    hub.update(|state| state.record.push(entry));
}

/// The outgoing half of a connection, which fails when it is told to: the server then drops the connection.
struct Cuttable {
    body: BoxBody,
    is_cut: Option<oneshot::Receiver<()>>,
}

impl MessageBody for Cuttable {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        match self.is_cut.as_mut().map(|is_cut| Pin::new(is_cut).poll(context)) {
            Some(Poll::Ready(Ok(()))) => {
                let broken = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
                return Poll::Ready(Some(Err(broken.into())));
            }
            // Nobody can cut it any more, and a finished channel must not be asked again.
            Some(Poll::Ready(Err(_))) => self.is_cut = None,
            Some(Poll::Pending) | None => {}
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}
