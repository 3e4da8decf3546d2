//! Where a night's service keeps its data: a disk of its own that can be filled, and a ledger that can be held by another
//! process (SQLite) or lose its server (PostgreSQL).

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

use crate::support::{LOOK, PATIENCE};

/// Room for the ledger of a long night in which the disk is filled now and then; no more, because filling it takes memory.
const DISK: &str = "size=256m";

/// What is written at once to fill it.
const CHUNK: usize = 1024 * 1024;

/// The data directory and the ledger.
pub struct Store {
    data: TempDir,
    /// Whether the directory is a file system of its own, which can be filled.
    pub has_own_disk: bool,
    pub server: Option<Server>,
    holder: Option<AnyConnection>,
}

impl Store {
    /// A SQLite ledger in a directory of its own, or one of a server that is started.
    /// With a disk of its own only where it is to be filled: a long night would fill it by itself.
    pub async fn new(with_server: bool, is_to_be_filled: bool) -> Self {
        sqlx::any::install_default_drivers();
        let data = TempDir::new().unwrap();
        let mount = || Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(data.path()).output();
        let has_own_disk = is_to_be_filled && mount().is_ok_and(|done| done.status.success());
        let server = if with_server { Some(Server::start().await) } else { None };
        Self { data, has_own_disk, server, holder: None }
    }

    pub fn directory(&self) -> &Path {
        self.data.path()
    }

    /// The ledger's address, as the service is told.
    pub fn url(&self) -> String {
        match &self.server {
            Some(server) => server.url(),
            None => format!("sqlite:{}", self.data.path().join("ledger.db").display()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.data.path().join("filler")
    }

    /// Takes all the room that is left; gives whether none is.
    pub fn fill_disk(&self) -> bool {
        let fill = || -> std::io::Result<()> {
            let mut filler = std::fs::File::create(self.filler())?;
            let chunk = vec![0; CHUNK];
            loop {
                filler.write_all(&chunk)?;
            }
        };
        fill().is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
    }

    pub fn free_disk(&self) {
        // It was never filled, most of the time.
        let _ = std::fs::remove_file(self.filler());
    }

    /// Holds the ledger's file, as a backup program may; gives whether it got hold of it.
    pub async fn hold(&mut self) -> bool {
        match hold(&self.url()).await {
            Ok(holder) => self.holder = Some(holder),
            Err(error) => println!("the ledger can't be held: {error}"),
        }
        self.holder.is_some()
    }

    pub async fn let_go(&mut self) {
        if let Some(holder) = self.holder.take() {
            // With the connection goes what it holds.
            let _ = holder.close().await;
        }
    }
}

async fn hold(url: &str) -> sqlx::Result<AnyConnection> {
    let mut holder = AnyConnection::connect(url).await?;
    holder.execute("BEGIN IMMEDIATE").await?;
    Ok(holder)
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.has_own_disk {
            let _ = Command::new("umount").arg("--lazy").arg(self.data.path()).status();
        }
    }
}

/// A PostgreSQL server of this night alone.
pub struct Server {
    home: TempDir,
    port: u16,
    /// Whether this is root's process, which PostgreSQL refuses to be.
    is_roots: bool,
    process: Option<Child>,
}

impl Server {
    async fn start() -> Self {
        let home = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let is_roots = is_roots(home.path());
        let mut server = Self { home, port, is_roots, process: None };
        if is_roots {
            let owned = Command::new("chown").arg("postgres").arg(server.home.path()).status().unwrap();
            assert!(owned.success(), "there is no user postgres, as Debian's package postgresql makes one");
        }
        let data = server.data();
        let options = ["--username=cuecard", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let made = server.program("initdb").arg("--pgdata").arg(data).args(options).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.resume().await;
        server
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn url(&self) -> String {
        format!("postgres://cuecard@127.0.0.1:{}/postgres", self.port)
    }

    /// One of the server's programs, run as its user, since it refuses to be root's.
    fn program(&self, name: &str) -> Command {
        let directory = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().next();
        let directory = directory.expect("PostgreSQL is missing (Debian: postgresql)").path();
        let program = directory.join("bin").join(name);
        let mut command = if self.is_roots {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Ends it as a restart of its machine does: without a word to its clients.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Its own children end with it.
        let stopped = self.program("pg_ctl").args(["stop", "--mode=immediate", "--pgdata"]).arg(self.data()).output();
        if !stopped.is_ok_and(|done| done.status.success()) {
            let _ = process.kill();
        }
        process.wait().unwrap();
    }

    /// Starts it and waits until it answers.
    pub async fn resume(&mut self) {
        if self.process.is_some() {
            return;
        }
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.home.path().display()),
        ];
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        self.process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let url = self.url();
        let answers = async {
            while AnyConnection::connect(&url).await.is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("PostgreSQL does not start");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whoever makes a directory owns it.
fn is_roots(directory: &Path) -> bool {
    directory.metadata().is_ok_and(|directory| directory.uid() == 0)
}
