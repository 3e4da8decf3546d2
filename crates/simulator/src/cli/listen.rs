//! What both commands need to know: where to listen, for whom, with which knowledge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::base::contracts::Contract;
use crate::serve::files::Article;
use crate::serve::settings::{
    Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, Paging, SimulatorSettings, Transcripts,
};
use crate::serve::simulator::{RunningSimulator, Simulator};

/// For whoever reads the help before starting anything; what was started prints its own addresses.
pub(super) fn how_to_connect() -> String {
    format!(
        "\
Pointing the service at it: `serve` prints the environment for each contract. With the defaults, for insights:

  export CXONE_CONTRACT=insights CXONE_BASE_URL=http://127.0.0.1:{DEFAULT_PORT} CUECARD_INDEX=DIR
  export CXONE_CLIENT_ID={DEFAULT_CLIENT_ID} CXONE_CLIENT_SECRET={DEFAULT_CLIENT_SECRET}
  cuecard index --articles FILE --index DIR
  cuecard serve"
    )
}

/// A line for people.
pub(super) fn tell(line: &str) {
    eprintln!("{line}");
}

/// How the list of articles is cut.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PagingName {
    /// One answer holds all.
    Off,
    /// Each page names the next in nextPage.
    Link,
    /// Pages are numbered: page and pageSize.
    Number,
}

/// A further client as it is written.
fn further_client(text: &str) -> Result<Client, &'static str> {
    let (id, secret) = text.split_once(':').ok_or("write it as ID:SECRET")?;
    if id.is_empty() || secret.is_empty() {
        return Err("write it as ID:SECRET, neither of them empty");
    }
    Ok(Client::with_all_scopes(id, secret))
}

#[derive(Debug, Args)]
pub(super) struct Listen {
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Address to listen on. Its pages and what is under /_sim/ ask nobody for a key: another one than loopback's is for
    /// the private network of a container.
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST.into())]
    host: IpAddr,
    /// The OAuth client that may ask for tokens.
    #[arg(long, env = "CXONE_CLIENT_ID", default_value = DEFAULT_CLIENT_ID)]
    pub(super) client_id: String,
    /// Its secret.
    #[arg(long, env = "CXONE_CLIENT_SECRET", hide_env_values = true, default_value = DEFAULT_CLIENT_SECRET)]
    client_secret: String,
    /// What the client may have, space separated; every scope of the five contracts unless given. A token asked for
    /// without a scope gets all of it.
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<String>,
    /// A further client, a tenant of its own that may do everything; may be repeated.
    #[arg(long = "client", value_name = "ID:SECRET", value_parser = further_client)]
    further: Vec<Client>,
    /// Seconds until a token expires.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    token_lifetime: u64,
    /// Articles that the knowledge endpoints answer from: JSON Lines, .gz too. Ranking draws its snippets from them.
    #[arg(long, value_name = "FILE")]
    articles: Option<PathBuf>,
    /// How the list of articles is cut into pages.
    #[arg(long, value_enum, default_value_t = PagingName::Off)]
    paging: PagingName,
    /// Articles on one page.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    page_size: usize,
    /// What an event of the snippets contract carries: the customer's whole conversation so far, or what is new.
    #[arg(long, value_enum, default_value_t = Transcripts::Whole)]
    transcripts: Transcripts,
    /// Demands more than the documents' own programs send: an Idempotency-Key on every push, Accept: application/json and
    /// nothing else, no empty source or title and no null in a card, an offset in a timestamp, no token used beyond its
    /// lifetime. Without it these programs run as printed, with no violation.
    #[arg(long)]
    strict: bool,
    /// Rag, graph and ranking: answers 404 to a push for an interaction that nobody has named, instead of letting the
    /// first push bring it into being.
    #[arg(long)]
    known_interactions_only: bool,
}

impl Listen {
    pub(super) fn articles(&self) -> anyhow::Result<Vec<Article>> {
        Ok(self.articles.as_deref().map(Article::load).transpose()?.unwrap_or_default())
    }

    /// Starts with these interactions and sessions known.
    pub(super) fn start(&self, articles: Vec<Article>, interactions: Vec<String>) -> anyhow::Result<RunningSimulator> {
        let mut client = Client::with_all_scopes(&self.client_id, &self.client_secret);
        if let Some(scopes) = &self.scopes {
            client.scopes = scopes.split_whitespace().map(str::to_owned).collect();
        }
        let settings = SimulatorSettings {
            address: SocketAddr::new(self.host, self.port),
            clients: std::iter::once(client).chain(self.further.iter().cloned()).collect(),
            token_lifetime: Duration::from_secs(self.token_lifetime),
            articles,
            paging: match self.paging {
                PagingName::Off => Paging::Whole,
                PagingName::Link => Paging::NextLink(self.page_size),
                PagingName::Number => Paging::PageNumber(self.page_size),
            },
            transcripts: self.transcripts,
            strict: self.strict,
            known_interactions_only: self.known_interactions_only,
            interactions,
            ..SimulatorSettings::default()
        };
        Ok(Simulator::start(settings)?)
    }

    /// The environment of a client for each of the contracts.
    pub(super) fn tell_how_to_connect(&self, simulator: &RunningSimulator, contracts: &[Contract]) {
        let secret =
            if self.client_secret == DEFAULT_CLIENT_SECRET { DEFAULT_CLIENT_SECRET } else { "<the secret given>" };
        let base = simulator.base_url();
        tell(&format!("the agents' desktop is at {base}/"));
        tell(&format!("what arrives, and faults to set, are at {base}/_sim/faults"));
        tell("connect a client with the environment, for example `VARIABLES cuecard serve`");
        for contract in contracts {
            tell(&format!(
                "  CXONE_CONTRACT={} CXONE_BASE_URL={base} CXONE_CLIENT_ID={} CXONE_CLIENT_SECRET={secret} {}",
                contract.name(),
                self.client_id,
                needed_besides(*contract, &base),
            ));
        }
        if contracts.iter().any(|contract| !matches!(contract, Contract::Graph | Contract::Ranking)) {
            tell("DIR is an index that `cuecard index` made; that of snippets may be empty");
        }
        if contracts.contains(&Contract::Graph) {
            tell("FILE is a graph; NEO4J_URI, NEO4J_USER and NEO4J_PASSWORD may stand in its place");
        }
    }
}

/// What a service needs for a contract besides address and credentials; DIR and FILE are for the user to fill in.
fn needed_besides(contract: Contract, base: &str) -> String {
    match contract {
        Contract::Rag | Contract::Snippets | Contract::Insights => "CUECARD_INDEX=DIR".to_owned(),
        Contract::Graph => "CUECARD_GRAPH=FILE".to_owned(),
        Contract::Ranking => format!("CXONE_OAUTH_URL={base}/api/v2/oauth/token"),
    }
}
