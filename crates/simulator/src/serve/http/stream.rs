//! The WebSockets on which conversations are heard.
//!
//! Input: a handshake with a token that may read: `?access_token=…` for contract 003, a bearer header and
//! `Accept: application/json` for 001. Output: an open connection among the hub's streams, which answers pings until
//! either side ends it or it is told to be silent. 401 or 403 for the token before the upgrade, 406 for the header, 400
//! for a request that is no handshake or has other parameters. A client has nothing to say here: its data frames are
//! violations.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use actix_ws::{Message, MessageStream, Session};
use tokio::sync::oneshot;

use super::answer::{self, Refusal};
use super::form;
use super::observe::NoClose;
use crate::base::contracts::StreamKind;
use crate::serve::hub::Hub;
use crate::serve::record::{Entry, Verdict};
use crate::serve::tokens::Denial;

/// Contract 003.
pub(super) async fn fragments(
    hub: web::Data<Hub>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    open(StreamKind::Insights, hub, &request, payload)
}

/// Contract 001.
pub(super) async fn events(
    hub: web::Data<Hub>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    open(StreamKind::Snippets, hub, &request, payload)
}

fn open(
    kind: StreamKind,
    hub: web::Data<Hub>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let client = admit(kind, &hub, request)?;
    let (response, session, incoming) = actix_ws::handle(request, payload)
        .map_err(|error| Refusal::bad_request(format!("no WebSocket handshake: {error}")))?;
    let (cut, is_cut) = oneshot::channel();
    let id = hub.update(|state| state.streams.add(kind, Arc::clone(&client), session.clone(), cut));
    let answers_close = request.extensions().get::<NoClose>().is_none();
    let connection = Connection { id, kind, client, answers_close };
    actix_web::rt::spawn(async move {
        connection.listen(&hub, session, incoming).await;
        hub.update(|state| state.streams.remove(connection.id));
    });
    let response = response.map_body(|_, body| BoxBody::new(Cuttable { body, is_cut: Some(is_cut) }));
    Ok(answer::with_verdict(response, Verdict::Accepted))
}

/// Whose handshake it is.
fn admit(kind: StreamKind, hub: &Hub, request: &HttpRequest) -> Result<Arc<str>, Refusal> {
    let parameters = form::fields(request.query_string().as_bytes());
    match kind {
        StreamKind::Insights => match parameters.as_slice() {
            [(name, token)] if name == "access_token" => answer::admit(hub, token, kind.route()),
            [] => Err(Refusal::denied(&Denial::Missing, hub)),
            _ => Err(Refusal::bad_request("the stream takes access_token and nothing else")),
        },
        StreamKind::Snippets => {
            let client = answer::authorise(hub, request, kind.route())?;
            answer::demand_accept_json(hub, request)?;
            if !request.query_string().is_empty() {
                return Err(Refusal::bad_request("the events take no parameters; the token stands in the header"));
            }
            Ok(client)
        }
    }
}

struct Connection {
    id: u64,
    kind: StreamKind,
    client: Arc<str>,
    answers_close: bool,
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
                Message::Close(reason) if self.answers_close => {
                    // The other side may be gone before it reads the answer.
                    let _ = session.close(reason).await;
                    return;
                }
                Message::Text(_) | Message::Binary(_) | Message::Continuation(_) => self.file_stray(hub),
                Message::Close(_) | Message::Pong(_) | Message::Nop => {}
            }
        }
    }

    fn file_stray(&self, hub: &Hub) {
        let route = self.kind.route();
        let mut entry = Entry::new(Instant::now(), route, "FRAME", route.path(), Bytes::new());
        entry.request.client_id = Some(self.client.to_string());
        entry.request.verdict = Verdict::Violation { reason: "a client sends no data on the stream".to_owned() };
        hub.update(|state| state.record.push(entry));
    }
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

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
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
