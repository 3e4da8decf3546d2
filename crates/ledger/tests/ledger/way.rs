//! A way to a database server on which things go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What a server says of a commit that is kept.
const COMMITTED: &[u8] = b"COMMIT\0";

/// A way to a server that can be cut.
pub struct Way {
    state: Arc<WayState>,
    /// The server's, by this way.
    pub url: String,
}

struct WayState {
    /// Whether new connections are let through.
    is_open: AtomicBool,
    cut: tokio::sync::Notify,
    /// The connection over which the next commit is kept ends before its answer.
    loses_next_answer: AtomicBool,
    /// Nothing goes over it any more, and no connection ends.
    is_black_hole: AtomicBool,
}

impl WayState {
    /// Carries what one connection says, until it ends or is cut.
    async fn carry(&self, mut near: TcpStream, server: &str) -> std::io::Result<()> {
        let mut far = TcpStream::connect(server).await?;
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            let ((), is_over) = tokio::select! {
                read = near.read(&mut asked) => {
                    let read = read?;
                    self.pass().await;
                    (far.write_all(&asked[..read]).await?, read == 0)
                }
                read = far.read(&mut answered) => {
                    let read = read?;
                    self.pass().await;
                    let answer = &answered[..read];
                    let is_committed = answer.windows(COMMITTED.len()).any(|bytes| bytes == COMMITTED);
                    if is_committed && self.loses_next_answer.swap(false, Ordering::SeqCst) {
                        return Ok(());
                    }
                    (near.write_all(answer).await?, read == 0)
                }
                () = self.cut.notified() => ((), true),
            };
            if is_over {
                return Ok(());
            }
        }
    }

    /// Never, where what is sent vanishes.
    async fn pass(&self) {
        if self.is_black_hole.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Way {
    /// To the server of this URL.
    pub async fn to(url: &str) -> Self {
        let mut url: Url = url.parse().unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let state = Arc::new(WayState {
            is_open: AtomicBool::new(true),
            cut: tokio::sync::Notify::new(),
            loses_next_answer: AtomicBool::new(false),
            is_black_hole: AtomicBool::new(false),
        });
        let way = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if way.is_open.load(Ordering::SeqCst) {
                    let (server, way) = (server.clone(), Arc::clone(&way));
                    tokio::spawn(async move { way.carry(near, &server).await });
                }
            }
        });
        Self { state, url: url.into() }
    }

    /// Ends every connection and lets none through.
    pub fn cut(&self) {
        self.state.is_open.store(false, Ordering::SeqCst);
        self.state.cut.notify_waiters();
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.is_open.store(true, Ordering::SeqCst);
    }

    /// The connection over which the next commit is kept ends before its answer.
    pub fn lose_next_answer(&self) {
        self.state.loses_next_answer.store(true, Ordering::SeqCst);
    }

    /// Nothing comes through any more, and no connection ends.
    pub fn become_black_hole(&self) {
        self.state.is_black_hole.store(true, Ordering::SeqCst);
    }
}
