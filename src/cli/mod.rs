//! The command line.

mod examples;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cuecard_actors::engine::Effort;
use cuecard_actors::engine::conversation::TurnWindow;
use cuecard_actors::engine::ranking::Formula;

use crate::commands::{AdminPlace, LedgerPlace};

/// Live agent assist: the right knowledge card while the customer is still talking.
#[derive(Debug, Parser)]
#[command(name = "cuecard", version, about, after_help = examples::ALL)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Listen to CXone and push cards until told to stop.
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Check the configuration, then reach everything it names.
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Ask a running service whether it can work; for probes that can't send a request themselves.
    #[command(after_help = examples::HEALTH)]
    Health(HealthArgs),
    /// Build or update an index; only changed articles are embedded.
    #[command(after_help = examples::INDEX)]
    Index(IndexArgs),
    /// Ask one question and see the cards.
    #[command(after_help = examples::ASK)]
    Ask(AskArgs),
    /// Say why an agent saw what they saw.
    #[command(after_help = examples::WHY)]
    Why(WhyArgs),
    /// Measure ranking and silence on labelled conversations.
    #[command(after_help = examples::EVAL)]
    Eval(EvalArgs),
    /// Learn a model from labelled conversations.
    #[command(after_help = examples::TRAIN)]
    Train(TrainArgs),
    /// Put a learned model in service, or take it out again.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Work with a knowledge graph.
    #[command(subcommand)]
    Graph(GraphCommand),
    /// Look after the ledger: what it holds, what is too old, what of a customer is to be erased, a copy.
    Ledger(LedgerArgs),
    /// Make a key for the service's ports, and the hash of it that the settings hold.
    #[command(after_help = examples::KEY)]
    Key,
    /// Play conversations through simulator and service, with a page to watch.
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Print what completes this command line in a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands.
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// Names the settings file where a command line does not.
const CONFIG: &str = "CUECARD_CONFIG";

/// `cuecard serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Settings file; without it the environment alone is enough.
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
}

/// `cuecard check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Settings file; without it the environment alone is checked.
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
    /// Only what is on this machine: settings, model, index.
    #[arg(long)]
    pub offline: bool,
}

/// `cuecard health`
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Settings file of the service, which says where its admin port is; without it the environment alone is read.
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// `cuecard index`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true)))]
pub struct IndexArgs {
    /// Articles as JSON Lines, plain or .gz.
    #[arg(long, value_name = "FILE", group = "source")]
    pub articles: Option<PathBuf>,
    /// A Chroma server whose collection is imported; its vectors are taken over where they are of the same model.
    #[arg(long, value_name = "URL", group = "source")]
    pub chroma: Option<url::Url>,
    /// A source whose articles are taken out again: `file:` and a file's name, `cxone:` and a profile's name,
    /// `chroma:` and a collection's name, or what `--source-name` said.
    #[arg(long, value_name = "NAME", group = "source")]
    pub remove_source: Option<String>,
    /// The collection to import.
    #[arg(long, value_name = "NAME", default_value = "kb_chunks", requires = "chroma")]
    pub collection: String,
    /// What the articles are called in the index; without it `file:` and the file's name. A source replaces what it
    /// gave before, and nothing of another.
    #[arg(long, value_name = "NAME", requires = "articles")]
    pub source_name: Option<String>,
    /// The index directory; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub index: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where articles come from: an index, or a file that is indexed for this one call.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("knowledge").required(true)))]
pub struct KnowledgeArgs {
    /// An index directory.
    #[arg(long, value_name = "DIR", group = "knowledge")]
    pub index: Option<PathBuf>,
    /// Articles as JSON Lines, plain or .gz; indexed for this one call.
    #[arg(long, value_name = "FILE", group = "knowledge")]
    pub articles: Option<PathBuf>,
}

/// `cuecard graph`
#[derive(Debug, Subcommand)]
pub(crate) enum GraphCommand {
    /// Put a graph file into the Neo4j database that `NEO4J_URI`, `NEO4J_USER` and `NEO4J_PASSWORD` name.
    #[command(after_help = examples::GRAPH_LOAD)]
    Load(GraphLoadArgs),
}

/// `cuecard graph load`
#[derive(Debug, Args)]
pub struct GraphLoadArgs {
    /// Queries, articles and relations as JSON Lines, plain or .gz.
    #[arg(value_name = "FILE")]
    pub graph: PathBuf,
    /// How long one batch may take.
    #[arg(long, default_value = "30s")]
    pub timeout: humantime::Duration,
}

/// `cuecard ask`
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question.
    pub text: String,
    #[command(flatten)]
    pub knowledge: KnowledgeArgs,
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// Cards to show.
    #[arg(short, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub k: u16,
    /// Say why, and how long each stage took.
    #[arg(long)]
    pub explain: bool,
    /// Print the cards as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cuecard why`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
pub struct WhyArgs {
    /// A decision's id; `/deliveries` lists the newest.
    #[arg(value_name = "DECISION", group = "which")]
    pub decision: Option<uuid::Uuid>,
    /// An interaction, whose newest decisions are explained.
    #[arg(long, value_name = "ID", group = "which")]
    pub interaction: Option<String>,
    /// Settings file of the service, which says where its admin port is; without it the environment alone is read.
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Where a running service's admin port is. Where it asks for a key, `CUECARD_ADMIN_KEY` holds one.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The running service's admin port, as 127.0.0.1:9100 or <https://host:9100>; without it that of the settings, `admin.addr`.
    #[arg(long, value_name = "ADDRESS|URL", env = "CUECARD_ADMIN_URL")]
    pub admin: Option<AdminPlace>,
}

/// `cuecard ledger`
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// The settings file of the service whose ledger it is.
    #[arg(long, value_name = "FILE", env = CONFIG, global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// What is done with a ledger. All of it may be done while a service has it open.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Say how much it holds.
    #[command(after_help = examples::LEDGER_STATS)]
    Stats {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take away now what is older than it is kept ([retention] in the settings).
    #[command(after_help = examples::LEDGER_PURGE)]
    Purge,
    /// Take away every row of an interaction. Figures stay, and so does the audit, which says no more whose entries they are.
    #[command(after_help = examples::LEDGER_ERASE)]
    Erase {
        /// The interaction, or the session of a ranking.
        #[arg(long, value_name = "ID")]
        interaction: String,
        /// Of this profile alone; without it of all.
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Write a copy of it as it is now, where it is a file; what is on `PostgreSQL` is copied by that.
    #[command(after_help = examples::LEDGER_BACKUP)]
    Backup {
        /// A file that is not there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `cuecard eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    pub knowledge: KnowledgeArgs,
    /// Two files that `--out` wrote of the same conversations: tells what the second gained, and whether it can be chance.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], group = "knowledge")]
    pub compare: Vec<PathBuf>,
    /// Labelled conversations as JSON Lines, plain or .gz.
    #[arg(long, value_name = "FILE", required_unless_present = "compare", conflicts_with = "compare")]
    pub conversations: Option<PathBuf>,
    /// Conversations whose last customer turn needs no card.
    #[arg(long, value_name = "FILE")]
    pub quiet: Option<PathBuf>,
    /// The ranker; without it `CUECARD_RANKER` or the default.
    #[arg(long, value_name = "NAME")]
    pub ranker: Option<Formula>,
    /// A model that `cuecard train` wrote.
    #[arg(long, value_name = "MODEL", conflicts_with = "folds")]
    pub model: Option<PathBuf>,
    /// Learn a model from all conversations but one part in so many and judge that part by it, each part in turn. Times are
    /// those of the formula.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=100))]
    pub folds: Option<u16>,
    /// Turns that a question reads: a number, or `all`; without it `CUECARD__PROFILE__WINDOW` or the default.
    #[arg(long, value_name = "N|all")]
    pub window: Option<TurnWindow>,
    /// How much work each question is given: `full`, or as where the service is behind, `newest_turn` or `lexical_only`.
    #[arg(long, value_name = "EFFORT", default_value_t = Effort::Full)]
    pub effort: Effort,
    /// Play whole conversations too, and judge each customer turn that has a label of its own.
    #[arg(long)]
    pub every_turn: bool,
    /// Also tell the false pushes at the threshold that shows this share of the wanted cards, as .9.
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "quiet")]
    pub at_shown: Option<f64>,
    /// Write a line for each conversation, for `--compare`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// See [`TrainArgs::unbias`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unbiasing {
    /// Accepted cards count for those that were overlooked at their place.
    Propensity,
    /// The place is learned as a feature of its own.
    Place,
}

/// `cuecard train`
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub knowledge: KnowledgeArgs,
    /// Labelled conversations as JSON Lines, plain or .gz, the oldest first.
    #[arg(long, value_name = "FILE", required_unless_present = "feedback")]
    pub conversations: Option<PathBuf>,
    /// Conversations whose last customer turn needs no card.
    #[arg(long, value_name = "FILE", requires = "conversations")]
    pub quiet: Option<PathBuf>,
    /// Learn the order alone, where no turn is known that wants no card.
    #[arg(long, conflicts_with = "quiet", requires = "conversations")]
    pub order_only: bool,
    /// A service's ledger, `ledger.db` in its data directory or the URL that `DATABASE_URL` names: learn from what agents did
    /// with the cards of a profile.
    #[arg(long, value_name = "FILE|URL", requires = "profile", conflicts_with = "conversations")]
    pub feedback: Option<LedgerPlace>,
    /// The profile whose cards these were.
    #[arg(long, value_name = "NAME", requires = "feedback")]
    pub profile: Option<String>,
    /// How cards that stood further up, and were seen more, are kept from counting more; without it by inverse propensity
    /// where places were swapped (`explore`), else by place.
    #[arg(long, value_name = "HOW", requires = "feedback")]
    pub unbias: Option<Unbiasing>,
    /// The model that runs now, with which the new one is compared; without it the formula.
    #[arg(long, value_name = "MODEL")]
    pub against: Option<PathBuf>,
    /// Where the model is written.
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cuecard model`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Put a model in service that is proven to be better than what runs; a running service takes it up within seconds.
    #[command(after_help = examples::MODEL_PROMOTE)]
    Promote(PromoteArgs),
    /// Put back what was in service before; a second rollback undoes the first.
    #[command(after_help = examples::MODEL_ROLLBACK)]
    Rollback(ProfileArgs),
    /// Tell what is in service, how it was learned and what it gains.
    #[command(after_help = examples::MODEL_SHOW)]
    Show(ProfileArgs),
}

/// `cuecard model promote`
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// What `cuecard train` wrote.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Put it in service though its figures do not prove it better; that is written down.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub profile: ProfileArgs,
}

/// Which service is meant, and which profile of it.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// Settings file of the service; without it the environment alone is read.
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
    /// The profile; may be left out where there is one.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("give a share above 0 and at most 1, as .9".to_owned()),
    }
}

/// `cuecard demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Articles to know; the built-in ones without it.
    #[arg(long, value_name = "FILE")]
    pub articles: Option<PathBuf>,
    /// Conversations to play; the built-in ones without it.
    #[arg(long, value_name = "FILE")]
    pub conversations: Option<PathBuf>,
    /// How much faster than life they are played.
    #[arg(long, default_value_t = 1.5)]
    pub speed: f64,
    /// Port of the page; 0 takes a free one.
    #[arg(long, default_value_t = 9200)]
    pub port: u16,
    /// End after one round instead of starting over.
    #[arg(long)]
    pub once: bool,
}

/// `cuecard completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `cuecard man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where they are written; made if it is not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests;
