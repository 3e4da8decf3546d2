#![allow(clippy::unwrap_used)]

use clap::CommandFactory;

use super::*;
use crate::exit::ExitCode;

/// Every command that can be run, with its whole name.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(name: &str, command: &clap::Command) -> Vec<(String, clap::Command)> {
        let mut inner = command.get_subcommands().peekable();
        if inner.peek().is_none() {
            return vec![(name.to_owned(), command.clone())];
        }
        inner.flat_map(|inner| below(&format!("{name} {}", inner.get_name()), inner)).collect()
    }
    below("cuecard", &Cli::command())
}

/// The words of a line, as a shell takes them; what stands before the program is its environment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    let is_program = |word: &String| word == "cuecard";
    words.into_iter().filter(|word| !word.is_empty()).skip_while(|word| !is_program(word)).collect()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_it_takes() {
    let commands = commands();
    assert!(commands.len() > 15, "{}", commands.len());
    for (name, command) in commands {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<_> = help.lines().filter(|line| line.contains("cuecard ")).collect();
        assert!(help.starts_with("Examples:") && !lines.is_empty(), "{name}: {help}");
        for line in lines {
            let line = line.split(" > ").next().unwrap();
            assert!(line.contains(&name), "{name}: {line}");
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn the_help_tells_what_each_exit_code_means() {
    let help = Cli::command().render_help().to_string();
    let page = include_str!("../../docs/commands.md");
    for code in [ExitCode::Success, ExitCode::Failure, ExitCode::GaveUp, ExitCode::Killed] {
        let code = (code as i32).to_string();
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{code} "))), "{code}: {help}");
        assert!(page.contains(&format!("| {code} |")), "{code}");
    }
}
