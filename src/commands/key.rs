//! `cuecard key`

use anyhow::Context as _;

use crate::access::{KeyHash, new_key};
use crate::exit::ExitCode;

/// Makes a key and prints it, which nothing does a second time; and its hash, which is no secret.
pub fn run() -> anyhow::Result<ExitCode> {
    let key = new_key().context("this machine gives no random numbers")?;
    say!("key   {key}");
    say!("hash  {}", KeyHash::of(&key));
    eprintln!("Give the key to whoever is to call; the hash goes into a section [access.keys.NAME] of the settings.");
    Ok(ExitCode::Success)
}
