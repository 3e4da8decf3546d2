//! A shell in which somebody types commands, one after another.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::command::send_signal;

/// Some commands embed articles first, which takes minutes where our own crates are not optimised and the machine is busy.
const PATIENCE: Duration = Duration::from_mins(5);

/// What stands before the code of a command that has ended.
const ENDED: &str = "ended with ";
const TELL_ENDED: &str = r"printf '\nended with %s\n' $?";

/// A bash; what its commands print comes line by line, both outputs as one.
pub struct Shell {
    child: Child,
    typed: ChildStdin,
    lines: Receiver<String>,
    /// The command that runs until it is told to stop.
    running: Option<u32>,
}

impl Shell {
    /// Opens one in this folder, with nothing but these variables.
    pub fn open(folder: &Path, variables: &[(String, OsString)]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile"]).current_dir(folder).env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        // With its ends of the pipe, which would keep it open.
        drop(command);
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
            // Whoever has seen enough is gone.
            lines.try_for_each(|line| tell.send(line))
        });
        Self { typed: child.stdin.take().unwrap(), child, lines, running: None }
    }

    /// Types a command, and what it asks for, and gives what it printed; it must end well.
    pub fn run(&mut self, command: &str, asked_for: &str) -> String {
        self.type_line(&format!("{command}\n{asked_for}"));
        self.type_line(TELL_ENDED);
        self.ended_well(command)
    }

    /// Types a command that runs until it is stopped.
    pub fn start(&mut self, command: &str) {
        self.type_line(&format!("(echo \"process $BASHPID\"; exec {command}) </dev/null"));
        // Read when it has ended.
        self.type_line(TELL_ENDED);
        let said = self.until(command, |line| line.starts_with("process "));
        self.running = said.last().and_then(|line| line.strip_prefix("process ")?.parse().ok());
    }

    /// Ctrl-C, where a command runs; gives what it printed since it was last listened to. It must end well.
    pub fn stop(&mut self) -> String {
        let Some(process) = self.running.take() else { return String::new() };
        send_signal(process, "INT");
        self.ended_well("what was stopped")
    }

    /// Whether a command runs.
    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// All lines up to the first of which this is true; what prints them must not end before.
    pub fn until(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("{what}: waited in vain after {said:#?}") };
            said.push(line);
            let line = said.last().map_or("", String::as_str);
            if is_it(line) {
                return said;
            }
            assert!(!line.starts_with(ENDED), "{what}: it ended: {said:#?}");
        }
    }

    fn ended_well(&self, command: &str) -> String {
        let mut said = self.until(command, |line| line.starts_with(ENDED));
        let code = said.pop().unwrap_or_default();
        let said = said.join("\n");
        assert_eq!(code, format!("{ENDED}0"), "{command}\n{said}");
        said
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.typed, "{}", line.trim_end()).unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Nobody else ends what runs where a test failed before.
        if let Some(process) = self.running {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
