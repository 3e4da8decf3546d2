//! The real binary: run to its end, or as a service in a process of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use super::{Admin, Caller, LOOK, PATIENCE};

/// Where the model is; everything else in the caller's environment plays no part.
const KEPT: [&str; 5] = ["CUECARD_CACHE", "CUECARD_MODEL_DIR", "HOME", "LD_LIBRARY_PATH", "XDG_CACHE_HOME"];

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Those variables of the caller that a command is given.
pub fn kept() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// `cuecard` with nothing but these variables.
pub fn cuecard(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cuecard"));
    command.args(arguments).env_clear();
    command.envs(kept());
    command.envs(variables.iter().copied());
    command
}

/// Runs `cuecard` to its end, which must not be a panic.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = cuecard(arguments, variables).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {}", ended.stderr);
    ended
}

/// The same in a pseudo-terminal; gives what it put there, both outputs as one.
pub fn run_in_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let quoted = arguments.iter().map(|argument| format!(" '{argument}'"));
    let line = format!("exec '{}'{}", env!("CARGO_BIN_EXE_cuecard"), quoted.collect::<String>());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    // Where the shell is, and that the terminal can do more than add lines.
    command.envs(kept()).envs([("SHELL", "/bin/sh"), ("TERM", "xterm-256color")]).envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `cuecard serve` in a process of its own, from its first instant on.
pub struct Launched {
    admin: Receiver<SocketAddr>,
    api: Receiver<SocketAddr>,
    child: Child,
    /// What it has logged.
    log: Arc<Mutex<String>>,
    /// Each reads one of the process's outputs to its end; what is no log it gives then.
    readers: Vec<JoinHandle<String>>,
}

impl Launched {
    /// Starts it, with more on its command line, and waits for nothing.
    pub fn serve(arguments: &[&str], variables: &[(String, String)]) -> Self {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut command = cuecard(&[&["serve"], arguments].concat(), &variables);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, mut stdout) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
        let ((tell_admin, admin), (tell_api, api)) = (mpsc::channel(), mpsc::channel());
        let log = Arc::<Mutex<String>>::default();
        let logged = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            read_log(stderr, &logged, &[("admin_addr", tell_admin), ("addr", tell_api)]);
            String::new()
        });
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self { admin, api, child, log, readers: vec![reader, stdout] }
    }

    /// Waits until its admin port is open; gives what it wrote where it ended before.
    pub fn listening(self) -> Result<Process, String> {
        match self.admin.recv_timeout(PATIENCE) {
            Ok(addr) => Ok(Process { admin: Admin::new(addr), launched: self }),
            Err(_) => Err(self.kill()),
        }
    }

    /// SIGKILL: no chance to put anything in order. Gives what it wrote until then.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.written()
    }

    /// What the process wrote, which has ended.
    fn written(&mut self) -> String {
        let beside: String =
            std::mem::take(&mut self.readers).into_iter().map(|reader| reader.join().unwrap()).collect();
        self.logged() + &beside
    }

    fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

/// The same once its admin port is open.
pub struct Process {
    pub admin: Admin,
    launched: Launched,
}

impl Process {
    /// Starts it and waits until its admin port is open.
    pub fn serve(variables: &[(String, String)]) -> Self {
        Self::serve_with(&[], variables)
    }

    /// The same with more on its command line.
    pub fn serve_with(arguments: &[&str], variables: &[(String, String)]) -> Self {
        Launched::serve(arguments, variables).listening().unwrap()
    }

    /// Somebody who asks the API, which is open once the engine is loaded.
    pub fn caller(&self) -> Caller {
        Caller::new(self.api_addr().unwrap())
    }

    /// Where the API is, once the engine is loaded; none where it ended before.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.launched.api.recv_timeout(PATIENCE).ok()
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.launched.child.id()
    }

    /// SIGKILL: no chance to put anything in order. Gives what it wrote until then.
    pub fn kill(self) -> String {
        self.launched.kill()
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        self.launched.logged()
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.launched.child.try_wait().unwrap()
    }

    /// SIGTERM, as a container runtime ends a service.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the signal of this name.
    pub fn signal(&self, name: &str) {
        send_signal(self.id(), name);
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                match self.has_ended() {
                    Some(status) => return status,
                    None => tokio::time::sleep(LOOK).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }

    /// Waits until the process has ended, and gives all that it wrote.
    pub async fn output(mut self) -> String {
        self.ended().await;
        self.launched.written()
    }
}

/// Sends a process the signal of this name.
pub fn send_signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Whether a thread of the encoder computes just now in a process.
pub fn is_encoding(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    // One that ended meanwhile computes no more.
    let mut stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    let computes = |stat: String| stat.contains("(encoder-") && stat.contains(") R ");
    stats.any(computes)
}

/// Processor time that a process has used, in ticks of 10 ms.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The 14th and 15th of all fields; the second, a name, may hold spaces.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').skip(11).take(2));
    fields.into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

impl Drop for Launched {
    fn drop(&mut self) {
        // It has ended, unless a test failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log to its end, so that the process never waits for its reader; a panic in it shows in the test's output.
/// Tells the addresses that stand under these names.
fn read_log(stderr: impl Read, log: &Mutex<String>, found: &[(&str, Sender<SocketAddr>)]) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        for (name, tell) in found {
            if let Some(addr) = entry[name].as_str().and_then(|addr| addr.parse().ok()) {
                // The test may have ended already, or ask nobody there.
                let _ = tell.send(addr);
            }
        }
        if entry.is_null() || entry["level"] == "ERROR" {
            eprintln!("{line}");
        }
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
