//! Who may call the two ports, over real sockets: keys, rights, profiles, rates and limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use cuecard::access::KeyHash;
use cuecard::settings::Settings;
use cuecard_simulator::RunningSimulator;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Process, Service, environment, run, simulator};

/// Keys by their names; the key is its name and these words.
const WORDS: &str = "-opens-what-it-may";

fn key(name: &str) -> String {
    format!("{name}{WORDS}")
}

/// No client is made without a provider of TLS.
pub fn install_provider() {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A section for a key.
fn section(name: &str, rights: &str, more: &str) -> String {
    format!("[access.keys.{name}]\nhash = '{}'\nrights = [{rights}]\n{more}\n", KeyHash::of(&key(name)))
}

/// Two profiles that are asked over HTTP, with keys for them.
pub fn settings(base_url: &str, data: &Path, access: &str) -> Settings {
    let keys = [
        section("desktop", "'query'", "profiles = ['north']"),
        section("back-end", "'query', 'feedback'", ""),
        section("slow", "'query'", "rate_limit = 1"),
        section("operator", "'operate'", ""),
        section("editor", "'knowledge'", "profiles = ['south']"),
        section("librarian", "'knowledge'", ""),
        section("scraper", "'metrics'", ""),
    ];
    let profiles = "[profiles.north]\ncontract = 'rag'\n[profiles.south]\ncontract = 'rag'\n[profiles.order]\ncontract = 'ranking'\n";
    let file = data.join("cuecard.toml");
    let sections = format!("{access}\n{}{profiles}oauth_url = '{base_url}/api/v2/oauth/token'\n", keys.concat());
    std::fs::write(&file, sections).unwrap();
    let variables = environment(base_url, data, &[("CXONE_CONTRACT", ""), ("CUECARD_API_ADDR", "127.0.0.1:0")]);
    Settings::load(Some(&file), variables).unwrap()
}

/// A service whose ports ask for keys although they are on loopback.
struct Asking {
    simulator: RunningSimulator,
    service: Service,
    api: SocketAddr,
    client: Client,
}

struct Told {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Told {
    fn detail(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["detail"].as_str().unwrap_or_else(|| panic!("no detail in {}", self.text)).to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Asking {
    async fn new(access: &str) -> Self {
        let (simulator, data) = (simulator(), TempDir::new().unwrap());
        let settings = settings(&simulator.base_url(), data.path(), &format!("[access]\nask = 'always'\n{access}"));
        let service = Service::with(settings, data);
        let api = service.api_addr();
        service.admin.until_profile("ready", |_, profile| profile["state"] == "ready").await;
        install_provider();
        let client = Client::builder().timeout(PATIENCE).no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { simulator, service, api, client }
    }

    async fn ask(&self, method: Method, addr: SocketAddr, path: &str, sent: Option<&str>, body: Value) -> Told {
        let request = self.client.request(method, format!("http://{addr}{path}")).json(&body);
        let request = if let Some(sent) = sent { request.header("x-api-key", sent) } else { request };
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Told { status, headers, text: answer.text().await.unwrap() }
    }

    async fn push(&self, path: &str, sent: Option<&str>) -> Told {
        let question =
            json!({"conversation_id": "c-1", "agent_id": "a-1", "query_text": "Can I take my dog on board?"});
        self.ask(Method::POST, self.api, path, sent, question).await
    }

    async fn admin(&self, method: Method, path: &str, sent: Option<&str>) -> Told {
        self.ask(method, self.service.admin.addr(), path, sent, json!({})).await
    }

    async fn refusals(&self, port: &str, reason: &str) -> f64 {
        let page = self.admin(Method::GET, "/metrics", Some(&key("scraper"))).await.text;
        let series = format!("cuecard_refused_callers_total{{port=\"{port}\",reason=\"{reason}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }

    /// The account needs a key here, so the service is stopped without.
    async fn stop(self) {
        let violations = self.simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
        self.service.stop_unaccounted().await;
    }
}

#[actix_rt::test]
async fn the_api_is_open_to_keys_with_the_right_for_the_profile() {
    let asking = Asking::new("").await;
    // (path, key, status, what the detail says)
    let table = [
        ("/north/assist/push", None, 401, "no valid API key"),
        ("/north/assist/push", Some("nobody"), 401, "no valid API key"),
        ("/north/assist/push", Some("desktop"), 200, ""),
        ("/north/assist/push", Some("back-end"), 200, ""),
        ("/south/assist/push", Some("desktop"), 403, "`desktop` is not for the profile `south`"),
        ("/%73outh/assist/push", Some("desktop"), 403, "is not for the profile"),
        ("/nobody/assist/push", Some("desktop"), 403, "`desktop` is not for the profile `nobody`"),
        ("/south/assist/push", Some("back-end"), 200, ""),
        ("/north/assist/push", Some("operator"), 403, "`operator` does not have the right `query`"),
        ("/sessions/s-1/snippets/kb-1/click", Some("desktop"), 403, "does not have the right `feedback`"),
        ("/sessions/s-1/snippets/ranking", Some("desktop"), 403, "is not for the profile `order`"),
        ("/sessions/s-1/snippets/ranking", Some("back-end"), 422, ""),
        ("/nowhere", None, 401, "no valid API key"),
        ("/nowhere", Some("desktop"), 404, "there is no route"),
    ];
    for (path, name, status, said) in table {
        let told = asking.push(path, name.map(key).as_deref()).await;
        assert_eq!(told.status, status, "{path} {name:?}: {}", told.text);
        assert!(status == 200 || told.detail().contains(said), "{path} {name:?}: {}", told.text);
        assert!(!told.text.contains(WORDS), "{}", told.text);
    }
    let metrics = async |name: &str| {
        asking.ask(Method::GET, asking.api, "/ranking/metrics", Some(&key(name)), json!({})).await.status.as_u16()
    };
    assert_eq!((metrics("back-end").await, metrics("desktop").await, metrics("editor").await), (200, 403, 403));
    assert_eq!((asking.refusals("api", "no_key").await, asking.refusals("api", "wrong_key").await), (2.0, 1.0));
    assert_eq!((asking.refusals("api", "no_right").await, asking.refusals("api", "other_profile").await), (3.0, 5.0));
    asking.stop().await;
}

#[actix_rt::test]
async fn every_route_of_the_admin_port_but_the_probes_asks_for_its_right() {
    let asking = Asking::new("").await;
    let (get, post) = (Method::GET, Method::POST);
    // (method, path, the keys that open it)
    let table: [(&Method, &str, &[&str]); 20] = [
        (&get, "/metrics", &["operator", "scraper"]),
        (&get, "/actors", &["operator"]),
        (&get, "/actors/buffer", &["operator"]),
        (&get, "/deliveries", &["operator"]),
        (&get, "/explain/7", &["operator"]),
        (&get, "/decisions?interaction=c-1", &["operator"]),
        (&get, "/profiles/south/marks", &["operator", "editor", "librarian"]),
        (&get, "/profiles/north/marks", &["operator", "librarian"]),
        (&post, "/profiles/south/refresh", &["editor", "librarian"]),
        (&post, "/profiles/south/pin", &["editor", "librarian"]),
        (&post, "/profiles/south/mute", &["editor", "librarian"]),
        (&post, "/profiles/south/release", &["editor", "librarian"]),
        (&post, "/profiles/north/release", &["librarian"]),
        (&get, "/console/gaps", &["operator", "librarian"]),
        (&post, "/console/try", &["operator", "librarian"]),
        (&get, "/console/shadow", &["operator"]),
        (&get, "/console/feed?outcome=none", &["operator"]),
        (&get, "/feedback/dead", &["operator"]),
        (&post, "/callbacks/dead/1/retry", &["operator"]),
        (&post, "/ledger/erase", &["operator"]),
    ];
    for (method, path, opened_by) in table {
        assert_eq!(asking.admin(method.clone(), path, None).await.status, 401, "{path}");
        assert_eq!(asking.admin(method.clone(), path, Some("wrong")).await.status, 401, "{path}");
        for name in ["back-end", "operator", "editor", "librarian", "scraper"] {
            let told = asking.admin(method.clone(), path, Some(&key(name))).await;
            let is_open = !matches!(told.status.as_u16(), 401 | 403);
            assert_eq!(is_open, opened_by.contains(&name), "{path} {name}: {} {}", told.status, told.text);
        }
    }
    assert_eq!(asking.admin(get.clone(), "/nowhere", None).await.status, 401);
    assert_eq!(asking.admin(get.clone(), "/nowhere", Some(&key("editor"))).await.status, 404);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(asking.admin(get.clone(), probe, None).await.status, 200, "{probe}");
        assert_eq!(asking.admin(get.clone(), probe, Some("wrong")).await.status, 200, "{probe}");
    }
    let admin = asking.service.admin.addr().to_string();
    let why = ["why", "--interaction", "call-9", "--admin", &admin];
    let without = run(&why, &[]);
    assert!(without.code == Some(1) && without.stderr.contains("CUECARD_ADMIN_KEY"), "{}", without.stderr);
    let wrong = run(&why, &[("CUECARD_ADMIN_KEY", "nobody's")]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("does not know the key"), "{}", wrong.stderr);
    let with = run(&why, &[("CUECARD_ADMIN_KEY", &key("operator"))]);
    assert!(with.code == Some(1) && with.stderr.contains("no decision about"), "{}", with.stderr);
    asking.stop().await;
}

/// What a page in a browser on this machine can make it send, and what others send.
#[actix_rt::test]
async fn a_port_that_asks_for_no_key_answers_no_page_of_another_site() {
    let simulator = simulator();
    let variables = [("CXONE_CONTRACT", "rag"), ("CUECARD_API_ADDR", "127.0.0.1:0")];
    let service = Service::launch(&simulator.base_url(), &variables);
    let (api, admin) = (service.api_addr(), service.admin.addr());
    install_provider();
    let client = Client::builder().timeout(PATIENCE).no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let foreign: [&[(&str, &str)]; 6] = [
        &[("host", "evil.example")],
        &[("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        &[("sec-fetch-site", "same-site")],
    ];
    for (addr, method, path, status) in [
        (api, Method::POST, "/assist/push", 415),
        (admin, Method::POST, "/actors/nobody/restart", 404),
        (admin, Method::POST, "/reload", 200),
        (admin, Method::GET, "/metrics", 200),
        (admin, Method::GET, "/nowhere", 404),
    ] {
        let ask = async |headers: &[(&str, &str)]| {
            let request = client.request(method.clone(), format!("http://{addr}{path}"));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        for headers in foreign {
            let (answered, text) = ask(headers).await;
            assert!(answered == 403 && text.contains("asks for no key"), "{path} {headers:?}: {answered} {text}");
        }
        let own = format!("http://localhost:{}", addr.port());
        let others: [&[(&str, &str)]; 3] = [
            &[],
            &[("host", own.trim_start_matches("http://")), ("origin", &own), ("sec-fetch-site", "same-origin")],
            &[("host", "localhost"), ("user-agent", "Prometheus/3.0")],
        ];
        for headers in others {
            let (answered, text) = ask(headers).await;
            assert_eq!(answered, status, "{path} {headers:?}: {text}");
        }
    }
    let turned_away = [("port", "admin"), ("reason", "foreign_page")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_refused_callers_total", &turned_away), 24.0);
    service.stop().await;
}

#[actix_rt::test]
async fn a_key_over_its_rate_is_told_when_to_come_back_and_others_are_answered() {
    let asking = Asking::new("").await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let told = asking.push("/nowhere", Some(&key("slow"))).await;
        if told.status == 429 {
            assert_eq!(told.header("retry-after"), "1");
            assert!(told.detail().contains("`slow`") && told.detail().contains("rate_limit"), "{}", told.text);
        }
        statuses.push(told.status.as_u16());
    }
    assert!(statuses.starts_with(&[404]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(asking.push("/nowhere", Some(&key("back-end"))).await.status, 404);
    asking.stop().await;
}

#[actix_rt::test]
async fn a_refusal_is_a_line_in_the_log_and_no_line_has_a_key() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let own = [("CXONE_CONTRACT", "rag"), ("CUECARD_API_ADDR", "127.0.0.1:0"), ("CUECARD_API_KEYS", "that-is-right")];
    let process = Process::serve(&environment(&simulator.base_url(), data.path(), &own));
    let caller = process.caller();
    for (sent, status) in [("that-is-wrong", 401), ("that-is-wrong", 401), ("that-is-right", 422)] {
        assert_eq!(caller.send("/assist/push", "application/json", "{}", Some(sent)).await.status, status);
    }
    process.terminate();
    let log = process.output().await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a caller was turned away")).collect();
    let [line] = lines.as_slice() else { panic!("one line a minute: {lines:?}") };
    for part in ["wrong_key", "\"api\"", "/assist/push", "127.0.0.1"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!log.contains("that-is-"), "{log}");
}

#[actix_rt::test]
async fn every_answer_tells_browsers_what_not_to_do_with_it() {
    let asking = Asking::new("").await;
    let answers = [
        asking.push("/north/assist/push", Some(&key("back-end"))).await,
        asking.push("/north/assist/push", None).await,
        asking.admin(Method::GET, "/readyz", None).await,
        asking.admin(Method::GET, "/nowhere", None).await,
    ];
    for told in answers {
        assert_eq!(told.header("x-content-type-options"), "nosniff");
        assert_eq!((told.header("x-frame-options"), told.header("referrer-policy")), ("DENY", "no-referrer"));
        assert!(told.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(told.header("cache-control"), "no-store", "{}", told.text);
    }
    let metrics = asking.admin(Method::GET, "/metrics", Some(&key("scraper"))).await;
    assert_eq!((metrics.header("cache-control"), metrics.header("x-content-type-options")), ("no-cache", "nosniff"));
    asking.stop().await;
}

/// Sends this and reads what comes until the connection is closed, which it must be.
async fn closed_after(addr: SocketAddr, sent: String) -> String {
    closed_after_both(addr, String::new(), sent).await
}

/// The same of a request that is answered before the rest is sent on the same connection.
async fn closed_after_both(addr: SocketAddr, answered: String, sent: String) -> String {
    let reading = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut came = Vec::new();
        if !answered.is_empty() {
            socket.write_all(answered.as_bytes()).unwrap();
            came.resize(4096, 0);
            let read = socket.read(&mut came).unwrap();
            came.truncate(read);
        }
        socket.write_all(sent.as_bytes()).unwrap();
        socket.read_to_end(&mut came).unwrap();
        String::from_utf8(came).unwrap()
    });
    reading.await.unwrap()
}

#[actix_rt::test]
async fn a_caller_who_is_slow_or_sends_too_much_is_told_so_and_closed() {
    let asking =
        Asking::new("head_timeout = '1s'\nbody_timeout = '1s'\nkeep_alive = '1s'\nanswer_timeout = '1s'\n").await;
    let key = key("back-end");
    for addr in [asking.api, asking.service.admin.addr()] {
        let head = |length: usize| {
            format!(
                "POST /ledger/erase HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            )
        };
        let half_a_head = closed_after(addr, "POST /ledger/erase HTTP/1.1\r\nhost: x\r\nx-api".to_owned()).await;
        assert!(half_a_head.starts_with("HTTP/1.1 408 "), "{half_a_head}");
        let (whole, half) = ("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", "GET /livez HTTP/1.1\r\nhost: x\r\nx-api");
        let then_half = closed_after_both(addr, whole.to_owned(), half.to_owned()).await;
        assert_eq!(then_half.matches("HTTP/1.1 ").count(), 1, "{then_half}");
        let too_large = closed_after(addr, head(1 << 20)).await;
        assert!(too_large.starts_with("HTTP/1.1 413 ") && too_large.contains("too large"), "{too_large}");
        let long_head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-more: {}\r\n\r\n", "x".repeat(20_000));
        let long_head = closed_after(addr, long_head).await;
        assert!(long_head.starts_with("HTTP/1.1 431 "), "{long_head}");
    }
    // Only a handler that reads the body waits for it.
    let half = |path: &str, key: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        )
    };
    let chunks = |path: &str, key: &str| {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(5);
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
        )
    };
    let (operator, admin) = (self::key("operator"), asking.service.admin.addr());
    for (addr, path, key) in [(asking.api, "/north/assist/push", &key), (admin, "/ledger/erase", &operator)] {
        let half_a_body = closed_after(addr, half(path, key)).await;
        assert!(half_a_body.starts_with("HTTP/1.1 408 ") && half_a_body.contains("did not come"), "{half_a_body}");
        let unannounced = closed_after(addr, chunks(path, key)).await;
        assert!(unannounced.starts_with("HTTP/1.1 413 "), "{unannounced}");
    }
    asking.stop().await;
}

#[test]
fn a_key_is_made_with_its_hash() {
    let made = run(&["key"], &[]);
    let words: Vec<_> = made.stdout.split_whitespace().collect();
    let ["key", key, "hash", hash] = words.as_slice() else { panic!("{}", made.stdout) };
    assert_eq!(KeyHash::of(key).to_string(), *hash);
}
