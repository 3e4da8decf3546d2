#![allow(clippy::unwrap_used)]

use cuecard_actors::ledger::{Ledger, LedgerOptions, RankingEntry, RankingStatus};
use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn rules(default_url: Option<&str>, hosts: &[&str], allow_private: bool) -> CallbackRules {
    CallbackRules {
        default_url: default_url.map(|url| url.parse().unwrap()),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        allow_private,
    }
}

async fn ledger() -> (TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
    (directory, Ledger::open(&url, LedgerOptions::default()).await.unwrap())
}

async fn callbacks() -> (TempDir, Callbacks) {
    let (directory, ledger) = ledger().await;
    let metrics = Metrics::new(&[], Vec::new()).unwrap();
    (directory, Callbacks::new(ledger.queue(QueueKind::Callback), metrics, Background::new()).unwrap())
}

#[test]
fn only_addresses_of_the_public_network_are_public() {
    let private = [
        "127.0.0.1",
        "127.8.9.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    for address in private {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in ["8.8.8.8", "172.32.0.1", "100.63.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

/// Of this machine, of a private network, or of a link.
fn private_address() -> impl Strategy<Value = Ipv4Addr> {
    let heads =
        prop::sample::select(vec![[127, 0], [10, 0], [172, 16], [172, 31], [192, 168], [169, 254], [0, 0], [100, 64]]);
    (heads, any::<u8>(), any::<u8>()).prop_map(|([first, second], third, last)| [first, second, third, last].into())
}

/// The ways in which a URL can say it.
fn hosts_of(address: Ipv4Addr) -> Vec<String> {
    let [first, second, third, last] = address.octets();
    let number = u32::from(address);
    let (high, low) = (number >> 16, number & 0xffff);
    vec![
        address.to_string(),
        number.to_string(),
        format!("{number:#x}"),
        format!("0{first:o}.0{second:o}.0{third:o}.0{last:o}"),
        format!("{first:#X}.{second}.{low}"),
        format!("{first}.{}.", number & 0xff_ffff),
        address.to_string().replace('.', "%2e"),
        address.to_string().replace('.', "。").replace('1', "１"),
        format!("[::ffff:{address}]"),
        format!("[::{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:5ef5:79fd::{:x}:{:x}]", high ^ 0xffff, low ^ 0xffff),
    ]
}

proptest! {
    #[test]
    fn a_private_address_is_none_that_may_be_called_however_it_is_written(address in private_address()) {
        for host in hosts_of(address) {
            let url: Url = format!("http://someone@{host}:9/path").parse().unwrap();
            let found = literal(&url);
            prop_assert!(found.is_some_and(|found| !is_public(found)), "{host} is {found:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_may_name_allowed_hosts_only() {
    use NotAllowed as N;
    let (_directory, callbacks) = callbacks().await;
    let default = Some("https://hooks.example/default");
    // (rules, asked, target or complaint)
    let table = [
        (rules(None, &[], false), None, Ok(None)),
        (rules(default, &[], false), None, Ok(default)),
        (rules(default, &[], true), Some("https://hooks.example/mine"), Ok(Some("https://hooks.example/mine"))),
        (rules(default, &[], true), Some("https://other.example/"), Err(N::Host("other.example".into()))),
        (rules(None, &["Other.Example"], true), Some("http://other.example/x"), Ok(Some("http://other.example/x"))),
        (rules(None, &[], true), Some("https://hooks.example@evil.example/"), Err(N::Host("evil.example".into()))),
        (rules(None, &["127.0.0.1"], false), Some("http://127.0.0.1:9/"), Err(N::Private([127, 0, 0, 1].into()))),
        (rules(None, &["localhost"], true), Some("http://localhost:9/"), Ok(Some("http://localhost:9/"))),
        (rules(None, &["127.0.0.1"], false), Some("http://2130706433/"), Err(N::Private([127, 0, 0, 1].into()))),
        (rules(None, &[""], true), Some("file:///etc/passwd"), Err(N::NoUrl)),
        (rules(None, &[], true), Some("hooks.example"), Err(N::NoUrl)),
        (rules(None, &["x"], true), Some("ftp://x/"), Err(N::NoUrl)),
    ];
    for (rules, asked, expected) in table {
        let target = callbacks.target(&rules, asked).await;
        let seen = target.as_ref().map(|url| url.as_ref().map(Url::as_str));
        assert_eq!(seen, expected.as_ref().copied(), "{asked:?}");
    }
}

fn stored(profile: &str, number: usize, url: &str) -> NewItem {
    let payload = Payload { url: url.parse().unwrap(), allow_private: true, body: json!({ "number": number }) };
    NewItem {
        kind: QueueKind::Callback,
        profile: profile.into(),
        key: format!("session-{number}"),
        payload: serde_json::to_string(&payload).unwrap(),
        queued_at: Timestamp::now(),
    }
}

async fn store(ledger: &Ledger, item: NewItem) {
    let entry = RankingEntry {
        profile: item.profile.clone(),
        session: item.key.clone(),
        at: Timestamp::now(),
        snippet_count: 0,
        latency_ms: 1.0,
        max_window: 1,
        status: RankingStatus::Success,
        checksum: None,
        delivered: Vec::new(),
    };
    ledger.rankings().record(entry, Some(item)).await.unwrap();
}

#[test]
fn a_result_is_tried_for_an_hour() {
    assert_eq!([1, 2, 3, 40].map(wait_after).map(|wait| wait.as_secs()), [2, 4, 8, 900]);
    let waits: Duration = (1..MOST_ATTEMPTS).map(wait_after).sum();
    assert_eq!(waits.as_secs() / 60, 62, "minutes");
}

/// As many rankings as a busy minute has, each with a callback to a host that takes connections and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_hangs_takes_so_many_sockets_of_its_profile_and_holds_up_no_other() {
    let [acme, other] = ["acme", "other"].map(ProfileName::new);
    let (_directory, ledger) = ledger().await;
    let metrics = Metrics::new(&[acme.clone(), other.clone()], Vec::new()).unwrap();
    let (background, queue) = (Background::new(), ledger.queue(QueueKind::Callback));
    let callbacks = Arc::new(Callbacks::new(queue.clone(), metrics, background.clone()).unwrap());
    let [hangs, takes] =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let url = |host: &TcpListener| format!("http://{}/done", host.local_addr().unwrap());
    for number in 0..AT_ONCE + 9 {
        store(&ledger, stored("acme", number, &url(&hangs))).await;
    }
    store(&ledger, stored("other", 0, &url(&takes))).await;

    let (first, second) = (Lane::new(acme), Lane::new(other));
    assert_eq!(callbacks.look(&first).await, AT_ONCE);
    let mut sockets = Vec::new();
    for _ in 0..AT_ONCE {
        sockets.push(hangs.accept().await.unwrap());
    }
    // The rest waits in the ledger, and the other profile's goes out.
    assert_eq!((callbacks.look(&first).await, callbacks.look(&second).await), (0, 1));
    let (mut socket, _) = takes.accept().await.unwrap();
    // An answer before the request would be none.
    assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
    socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    while queue.pending_count("other") > 0 {
        tokio::task::yield_now().await;
    }
    // A stop in the middle of it leaves all of them to the next start.
    background.end_grace();
    assert_eq!(queue.pending_count("acme"), AT_ONCE as u64 + 9);
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused_as_it_resolves() {
    let asked = Some("http://localhost:9/");
    let refused = callbacks().await.1.target(&rules(None, &["localhost"], false), asked).await.unwrap_err();
    assert!(matches!(refused, NotAllowed::Private(address) if address.is_loopback()), "{refused}");
    let resolved = PublicOnly.resolve("localhost".parse().unwrap()).await;
    assert!(resolved.is_err());
}
