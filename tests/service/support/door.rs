//! An address of this machine at which nobody answers, and perhaps somebody will.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Whoever knocks is refused until it is opened. The port is taken all the time, so that no other test's server gets it.
pub struct Door(TcpSocket);

impl Door {
    pub fn shut() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// From now on who knocks is heard.
    pub fn open(self) -> TcpListener {
        self.0.listen(128).unwrap()
    }
}
