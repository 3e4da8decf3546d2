//! The WebSockets on which conversations are heard.
//!
//! Input: a handshake with a token that may read: `?access_token=…` for contract 003, a bearer header and
//! `Accept: application/json` for 001. Output: an open connection among the hub's streams, which answers pings until
//! either side ends it or it is told to be silent. 401 or 403 for the token before the upgrade, 406 for the header, 400
//! for a request that is no handshake or has other parameters. A client has nothing to say here: its data frames are
//! violations.

mod cuttable;

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{Message, MessageStream, Session};
use tokio::sync::oneshot;

use self::cuttable::Cuttable;
use super::answer::{self, Refusal};
use super::token;
use crate::auth::Denial;
use crate::hub::Hub;
use crate::record::{Entry, KeptBody, Verdict};
use crate::streams::StreamKind;

/// Contract 003.
pub(super) async fn fragments(hub: web::Data<Hub>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    open(StreamKind::Insights, hub, &request, payload)
}

/// Contract 001.
pub(super) async fn events(hub: web::Data<Hub>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    open(StreamKind::Snippets, hub, &request, payload)
}

fn open(kind: StreamKind, hub: web::Data<Hub>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let opened = admit(kind, &hub, request).and_then(|client| {
        let upgraded = actix_ws::handle(request, payload);
        upgraded
            .map(|opened| (client, opened))
            .map_err(|error| Refusal::violation(400, format!("no WebSocket handshake: {error}")))
    });
    let (client, (response, session, incoming)) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return refusal.into_response(),
    };
    let (cut, is_cut) = oneshot::channel();
    let id = hub.update(|state| state.streams.add(kind, Arc::clone(&client), session.clone(), cut));
    let connection = Connection { id, kind, client };
    actix_web::rt::spawn(async move {
        connection.listen(&hub, session, incoming).await;
        hub.update(|state| state.streams.remove(connection.id));
    });
    let mut response = response.map_body(|_, body| BoxBody::new(Cuttable::new(body, is_cut)));
    response.extensions_mut().insert(Verdict::Accepted);
    response
}

/// Whose handshake it is.
fn admit(kind: StreamKind, hub: &Hub, request: &HttpRequest) -> Result<Arc<str>, Refusal> {
    let parameters = token::fields(request.query_string().as_bytes());
    match kind {
        StreamKind::Insights => match parameters.as_slice() {
            [(name, token)] if name == "access_token" => answer::admit(hub, token, kind.route()),
            [] => Err(Denial::Missing.into()),
            _ => Err(Refusal::violation(400, "the stream takes access_token and nothing else")),
        },
        StreamKind::Snippets => {
            let client = answer::authorise(hub, request, kind.route())?;
            answer::demand_accept_json(request.headers())?;
            if !request.query_string().is_empty() {
                return Err(Refusal::violation(400, "the events take no parameters; the token stands in the header"));
            }
            Ok(client)
        }
    }
}

struct Connection {
    id: u64,
    kind: StreamKind,
    client: Arc<str>,
}

impl Connection {
    /// Answers pings and the closing frame until the connection ends.
    async fn listen(&self, hub: &Hub, mut session: Session, mut incoming: MessageStream) {
        while let Some(Ok(message)) = incoming.recv().await {
            if hub.read(|state| state.streams.is_silent(self.id)) {
                continue;
            }
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
                Message::Text(_) | Message::Binary(_) | Message::Continuation(_) => self.file_stray(hub),
                Message::Pong(_) | Message::Nop => {}
            }
        }
    }

    fn file_stray(&self, hub: &Hub) {
        let route = self.kind.route();
        let entry = Entry {
            at: Instant::now(),
            route,
            method: "FRAME".to_owned(),
            path: route.path().to_owned(),
            query: None,
            client: Some(Arc::clone(&self.client)),
            status: None,
            verdict: Verdict::Violation { reason: "a client sends no data on the stream".to_owned() },
            idempotency_key: None,
            if_modified_since: None,
            body: KeptBody::Raw(web::Bytes::new()),
        };
        hub.update(|state| state.record.push(entry));
    }
}
