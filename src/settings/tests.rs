#![allow(clippy::unwrap_used)]

mod contracts;
mod deployed;
mod layers;
mod reference;
mod refusals;
mod reload;
mod secrets;

use std::path::PathBuf;

use tempfile::TempDir;
use toml::{Table, Value};

use super::*;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A tenant by the environment alone.
const TENANT: [(&str, &str); 3] =
    [("CXONE_CONTRACT", "insights"), ("CXONE_CLIENT_ID", "client"), ("CXONE_CLIENT_SECRET", "opensesame")];

/// Keys whose value may be any text; what is wrong with it shows when the profile is checked, or when it is used.
const ANY_TEXT: [&str; 38] = [
    "access.key.key",
    "access.key.profiles",
    "admin.tls_certificate",
    "admin.tls_key",
    "api.keys",
    "api.tls_certificate",
    "api.tls_key",
    "data.dir",
    "data.database_url",
    "encoder.model_dir",
    "profile.contract",
    "profile.base_url",
    "profile.env",
    "profile.token_path",
    "profile.oauth_url",
    "profile.scopes",
    "profile.client_id",
    "profile.client_secret",
    "profile.agent_id",
    "profile.agent_roles",
    "profile.context_roles",
    "profile.backends",
    "profile.index",
    "profile.model",
    "profile.graph",
    "profile.neo4j_uri",
    "profile.neo4j_user",
    "profile.neo4j_password",
    "profile.chroma_url",
    "profile.chroma_collection",
    "profile.chroma_tenant",
    "profile.chroma_database",
    "profile.chroma_token",
    "profile.model",
    "profile.model_dir",
    "profile.callback_url",
    "profile.callback_hosts",
    "traces.headers",
];

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: Option<&str>, pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let place = TempDir::new().unwrap();
    let path: Option<PathBuf> = file.map(|text| {
        let path = place.path().join("cuecard.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    Settings::load(path.as_deref(), variables(pairs))
}

fn complaint(file: Option<&str>, pairs: &[(&str, &str)]) -> String {
    load(file, pairs).unwrap_err().to_string()
}

/// Every key of the defaults, as `section.key`.
fn keys() -> Vec<String> {
    fn below(section: &str, table: &Table) -> Vec<String> {
        let of = |(name, value): (&String, &Value)| match value {
            Value::Table(inner) => below(&format!("{section}{name}."), inner),
            _ => vec![format!("{section}{name}")],
        };
        table.iter().flat_map(of).collect()
    }
    below("", &toml::from_str(DEFAULTS).unwrap())
}

fn variable(key: &str) -> String {
    format!("CUECARD__{}", key.to_uppercase().replace('.', "__"))
}
