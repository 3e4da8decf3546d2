//! The listing of all articles: large answers, and those that stall.

use std::time::Duration;

use crate::loopback::{Peer, Then, drain, read_request};
use cuecard_cxone::http::{Answer, HttpClient, Request};
use cuecard_cxone::knowledge::articles;
use cuecard_cxone::limits::Limits;
use cuecard_cxone::transport::{TransportError, TransportFailure};
use tokio::io::AsyncWriteExt;

const MIB: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(30);

/// The limits for every other answer are short: none of them may hold this one back.
async fn read(peer: &Peer, limit_bytes: usize, idle: Duration) -> Result<Answer, TransportError> {
    let limits = Limits {
        attempt_timeout: Duration::from_millis(1),
        body_limit_bytes: 1000,
        articles_limit_bytes: limit_bytes,
        articles_idle_timeout: idle,
        ..Limits::default()
    };
    HttpClient::new(limits).unwrap().read_large(&Request::get(peer.url("http"))).await
}

/// A listing of articles whose contents are of a mebibyte each.
fn listing(num_articles: usize) -> String {
    let content = "knowledge ".repeat(MIB / 10);
    let article = |index| format!(r#"{{"id":"kb-{index}","title":"Article {index}","content":"{content}"}}"#);
    let items: Vec<String> = (0..num_articles).map(article).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

fn with_length(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[actix_web::test]
async fn a_listing_of_twenty_mebibytes_is_read_whole() {
    let body = listing(20);
    assert!(body.len() > 19 * MIB);
    let announced = with_length("200 OK\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT", &body);
    let size = body.len();
    let chunked = format!("HTTP/1.1 206 Partial\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n");
    for (answer, status, last_modified) in
        [(announced, 200, Some("Wed, 21 Oct 2026 07:28:00 GMT")), (chunked, 206, None)]
    {
        let peer = Peer::answering(answer, Then::Stay).await;
        let answer = read(&peer, 256 * MIB, LONG).await.unwrap();
        assert_eq!((answer.status, answer.last_modified.as_deref()), (status, last_modified));
        assert!(answer.body == body.as_bytes());
        let page = articles::parse(&answer.body).unwrap();
        assert_eq!((page.articles.len(), page.articles[19].id.as_str(), page.left_out.count), (20, "kb-19", 0));
    }
}

#[actix_web::test]
async fn a_listing_over_the_limit_is_given_up() {
    let body = "x".repeat(2 * MIB);
    let announced = with_length("200 OK", &body);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n{body}\r\n0\r\n\r\n");
    for answer in [announced, chunked] {
        let peer = Peer::answering(answer.clone(), Then::Stay).await;
        let error = read(&peer, 2 * MIB - 1, LONG).await.unwrap_err();
        assert_eq!(error.failure, TransportFailure::BodyTooLarge { status: 200 });
        let peer = Peer::answering(answer, Then::Stay).await;
        assert_eq!(read(&peer, 2 * MIB, LONG).await.unwrap().body.len(), 2 * MIB);
    }
}

#[actix_web::test]
async fn a_refusal_may_be_no_larger_than_any_other_answer() {
    let peer = Peer::answering(with_length("503 Down", &"x".repeat(1001)), Then::Stay).await;
    let error = read(&peer, 256 * MIB, LONG).await.unwrap_err();
    assert_eq!(error.failure, TransportFailure::BodyTooLarge { status: 503 });
}

#[actix_web::test]
async fn a_listing_that_stalls_is_given_up_wherever_it_stalls() {
    let idle = Duration::from_millis(200);
    let stalls = [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"it",
    ];
    for answer in stalls {
        let peer = Peer::answering(answer, Then::Stay).await;
        let error = tokio::time::timeout(LONG, read(&peer, 256 * MIB, idle)).await.unwrap().unwrap_err();
        assert_eq!(error.failure, TransportFailure::TimedOut, "{answer}");
    }
}

#[actix_web::test]
async fn a_listing_that_comes_slowly_is_read_to_its_end_within_its_time() {
    let peer = Peer::start(|mut socket, _| async move {
        read_request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").await.unwrap();
        for byte in br#"{"items":[]}"# {
            tokio::time::sleep(Duration::from_millis(200)).await;
            socket.write_all(&[*byte]).await.unwrap();
        }
        drain(&mut socket).await;
    })
    .await;
    // All of it takes longer than a byte may, and no byte of it on the slowest machine.
    let answer = read(&peer, 256 * MIB, Duration::from_secs(2)).await.unwrap();
    assert_eq!(&answer.body[..], br#"{"items":[]}"#);
    let limits = Limits { articles_timeout: Duration::from_secs(1), ..Limits::default() };
    let client = HttpClient::new(limits).unwrap();
    let error = client.read_large(&Request::get(peer.url("http"))).await.unwrap_err();
    assert_eq!(error.failure, TransportFailure::TimedOut);
}

#[actix_web::test]
async fn a_listing_that_is_cut_is_no_listing() {
    let body = listing(2);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len());
    for whole in [with_length("200 OK", &body), chunked] {
        let peer = Peer::answering(whole[..MIB].to_owned(), Then::Close).await;
        assert_eq!(read(&peer, 256 * MIB, LONG).await.unwrap_err().failure, TransportFailure::Cut);
    }
}
