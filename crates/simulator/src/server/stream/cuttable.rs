//! The outgoing half of a connection, which fails when it is told to: the server then drops the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::oneshot;

pub(super) struct Cuttable {
    body: BoxBody,
    is_cut: Option<oneshot::Receiver<()>>,
}

impl Cuttable {
    pub(super) fn new(body: BoxBody, is_cut: oneshot::Receiver<()>) -> Self {
        Self { body, is_cut: Some(is_cut) }
    }
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
