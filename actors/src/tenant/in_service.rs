//! What a profile's service judges by beside its settings, for a tool that answers as it would: the learned model, what is
//! usual for its turns, and what operators decided about articles.
//!
//! All of it is only read, beside a service that runs or not. What can't be had is done without and named.

use std::path::Path;

use cuecard_engine::{Engine, UsualTurns};
use cuecard_ledger::newest_actions;

use super::loading::{find_model, usual_file};
use super::marks::marks;
use super::{ModelShelf, Profile};

/// Gives an engine what the service of this profile has, as far as this data directory and this ledger have it; tells in words
/// what they have not. Nothing that the engine is asked then is learned from.
pub async fn as_in_service(engine: &Engine, profile: &Profile, data_dir: &Path, ledger_url: &str) -> Vec<String> {
    let mut left_out = Vec::new();
    let models = ModelShelf::new(data_dir, &profile.name);
    match find_model(profile, &models, engine, models.ran_last().as_deref()) {
        Ok(model) => engine.use_model(model),
        Err(error) => left_out.push(format!("its model ({error})")),
    }
    if profile.plan.silence.is_some() {
        let file = usual_file(data_dir, profile.name.as_str());
        let usual = UsualTurns::read(&file);
        match &usual {
            Ok(Some(_)) => {}
            Ok(None) => left_out.push(format!(
                "what is usual for its turns ({} is not there; a service writes it after some hundred)",
                file.display()
            )),
            Err(error) => left_out.push(format!("what is usual for its turns ({}: {error})", file.display())),
        }
        engine.usual().fix(usual.ok().flatten().unwrap_or_default());
    }
    match newest_actions(ledger_url, profile.name.as_str()).await {
        Ok(newest) => engine.use_marks(marks(newest)),
        Err(error) => left_out.push(format!("pins and mutes ({error})")),
    }
    left_out
}
