//! Peers on 127.0.0.1 with one behaviour each, down to the byte.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_http::ws::hash_key;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use url::Url;

/// What a peer does with a connection once it has answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Waits for the next request.
    Stay,
    Close,
}

pub struct Peer {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Peer {
    pub fn url(&self, scheme: &str) -> Url {
        format!("{scheme}://{}/path", self.address).parse().unwrap()
    }

    /// Whole requests, head and body, in order of arrival.
    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    pub fn num_connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Runs `behave` on each connection.
    pub async fn start<F, Done>(behave: F) -> Self
    where
        F: Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> Done + 'static,
        Done: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (requests, count) = (Arc::clone(&received), Arc::clone(&connections));
        actix_web::rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                actix_web::rt::spawn(behave(socket, Arc::clone(&requests)));
            }
        });
        Self { address, received, connections }
    }

    /// Answers every request with `answer`, byte for byte.
    pub async fn answering(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut socket, received| {
            let answer = Arc::clone(&answer);
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    received.lock().unwrap().push(request);
                    if socket.write_all(&answer).await.is_err() || then == Then::Close {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Reads and says nothing.
    pub async fn silent() -> Self {
        Self::answering("", Then::Stay).await
    }

    /// Opens a WebSocket, then sends `frames` as they are and goes on with `then`.
    pub async fn streaming(frames: Vec<Vec<u8>>, then: Then) -> Self {
        Self::start(move |mut socket, received| {
            let frames = frames.clone();
            async move {
                open_web_socket(&mut socket, &received).await;
                for frame in &frames {
                    if socket.write_all(frame).await.is_err() {
                        return;
                    }
                }
                if then == Then::Close {
                    socket.shutdown().await.unwrap();
                }
                // Bytes left unread would turn the close into a reset that swallows what was sent.
                drain(&mut socket).await;
            }
        })
        .await
    }
}

/// An address where nobody listens: it stays taken for as long as the tests run, so that no other test's server gets it.
pub fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// Reads until the peer hangs up.
pub async fn drain(socket: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while socket.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}

/// Reads one request with the body that its length announces; none when the connection ends.
pub async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= header(head, "content-length").map_or(0, |length| length.parse().unwrap())
        {
            return Some(text);
        }
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

pub fn header(request: &str, name: &str) -> Option<String> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    let mut fields = lines.filter_map(|line| line.split_once(": "));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

pub async fn open_web_socket(socket: &mut TcpStream, received: &Mutex<Vec<String>>) {
    let request = read_request(socket).await.unwrap();
    let key = header(&request, "sec-websocket-key").unwrap();
    received.lock().unwrap().push(request);
    let accept = String::from_utf8(hash_key(key.as_bytes()).to_vec()).unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    socket.write_all(answer.as_bytes()).await.unwrap();
}

pub const TEXT: u8 = 0x81;
pub const TEXT_TO_BE_CONTINUED: u8 = 0x01;
pub const CONTINUED: u8 = 0x00;
pub const LAST: u8 = 0x80;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;

/// One frame as a server writes it, unmasked.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
