//! Callers who ask and never take the answer: they are closed in a time that settings bound, and what they held is free again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use awc::Client;
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

use crate::support::{LOOK, PATIENCE, Service, simulator};

/// Feeds that are open at once.
const FEEDS: usize = 16;
/// Asked for one after the other on a connection: what they tell together has no room on the way.
const FEEDS_OF_A_CONNECTION: usize = 12;
/// No longer than a test needs.
const BRIEF: [(&str, &str); 3] = [
    ("CUECARD__ACCESS__ANSWER_TIMEOUT", "1s"),
    ("CUECARD__ACCESS__KEEP_ALIVE", "1s"),
    ("CUECARD__ACCESS__HEAD_TIMEOUT", "1s"),
];

/// Somebody who sends and never reads, over a connection on which hardly anything has room: the system would else take
/// megabytes for a reader who is not there.
struct Deaf {
    socket: TcpStream,
    server: SocketAddr,
}

impl Deaf {
    fn asks(server: SocketAddr, path: &str, times: usize) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket.set_tcp_mss(500).unwrap();
        socket.connect(&server.into()).unwrap();
        let mut socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\n\r\n");
        socket.write_all(request.repeat(times).as_bytes()).unwrap();
        Self { socket, server }
    }

    /// Whether the server still holds the connection. This end can't tell: the goodbye stands behind what was not read.
    fn is_held(&self) -> bool {
        let hexadecimal = |addr: SocketAddr| format!("0100007F:{:04X}", addr.port());
        let (server, own) = (hexadecimal(self.server), hexadecimal(self.socket.local_addr().unwrap()));
        let established = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            (words.next(), words.next(), words.next()) == (Some(&server), Some(&own), Some("01"))
        };
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(established)
    }

    async fn until_closed(&self) {
        let closing = async {
            while self.is_held() {
                tokio::time::sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, closing).await.expect("the connection is held for ever");
    }

    /// What came before the end.
    fn rest(mut self) -> String {
        let mut came = Vec::new();
        // A server that had not read all requests ends the connection by a reset.
        let _ = self.socket.read_to_end(&mut came);
        String::from_utf8_lossy(&came).into_owned()
    }
}

#[actix_rt::test]
async fn a_caller_who_takes_no_answer_is_closed() {
    let simulator = simulator();
    let variables = [&BRIEF[..], &[("CXONE_CONTRACT", "rag"), ("CUECARD_API_ADDR", "127.0.0.1:0")]].concat();
    let service = Service::launch(&simulator.base_url(), &variables);
    for server in [service.api_addr(), service.admin.addr()] {
        let caller = Deaf::asks(server, "/openapi.json", 1);
        assert!(caller.is_held());
        caller.until_closed().await;
        let came = caller.rest();
        assert!(came.starts_with("HTTP/1.1 200 ") && !came.ends_with('}'), "all of it was sent: {} bytes", came.len());
    }
    service.stop().await;
}

#[actix_rt::test]
async fn a_console_that_reads_nothing_is_closed_and_gives_its_place_back() {
    let simulator = simulator();
    let service = Service::start(&simulator, &BRIEF).await;
    let server = service.admin.addr();
    let readers: Vec<_> = (0..FEEDS).map(|_| Deaf::asks(server, "/console/feed", FEEDS_OF_A_CONNECTION)).collect();
    for reader in &readers {
        reader.until_closed().await;
    }
    for reader in readers {
        let came = reader.rest();
        assert!(came.starts_with("HTTP/1.1 200 ") && came.contains("event: state\n"), "{came}");
        let begun = came.matches("HTTP/1.1 ").count();
        assert!(begun < FEEDS_OF_A_CONNECTION, "it was not in the way of anything: {begun} feeds");
    }
    // All places at once, each of a reader who reads.
    let url = format!("http://{server}/console/feed");
    let all_open = async || {
        let mut open = Vec::new();
        for _ in 0..FEEDS {
            open.push(Client::builder().timeout(PATIENCE).finish().get(&url).force_close().send().await.unwrap());
        }
        open.iter().all(|answer| answer.status().as_u16() == 200)
    };
    let waiting = async {
        while !all_open().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("what was closed gives its place back");
    service.finish(&simulator).await;
}
