//! `cuecard model`

use anyhow::Context as _;
use cuecard_actors::tenant::{ModelShelf, PromotionError, read_model};

use super::in_service::chosen;
use super::knowledge;
use super::train::print_model;
use crate::cli::{ProfileArgs, PromoteArgs};
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::Settings;

/// Puts a model in service.
pub fn promote(arguments: &PromoteArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let shelf = shelf(&arguments.profile)?;
    let encoder = knowledge::encoder()?.model().identity();
    let promoted = shelf.promote(&arguments.model, &encoder, arguments.force);
    let model = match promoted {
        Err(error @ PromotionError::Unproven { .. }) => {
            return Err(error).context("it stays out of service; --force puts it in, and writes that down");
        }
        other => other?,
    };
    say!("model {} is in service; a running service takes it up within seconds", model.version);
    Ok(ExitCode::Success)
}

/// Puts back what was in service before.
pub fn roll_back(arguments: &ProfileArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let shelf = shelf(arguments)?;
    shelf.roll_back()?;
    print_current(&shelf)
}

/// Tells what is in service.
pub fn show(arguments: &ProfileArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    print_current(&shelf(arguments)?)
}

fn print_current(shelf: &ModelShelf) -> anyhow::Result<ExitCode> {
    let current = shelf.current();
    if current.exists() {
        let encoder = knowledge::encoder()?.model().identity();
        print_model(&read_model(&current, &encoder)?);
    } else {
        say!("no model is in service; the formula answers");
    }
    Ok(ExitCode::Success)
}

/// The shelf of the profile that is meant. One whose settings name a model has none.
fn shelf(arguments: &ProfileArgs) -> anyhow::Result<ModelShelf> {
    let settings = Settings::of_environment(arguments.config.as_deref())?;
    let profile = chosen(&settings.profiles, arguments.profile.as_deref())?;
    anyhow::ensure!(
        profile.model.is_none(),
        "the settings of profile `{}` name a model, which is the one in service; change it there, or take `model` out",
        profile.name
    );
    Ok(ModelShelf::new(&settings.data.dir, &profile.name))
}
