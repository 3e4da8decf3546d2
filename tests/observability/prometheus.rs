//! A real Prometheus on a free port, told what to scrape and by which rules to judge, and asked as Grafana asks it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regex::Regex;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LOOK, PATIENCE};

/// Scrapes and evaluations come so often; what the rules wait for is shortened to fit.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// How many times faster the rules are than those of `grafana/rules`.
pub const SPEED: u64 = 100;

/// Something that is scraped, by the name that it has in the label `instance`.
pub struct Target {
    pub instance: &'static str,
    pub addr: SocketAddr,
}

/// A running Prometheus, which ends with its value.
pub struct Prometheus {
    child: Child,
    client: Client,
    pub base_url: String,
    /// In seconds since 1970.
    pub started: f64,
    _place: TempDir,
}

/// An alert that fires, by its labels.
pub struct Firing<'a> {
    pub alert: &'a str,
    pub labels: &'a [(&'a str, &'a str)],
}

impl Prometheus {
    /// With the rules of `grafana/rules`, sped up.
    pub async fn start(targets: &[Target]) -> Self {
        let place = TempDir::new().unwrap();
        for name in ["recording.yml", "alerts.yml"] {
            let rules = std::fs::read_to_string(crate::root().join("grafana/rules").join(name)).unwrap();
            std::fs::write(place.path().join(name), sped_up(&rules)).unwrap();
        }
        let one = |target: &Target| json!({"targets": [target.addr], "labels": {"instance": target.instance}});
        let interval = format!("{}ms", INTERVAL.as_millis());
        // YAML takes JSON.
        let settings = json!({
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": ["*.yml"],
            "scrape_configs": [
                {"job_name": "cuecard", "static_configs": targets.iter().map(one).collect::<Vec<_>>()},
            ],
        });
        let file = place.path().join("prometheus.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", place.path().join("data").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, addr) = mpsc::channel();
        let log = child.stderr.take().unwrap();
        std::thread::spawn(move || read_log(log, &tell));
        let addr = addr.recv_timeout(PATIENCE).unwrap();
        // No client is made without a provider of TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        let prometheus = Self { child, client, base_url: format!("http://{addr}"), started: now(), _place: place };
        prometheus.until_ready().await;
        prometheus
    }

    /// Waits until it has read its own data.
    async fn until_ready(&self) {
        let ready = async || self.client.get(format!("{}/-/ready", self.base_url)).send().await;
        let waiting = async {
            while !ready().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }

    async fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Value, String> {
        let url = url::Url::parse_with_params(&format!("{}/api/v1/{path}", self.base_url), parameters).unwrap();
        let answer = self.client.get(url).send().await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer["error"].to_string()) }
    }

    /// The series of an expression since the start, each with its labels and its values by time.
    pub async fn range(&self, expression: &str) -> Result<Vec<Value>, String> {
        let (start, end) = (self.started.to_string(), now().to_string());
        let parameters = [("query", expression.to_owned()), ("start", start), ("end", end), ("step", "0.5".to_owned())];
        Ok(self.get("query_range", &parameters).await?["result"].as_array().unwrap().clone())
    }

    /// The rules as Prometheus has read them: name, type, query.
    pub async fn rules(&self) -> Vec<Value> {
        let groups = self.get("rules", &[]).await.unwrap();
        groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    }

    /// Waits until something has answered a scrape.
    pub async fn until_scraped(&self, instance: &str) {
        let answered = format!(r#"up{{instance="{instance}"}} == 1"#);
        while self.range(&answered).await.unwrap().is_empty() {
            tokio::time::sleep(10 * LOOK).await;
        }
    }

    /// Waits until an alert fires.
    pub async fn until_firing(&self, firing: &Firing<'_>) {
        self.until(firing, true).await;
    }

    /// Waits until it does not any more.
    pub async fn until_quiet(&self, firing: &Firing<'_>) {
        self.until(firing, false).await;
    }

    async fn until(&self, firing: &Firing<'_>, expected: bool) {
        let waiting = async {
            while self.is_firing(firing).await != expected {
                tokio::time::sleep(10 * LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        let (alert, labels) = (firing.alert, firing.labels);
        assert!(in_time, "waited for {alert} {labels:?} to be firing: {expected}\n{:#}", self.alerts().await);
    }

    async fn is_firing(&self, firing: &Firing<'_>) -> bool {
        let alerts = self.alerts().await;
        alerts.as_array().unwrap().iter().any(|alert| {
            let has = |(name, value): &(&str, &str)| alert["labels"][name] == **value;
            let is_meant = alert["labels"]["alertname"] == firing.alert && firing.labels.iter().all(has);
            is_meant && alert["state"] == "firing"
        })
    }

    async fn alerts(&self) -> Value {
        self.get("alerts", &[]).await.unwrap()["alerts"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // What it keeps goes with its directory.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Tells where it listens, and repeats what it complains of.
fn read_log(log: impl std::io::Read, tell: &Sender<SocketAddr>) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(addr) = entry["address"].as_str().filter(|_| entry["msg"] == "Listening on") {
            // The test may have ended already.
            let _ = tell.send(addr.parse().unwrap());
        }
        if entry["level"] == "error" {
            eprintln!("prometheus: {line}");
        }
    }
}

/// The same rules with shorter times: every `for` and every range.
fn sped_up(rules: &str) -> String {
    let times = Regex::new(r"(for: |\[)(\d+)([smh])\b").unwrap();
    let shorter = times.replace_all(rules, |found: &regex::Captures<'_>| {
        let seconds = match &found[3] {
            "h" => 3600,
            "m" => 60,
            _ => 1,
        };
        let milliseconds = found[2].parse::<u64>().unwrap() * seconds * 1000 / SPEED;
        format!("{}{milliseconds}ms", &found[1])
    });
    shorter.into_owned()
}

#[test]
fn every_time_of_a_rule_is_shorter() {
    let rules = "expr: increase(a[10m]) > rate(b[2h])\nfor: 30s\nvalues: 5m";
    assert_eq!(sped_up(rules), "expr: increase(a[6000ms]) > rate(b[72000ms])\nfor: 300ms\nvalues: 5m");
}
