//! A connection on which nothing happens any more is closed.
//!
//! The server's own timers see to the first request of a connection and to one that stands idle, but not to a later request
//! that begins and does not come to its end, nor to a caller who does not take the answer. So each connection has a watch of
//! its own, which ends with it.

use std::any::Any;
use std::cell::Cell;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What goes on on a connection.
struct Activity {
    requests: Cell<usize>,
    /// When the last request ended, or the connection was made.
    idle_since: Cell<Instant>,
}

/// Watches a connection for as long as it is there.
pub(super) struct Connection {
    activity: Rc<Activity>,
    watch: JoinHandle<()>,
}

/// A request that is being answered.
pub(super) struct UnderWay(Rc<Activity>);

/// Begins to watch a new connection, of which nothing may be heard for so long.
pub(super) fn watch(socket: &dyn Any, data: &mut Extensions, longest_idle: Duration) {
    let tls = || Some(socket.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0);
    let Some(socket) = socket.downcast_ref::<TcpStream>().or_else(tls) else { return };
    // A handle of the watch's own. Where there are no more, this connection goes without a watch.
    let Ok(socket) = socket.as_fd().try_clone_to_owned().map(std::net::TcpStream::from) else { return };
    let activity = Rc::new(Activity { requests: Cell::new(0), idle_since: Cell::new(Instant::now()) });
    let watched = Rc::clone(&activity);
    let watch = actix_rt::spawn(async move {
        let mut look = watched.idle_since.get() + longest_idle;
        loop {
            sleep_until(look).await;
            let end = watched.idle_since.get() + longest_idle;
            let now = Instant::now();
            if watched.requests.get() == 0 && end <= now {
                // It may be closed already.
                let _ = socket.shutdown(Shutdown::Both);
                return;
            }
            look = if watched.requests.get() == 0 { end } else { now + longest_idle };
        }
    });
    data.insert(Connection { activity, watch });
}

impl Connection {
    /// Says that a request has come.
    pub(super) fn request(&self) -> UnderWay {
        self.activity.requests.set(self.activity.requests.get() + 1);
        UnderWay(Rc::clone(&self.activity))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}
