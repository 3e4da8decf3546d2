//! A CXone on 127.0.0.1 that answers by a script and remembers what it was asked.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

pub const TOKEN: &str = "/oauth/token";
pub const PUSH: &str = "/api/v2/agentassist/insights";
pub const FEEDBACK: &str = "/api/v2/ai/training/feedback";
pub const RANKING: &str = "/api/v2/agentassist/sessions/c-1/snippets/ranking";
pub const SESSION: &str = "/api/v2/agentassist/sessions/c-1";
pub const SEARCH: &str = "/api/v2/knowledge/articles/search";
pub const ARTICLES: &str = "/api/v2/knowledge/articles";

/// One answer of an endpoint.
#[derive(Clone)]
pub enum Reply {
    /// A status and a body.
    Status(u16, &'static str),
    /// A status with `Retry-After`.
    RetryAfter(u16, &'static str),
    /// 200 with a page for people.
    Page(&'static str),
    /// A status with `Location`.
    Redirect(u16, &'static str),
    /// Nothing: the connection is closed once the request is read.
    Cut,
    /// The other one, after a while.
    Slowly(Duration, Box<Reply>),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub head: String,
    pub body: String,
    pub at: Instant,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    replies: HashMap<&'static str, VecDeque<Reply>>,
    num_tokens: u32,
}

/// Where a script ends, tokens `t1`, `t2`, … are given, pushes and feedback are taken.
#[derive(Clone)]
pub struct Loopback {
    pub base_url: String,
    state: Rc<RefCell<State>>,
}

impl Loopback {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let state = Rc::<RefCell<State>>::default();
        let answering = Rc::clone(&state);
        actix_rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                actix_rt::spawn(serve(socket, Rc::clone(&answering)));
            }
        });
        Self { base_url, state }
    }

    /// An address where nobody listens: it stays taken for as long as the tests run, so that no other test's server gets it.
    pub fn nobody() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let base_url = format!("http://{}", socket.local_addr().unwrap());
        std::mem::forget(socket);
        Self { base_url, state: Rc::default() }
    }

    pub fn script(&self, path: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.state.borrow_mut().replies.entry(path).or_default().extend(replies);
    }

    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.state.borrow().asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

async fn serve(mut socket: TcpStream, state: Rc<RefCell<State>>) {
    while let Some(asked) = read(&mut socket).await {
        let reply = state.borrow_mut().reply(asked);
        if answer(&mut socket, reply).await.is_none() {
            return;
        }
    }
}

impl State {
    fn reply(&mut self, asked: Asked) -> (Reply, String) {
        let path = asked.path.clone();
        self.asked.push(asked);
        let scripted = self.replies.get_mut(path.as_str()).and_then(VecDeque::pop_front);
        if path == TOKEN && scripted.is_none() {
            self.num_tokens += 1;
            let token = format!(r#"{{"access_token":"t{}","expires_in":3600}}"#, self.num_tokens);
            return (Reply::Status(200, ""), token);
        }
        (scripted.unwrap_or(Reply::Status(201, r#"{"id":"cx-1"}"#)), String::new())
    }
}

/// `None` when the connection is to be closed. A body in the pair stands for that of the reply.
async fn answer(socket: &mut TcpStream, (reply, token): (Reply, String)) -> Option<()> {
    let (status, header, body) = match reply {
        Reply::Status(status, body) => (status, String::new(), body),
        Reply::RetryAfter(status, wait) => (status, format!("Retry-After: {wait}\r\n"), "busy"),
        Reply::Page(page) => (200, "Content-Type: text/html; charset=utf-8\r\n".to_owned(), page),
        Reply::Redirect(status, place) => (status, format!("Location: {place}\r\n"), ""),
        Reply::Cut => return None,
        Reply::Slowly(wait, reply) => {
            sleep(wait).await;
            return Box::pin(answer(socket, (*reply, token))).await;
        }
    };
    let body = if token.is_empty() { body } else { &token };
    let answer = format!("HTTP/1.1 {status} Said\r\n{header}Content-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(answer.as_bytes()).await.ok()
}

async fn read(socket: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let target = head.split(' ').nth(1).unwrap();
            let path = target.split('?').next().unwrap().to_owned();
            let asked = Asked { path, head: head.to_owned(), body: body.to_owned(), at: Instant::now() };
            let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if asked.body.len() >= length {
                return Some(asked);
            }
        }
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
