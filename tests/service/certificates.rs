//! The certificates of the two ports: TLS by files that are taken up when they change, and files that can't be used.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};
use tempfile::TempDir;

use crate::access::{install_provider, settings};
use crate::support::{LOOK, PATIENCE, Service, environment, run, simulator};

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
    write_certificate_until(data.path(), 2020);
    let (certificate, key_file) = (data.path().join("certificate.pem"), data.path().join("key.pem"));
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
