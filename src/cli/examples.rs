//! What stands below the help of each command: examples of it, and what exit codes mean.

/// For `cuecard --help`.
pub(super) const ALL: &str = "\
Examples:
  cuecard demo                                            see it work, without a tenant
  cuecard index --articles articles.jsonl --index data/index
  cuecard ask \"can I take my router when I move\" --index data/index
  cuecard check
  cuecard serve

`cuecard COMMAND --help` has examples of each. Logs go to stderr; RUST_LOG=debug says more. NO_COLOR=1 switches colours off,
which come only on a terminal.

Exit codes:
  0    it is done
  1    it failed, or a check found something wrong; stderr says what
  2    the command line can't be understood
  70   an actor of the service, its ledger or its encoder gave up: let it be started again
  130  a second signal ended it at once";

pub(super) const SERVE: &str = "\
Examples:
  cuecard serve --config /etc/cuecard/cuecard.toml
  CXONE_CONTRACT=insights CXONE_CLIENT_ID=me CXONE_CLIENT_SECRET_FILE=/run/secrets/cxone cuecard serve

SIGTERM and SIGINT end it in order, a second one at once; SIGHUP has it read its settings again.";

pub(super) const CHECK: &str = "\
Examples:
  cuecard check
  cuecard check --offline --config /etc/cuecard/cuecard.toml";

pub(super) const HEALTH: &str = "\
Examples:
  cuecard health
  cuecard health --config /etc/cuecard/cuecard.toml
  cuecard health --admin https://cuecard.example:9100";

pub(super) const INDEX: &str = "\
Examples:
  cuecard index --articles articles.jsonl --index data/index
  cuecard index --articles handbook.jsonl.gz --source-name handbook --index data/index --json
  cuecard index --chroma http://127.0.0.1:8000 --collection kb_chunks --index data/index
  cuecard index --remove-source file:articles.jsonl --index data/index";

pub(super) const ASK: &str = "\
Examples:
  cuecard ask \"can I take my router when I move\" --index data/index
  cuecard ask \"what does roaming cost\" -k 5 --explain --articles demo/articles.jsonl
  cuecard ask \"what does roaming cost\" --index data/index --config /etc/cuecard/cuecard.toml --profile north";

pub(super) const WHY: &str = "\
Examples:
  cuecard why 0196a3f2-7d1c-7000-8000-000000000000
  CUECARD_ADMIN_KEY=cuecard_7b0f cuecard why --interaction call-17 --admin https://cuecard.example:9100";

pub(super) const EVAL: &str = "\
Examples:
  cuecard eval --index data/index --conversations calls.jsonl --quiet quiet.jsonl
  cuecard eval --articles demo/articles.jsonl --conversations demo/conversations.jsonl --every-turn --json
  cuecard eval --compare before.jsonl after.jsonl";

pub(super) const TRAIN: &str = "\
Examples:
  cuecard train --index data/index --conversations calls.jsonl --quiet quiet.jsonl --out model.json
  cuecard train --index data/index --feedback data/ledger.db --profile insights --out model.json
  cuecard train --index data/index --feedback postgres://cuecard@db/ledger --profile insights --out model.json";

pub(super) const MODEL_PROMOTE: &str = "\
Examples:
  cuecard model promote model.json
  cuecard model promote model.json --force --config /etc/cuecard/cuecard.toml --profile north";

pub(super) const MODEL_ROLLBACK: &str = "\
Examples:
  cuecard model rollback
  cuecard model rollback --config /etc/cuecard/cuecard.toml --profile north";

pub(super) const MODEL_SHOW: &str = "\
Examples:
  cuecard model show
  cuecard model show --config /etc/cuecard/cuecard.toml --profile north";

pub(super) const GRAPH_LOAD: &str = "\
Examples:
  NEO4J_URI=bolt://127.0.0.1:7687 NEO4J_PASSWORD_FILE=/run/secrets/neo4j cuecard graph load demo/graph.jsonl";

pub(super) const LEDGER_STATS: &str = "\
Examples:
  cuecard ledger stats
  cuecard ledger stats --json --config /etc/cuecard/cuecard.toml";

pub(super) const LEDGER_PURGE: &str = "\
Examples:
  cuecard ledger purge";

pub(super) const LEDGER_ERASE: &str = "\
Examples:
  cuecard ledger erase --interaction call-17
  cuecard ledger erase --interaction call-17 --profile north --config /etc/cuecard/cuecard.toml";

pub(super) const LEDGER_BACKUP: &str = "\
Examples:
  cuecard ledger backup /srv/backups/ledger.db";

pub(super) const KEY: &str = "\
Examples:
  cuecard key";

pub(super) const DEMO: &str = "\
Examples:
  cuecard demo
  cuecard demo --once --speed 4 --port 0";

pub(super) const COMPLETIONS: &str = "\
Examples:
  cuecard completions bash > /etc/bash_completion.d/cuecard
  cuecard completions zsh > ~/.zfunc/_cuecard";

pub(super) const MAN: &str = "\
Examples:
  cuecard man /usr/local/share/man/man1";
