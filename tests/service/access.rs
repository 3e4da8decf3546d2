//! Who may call the two ports, over real sockets: keys, rights, profiles, rates, limits and TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use cuecard::access::KeyHash;
use cuecard::settings::Settings;
use cuecard_simulator::RunningSimulator;
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LOOK, PATIENCE, Process, Service, environment, run, simulator};

/// Keys by their names; the key is its name and these words.
const WORDS: &str = "-opens-what-it-may";

fn key(name: &str) -> String {
    format!("{name}{WORDS}")
}

/// No client is made without a provider of TLS.
fn install_provider() {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A section for a key.
fn section(name: &str, rights: &str, more: &str) -> String {
    format!("[access.keys.{name}]\nhash = '{}'\nrights = [{rights}]\n{more}\n", KeyHash::of(&key(name)))
}

/// Two profiles that are asked over HTTP, with keys for them.
fn settings(base_url: &str, data: &Path, access: &str) -> Settings {
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

/// A certificate of its own for `localhost`, written where the settings look; gives it as PEM.
fn write_certificate(place: &Path) -> String {
    write_certificate_until(place, 2090)
}

/// The same, valid until the first day of a year.
fn write_certificate_until(place: &Path, year: i32) -> String {
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    std::fs::write(place.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(place.join("certificate.pem"), &pem).unwrap();
    pem
}

/// Seconds since 1970 at which the certificates that the ports use are no longer valid, by port.
async fn expiries(admin: SocketAddr, pem: &str) -> Vec<(String, f64)> {
    let client = Client::builder().tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]);
    let client = client.no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client.get(format!("https://localhost:{}/metrics", admin.port())).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let of_port = |line: &str| {
        let (port, value) =
            line.strip_prefix("cuecard_certificate_expires_timestamp_seconds{port=\"")?.split_once("\"} ")?;
        Some((port.to_owned(), value.parse().unwrap()))
    };
    text.lines().filter_map(of_port).collect()
}

/// Whether a page of the port can be read by whoever trusts this certificate alone.
async fn is_trusted(addr: SocketAddr, pem: &str) -> bool {
    install_provider();
    let trusted = Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([trusted]).no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client.get(format!("https://localhost:{}/livez", addr.port())).send().await;
    answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 200 | 404))
}

async fn until_trusted(addr: SocketAddr, pem: &str) {
    let trusted = async {
        while !is_trusted(addr, pem).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, trusted).await.unwrap();
}

#[actix_rt::test]
async fn both_ports_speak_tls_and_take_a_new_certificate_up_while_they_run() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let place = data.path().to_owned();
    let first = write_certificate(&place);
    let files = format!("tls_certificate = '{0}/certificate.pem'\ntls_key = '{0}/key.pem'\n", place.display());
    let settings = settings(&simulator.base_url(), &place, &format!("[api]\n{files}[admin]\n{files}"));
    let service = Service::with(settings, data);
    let ports = [service.admin.addr(), service.api_addr()];
    for port in ports {
        assert!(is_trusted(port, &first).await);
        let plain = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        assert!(plain.get(format!("http://{port}/livez")).send().await.is_err(), "plain HTTP is not answered");
    }
    let of_both = |second: f64| vec![("admin".to_owned(), second), ("api".to_owned(), second)];
    // The first of January 2090 and, below, of 2080.
    assert_eq!(expiries(ports[0], &first).await, of_both(3_786_912_000.0));
    let admin = format!("https://localhost:{}", ports[0].port());
    let certificate = place.join("certificate.pem");
    let trusting = [("SSL_CERT_FILE", certificate.to_str().unwrap())];
    let why = run(&["why", "--interaction", "call-9", "--admin", &admin], &trusting);
    assert!(why.stderr.contains("`call-9`") || why.stderr.contains("loading"), "{}", why.stderr);
    // A file that is not whole takes nothing away.
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for port in ports {
        assert!(is_trusted(port, &first).await, "what was in use stays in use");
    }
    let second = write_certificate_until(&place, 2080);
    for port in ports {
        until_trusted(port, &second).await;
        assert!(!is_trusted(port, &first).await, "the old certificate is not shown any more");
    }
    assert_eq!(expiries(ports[0], &second).await, of_both(3_471_292_800.0), "whoever watches knows of the new one");
    service.stop_unaccounted().await;
}

#[test]
fn a_certificate_that_can_not_be_used_ends_the_start_and_is_named_by_check() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    write_certificate(data.path());
    let key = data.path().join("key.pem");
    std::fs::write(data.path().join("nothing.pem"), "nothing").unwrap();
    let other = TempDir::new().unwrap();
    write_certificate(other.path());
    // (certificate, key, what is said)
    let table = [
        (data.path().join("gone.pem"), key.clone(), "gone.pem"),
        (data.path().join("nothing.pem"), key.clone(), "nothing.pem"),
        (other.path().join("certificate.pem"), key, "can't be used together"),
    ];
    for (certificate, key, said) in table {
        let files = [
            ("CUECARD__ADMIN__TLS_CERTIFICATE", certificate.to_str().unwrap()),
            ("CUECARD__ADMIN__TLS_KEY", key.to_str().unwrap()),
        ];
        let variables = environment(&simulator.base_url(), data.path(), &files);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let served = run(&["serve"], &variables);
        assert_eq!(served.code, Some(1), "{}", served.stderr);
        assert!(served.stderr.contains(said) && served.stderr.contains("admin.tls_certificate"), "{}", served.stderr);
        let checked = run(&["check", "--offline"], &variables);
        assert_eq!(checked.code, Some(1), "{}", checked.stdout);
        assert!(checked.stdout.contains(said), "{} {}", checked.stdout, checked.stderr);
    }
}

#[test]
fn a_certificate_that_has_expired_is_named_by_check() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let (certificate, key_file) = (data.path().join("certificate.pem"), data.path().join("key.pem"));
    std::fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let files = [
        ("CUECARD__API__TLS_CERTIFICATE", certificate.to_str().unwrap()),
        ("CUECARD__API__TLS_KEY", key_file.to_str().unwrap()),
    ];
    let variables = environment(&simulator.base_url(), data.path(), &files);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let checked = run(&["check", "--offline"], &variables);
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("tls       --  api: ") && checked.stdout.contains("2020-01-01"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_key_is_made_with_its_hash() {
    let made = run(&["key"], &[]);
    let words: Vec<_> = made.stdout.split_whitespace().collect();
    let ["key", key, "hash", hash] = words.as_slice() else { panic!("{}", made.stdout) };
    assert_eq!(KeyHash::of(key).to_string(), *hash);
}
