//! Requests and answers as they stand on the wire, byte for byte.

use cuecard_simulator::RunningSimulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;

/// One connection.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn open(simulator: &RunningSimulator) -> Self {
        Self(TcpStream::connect(simulator.address()).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// What comes until it is enough, or until the other side ends.
    pub async fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !is_enough(&bytes) {
            if timeout(PATIENCE, self.0.read_buf(&mut bytes)).await.unwrap().unwrap() == 0 {
                break;
            }
        }
        bytes
    }

    /// The next answer with a body of the length that its head says, interim answers before it included.
    pub async fn answer(&mut self) -> Vec<u8> {
        self.read_until(is_whole).await
    }
}

/// Sends a request on a connection of its own; the answer as it came.
pub async fn ask(simulator: &RunningSimulator, request: impl AsRef<[u8]>) -> Vec<u8> {
    let mut wire = Wire::open(simulator).await;
    wire.send(request).await;
    wire.answer().await
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Of the last answer in it.
pub fn status(answer: &[u8]) -> u16 {
    let (head, _) = split(answer).unwrap();
    head.rsplit("HTTP/1.1 ").next().unwrap()[..3].parse().unwrap()
}

pub fn body(answer: &[u8]) -> &[u8] {
    split(answer).unwrap().1
}

/// The heads up to that of the final answer, and what follows it.
fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut end = 0;
    loop {
        end += bytes[end..].windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = text(&bytes[..end]);
        let is_interim = head.rsplit("HTTP/1.1 ").next()?.starts_with("10") && !head.contains("101 Switching");
        if !is_interim {
            return Some((head, &bytes[end..]));
        }
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    let length = head.lines().filter_map(|line| line.strip_prefix("content-length: ")).next_back();
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}
