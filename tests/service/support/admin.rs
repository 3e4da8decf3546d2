//! The admin port as a scraper, a probe and an operator see it.

use std::net::SocketAddr;

use awc::Client;
use cuecard_simulator::RunningSimulator;
use serde_json::Value;

use super::{LOOK, PATIENCE, pushes};

/// A service's admin port.
pub struct Admin {
    client: Client,
    addr: SocketAddr,
}

/// What a page answered.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Page {
    /// The page as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// One scrape.
pub struct Scrape(String);

impl Scrape {
    /// The sum over all series of this name that carry these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).sum()
    }

    /// How many series of this name carry these labels.
    pub fn num_series(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.series(name, labels).count()
    }

    fn series(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let carries =
            move |written: &str| labels.iter().all(|(label, value)| written.contains(&format!("{label}=\"{value}\"")));
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, written) = series.split_once('{').unwrap_or((series, ""));
            (found == name && carries(written)).then(|| value.parse().unwrap())
        })
    }
}

impl Admin {
    /// The port at this address.
    pub fn new(addr: SocketAddr) -> Self {
        Self { client: Client::builder().timeout(PATIENCE).finish(), addr }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Page {
        self.try_get(path).await.unwrap()
    }

    /// Asks for a page of a service that may be gone.
    pub async fn try_get(&self, path: &str) -> Result<Page, String> {
        // A connection kept alive would hold the server's stop up.
        let request = self.client.get(format!("http://{}{path}", self.addr)).force_close();
        let mut answer = request.send().await.map_err(|error| error.to_string())?;
        let body = answer.body().limit(4 * 1024 * 1024).await.map_err(|error| error.to_string())?;
        let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        Ok(Page {
            status: answer.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            text: String::from_utf8(body.to_vec()).unwrap(),
        })
    }

    /// Asks for something to be done.
    pub async fn post(&self, path: &str) -> Page {
        let request = self.client.post(format!("http://{}{path}", self.addr)).force_close();
        let answer = request.send().await.unwrap();
        Page { status: answer.status().as_u16(), content_type: String::new(), text: String::new() }
    }

    /// Asks for something to be done that has to be said.
    pub async fn tell(&self, path: &str, body: &Value) -> Page {
        let request = self.client.post(format!("http://{}{path}", self.addr)).force_close();
        let mut answer = request.send_json(body).await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.body().await.unwrap());
        Page { status, content_type: String::new(), text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// All metrics.
    pub async fn metrics(&self) -> Scrape {
        Scrape(self.get("/metrics").await.text)
    }

    /// Waits until the metrics show it.
    pub async fn until(&self, what: &str, reached: impl Fn(&Scrape) -> bool) {
        self.until_page("/metrics", what, |page| reached(&Scrape(page.text.clone()))).await;
    }

    /// Waits until `/readyz` shows it of the first profile.
    pub async fn until_profile(&self, what: &str, reached: impl Fn(u16, &Value) -> bool) -> Value {
        let page = self.until_page("/readyz", what, |page| reached(page.status, &page.json()["profiles"][0])).await;
        page.json()["profiles"][0].clone()
    }

    /// Waits until a push is under way, or was.
    pub async fn until_pushing(&self, simulator: &RunningSimulator) {
        let is_pushing = |page: &Page| page.json()["in_flight"] == 1 || !pushes(simulator).is_empty();
        self.until_page("/actors/injector", "a push", is_pushing).await;
    }

    /// Waits until a page shows it.
    pub async fn until_page(&self, path: &str, what: &str, reached: impl Fn(&Page) -> bool) -> Page {
        let mut last = None;
        let waiting = async {
            loop {
                let page = last.insert(self.get(path).await);
                if reached(page) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        let last = last.unwrap();
        assert!(in_time, "waited for: {what}\n{}", last.text);
        last
    }

    /// That every question has an end, and that no actor panicked.
    pub async fn check_account(&self) {
        self.until("as many ends as questions", |metrics| {
            metrics.sum("cuecard_utterances_total", &[]) == metrics.sum("cuecard_cards_total", &[])
        })
        .await;
        let actors = self.get("/actors").await.json();
        for actor in actors["actors"].as_array().unwrap() {
            assert_eq!((&actor["panics"], &actor["restarts"]), (&0.into(), &0.into()), "{actor}");
        }
    }
}
